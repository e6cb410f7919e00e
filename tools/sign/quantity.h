/*
 * Spans, moments and sizes as people write them on a command line. Pure but for the time zone; one
 * thread.
 */
#ifndef CLOISTER_SIGN_QUANTITY_H
#define CLOISTER_SIGN_QUANTITY_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Reads a span in milliseconds: digits and one of "ms", "s", "m", "h", "d". Returns false if it is
 * none, or above `most`.
 */
bool quantity_span_ms(uint64_t *out, const char *text, uint64_t most);

/*
 * Reads a moment in seconds since 1970: "now"; "+1h", a span from `now` on; "@1790000000"; or
 * "2026-11-22", "2026-11-22T12:30" or "2026-11-22T12:30:05" (a blank may stand for the T), in
 * local time, or in UTC if a "Z" follows. Returns false if it is none, a day that does not exist,
 * or before 1970.
 */
bool quantity_moment(uint64_t *out, const char *text, uint64_t now);

/* Reads a size in bytes: digits, and perhaps "K", "M" or "G" (powers of 1024). */
bool quantity_size(uint64_t *out, const char *text, uint64_t most);

/* Reads a number of decimal digits, from `least` to `most`. */
bool quantity_number(uint64_t *out, const char *text, uint64_t least, uint64_t most);

/* Writes a moment (seconds since 1970) in local time and in UTC into 96 bytes. */
void quantity_write_moment(char out[96], uint64_t seconds);

#endif
