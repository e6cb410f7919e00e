#include "key_notes.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void key_notes_add(struct key_notes *notes, enum key_note_kind kind, const char *format, ...)
{
    if (notes->count == KEY_NOTES_MAX)
        return;
    struct key_note *note = &notes->list[notes->count++];
    note->kind = kind;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(note->text, sizeof note->text, format, arguments);
    va_end(arguments);
}

int key_notes_add_error(struct key_notes *notes, const char *name, int error)
{
    const char *hint = error == -EPERM
                           ? " (it must belong to the vault's user and be closed to all "
                             "others)"
                           : "";
    key_notes_add(notes, KEY_NOTE_FAILED, "%s: %s%s", name, strerror(-error), hint);
    return error;
}
