/*
 * Starts a worker as the monitor does (clone3 into the policy's namespaces, then cloister-launch),
 * for tests that put hostile code into it. The host is not changed: accounts come from a copy of
 * /etc/passwd that only the started child sees.
 *
 * A failed step prevents the test and aborts it with a message.
 */
#ifndef CLOISTER_STARTER_H
#define CLOISTER_STARTER_H

#include <linux/filter.h>
#include <sys/types.h>

#include "launch.h"
#include "policy.h"

#define STARTER_WAIT_MS 20000

struct start {
    const struct policy *policy;
    const char *folder;       /* holds cloister-launch and the program */
    const char *arguments[6]; /* the worker's argv from 1, NULL at the end */
    const char *options[8];   /* more of the launcher's command line, NULL at the end */
    /* What goes wrong in the child just before the launcher is executed, or NULL. */
    void (*spoil)(void);
    bool dead_parent; /* the life pipe has no writer */
    uint64_t less;    /* CLONE_NEW* that are left out */
    /* A seccomp program that the child enters before the launcher, or NULL. */
    const struct sock_filter *outer;
    unsigned short outer_length;
};

struct started {
    pid_t pid;
    int pidfd;
    int life; /* closing it ends the worker */
    int log;
    int status;
};

struct outcome {
    struct launch_failure failure; /* stage 0: the launcher succeeded */
    int wait_status;               /* of waitpid(2); SIGKILL after STARTER_WAIT_MS */
    char log[4096];                /* what the worker wrote to its log, terminated */
};

/* Makes the folder with sockets, state and accounts; once per test program. */
void starter_setup(void);
void starter_teardown(void);

/* The path of a socket that listens and belongs to no started worker; and of the X server's. */
const char *starter_other_channel(void);
const char *starter_x11(void);
/* What the policies' ${runtime} is. */
const char *starter_runtime(void);

/* A folder of the test's own, which is removed with the others. */
const char *starter_home(void);
/* The uid of the account of policy number `i`, instance 0. */
unsigned starter_uid(size_t i);

void starter_start(struct started *out, const struct start *start);

/* Reads the worker's log until it holds `word`; fails the test if the log ends before. */
void starter_read_until(struct started *started, const char *word, char *out, size_t capacity);

/* Waits until the worker is gone and collects what it left. */
void starter_finish(struct started *started, struct outcome *outcome);

/* Starts and finishes. */
void starter_run(struct outcome *outcome, const struct start *start);

#endif
