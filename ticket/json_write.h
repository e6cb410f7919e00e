/*
 * Writing JSON (RFC 8259) into locked memory: commas and escapes are its job, the shape is the
 * caller's. Text that is not valid UTF-8 comes out with U+FFFD in place of each bad byte, so that
 * the result always is.
 *
 * Errors are kept until json_write_finish, so callers need not check each call. Not thread safe.
 */
#ifndef CLOISTER_JSON_WRITE_H
#define CLOISTER_JSON_WRITE_H

#include <stddef.h>
#include <stdint.h>

#include "locked_bytes.h"

/* All zeros is an empty document. */
struct json_write {
    struct locked_bytes text;
    int error;
    int need_comma;
};

/* Begins and ends an object or a list. `name` is the member's name, NULL inside a list or outside.
 */
void json_begin(struct json_write *json, const char *name, char bracket);
void json_end(struct json_write *json, char bracket);

/* A string of `length` bytes, a number, a truth value. */
void json_text(struct json_write *json, const char *name, const char *text, size_t length);
void json_number(struct json_write *json, const char *name, uint64_t number);
void json_bool(struct json_write *json, const char *name, int value);

/*
 * Ends the document with a line feed. Returns 0 and its bytes in `out`, the caller's to clear; or
 * -ENOMEM.
 */
int json_write_finish(struct json_write *json, struct locked_bytes *out);

#endif
