/*
 * How cloister-sign speaks: what was asked for to standard output, everything else to standard
 * error. One thread.
 */
#ifndef CLOISTER_SIGN_COMPLAIN_H
#define CLOISTER_SIGN_COMPLAIN_H

#include <stddef.h>

/* Writes "cloister-sign: ..." and, if `advice` is not NULL, a line with it, to standard error. */
void complain(const char *advice, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* `text` as it may be shown: printable ASCII, the rest as \xHH, cut after 255 characters. In one of
 * four buffers that are used in turn. */
const char *shown(const char *text);

#endif
