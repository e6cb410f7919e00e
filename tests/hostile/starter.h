/*
 * Starts a worker as the monitor does (clone3 into the policy's namespaces, then cloister-launch),
 * for tests that put hostile code into it. The host is not changed.
 *
 * A failed step prevents the test and aborts it with a message.
 */
#ifndef CLOISTER_STARTER_H
#define CLOISTER_STARTER_H

#include <linux/filter.h>
#include <stdbool.h>
#include <sys/types.h>

#include "launch.h"
#include "policy.h"

#define STARTER_WAIT_MS 20000

struct start {
    const struct policy *policy;
    const char *folder;  /* holds cloister-launch and the program */
    const char *program; /* where the program is, if not there; else NULL */
    /* What the worker reads from its life pipe (test_words.h), since it has no arguments. NULL at
     * the end. */
    const char *words[6];
    /* Changes the order before it is sent, or NULL. */
    void (*change)(struct launch_order *order);
    size_t cut; /* bytes that are left out at the order's end */
    unsigned instance;
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
    int link;
};

struct outcome {
    struct launch_failure failure; /* stage "": the launcher succeeded */
    int wait_status;               /* of waitpid(2); SIGKILL after STARTER_WAIT_MS */
    char log[4096];                /* what the worker wrote to its log, terminated */
};

/* Makes the folder with sockets and state; once per test program. */
void starter_setup(void);
void starter_teardown(void);

/* Listens at a path, for everybody, or at an abstract name until the test program ends. */
void starter_listen(const char *path, bool is_abstract);

/* The path of a socket that listens and belongs to no started worker; and of the X server's. */
const char *starter_other_channel(void);
const char *starter_x11(void);
/* What the policies' ${runtime} is. */
const char *starter_runtime(void);

/* A folder of the test's own, which is removed with the others. */
const char *starter_home(void);
/* The uid that instance `instance` of policy number `i` gets. */
unsigned starter_uid(size_t i, unsigned instance);

void starter_start(struct started *out, const struct start *start);

/* Reads the worker's log until it holds `word`; fails the test if the log ends before. */
void starter_read_until(struct started *started, const char *word, char *out, size_t capacity);

/* Waits until the worker is gone and collects what it left. */
void starter_finish(struct started *started, struct outcome *outcome);

/* Starts and finishes. */
void starter_run(struct outcome *outcome, const struct start *start);

#endif
