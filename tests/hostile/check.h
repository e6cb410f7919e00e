/* A step without which a test of hostile code proves nothing: it aborts, saying what failed. */
#ifndef CLOISTER_CHECK_H
#define CLOISTER_CHECK_H

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHECK(expression)                                                                          \
    do {                                                                                           \
        if (!(expression)) {                                                                       \
            fprintf(stderr, "%s:%d: %s: %s\n", __FILE__, __LINE__, #expression, strerror(errno));  \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

#endif
