/*
 * The words of the policy language that stand for numbers, and what is known of system calls.
 */
#ifndef CLOISTER_POLICYC_NAMES_H
#define CLOISTER_POLICYC_NAMES_H

#include <stdbool.h>
#include <stdint.h>

/* AF_UNIX, PROT_EXEC, F_SETFL, ...; false if there is no such constant. */
bool constant_named(const char *name, uint64_t *value);

/* EPERM, ENOSYS, ... as a positive number, or 0. */
int errno_named(const char *name);

/* "nofile" and so on of getrlimit(2), or -1. */
int limit_named(const char *name);

/* "net" and so on as CLONE_NEW*, or 0. */
uint64_t namespace_named(const char *name);

/* "read" and so on as enum policy_right, or 0. */
uint32_t right_named(const char *name);

/* "channel" and so on as enum policy_variable, or 0. */
uint32_t variable_named(const char *name, unsigned length);

enum call_class {
    CALL_ORDINARY,  /* reaches nothing that the process does not hold already */
    CALL_DANGEROUS, /* needs a reason */
    CALL_NARROW,    /* needs a reason and a condition */
    CALL_CODE,      /* can make code executable: only with a condition that rules that out */
    CALL_NEVER,     /* no policy may allow it */
};

enum call_class call_class(const char *name);

/* The condition that a CALL_CODE call needs: (argument & mask) == 0. */
struct code_guard {
    const char *name;
    unsigned argument;
    uint64_t mask;
    const char *text;
};
const struct code_guard *code_guard(const char *name);

#endif
