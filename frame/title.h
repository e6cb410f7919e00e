/*
 * Window titles: text that any X11 client can choose, shown to a person who decides by it.
 *
 * Both ends agree on what a title may be: valid UTF-8 (RFC 3629), at most FRAME_TITLE_MAX bytes, no
 * control characters (C0, DEL, C1, line and paragraph separators) and none that turn the direction
 * of text around (U+202A to U+202E, U+2066 to U+2069), with which a title could pose as another.
 *
 * All functions are pure; any thread may call them.
 */
#ifndef CLOISTER_FRAME_TITLE_H
#define CLOISTER_FRAME_TITLE_H

#include <stddef.h>
#include <stdint.h>

#define FRAME_TITLE_MAX 256U

/*
 * Turns `length` hostile bytes of UTF-8 into a title: what is not allowed becomes U+FFFD, and a
 * title that is too long is cut between characters. `out` holds FRAME_TITLE_MAX + 1 bytes and is
 * terminated. Returns the title's length.
 */
size_t frame_title_clean(char *out, const uint8_t *text, size_t length);

/* The same for text in ISO 8859-1, the encoding of the X11 type STRING. */
size_t frame_title_clean_latin1(char *out, const uint8_t *text, size_t length);

/* Whether `length` bytes are a title as described above. */
int frame_title_valid(const uint8_t *text, size_t length);

#endif
