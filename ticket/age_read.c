#include "age_read.h"

#include <errno.h>
#include <sodium.h>
#include <string.h>

#include "secret_memory.h"

/* What the next line, or the next byte, must be. */
enum expect { VERSION, STANZA_OR_MAC, FIRST_STANZA, BODY, NONCE, CHUNK };

struct keys {
    struct age_identity identities[AGE_READ_IDENTITIES_MAX];
    uint8_t file_key[AGE_FILE_KEY_BYTES];
    uint8_t shared[32], wrap_key[32], payload_key[32];
};

struct age_read {
    age_sink *sink;
    void *context;
    int failed;
    enum expect expect;
    size_t identity_count;
    struct keys *keys;

    /* The header so far, and where its present line begins. */
    size_t header_used, line_start;
    uint8_t header[AGE_READ_HEADER_MAX];

    /* The stanza being read. */
    size_t stanza_count;
    int is_x25519, has_scrypt;
    uint8_t share[AGE_KEY_BYTES];
    size_t body_used;
    uint8_t body[AGE_WRAPPED_BYTES];

    int have_file_key;
    uint64_t counter;
    size_t used;
    uint8_t sealed[AGE_CHUNK_BYTES + AGE_TAG_BYTES];
    uint8_t plain[AGE_CHUNK_BYTES];
};

int age_read_new(struct age_read **out, const struct age_identity *identities, size_t count,
                 age_sink *sink, void *context)
{
    if (count < 1 || count > AGE_READ_IDENTITIES_MAX)
        return -EINVAL;
    struct age_read *reader = locked_alloc(sizeof(*reader));
    if (!reader)
        return -ENOMEM;
    reader->keys = secret_alloc(sizeof(*reader->keys));
    if (!reader->keys) {
        age_read_free(reader);
        return -ENOMEM;
    }
    reader->sink = sink;
    reader->context = context;
    reader->identity_count = count;
    memcpy(reader->keys->identities, identities, count * sizeof(*identities));
    *out = reader;
    return 0;
}

struct age_read *age_read_free(struct age_read *reader)
{
    if (reader) {
        secret_free(reader->keys);
        locked_free(reader, sizeof(*reader));
    }
    return NULL;
}

/*
 * Decodes canonical unpadded base64. Returns the number of bytes, or -1: a foreign character, bits
 * past the end, or more than `capacity`.
 */
static int from_base64(const uint8_t *text, size_t length, uint8_t *out, size_t capacity)
{
    size_t used = 0;
    /* libsodium 1.0.18 takes 0xab for '+' and 0xaf for '/' where char is signed. */
    for (size_t i = 0; i < length; i++)
        if (text[i] > 126)
            return -1;
    if (sodium_base642bin(out, capacity, (const char *)text, length, NULL, &used, NULL,
                          sodium_base64_VARIANT_ORIGINAL_NO_PADDING) != 0)
        return -1;
    return (int)used;
}

static int is_word(const uint8_t *text, size_t length, const char *word)
{
    return length == strlen(word) && memcmp(text, word, length) == 0;
}

static int unwrap_with(struct age_read *reader, const struct age_identity *identity)
{
    static const uint8_t zero_nonce[12];
    struct age_recipient own;
    age_identity_recipient(&own, identity);
    /* A share of low order makes the shared secret zero: the file is made by nobody honest. */
    if (crypto_scalarmult(reader->keys->shared, identity->key, reader->share) != 0)
        return AGE_READ_HEADER;
    age_wrap_key(reader->keys->wrap_key, reader->keys->shared, reader->share, own.key);
    if (crypto_aead_chacha20poly1305_ietf_decrypt(reader->keys->file_key, NULL, NULL, reader->body,
                                                  AGE_WRAPPED_BYTES, NULL, 0, zero_nonce,
                                                  reader->keys->wrap_key) == 0)
        reader->have_file_key = 1;
    return 0;
}

static int end_stanza(struct age_read *reader)
{
    reader->expect = STANZA_OR_MAC;
    if (!reader->is_x25519)
        return 0;
    if (reader->body_used != AGE_WRAPPED_BYTES)
        return AGE_READ_HEADER;
    for (size_t i = 0; i < reader->identity_count && !reader->have_file_key; i++) {
        int result = unwrap_with(reader, &reader->keys->identities[i]);
        if (result)
            return result;
    }
    return 0;
}

static int body_line(struct age_read *reader, const uint8_t *line, size_t length)
{
    uint8_t bytes[AGE_COLUMNS / 4 * 3];
    if (length > AGE_COLUMNS)
        return AGE_READ_HEADER;
    int count = from_base64(line, length, bytes, sizeof(bytes));
    if (count < 0)
        return AGE_READ_HEADER;
    if (reader->is_x25519) {
        if ((size_t)count > sizeof(reader->body) - reader->body_used)
            return AGE_READ_HEADER;
        memcpy(reader->body + reader->body_used, bytes, (size_t)count);
        reader->body_used += (size_t)count;
    }
    return length < AGE_COLUMNS ? end_stanza(reader) : 0;
}

/* The arguments after "-> ": visible characters, one space between, none of them empty. */
static int stanza_line(struct age_read *reader, const uint8_t *text, size_t length)
{
    size_t count = 0, start = 0;
    reader->is_x25519 = 0;
    reader->body_used = 0;
    reader->stanza_count++;
    for (size_t i = 0; i <= length; i++) {
        if (i < length && text[i] != ' ') {
            if (text[i] < 33 || text[i] > 126)
                return AGE_READ_HEADER;
            continue;
        }
        if (i == start)
            return AGE_READ_HEADER;
        if (count == 0) {
            reader->is_x25519 = is_word(text, i, "X25519");
            reader->has_scrypt |= is_word(text, i, "scrypt");
        } else if (count == 1 && reader->is_x25519 &&
                   from_base64(text + start, i - start, reader->share, 32) != 32) {
            return AGE_READ_HEADER;
        }
        count++;
        start = i + 1;
    }
    if (reader->is_x25519 && count != 2)
        return AGE_READ_HEADER;
    /* A passphrase stanza stands alone, by the specification. */
    if (reader->has_scrypt && reader->stanza_count > 1)
        return AGE_READ_HEADER;
    reader->expect = BODY;
    return 0;
}

