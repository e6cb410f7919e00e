/* A command in one line, for people. Inner part of token.c. */
#ifndef CLOISTER_VAULT_TOKEN_SUMMARY_H
#define CLOISTER_VAULT_TOKEN_SUMMARY_H

#include "token.h"

/*
 * Fills `summary` of a command: its texts with a blank between them, or "script", the first 12
 * digits of its SHA-256, and its arguments. Printable ASCII: a text with anything but plain
 * characters, or none, stands in single quotes, and what is neither plain nor a blank is \xHH
 * there. Where it is too long it ends in "...". Behind it "+env" and "+stdin", where there is any.
 * Pure.
 */
void token_summarise(struct token *token);

#endif
