/*
 * The peer of every message through the broker: nng PAIR0 over ipc:// between two processes, with
 * nng's own blocking calls and nothing of ours. Functions end the process when something fails.
 */
#ifndef CLOISTER_TESTS_BENCH_PAIR_H
#define CLOISTER_TESTS_BENCH_PAIR_H

#include <nng/nng.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

uint64_t pair_now_ns(void);

/* Forks the other end, which listens at `path` and echoes; before nng is used in this process. */
pid_t pair_start(const char *path);

nng_socket pair_dial(const char *path);

/* There and back with so many bytes; nanoseconds. */
uint64_t pair_round(nng_socket socket, size_t bytes);

/* Sorts `values` and prints "name": {"median": ..., "p90": ...}. */
void pair_print(const char *name, uint64_t *values, size_t count);

#endif
