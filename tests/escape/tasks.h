/*
 * What a command does that is no escape: ordinary work, which must go on, and the misuse of memory,
 * processes and signals, which must end.
 */
#ifndef CLOISTER_TASKS_H
#define CLOISTER_TASKS_H

/* Runs in a process that was just executed. Returns its exit status: 0 done, 1 to 199 an errno. */
int task_run(const char *name);

#endif
