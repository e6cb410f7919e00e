/*
 * For tests: the vault's shipped seccomp program around the calling process, for good.
 */
#ifndef CLOISTER_VAULT_BEHIND_FILTER_H
#define CLOISTER_VAULT_BEHIND_FILTER_H

/* Enters it, in a child; what it does not allow kills from then on. Exits with 99 if it cannot. */
void behind_filter_enter(void);

#endif
