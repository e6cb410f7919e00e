/*
 * The age reader with hostile bytes: no input may crash it, and none that was not made with the key
 * may yield plaintext.
 *
 * The first byte says in which pieces the input arrives, the second what the rest is:
 *   0  a file as it is
 *   1  the payload behind a genuine header, to get past the header's MAC
 *   2  changes to a genuine file of up to three chunks: its length in three bytes, then for each
 *      change an offset in three bytes, an operation, a value. What comes out must be the beginning
 *      of what was sealed, and the file whole only if it is the very same.
 */
#include "age_read.h"
#include "age_write.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#define PLAIN_MAX  150000 /* more than two chunks */
#define SEALED_MAX (PLAIN_MAX + 1024)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);

enum operation { CUT, FLIP, REPEAT, OPERATIONS };

static const struct age_identity identity = {{0x42, 7}};
static uint8_t plain[PLAIN_MAX];

struct file {
    size_t used;
    uint8_t bytes[SEALED_MAX];
};

/* The same bytes in every run, so that an input does the same twice. */
static uint64_t drawn;

static const char *random_name(void)
{
    return "fuzz";
}

static uint32_t random_word(void)
{
    drawn = drawn * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(drawn >> 32);
}

static void random_bytes(void *const out, const size_t length)
{
    uint8_t *bytes = out;
    for (size_t i = 0; i < length; i++)
        bytes[i] = (uint8_t)random_word();
}

static randombytes_implementation predictable = {
    .implementation_name = random_name, .random = random_word, .buf = random_bytes};

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    randombytes_set_implementation(&predictable);
    for (size_t i = 0; i < sizeof(plain); i++)
        plain[i] = (uint8_t)(i * 7 + i / 251);
    return sodium_init() < 0;
}

static int keep(void *context, const void *bytes, size_t length)
{
    struct file *file = context;
    if (length > sizeof(file->bytes) - file->used)
        abort();
    memcpy(file->bytes + file->used, bytes, length);
    file->used += length;
    return 0;
}

static void make_genuine(struct file *file, size_t length, int whole)
{
    struct age_recipient recipient;
    struct age_write *writer;
    age_identity_recipient(&recipient, &identity);
    drawn = length;
    file->used = 0;
    if (age_write_new(&writer, &recipient, 1, keep, file) != 0)
        abort();
    if (whole && (age_write_data(writer, plain, length) != 0 || age_write_finish(writer) != 0))
        abort();
    age_write_free(writer);
}

/* What the reader hands out; `allowed` bytes of `plain` may come. */
struct taken {
    size_t used, allowed;
};

static int take(void *context, const void *bytes, size_t length)
{
    struct taken *taken = context;
    if (length > taken->allowed - taken->used || memcmp(plain + taken->used, bytes, length) != 0)
        abort();
    taken->used += length;
    return 0;
}

/* Reads `size` bytes in pieces; returns whether they were a whole, authentic file. */
static int read_all(struct age_read *reader, const uint8_t *data, size_t size, size_t piece)
{
    int result = 0;
    for (size_t at = 0; at < size; at += piece)
        result = age_read_data(reader, data + at, piece < size - at ? piece : size - at);
    int end = age_read_finish(reader);
    if ((result && end != result) || end < 0 || end > AGE_READ_PAYLOAD)
        abort();
    return end == 0;
}

static void read_nothing(const struct file *header, const uint8_t *data, size_t size, size_t piece)
{
    struct taken taken = {0, 0};
    struct age_read *reader;
    if (age_read_new(&reader, &identity, 1, take, &taken) != 0)
        abort();
    if (header && age_read_data(reader, header->bytes, header->used) != 0)
        abort();
    if (read_all(reader, data, size, piece))
        abort();
    age_read_free(reader);
}

static size_t number(const uint8_t *data)
{
    return (size_t)(data[0] | data[1] << 8 | data[2] << 16);
}

static void change(struct file *file, const uint8_t *how)
{
    size_t at = file->used ? number(how) % file->used : 0;
    size_t some = (size_t)how[4] + 1;
    switch (how[3] % OPERATIONS) {
    case CUT:
        file->used = at;
        break;
    case FLIP:
        file->bytes[at] ^= how[4];
        break;
    default:
        if (some <= file->used - at && some <= sizeof(file->bytes) - file->used) {
            memmove(file->bytes + at + some, file->bytes + at, file->used - at);
            file->used += some;
        }
    }
}

static void read_changed(const uint8_t *data, size_t size, size_t piece)
{
    static struct file genuine, changed;
    if (size < 3)
        return;
    struct taken taken = {0, number(data) % PLAIN_MAX};
    make_genuine(&genuine, taken.allowed, 1);
    changed.used = genuine.used;
    memcpy(changed.bytes, genuine.bytes, genuine.used);
    for (size_t at = 3; size - at >= 5; at += 5)
        change(&changed, data + at);
    int same =
        changed.used == genuine.used && memcmp(changed.bytes, genuine.bytes, genuine.used) == 0;
    struct age_read *reader;
    if (age_read_new(&reader, &identity, 1, take, &taken) != 0)
        abort();
    int whole = read_all(reader, changed.bytes, changed.used, piece);
    if (whole != same || (whole && taken.used != taken.allowed))
        abort();
    age_read_free(reader);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct file header;
    if (size < 2)
        return 0;
    size_t piece = data[0] ? data[0] : SIZE_MAX / 2;
    if (data[1] % 3 == 0) {
        read_nothing(NULL, data + 2, size - 2, piece);
    } else if (data[1] % 3 == 1) {
        make_genuine(&header, 0, 0);
        read_nothing(&header, data + 2, size - 2, piece);
    } else {
        read_changed(data + 2, size - 2, piece);
    }
    return 0;
}
