#include "xauth.h"

#include <string.h>

#define FAMILY_LOCAL 256U /* X11/Xauth.h */
#define FAMILY_WILD  65535U
#define COOKIE_NAME  "MIT-MAGIC-COOKIE-1"

struct field {
    const uint8_t *bytes;
    size_t length;
};

struct entry {
    unsigned family;
    struct field address, number, name, data;
};

struct reader {
    const uint8_t *at;
    size_t left;
};

static int read16(struct reader *reader, unsigned *out)
{
    if (reader->left < 2)
        return 0;
    *out = (unsigned)reader->at[0] << 8 | reader->at[1];
    reader->at += 2;
    reader->left -= 2;
    return 1;
}

static int read_field(struct reader *reader, struct field *out)
{
    unsigned length = 0;
    if (!read16(reader, &length) || length > reader->left)
        return 0;
    *out = (struct field){reader->at, length};
    reader->at += length;
    reader->left -= length;
    return 1;
}

static int read_entry(struct reader *reader, struct entry *entry)
{
    return read16(reader, &entry->family) && read_field(reader, &entry->address) &&
           read_field(reader, &entry->number) && read_field(reader, &entry->name) &&
           read_field(reader, &entry->data);
}

static int is(const struct field *field, const char *text)
{
    return field->length == strlen(text) && memcmp(field->bytes, text, field->length) == 0;
}

/* How well an entry fits; 0: not at all. */
static int fitness(const struct entry *entry, const char *host, const char *display)
{
    if (!is(&entry->name, COOKIE_NAME) || entry->data.length != XAUTH_COOKIE_BYTES)
        return 0;
    if (entry->number.length != 0 && !is(&entry->number, display))
        return 0;
    if (entry->family == FAMILY_WILD)
        return 2;
    if (entry->family != FAMILY_LOCAL)
        return 0;
    return is(&entry->address, host) ? 3 : 1;
}

int xauth_find(struct xauth_cookie *out, const uint8_t *file, size_t length, const char *host,
               const char *display)
{
    struct reader reader = {file, length};
    struct entry entry;
    int best = 0;
    while (reader.left > 0) {
        if (!read_entry(&reader, &entry))
            return XAUTH_MALFORMED;
        int fit = fitness(&entry, host, display);
        if (fit > best) {
            best = fit;
            memcpy(out->bytes, entry.data.bytes, XAUTH_COOKIE_BYTES);
        }
    }
    return best > 0 ? XAUTH_OK : XAUTH_NONE;
}
