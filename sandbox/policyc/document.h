/*
 * What policyc makes of a policy file and the files that it includes.
 *
 * policyc is a build-time program: it runs once per policy, holds one document, and frees nothing
 * before it exits. docs/policy-language.md describes the language.
 */
#ifndef CLOISTER_POLICYC_DOCUMENT_H
#define CLOISTER_POLICYC_DOCUMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "policy.h"

#define DOCUMENT_RULES_MAX   512
#define DOCUMENT_ENTRIES_MAX 64 /* of mounts, limits, shares, libraries, each */
#define DOCUMENT_REASONS_MAX 256
#define RULE_CONDITIONS_MAX  6 /* a system call has six arguments */

/* Where an entry stands, for messages. */
struct place {
    const char *file;
    unsigned line;
};

struct condition {
    unsigned argument; /* 0 to 5 */
    enum condition_operator {
        CONDITION_EQ,
        CONDITION_NE,
        CONDITION_LT,
        CONDITION_LE,
        CONDITION_GT,
        CONDITION_GE,
        CONDITION_MASKED_EQ, /* (argument & mask) == value */
    }
    operator;
    uint64_t mask;
    uint64_t value;
};

struct rule {
    struct place place;
    const char *name;
    int number; /* negative if this architecture has no such call: the rule is left out */
    struct condition conditions[RULE_CONDITIONS_MAX];
    size_t condition_count;
    int error; /* 0: allow; else the call returns this errno */
    bool from_overlay;
};

struct mount_entry {
    struct place place;
    struct policy_mount mount;
    bool stays; /* reachable after the worker's lock */
};

struct limit_entry {
    struct place place;
    const char *name;
    struct policy_limit limit;
};

struct descriptor_entry {
    struct place place;
    struct policy_descriptor descriptor;
};

/* A dangerous entry and why it is there. */
struct reason {
    struct place place;
    const char *entry;
    const char *why;
};

/* A single-valued setting: set at most once per file, and what includes overrides the included. */
struct setting {
    struct place place;
    bool set;
    const char *text;
    uint64_t number;
};

struct document {
    const char *file; /* the policy named on the command line */
    const char *overlay;
    enum policy_identity identity;
    struct setting kind, user, program, instances;
    struct setting command, host_root; /* `filter command`, `root host` */
    struct setting otherwise;          /* `default`: the errno, 0 to allow */
    struct setting memory, pids, cpu, memlock;
    struct setting landlock_minimum, landlock_preferred, mdwe, secret;
    uint64_t shared_namespaces; /* CLONE_NEW* left out */

    struct rule rules[DOCUMENT_RULES_MAX];
    size_t rule_count;
    struct mount_entry mounts[DOCUMENT_ENTRIES_MAX];
    size_t mount_count;
    struct limit_entry limits[DOCUMENT_ENTRIES_MAX];
    size_t limit_count;
    struct descriptor_entry descriptors[POLICY_DESCRIPTORS_MAX];
    size_t descriptor_count;
    const char *libraries[DOCUMENT_ENTRIES_MAX * 2]; /* sonames */
    size_t library_count;
    struct reason reasons[DOCUMENT_REASONS_MAX];
    size_t reason_count;
    unsigned errors;
};

/* One logical line while it is read. */
struct line {
    struct document *document;
    struct place place;
    const char *text;   /* without comment and surrounding blanks */
    const char *reason; /* the trailing comment, or NULL */
    char *rest;         /* what word() has not yet returned */
    bool overlay;
};

/* Prints "file:line: error: ..." to standard error and counts it; compiling goes on to find more.
 */
void complain(struct document *document, struct place place, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Notes a dangerous entry, or complains that it has no reason. */
void dangerous(struct line *line, const char *why_dangerous);

/* The next word of the line, or NULL at its end. */
const char *word(struct line *line);

/* Reads `file` and what it includes into `document`. With `overlay`, its rules win over others. */
void document_read(struct document *document, const char *file, bool overlay);

/* Checks what no single line can show: required settings, duplicates, W^X. */
void document_check(struct document *document);

/* Adds the shared libraries that the output of ldd(1) in `file` names. */
void document_add_libraries(struct document *document, const char *file);

/* One `syscall` line (rules.c), one `mount` line (mounts.c). */
void read_rule(struct line *line);
void read_mount(struct line *line);
void check_rules(struct document *document);

/* What only the policy of a signed command says (commands.c). */
void read_filter(struct line *line);
void read_root(struct line *line);
void read_default(struct line *line);
void check_command(struct document *document);

/* Marks a setting as made by this line, or complains that it was made in this file already. */
struct setting *set(struct line *line, struct setting *setting, const char *name);

/* The line's only further word, or NULL with a complaint. */
const char *only_word(struct line *line, const char *what);

/* Allocation that does not return on failure. */
char *copy(const char *text);

#endif
