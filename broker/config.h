/*
 * The agent's one configuration file: an INI file that only root can write.
 *
 * Read by cloisterd alone, once, before anything is started, in its reader (reader.h). Every wrong
 * line is reported with file, line and what is allowed there, all of them and not only the first;
 * nothing is started from a file with errors. Not thread-safe (inih's settings are global).
 */
#ifndef CLOISTER_CONFIG_H
#define CLOISTER_CONFIG_H

#include <stdio.h>

#include "agent_config.h"

#define CONFIG_FILE     "/etc/cloister/cloister.conf"
#define CONFIG_LINE_MAX 4096 /* bytes of one line, its end included */

enum config_source { CONFIG_SOURCE_AUTO, CONFIG_SOURCE_CONFIG, CONFIG_SOURCE_LOGIND };

/* What the file says. `agent` is filled but for hardware, session, kinds and ticket.gid. */
struct config {
    struct agent_config agent;
    uint32_t source;      /* enum config_source */
    char user[32];        /* [session] user: a name of /etc/passwd or a number; empty: not given */
    char display[16];     /* [session] display */
    char xauthority[256]; /* [session] xauthority: absolute path; empty: where X puts it */
};

/* Sets every key to its default. */
void config_defaults(struct config *out);

/*
 * Reads `stream` to its end over the defaults. Each error becomes one line on `errors`, beginning
 * with "<name>:<line>: ". Returns the number of errors, 0 if all is well.
 */
unsigned config_read(struct config *out, FILE *stream, const char *name, FILE *errors);

/*
 * As config_read, and checks that the file that [console] ca names is root's and that nobody else
 * can write it.
 */
unsigned config_load(struct config *out, FILE *stream, const char *name, FILE *errors);

#endif
