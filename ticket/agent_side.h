/*
 * For tests: a process that speaks for the agent over a real door and a real channel, with
 * capture's own encoder and seal. It checks what it is asked, and exits with 1 and a line on
 * standard error where it disagrees.
 */
#ifndef CLOISTER_AGENT_SIDE_H
#define CLOISTER_AGENT_SIDE_H

#include <sys/types.h>

/* The frames that it has, as sample.h draws them; the seventh is a key frame again. */
enum { SIDE_WIDTH = 160, SIDE_HEIGHT = 120, SIDE_COUNT = 12, SIDE_TICKET_NUMBER = 77 };

/* How it behaves. */
enum scenario {
    PLAIN,
    TURNED_AWAY,
    ALREADY_OPEN,
    NO_CAPTURE,
    FRAME_GONE,
    PART_CHANGED,
    LISTING_CHANGED,
    CONSENT_REFUSED,
    VAULT_AWAY, /* the first Consent finds no vault, the second one does */
    CONSOLE_LOST,
    BROKER_GONE,
    OFFLINE,       /* the console is not connected */
    OFFLINE_FIRST, /* ... until a second after the frames were fetched */
    AUTO_CONSENT,
};

/*
 * Forks; the child keeps the chunks that it takes in the file "received", serves one ticket at the
 * folder "agent" below the current one and exits with 0 when that ends. Call it before this process
 * touches nng: a forked child may not after that.
 */
pid_t agent_side_start(enum scenario scenario);

#endif
