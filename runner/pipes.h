/*
 * The three pipes between a runner and its command.
 */
#ifndef CLOISTER_PIPES_H
#define CLOISTER_PIPES_H

#include "link.h"
#include "streams.h"

struct pipes {
    int theirs[LINK_DESCRIPTORS]; /* the command's ends of 0, 1 and 2; -1 when they were given */
    int in;                       /* what the command reads as standard input; -1: closed */
    int from[STREAMS];            /* what it writes; -1: closed */
};

/*
 * Makes them. The runner's ends do not block, all close on exec; output pipes hold 1 MiB where the
 * host allows it. Their mode lets the command open its ends again. Returns 0 or -errno, with
 * nothing left open.
 */
int pipes_open(struct pipes *out);

/* Closes the command's ends, which have been given to it. */
void pipes_given(struct pipes *pipes);

/* Closes one of the runner's ends, if it is open, and sets it to -1. */
void pipes_close(int *end);

#endif