static int mac_line(struct age_read *reader, const uint8_t *text, size_t length)
{
    uint8_t claimed[AGE_MAC_BYTES], mac[AGE_MAC_BYTES];
    if (length != AGE_BASE64_32 - 1 || from_base64(text, length, claimed, 32) != 32)
        return AGE_READ_HEADER;
    if (!reader->have_file_key)
        return AGE_READ_NO_MATCH;
    age_header_mac(mac, reader->keys->file_key, reader->header, reader->line_start + 3);
    if (sodium_memcmp(mac, claimed, sizeof(mac)) != 0)
        return AGE_READ_MAC;
    reader->expect = NONCE;
    return 0;
}

/* One line of the header, without its line feed. */
static int header_line(struct age_read *reader, const uint8_t *line, size_t length)
{
    switch (reader->expect) {
    case VERSION:
        reader->expect = FIRST_STANZA;
        return is_word(line, length, AGE_VERSION_LINE) ? 0 : AGE_READ_HEADER;
    case BODY:
        return body_line(reader, line, length);
    case STANZA_OR_MAC:
        if (length >= 4 && memcmp(line, "--- ", 4) == 0)
            return mac_line(reader, line + 4, length - 4);
        __attribute__((fallthrough));
    case FIRST_STANZA:
        if (length >= 3 && memcmp(line, "-> ", 3) == 0)
            return stanza_line(reader, line + 3, length - 3);
        return AGE_READ_HEADER;
    case NONCE:
    case CHUNK:
        break;
    }
    return AGE_READ_HEADER;
}

/* Takes bytes up to the end of the present line. Returns how many through `taken`. */
static int take_header(struct age_read *reader, const uint8_t *bytes, size_t length, size_t *taken)
{
    const uint8_t *end = memchr(bytes, '\n', length);
    size_t part = end ? (size_t)(end - bytes) + 1 : length;
    *taken = part;
    if (part > sizeof(reader->header) - reader->header_used)
        return AGE_READ_HEADER;
    memcpy(reader->header + reader->header_used, bytes, part);
    reader->header_used += part;
    if (!end)
        return 0;
    size_t start = reader->line_start;
    int result = header_line(reader, reader->header + start, reader->header_used - 1 - start);
    reader->line_start = reader->header_used;
    return result;
}

/* Opens the chunk that is held, and hands its plaintext out. */
static int open_chunk(struct age_read *reader, int last)
{
    uint8_t nonce[12];
    age_chunk_nonce(nonce, reader->counter, last);
    if (reader->used < AGE_TAG_BYTES || crypto_aead_chacha20poly1305_ietf_decrypt(
                                            reader->plain, NULL, NULL, reader->sealed, reader->used,
                                            NULL, 0, nonce, reader->keys->payload_key) != 0)
        return AGE_READ_PAYLOAD;
    size_t length = reader->used - AGE_TAG_BYTES;
    /* Only a file without any content ends in an empty chunk. */
    if (length == 0 && reader->counter > 0)
        return AGE_READ_PAYLOAD;
    reader->counter++;
    reader->used = 0;
    return length ? reader->sink(reader->context, reader->plain, length) : 0;
}

/* Fills the chunk buffer up to `size`. Returns the bytes taken. */
static size_t fill(struct age_read *reader, const uint8_t *bytes, size_t length, size_t size)
{
    size_t part = size - reader->used;
    if (part > length)
        part = length;
    memcpy(reader->sealed + reader->used, bytes, part);
    reader->used += part;
    return part;
}

static int take_nonce(struct age_read *reader, const uint8_t *bytes, size_t length, size_t *taken)
{
    *taken = fill(reader, bytes, length, AGE_NONCE_BYTES);
    if (reader->used < AGE_NONCE_BYTES)
        return 0;
    age_payload_key(reader->keys->payload_key, reader->keys->file_key, reader->sealed);
    reader->used = 0;
    reader->expect = CHUNK;
    return 0;
}

static int take_chunk(struct age_read *reader, const uint8_t *bytes, size_t length, size_t *taken)
{
    /* A full chunk that something follows is not the last one. */
    if (reader->used == sizeof(reader->sealed)) {
        int result = open_chunk(reader, 0);
        if (result)
            return result;
    }
    *taken = fill(reader, bytes, length, sizeof(reader->sealed));
    return 0;
}

int age_read_data(struct age_read *reader, const void *bytes, size_t length)
{
    const uint8_t *from = bytes;
    while (length > 0 && !reader->failed) {
        size_t taken = 0;
        if (reader->expect == CHUNK)
            reader->failed = take_chunk(reader, from, length, &taken);
        else if (reader->expect == NONCE)
            reader->failed = take_nonce(reader, from, length, &taken);
        else
            reader->failed = take_header(reader, from, length, &taken);
        from += taken;
        length -= taken;
    }
    return reader->failed;
}

int age_read_finish(struct age_read *reader)
{
    if (reader->failed)
        return reader->failed;
    int result = reader->expect == CHUNK ? open_chunk(reader, 1) : AGE_READ_HEADER;
    /* Whatever comes after the end is refused. */
    reader->failed = result ? result : AGE_READ_PAYLOAD;
    return result;
}
