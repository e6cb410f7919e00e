/*
 * The place that the escapes aim at (another user's process and files, the agent's sockets, a
 * network), and a process of one of the shipped policies' kinds in it.
 *
 * A failed step prevents the test and aborts it with a message.
 */
#ifndef CLOISTER_PLACE_H
#define CLOISTER_PLACE_H

#include "escapes.h"
#include "starter.h"

#define PLACE_PERSON 59999u /* a user id of a person's, whom this host does not have */

/* What a program below the holder says when it has started, so that none fails only since it has
 * not. */
#define PLACE_BEGUN "begun\n"

/* Once per test program; place_free also ends the victim. */
void place_make(void);
void place_free(void);

/* The same, for cmocka. */
int place_setup(void **state);
int place_teardown(void **state);

/* What the escapes are given; and as a word for a holder (escape_target_write). */
const struct escape_target *place_target(void);
const char *place_word(void);

/* A start of that kind's holder: `words` as in holder.c, at most four; their end is NULL. */
struct start place_start(const char *kind, const char *const *words);

/* Starts it, and returns the exit status of what it held, or 300 + the signal that ended it. Fails
 * the test if it could not be started. What was logged is put into `log` (4096 bytes) unless NULL.
 */
int place_run(const char *kind, const char *const *words, char *log);

#endif
