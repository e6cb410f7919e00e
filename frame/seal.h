/*
 * What capture and one ticket program say to each other, unreadable to everybody between them.
 *
 * Keys are agreed on with crypto_kx (X25519 and BLAKE2b; capture is the server, the ticket program
 * the client), one pair of fresh keys per ticket. Messages are sealed with XChaCha20-Poly1305
 * (IETF). The nonce is a counter of each direction that both sides keep and that is never sent: a
 * message that is lost, repeated or reordered does not open. The additional data binds the ticket's
 * number, the counter and a label, which says what the message is an answer to; the ticket program
 * takes the label from its own request and the clear fields of the answer, so that these cannot be
 * changed on the way either.
 *
 * The broker relays the public keys, so the seal keeps frames from a broker that is read, dumped or
 * swapped out, and from every other process; a broker that runs an attacker's code could stand in
 * the middle. See docs/threat-model.md.
 *
 * Keys lie in secret memory and are wiped when freed. A seal belongs to one thread at a time.
 */
#ifndef CLOISTER_FRAME_SEAL_H
#define CLOISTER_FRAME_SEAL_H

#include <stddef.h>
#include <stdint.h>

#define SEAL_PUBLIC_KEY_BYTES 32U
/* What sealing adds to a message. */
#define SEAL_OVERHEAD 16U

enum seal_outcome {
    SEAL_OK = 0,
    SEAL_REFUSED = 1,   /* the other's public key is no good */
    SEAL_FORGED = 2,    /* a message that does not open */
    SEAL_TOO_LARGE = 3, /* does not fit into the space given */
};

enum seal_kind {
    SEAL_LISTING = 1, /* frame: the request's `after`; number: frames in it; total: 1 if more */
    SEAL_PART = 2,    /* frame, number of the part (from 0), total of parts */
};

/* What a message is; bound to it, not sent with it. */
struct seal_label {
    enum seal_kind kind;
    uint64_t frame;
    uint32_t number;
    uint32_t total;
};

struct seal;

/*
 * Capture's side: makes a key pair, agrees with the ticket program's public key `theirs`, and
 * writes the public key to be sent back to `ours`. `ticket` is the number that the broker stamps on
 * the ticket's requests. Returns 0 with the seal in `out`, SEAL_REFUSED, or -errno (secret memory).
 */
int seal_accept(struct seal **out, uint32_t ticket, const uint8_t theirs[SEAL_PUBLIC_KEY_BYTES],
                uint8_t ours[SEAL_PUBLIC_KEY_BYTES]);

/*
 * The same in two steps, for a process that cannot get secret memory any more when a ticket comes:
 * seal_reserve makes a seal that opens and closes nothing (0 or -errno); seal_accept_into gives it
 * its keys (0 or SEAL_REFUSED; -EINVAL if it has some); seal_reset wipes them, for the next ticket.
 */
int seal_reserve(struct seal **out);
int seal_accept_into(struct seal *seal, uint32_t ticket,
                     const uint8_t theirs[SEAL_PUBLIC_KEY_BYTES],
                     uint8_t ours[SEAL_PUBLIC_KEY_BYTES]);
void seal_reset(struct seal *seal);

/*
 * The ticket program's side, first half: makes a key pair and writes the public key to be sent to
 * `ours`. Returns 0 with a seal that seal_complete must finish, or -errno.
 */
int seal_offer(struct seal **out, uint8_t ours[SEAL_PUBLIC_KEY_BYTES]);

/*
 * The ticket program's side, second half: agrees with capture's public key. Returns 0, SEAL_REFUSED
 * (the seal is of no further use), or -EINVAL if the seal is not from seal_offer or is complete.
 */
int seal_complete(struct seal *seal, uint32_t ticket, const uint8_t theirs[SEAL_PUBLIC_KEY_BYTES]);

/* Wipes and frees it; accepts NULL, returns NULL. */
struct seal *seal_free(struct seal *seal);

/*
 * Seals `length` bytes of `message` into `out`, `length` + SEAL_OVERHEAD bytes, for the other side.
 * Returns SEAL_OK, or SEAL_TOO_LARGE if `capacity` is less than that.
 */
int seal_close(struct seal *seal, const struct seal_label *label, const uint8_t *message,
               size_t length, uint8_t *out, size_t capacity);

/*
 * Opens the other side's next message, `length` hostile bytes, into `out`: `length` - SEAL_OVERHEAD
 * bytes. Returns SEAL_OK; SEAL_TOO_LARGE if `capacity` is less than that; or SEAL_FORGED, after
 * which the counters may differ and the ticket should end.
 */
int seal_open(struct seal *seal, const struct seal_label *label, const uint8_t *sealed,
              size_t length, uint8_t *out, size_t capacity);

#endif
