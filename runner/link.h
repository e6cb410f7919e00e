/*
 * What a runner (the shim, cloister-runner) and its command's process (the helper,
 * cloister-command) say to each other.
 *
 * One SOCK_STREAM socketpair that the monitor made; each end is the policy's only way to the other.
 * Both ways go messages of exactly 16 bytes, all from one build on one machine, so in its byte
 * order; there is nothing to parse. In this order:
 *
 *   helper  HELLO                    it stands, in its sandbox, and waits
 *   runner  ORDER length             with SCM_RIGHTS exactly three pipe ends: what the command
 * reads as standard input, writes as standard output, as standard error; then `length` bytes, the
 * order (order/order.h) helper  STARTED                  the program was executed or NOT_STARTED
 * errno        it could not be; nothing follows runner  TERMINATE, KILL          any number:
 * SIGTERM or SIGKILL to every process but the helper helper  ENDED how code           the command
 * has ended, and so has everything that it left behind; nothing follows
 *
 * The helper ends when the socket closes, and with it, since it is process 1 of its namespace,
 * every process of the command. It shares its account with the command: the runner holds it for
 * hostile, and reads what it says with talk.h.
 *
 * Functions: any thread, no state.
 */
#ifndef CLOISTER_LINK_H
#define CLOISTER_LINK_H

#include <stdint.h>

#define LINK_MAGIC       0x314b4e4cu /* "LNK1" */
#define LINK_DESCRIPTORS 3

enum link_word {
    LINK_HELLO = 1,
    LINK_ORDER = 2, /* value: bytes of the order */
    LINK_STARTED = 3,
    LINK_NOT_STARTED = 4, /* value: errno, 1 to LINK_ERRNO_MAX */
    LINK_TERMINATE = 5,
    LINK_KILL = 6,
    LINK_ENDED = 7, /* value: enum link_end; more: exit status, 0 to 255, or signal, 1 to 64 */
};

enum link_end {
    LINK_EXITED = 1,
    LINK_SIGNALLED = 2,
};

#define LINK_ERRNO_MAX  4095
#define LINK_STATUS_MAX 255
#define LINK_SIGNAL_MAX 64

struct link_message {
    uint32_t magic; /* LINK_MAGIC */
    uint32_t word;  /* enum link_word */
    uint32_t value; /* 0 unless said above, and so `more` */
    uint32_t more;
};

_Static_assert(sizeof(struct link_message) == 16, "no padding");

/*
 * Sends one message without waiting. Returns 0 or -errno (-EPIPE: the
 * other end is closed).
 */
int link_send(int fd, enum link_word word, uint32_t value, uint32_t more);

/* Sends ORDER with the three descriptors, which stay the caller's. As link_send. */
int link_send_order(int fd, uint32_t length, const int descriptors[LINK_DESCRIPTORS]);

/*
 * Receives one whole message from a blocking socket. Returns 0, -EPIPE at the end of the stream, in
 * a message too, or -errno; -EPROTO for a wrong magic. Descriptors that came along are closed.
 */
int link_receive(int fd, struct link_message *out);

/*
 * Receives ORDER, and its descriptors, which are the caller's and close on exec. Returns 0 or as
 * link_receive; -EPROTO also for another word, or other descriptors than three.
 */
int link_receive_order(int fd, uint32_t *length, int descriptors[LINK_DESCRIPTORS]);

/* Receives exactly `length` bytes from a blocking socket. Returns 0, -EPIPE or -errno. */
int link_receive_bytes(int fd, void *out, uint32_t length);

#endif
