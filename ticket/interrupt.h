/*
 * Ctrl-C and SIGTERM: they give the ticket up as the command "cancel" does.
 *
 * Before interrupt_watch() they end the program at once; after it they wake the loop. A second one
 * that comes before the loop has taken the first ends the program at once.
 */
#ifndef CLOISTER_INTERRUPT_H
#define CLOISTER_INTERRUPT_H

#include <stdbool.h>

/* Installs the handlers; before the filter. Returns 0 or -errno. */
int interrupt_setup(void);

/* From now on the loop polls the descriptor that this returns, and asks interrupt_came. */
int interrupt_watch(void);

/* Whether a signal has come since interrupt_watch. */
bool interrupt_came(void);

#endif
