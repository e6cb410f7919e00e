/*
 * What the worker's lock reads back from the kernel about its own process. Internal to lock.c.
 * All functions return 0 or a negative errno; -EPERM says that something is not as it must be.
 */
#ifndef CLOISTER_LOCK_CHECK_H
#define CLOISTER_LOCK_CHECK_H

#include "policy.h"

#define LOCK_TASKS_MAX 256

/* The status files of all threads, held open across the moment when opening becomes impossible. */
struct lock_tasks {
    int folder; /* /proc/self/task */
    unsigned count;
    unsigned long filters; /* seccomp filters that each thread had before: 0, or a container's */
    int status[LOCK_TASKS_MAX];
};

/* Opens them. The caller ends with lock_tasks_close, also after an error. */
int lock_tasks_open(struct lock_tasks *tasks);
void lock_tasks_close(struct lock_tasks *tasks);

/*
 * Checks that each thread has the same non-root uid and gid four times over, no groups, five empty
 * capability sets and no_new_privs; if `locked`, that its seccomp mode is 2 with exactly one filter
 * more than when this function ran with false; and that no thread was added since
 * lock_tasks_open. Uses only pread and fstat.
 */
int lock_tasks_check(struct lock_tasks *tasks, bool locked);

/* The number of threads of this process, or a negative errno. */
int lock_task_count(void);

/* Dumpable 0, SIGKILL at the parent's death, and every securebit locked down. */
int lock_check_process(void);

/* Checks every open descriptor's kind, see sandbox_lock. */
int lock_check_descriptors(const struct sandbox_filter *filter);

#endif
