/*
 * What the programs that a user starts (cloister, cloister-ticket) exit with: one table for both,
 * which their --help prints and docs/exit-codes.md shows. Numbers are fixed for ever: scripts and
 * monitoring rely on them. All functions are pure and may be called from any thread.
 */
#ifndef CLOISTER_PROGRAM_EXIT_H
#define CLOISTER_PROGRAM_EXIT_H

#include <stdio.h>

enum program_exit {
    PROGRAM_EXIT_OK = 0,
    PROGRAM_EXIT_FAILED = 1,        /* tried, and it did not work */
    PROGRAM_EXIT_USAGE = 2,         /* the command line makes no sense; nothing was tried */
    PROGRAM_EXIT_CANCELLED = 3,     /* the user said no */
    PROGRAM_EXIT_NOT_CONNECTED = 4, /* there is no connection to the console */
    PROGRAM_EXIT_REFUSED = 5,       /* the agent or the console said no */
    PROGRAM_EXIT_ALREADY_OPEN = 6,  /* another process of this user has a ticket open */
    PROGRAM_EXIT_NOT_RUNNING = 7,   /* no agent answers */
    PROGRAM_EXIT_NOT_ALLOWED = 8,   /* this user may not, or the configuration forbids it */
    PROGRAM_EXIT_DOWN = 9,          /* status: a part of the agent is down */
    PROGRAM_EXIT_DISAGREES = 10,    /* status: the kernel contradicts a worker's report */
    PROGRAM_EXIT_OTHER_BUILD = 11,  /* program and running agent are of different builds */
    PROGRAM_EXIT_LIMIT
};

/* Writes the table, one line per code, each after two blanks. */
void program_exit_print(FILE *out);

#endif
