/* What `cloister-console` exits with; docs/console.md has the same table. */
#ifndef CONSOLE_EXIT_STATUS_H
#define CONSOLE_EXIT_STATUS_H

enum exit_status {
    EXIT_DONE = 0,
    EXIT_FAILED = 1,    /* input, output, database */
    EXIT_USAGE = 2,     /* the command line or the configuration is wrong */
    EXIT_NOT_FOUND = 3, /* no such machine or ticket, or not just one */
    EXIT_REFUSED = 4,   /* the fingerprint differs, the file exists, the ticket is incomplete */
};

#endif
