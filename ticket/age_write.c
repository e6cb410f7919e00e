#include "age_write.h"

#include <errno.h>
#include <sodium.h>
#include <string.h>

#include "secret_memory.h"

struct age_write {
    age_sink *sink;
    void *context;
    uint64_t counter;
    size_t used;
    int finished;
    uint8_t *payload_key;
    uint8_t plain[AGE_CHUNK_BYTES];
    uint8_t sealed[AGE_CHUNK_BYTES + AGE_TAG_BYTES];
};

/* The header under construction; its size is known beforehand. */
struct header {
    size_t used;
    char text[sizeof(AGE_VERSION_LINE) + AGE_WRITE_RECIPIENTS_MAX * 100 + 60];
};

static void put_text(struct header *header, const char *text)
{
    size_t length = strlen(text);
    memcpy(header->text + header->used, text, length);
    header->used += length;
}

static void put_base64(struct header *header, const uint8_t bytes[32])
{
    char text[AGE_BASE64_32];
    sodium_bin2base64(text, sizeof(text), bytes, 32, sodium_base64_VARIANT_ORIGINAL_NO_PADDING);
    put_text(header, text);
}

/* The secrets that live only while the header is made. */
struct header_secrets {
    uint8_t file_key[AGE_FILE_KEY_BYTES];
    uint8_t ephemeral[32], shared[32], wrap_key[32];
};

static int put_stanza(struct header *header, struct header_secrets *secrets,
                      const struct age_recipient *recipient)
{
    static const uint8_t zero_nonce[12];
    uint8_t share[32], wrapped[AGE_WRAPPED_BYTES];
    randombytes_buf(secrets->ephemeral, 32);
    if (crypto_scalarmult_base(share, secrets->ephemeral) != 0 ||
        crypto_scalarmult(secrets->shared, secrets->ephemeral, recipient->key) != 0)
        return -EINVAL;
    age_wrap_key(secrets->wrap_key, secrets->shared, share, recipient->key);
    /* The nonce is fixed: the key is used once. */
    crypto_aead_chacha20poly1305_ietf_encrypt(wrapped, NULL, secrets->file_key, AGE_FILE_KEY_BYTES,
                                              NULL, 0, NULL, zero_nonce, secrets->wrap_key);
    put_text(header, "-> X25519 ");
    put_base64(header, share);
    put_text(header, "\n");
    put_base64(header, wrapped);
    put_text(header, "\n");
    return 0;
}

static int put_header(struct header *header, struct header_secrets *secrets,
                      const struct age_recipient *recipients, size_t count)
{
    uint8_t mac[AGE_MAC_BYTES];
    put_text(header, AGE_VERSION_LINE "\n");
    for (size_t i = 0; i < count; i++) {
        int result = put_stanza(header, secrets, &recipients[i]);
        if (result)
            return result;
    }
    put_text(header, "---");
    age_header_mac(mac, secrets->file_key, header->text, header->used);
    put_text(header, " ");
    put_base64(header, mac);
    put_text(header, "\n");
    return 0;
}

static int begin(struct age_write *writer, const struct age_recipient *recipients, size_t count)
{
    struct header_secrets *secrets = secret_alloc(sizeof(*secrets));
    if (!secrets)
        return -ENOMEM;
    struct header header = {.used = 0};
    uint8_t nonce[AGE_NONCE_BYTES];
    randombytes_buf(secrets->file_key, sizeof(secrets->file_key));
    randombytes_buf(nonce, sizeof(nonce));
    int result = put_header(&header, secrets, recipients, count);
    age_payload_key(writer->payload_key, secrets->file_key, nonce);
    secret_free(secrets);
    if (!result)
        result = writer->sink(writer->context, header.text, header.used);
    if (!result)
        result = writer->sink(writer->context, nonce, sizeof(nonce));
    return result;
}

int age_write_new(struct age_write **out, const struct age_recipient *recipients, size_t count,
                  age_sink *sink, void *context)
{
    if (count < 1 || count > AGE_WRITE_RECIPIENTS_MAX)
        return -EINVAL;
    struct age_write *writer = locked_alloc(sizeof(*writer));
    if (!writer)
        return -ENOMEM;
    writer->sink = sink;
    writer->context = context;
    writer->payload_key = secret_alloc(32);
    int result = writer->payload_key ? begin(writer, recipients, count) : -ENOMEM;
    if (result) {
        age_write_free(writer);
        return result;
    }
    *out = writer;
    return 0;
}

static int seal_chunk(struct age_write *writer, int last)
{
    uint8_t nonce[12];
    age_chunk_nonce(nonce, writer->counter++, last);
    crypto_aead_chacha20poly1305_ietf_encrypt(writer->sealed, NULL, writer->plain, writer->used,
                                              NULL, 0, NULL, nonce, writer->payload_key);
    size_t length = writer->used + AGE_TAG_BYTES;
    writer->used = 0;
    return writer->sink(writer->context, writer->sealed, length);
}

int age_write_data(struct age_write *writer, const void *bytes, size_t length)
{
    const uint8_t *from = bytes;
    if (writer->finished)
        return -EINVAL;
    while (length > 0) {
        /* A full chunk waits until more comes: the last one must be marked, and not be empty. */
        if (writer->used == AGE_CHUNK_BYTES) {
            int result = seal_chunk(writer, 0);
            if (result)
                return result;
        }
        size_t part = AGE_CHUNK_BYTES - writer->used;
        if (part > length)
            part = length;
        memcpy(writer->plain + writer->used, from, part);
        writer->used += part;
        from += part;
        length -= part;
    }
    return 0;
}

int age_write_finish(struct age_write *writer)
{
    if (writer->finished)
        return -EINVAL;
    writer->finished = 1;
    return seal_chunk(writer, 1);
}

struct age_write *age_write_free(struct age_write *writer)
{
    if (writer) {
        secret_free(writer->payload_key);
        locked_free(writer, sizeof(*writer));
    }
    return NULL;
}
