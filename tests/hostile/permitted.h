/*
 * Attacks that a policy means to allow, each with its reason. The list is short and every line is a
 * decision.
 */
#ifndef CLOISTER_PERMITTED_H
#define CLOISTER_PERMITTED_H

#include <stdbool.h>

bool is_permitted(const char *kind, const char *attack);

#endif
