/* A command in one line, for people. Inner part of token.c. */
#ifndef CLOISTER_VAULT_TOKEN_SUMMARY_H
#define CLOISTER_VAULT_TOKEN_SUMMARY_H

#include "token.h"

/*
 * Fills `summary` of a command: its texts with a blank between them, or "script", the first 12
 * digits of its SHA-256, and its arguments. Printable ASCII: what else there is in a text, blanks,
 * quotes and backslashes included, is \xHH; an empty text is ''. Where it is too long it ends in
 * "...". Pure.
 */
void token_summarise(struct token *token);

#endif
