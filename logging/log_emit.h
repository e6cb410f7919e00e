/* What log.c and log_relay.c share. Not for others. */
#ifndef CLOISTER_LOG_EMIT_H
#define CLOISTER_LOG_EMIT_H

#include <stdbool.h>
#include <stddef.h>

/* As log_escape; with `backslash` a backslash stays as it is, for text that is escaped already. */
size_t log_escape_text(char *out, size_t capacity, const char *text, size_t length, bool backslash);

/* Writes one line of `who` to standard error, and to log_copy. `text` is escaped. Keeps errno. */
void log_emit(int priority, const char *who, const char *text);

/* Sends the line to syslog as well. It is in log_relay.c, so a program that never calls
 * log_set_syslog or log_relay does not link it (the archive's member is not taken) and this is NULL
 * there. cloisterd is one of those: what runs as root has no second destination. */
void log_copy(int priority, const char *who, const char *text) __attribute__((weak));

#endif
