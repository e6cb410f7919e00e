/*
 * libFuzzer harness of the age reader: no input may crash it, and none that was not made with the
 * key may yield plaintext.
 *
 * The first byte chooses how the rest is fed. So that the code behind the header's MAC is reached,
 * an input whose second byte is odd is put, as payload, behind a genuine header of a file key made
 * here; then plaintext cannot come out either, since the payload's tags are not known.
 */
#include "age_read.h"
#include "age_write.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct age_identity identity = {{0x42, 7}};

struct genuine {
    size_t used;
    uint8_t bytes[1024];
};

static int keep(void *context, const void *bytes, size_t length)
{
    struct genuine *header = context;
    if (length > sizeof(header->bytes) - header->used)
        return 0;
    memcpy(header->bytes + header->used, bytes, length);
    header->used += length;
    return 0;
}

static int no_plaintext(void *context, const void *bytes, size_t length)
{
    (void)context, (void)bytes, (void)length;
    abort();
}

static void put_genuine_header(struct age_read *reader)
{
    struct genuine header = {.used = 0};
    struct age_recipient recipient;
    struct age_write *writer;
    age_identity_recipient(&recipient, &identity);
    if (age_write_new(&writer, &recipient, 1, keep, &header) != 0)
        abort();
    age_write_free(writer);
    if (age_read_data(reader, header.bytes, header.used) != 0)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct age_read *reader;
    if (size < 2 || sodium_init() < 0)
        return 0;
    if (age_read_new(&reader, &identity, 1, no_plaintext, NULL) != 0)
        abort();
    size_t step = data[0] ? data[0] : size;
    if (data[1] & 1)
        put_genuine_header(reader);
    int result = 0;
    for (size_t at = 2; at < size; at += step)
        result = age_read_data(reader, data + at, step < size - at ? step : size - at);
    if (age_read_finish(reader) == 0 || (result && age_read_finish(reader) != result))
        abort();
    age_read_free(reader);
    return 0;
}
