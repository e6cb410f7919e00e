#include "output_reader.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/evp.h>

struct output_reader {
    int folder, fd; /* fd -1: the file was not there yet */
    int64_t row;
    uint64_t offset;
    uint32_t next[2];
    uint64_t bytes[2];
    bool gap;
    EVP_MD_CTX *hash[2];
    uint8_t content[OUTPUT_CHUNK_MAX];
};

int output_reader_new(struct output_reader **out, int folder, int64_t row)
{
    struct output_reader *r = calloc(1, sizeof(*r));
    if (!r)
        return -ENOMEM;
    r->folder = folder;
    r->fd = -1;
    r->row = row;
    for (int i = 0; i < 2; i++) {
        r->hash[i] = EVP_MD_CTX_new();
        if (!r->hash[i] || EVP_DigestInit_ex(r->hash[i], EVP_sha256(), NULL) != 1) {
            output_reader_free(r);
            return -ENOMEM;
        }
    }
    *out = r;
    return 0;
}

struct output_reader *output_reader_free(struct output_reader *r)
{
    if (!r)
        return NULL;
    for (int i = 0; i < 2; i++)
        EVP_MD_CTX_free(r->hash[i]);
    if (r->fd >= 0)
        close(r->fd);
    free(r);
    return NULL;
}

static int take(struct output_reader *r, const struct output_record *record,
                const struct output_sink *sink)
{
    unsigned stream = record->stream;
    if (record->index < r->next[stream])
        return OUTPUT_DAMAGED;
    if (record->index > r->next[stream]) {
        r->gap = true;
        sink->gap(sink->context, stream, record->index - r->next[stream]);
    }
    r->next[stream] = record->index + 1;
    r->bytes[stream] += record->length;
    if (EVP_DigestUpdate(r->hash[stream], r->content, record->length) != 1)
        return -EIO;
    return sink->chunk(sink->context, stream, r->content, record->length);
}

int output_reader_go_on(struct output_reader *r, const struct output_sink *sink)
{
    struct output_record record;
    if (r->fd < 0)
        r->fd = output_file_read(r->folder, r->row);
    if (r->fd < 0)
        return r->fd == -ENOENT ? 0 : r->fd;
    int result;
    while ((result = output_file_next(r->fd, &r->offset, &record, r->content)) == 0) {
        result = take(r, &record, sink);
        if (result)
            return result;
    }
    return result == OUTPUT_END ? 0 : result;
}

static bool stream_matches(struct output_reader *r, unsigned stream,
                           const struct receipt_stream *expected)
{
    uint8_t digest[EVP_MAX_MD_SIZE];
    EVP_MD_CTX *copy = EVP_MD_CTX_new();
    bool same = copy && EVP_MD_CTX_copy_ex(copy, r->hash[stream]) == 1 &&
                EVP_DigestFinal_ex(copy, digest, NULL) == 1 &&
                r->bytes[stream] == expected->bytes &&
                memcmp(digest, expected->sha256, sizeof(expected->sha256)) == 0;
    EVP_MD_CTX_free(copy);
    return same;
}

bool output_reader_matches(struct output_reader *r, const struct receipt *receipt)
{
    return !r->gap && stream_matches(r, 0, &receipt->stream[0]) &&
           stream_matches(r, 1, &receipt->stream[1]);
}
