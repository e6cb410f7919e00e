/*
 * What a command finds around it: its environment and its working folder (docs/commands.md).
 */
#ifndef CLOISTER_ENVIRONMENT_H
#define CLOISTER_ENVIRONMENT_H

#include <stdbool.h>
#include <stdint.h>

#include "order.h"

#define ENVIRONMENT_OWN  8 /* at most so many variables beside the order's */
#define ENVIRONMENT_TEXT 512

/* Who a command runs as, if the profile gives it a user's surroundings. */
struct environment_user {
    const char *name, *home, *shell;
    const char *runtime; /* XDG_RUNTIME_DIR, or NULL */
};

struct environment {
    const char *texts[ORDER_TEXTS_MAX + ENVIRONMENT_OWN + 1]; /* NULL at the end */
    char own[ENVIRONMENT_OWN][ENVIRONMENT_TEXT];
};

/*
 * Fills the environment: PATH, HOME and LANG; of a user also USER, LOGNAME, SHELL and
 * XDG_RUNTIME_DIR; and the order's, which come before ours where they have the same name. `user`
 * NULL: none, HOME is "/". The order's texts are kept by reference. What does not fit into
 * ENVIRONMENT_TEXT is left out. Pure; any thread.
 */
void environment_fill(struct environment *out, const struct order *order,
                      const struct environment_user *user);

/*
 * The account of this process, from the system's user database, and its runtime folder if there is
 * one. The texts live in static memory. Returns 0, or -errno (-ENOENT: no such account). One
 * thread.
 */
int environment_find_user(struct environment_user *out);

#endif
