/* What log.c and log_relay.c share. Not for others. */
#ifndef CLOISTER_LOG_EMIT_H
#define CLOISTER_LOG_EMIT_H

#include <stdbool.h>
#include <stddef.h>

/* As log_escape; with `backslash` a backslash stays as it is, for text that is escaped already. */
size_t log_escape_text(char *out, size_t capacity, const char *text, size_t length, bool backslash);

/* Writes one line of `who` to all destinations. `text` is escaped. Keeps errno. */
void log_emit(int priority, const char *who, const char *text);

#endif
