/*
 * Opening an age v1 file (https://age-encryption.org/v1) with X25519 identities, streaming.
 *
 * The input is hostile until authenticated: the header is bounded, every rule of the grammar is
 * insisted on (canonical base64, exact stanzas, no byte after the last chunk), and no plaintext is
 * handed out before its own chunk's tag was checked. Plaintext of earlier chunks is handed out
 * before the end is known: only age_read_finish tells that the file is whole.
 * One thread at a time per reader.
 */
#ifndef CLOISTER_AGE_READ_H
#define CLOISTER_AGE_READ_H

#include "age_format.h"

#define AGE_READ_IDENTITIES_MAX 16
/* The longest header that is read. */
#define AGE_READ_HEADER_MAX 65536

enum age_read_outcome {
    AGE_READ_HEADER = 1, /* the header breaks the grammar, or is too long, or is cut off */
    AGE_READ_NO_MATCH,   /* sealed to none of the identities */
    AGE_READ_MAC,        /* the header was changed */
    AGE_READ_PAYLOAD,    /* a chunk was changed, cut off, moved, or something follows the last */
};

struct age_read;

/*
 * Makes a reader that tries `count` identities (1 to AGE_READ_IDENTITIES_MAX; copied into locked
 * memory) and sends plaintext to `sink`. Returns 0, -EINVAL or -ENOMEM.
 */
int age_read_new(struct age_read **out, const struct age_identity *identities, size_t count,
                 age_sink *sink, void *context);

/*
 * Takes `length` more bytes of the file. Returns 0, an enum age_read_outcome, or what the sink
 * returned. Once it returned other than 0 it returns the same for ever.
 */
int age_read_data(struct age_read *reader, const void *bytes, size_t length);

/* Tells the end of the file. Returns 0 when the file was whole and authentic, else as above. */
int age_read_finish(struct age_read *reader);

/* Wipes and frees; NULL is allowed. Returns NULL. */
struct age_read *age_read_free(struct age_read *reader);

#endif
