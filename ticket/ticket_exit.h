/* The exit codes of cloister-ticket, as its --help lists them. Scripts rely on them. */
#ifndef CLOISTER_TICKET_EXIT_H
#define CLOISTER_TICKET_EXIT_H

enum ticket_exit {
    TICKET_EXIT_SENT = 0, /* or listed, or help shown */
    TICKET_EXIT_ERROR = 1,
    TICKET_EXIT_USAGE = 2,
    TICKET_EXIT_CANCELLED = 3,
    TICKET_EXIT_NOT_CONNECTED = 4,
    TICKET_EXIT_REFUSED = 5,
    TICKET_EXIT_ALREADY_OPEN = 6,
};

#endif
