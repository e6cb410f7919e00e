/*
 * For the tests of commands.h: the vault, the runner and the console are played; what was asked of
 * them is written down. Tokens are texts, which the names "0" to "f" are best for: those are known
 * again in what is written down.
 */
#ifndef CLOISTER_COMMANDS_PLAYED_H
#define CLOISTER_COMMANDS_PLAYED_H

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "commands.h"

#define RECEIPT "aaa.bbb.ccc"

/* What the commands did, each ended by "; ": "offer TOKEN", "decision TOKEN word", "chunk TOKEN
 * kind/index", "taken request", ... */
struct played_commands {
    char log[8192];
    size_t queued; /* bytes that the connection has not sent */
};

extern struct played_commands seen;
extern struct commands *commands;
extern int64_t now; /* milliseconds */

int set_up(void **state);
int tear_down(void **state);
#define unit(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

/* What was noted since the last time must be this. */
void expect(const char *text);

/* A token's name on the wire, WIRE_TOKEN_SIZE bytes. */
void digest_of(uint8_t *id, const char *token);

/* The console: sends a token; a message about one; and those that there are. As commands.h
 * returns. */
int token(const char *text);
int say(enum wire_type type, const char *text, uint32_t stdout_count, uint32_t stderr_count);
int ack(const char *text, uint32_t stdout_count, uint32_t stderr_count);
int query(const char *text, uint32_t stdout_count, uint32_t stderr_count);
int done(const char *text);

/* The vault: decides on what it was offered; says what it found, with RECEIPT if that has ended. */
void decide(enum commands_verdict verdict, const char *word);
void find(enum commands_state state);

/* The runner: hands in a chunk; has no more; is gone. */
void hand_in(uint32_t request, const char *text, enum output_stream stream, uint32_t index);
void output_ends(const char *text);
void runner_goes(const char *text);

/* Lets time pass as the owner does: to each deadline in turn, and never twice to the same. */
void pass(int64_t ms);

/* Whether the session is to be ended when so much time has passed at once. */
bool times_out(int64_t ms);

/* To the point where it runs. */
void run(const char *text);

#endif
