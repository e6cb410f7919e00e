/*
 * Spans and moments as people write and read them. Pure but for the time zone; one thread, because
 * of localtime(3).
 */
#ifndef CLOISTER_TOOLS_MOMENT_H
#define CLOISTER_TOOLS_MOMENT_H

#include <stddef.h>
#include <stdint.h>

#define MOMENT_MAX 64 /* bytes that any result fits in */

/*
 * Reads a span, "90s", "15m" or "2h": digits and exactly one unit, from 1 second to `most` seconds.
 * Returns the seconds, or 0 if it is none of these.
 */
uint32_t moment_read_span(const char *text, uint32_t most);

/* Writes `ms` milliseconds in its two largest units, cut: "45 s", "2 h 3 min", "9 d 1 h". */
void moment_write_span(char out[MOMENT_MAX], uint64_t ms);

/* Writes a moment (unix ms) in local time: "2026-11-22 09:12:45"; "-" for 0. */
void moment_write(char out[MOMENT_MAX], uint64_t unix_ms);

/* Writes a number of bytes: "812 B", "1.3 MiB". */
void moment_write_bytes(char out[MOMENT_MAX], uint64_t bytes);

/* The present, unix ms. */
uint64_t moment_now_ms(void);

#endif
