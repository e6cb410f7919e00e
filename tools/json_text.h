/* JSON out of other processes' words. One thread. */
#ifndef CLOISTER_TOOLS_JSON_TEXT_H
#define CLOISTER_TOOLS_JSON_TEXT_H

#include <jansson.h>

/*
 * A JSON string of `text`: as it is if it is UTF-8, else escaped as log_escape does. NULL only if
 * memory ran out; json_pack with "o" then fails as a whole.
 */
json_t *json_text(const char *text);

/*
 * Prints `root` to standard output, indented, in ASCII with \u escapes (nothing in it can reach a
 * terminal), and frees it. NULL: says that memory ran out. Returns an enum program_exit.
 */
int json_print(json_t *root);

#endif
