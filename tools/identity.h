/* Showing who this machine is; shared by identity, enroll and key reset. One thread. */
#ifndef CLOISTER_TOOLS_IDENTITY_H
#define CLOISTER_TOOLS_IDENTITY_H

#include "command.h"

/*
 * Asks the vault through `door` and prints machine id, fingerprint, origin and binding. Returns an
 * enum program_exit, having complained unless it is PROGRAM_EXIT_OK.
 */
int identity_show(struct door *door);

#endif
