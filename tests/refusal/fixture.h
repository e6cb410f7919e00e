/*
 * What the test programs of this folder begin and end with: one world at a time, in `w`.
 */
#ifndef CLOISTER_FIXTURE_H
#define CLOISTER_FIXTURE_H

#include "world.h"

/* The world of the test under way. */
extern struct world *w;

/* For cmocka: a world with nothing up, one with all standing workers serving, and its end. */
int fixture_new(void **state);
int fixture_serving(void **state);
int fixture_end(void **state);

/* A test with all standing workers serving. */
#define IN_WORLD(f) cmocka_unit_test_setup_teardown(f, fixture_serving, fixture_end)

/* Runs the broker until it has had that worker killed. */
void await_killed(int index);

#endif
