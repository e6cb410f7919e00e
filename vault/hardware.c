#include "hardware.h"

#include <string.h>

/* In normal form, sorted. What makers leave in the field, and serials that every copy of a virtual
 * machine shares (QEMU counts its ATA disks from QM00001). */
static const char *const fillers[] = {
    "0123456789",
    "12345678",
    "123456789",
    "1234567890",
    "ABCDEFGHIJKLM",
    "BASE BOARD SERIAL NUMBER",
    "BOARD SERIAL NUMBER",
    "DEFAULT",
    "DEFAULT STRING",
    "EMPTY",
    "INVALID",
    "MB-1234567890",
    "N/A",
    "NA",
    "NIL",
    "NO ASSET INFORMATION",
    "NONE",
    "NOT APPLICABLE",
    "NOT AVAILABLE",
    "NOT DEFINED",
    "NOT SPECIFIED",
    "NULL",
    "O.E.M.",
    "OEM",
    "QM00001",
    "QM00002",
    "QM00003",
    "QM00004",
    "SERIAL",
    "SERIAL NUMBER",
    "SYSTEM SERIAL NUMBER",
    "TO BE FILLED BY O.E.M",
    "TO BE FILLED BY O.E.M.",
    "TO BE FILLED BY OEM",
    "UNKNOWN",
    "UNSPECIFIED",
};

static int is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static char capital(char c)
{
    return c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c;
}

/* Writes the normal form; returns its length, or -1 when the text is no serial number. */
static int normalise(char out[HARDWARE_TEXT_MAX + 1], const char *text, size_t length)
{
    size_t used = 0;
    int space = 0;
    for (size_t i = 0; i < length; i++) {
        if (is_space(text[i])) {
            space = used > 0;
            continue;
        }
        if (text[i] < '!' || text[i] > '~')
            return -1;
        if (HARDWARE_TEXT_MAX - used < 1 + (size_t)space)
            return -1;
        if (space)
            out[used++] = ' ';
        space = 0;
        out[used++] = capital(text[i]);
    }
    out[used] = '\0';
    return (int)used;
}

static int is_one_character(const char *text, size_t length)
{
    for (size_t i = 1; i < length; i++)
        if (text[i] != text[0])
            return 0;
    return 1;
}

static int is_placeholder(const char *text, size_t length)
{
    if (is_one_character(text, length))
        return 1;
    for (size_t i = 0; i < sizeof fillers / sizeof fillers[0]; i++)
        if (strcmp(text, fillers[i]) == 0)
            return 1;
    return 0;
}

void hardware_identify(struct hardware_identifier *out, enum hardware_state found, const char *text,
                       size_t length)
{
    memset(out, 0, sizeof *out);
    out->state = found;
    if (found != HARDWARE_READABLE)
        return;
    int used = normalise(out->text, text, length);
    if (used < 0)
        out->state = HARDWARE_UNREADABLE;
    else if (is_placeholder(out->text, (size_t)used))
        out->state = HARDWARE_PLACEHOLDER;
    else
        out->length = (size_t)used;
    if (out->state != HARDWARE_READABLE)
        memset(out->text, 0, sizeof out->text);
}

const char *hardware_part_name(enum hardware_part part)
{
    return part == HARDWARE_DISK ? "disk" : "board";
}

const char *hardware_state_name(enum hardware_state state)
{
    switch (state) {
    case HARDWARE_ABSENT:
        return "absent";
    case HARDWARE_UNREADABLE:
        return "cannot be read";
    case HARDWARE_PLACEHOLDER:
        return "is a placeholder";
    case HARDWARE_READABLE:
        return "readable";
    }
    return "unknown";
}
