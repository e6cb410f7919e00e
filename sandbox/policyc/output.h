/*
 * What policyc writes. Each function prints to `out`; errors are complained about in `document`.
 */
#ifndef CLOISTER_POLICYC_OUTPUT_H
#define CLOISTER_POLICYC_OUTPUT_H

#include <stdio.h>

#include "document.h"

/* <name>_filter.c: the BPF program and struct sandbox_filter, for the worker. */
void output_filter(struct document *document, FILE *out);

/* <name>_filter.h: its declaration. */
void output_filter_header(const struct document *document, FILE *out);

/* <name>_policy.c: struct policy, for the monitor and the launcher. */
void output_table(const struct document *document, FILE *out);

/* The dangerous entries and their reasons as a Markdown section, for auditors. */
void output_reasons(const struct document *document, FILE *out);

/* The kind as a C identifier; the string is static. */
const char *identifier(const struct document *document);

#endif
