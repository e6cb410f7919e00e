/*
 * What the key store has to tell about an opening or a reset, in the order it happened; each note
 * is to be reported. One thread at a time.
 */
#ifndef CLOISTER_VAULT_KEY_NOTES_H
#define CLOISTER_VAULT_KEY_NOTES_H

#include <stddef.h>

#define KEY_NOTE_TEXT 192
#define KEY_NOTES_MAX 8

enum key_note_kind {
    KEY_NOTE_CREATED,
    KEY_NOTE_ROTATED,
    KEY_NOTE_SET_ASIDE,
    KEY_NOTE_UNREADABLE, /* a recorded identifier cannot be read today */
    KEY_NOTE_ADOPTED,    /* an identifier was read for the first time and recorded */
    KEY_NOTE_UNRECORDED, /* ... and could not be recorded (a full disk); the key is served */
    KEY_NOTE_WEAK,       /* bound to the install secret alone */
    KEY_NOTE_LOCKED,
    KEY_NOTE_LOST,
    KEY_NOTE_FAILED, /* a file could not be read or written */
};

struct key_note {
    enum key_note_kind kind;
    char text[KEY_NOTE_TEXT]; /* for people; holds no serial number and no secret */
};

struct key_notes {
    size_t count;
    struct key_note list[KEY_NOTES_MAX];
};

/* Adds one; the text is cut to fit, and a note beyond KEY_NOTES_MAX is dropped. */
void key_notes_add(struct key_notes *notes, enum key_note_kind kind, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Adds a KEY_NOTE_FAILED that says what `error` (-errno) means for `name`, and returns `error`. */
int key_notes_add_error(struct key_notes *notes, const char *name, int error);

#endif
