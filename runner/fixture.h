/*
 * For test programs that run one command at a time with played.h: it is `played`, and cmocka's tear
 * down ends it.
 */
#ifndef CLOISTER_RUNNER_FIXTURE_H
#define CLOISTER_RUNNER_FIXTURE_H

#include "played.h"

extern struct played played;

int fixture_end(void **state);

/* An order (played_order) of a line for the shell. */
struct order shell(const char *text);

#endif
