/*
 * Signed commands of one connection: the agent's side of the section "Commands" of docs/wire.md.
 *
 * The console's tokens and queries wait in one queue and are dealt with one after the other: a
 * token is offered to the vault, the output of what it made run is passed on, and at the end the
 * vault's receipt. Nothing of a token is understood here.
 *
 *   TOKEN -> offered -> refused: told, and gone
 *                    -> accepted -> RUNNING -> [the runner ends] -> the vault is asked -> RECEIPT
 *   QUERY -> asked   -> unknown: told, and gone
 *                    -> under way, or ended -> the runner is asked to go on -> RUNNING as above
 *                                                         there is none -> the vault is asked again
 *
 * A pure state machine: it sends through callbacks and learns what became of it from calls. The
 * vault is asked one thing at a time, and so is the runner. Times are monotonic milliseconds that
 * the caller supplies. One thread at a time.
 */
#ifndef CLOISTER_UPLINK_COMMANDS_H
#define CLOISTER_UPLINK_COMMANDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fault.h"
#include "output.h"
#include "wire.h"

#define COMMANDS_ANSWER_MS 60000 /* from a receipt to the console's word that it has it */
#define COMMANDS_RETRY_MS  2000  /* until what could not be answered is asked again */
#define COMMANDS_GONE_MS   2000  /* for a runner to go that has said its last word */
#define COMMANDS_PER_S     200   /* questions to the vault, after a burst of as many */
#define COMMANDS_RECEIPTS  16    /* that the console has and the vault does not know of yet */

struct commands;

/* Whom the console's wishes go to. None of these may call back. */
struct commands_agent {
    /* The vault shall judge this token; commands_decided follows. */
    void (*offer)(void *user, const void *token, size_t length);
    /* How does this command stand? commands_found follows. */
    void (*query)(void *user, const uint8_t *token);
    /* Its runner shall go on with these chunks; commands_resumed follows. */
    void (*resume)(void *user, const uint8_t *token, uint32_t stdout_next, uint32_t stderr_next);
    /* The console has its receipt; commands_forgotten follows. */
    void (*delivered)(void *user, const uint8_t *token);
    /* As the members of the same names in struct output_callbacks. */
    void (*taken)(void *user, uint32_t request);
    void (*refused)(void *user, uint32_t request, enum output_refusal why);
};

struct commands_callbacks {
    /* Queue a message; the bytes are copied. 0 or -errno. */
    int (*send_text)(void *user, const char *text, size_t length);
    int (*send_binary)(void *user, const void *bytes, size_t length);
    /* Bytes that are queued and not yet handed to the network. */
    size_t (*queued)(void *user);
};

enum commands_verdict {
    COMMANDS_ACCEPTED,
    COMMANDS_REVOCATION,
    COMMANDS_REFUSED,
    COMMANDS_BUSY, /* to be offered again */
};

enum commands_state {
    COMMANDS_UNKNOWN,
    COMMANDS_UNDER_WAY,
    COMMANDS_ENDED,
};

enum commands_outcome {
    COMMANDS_ORDER = 1, /* the console may not say this now: close with 1008 "order" */
    COMMANDS_MALFORMED, /* close with 1008 "malformed" */
};

/*
 * `callbacks` and `user`, `agent` and `agent_user` belong together and must outlive the result.
 * Returns 0 or -ENOMEM.
 */
int commands_new(struct commands **out, const struct commands_callbacks *callbacks, void *user,
                 const struct commands_agent *agent, void *agent_user);
struct commands *commands_free(struct commands *commands);

/*
 * The console's frame of kind WIRE_KIND_TOKEN, the content of which is copied, or its message of a
 * WIRE_COMMAND_ type. Return 0, a commands_outcome, or -ENOMEM.
 */
int commands_token(struct commands *commands, const struct wire_frame *frame, int64_t now_ms);
int commands_receive(struct commands *commands, const struct wire_message *message, int64_t now_ms);

/*
 * The vault's answers. `word` is the reason for the console. `receipt` may be NULL; what is not
 * the text of a compact JWS of at most WIRE_RECEIPT_MAX bytes counts as none.
 */
void commands_decided(struct commands *commands, enum commands_verdict verdict, const char *word,
                      const void *receipt, size_t length, int64_t now_ms);
void commands_found(struct commands *commands, enum commands_state state, const void *receipt,
                    size_t length, int64_t now_ms);
void commands_forgotten(struct commands *commands, bool yes, int64_t now_ms);

/* The vault did not answer offer or query: whether a token was accepted will have to be asked. */
void commands_unanswered(struct commands *commands, int64_t now_ms);

/* The runner's answer; false also if there is none. */
void commands_resumed(struct commands *commands, bool yes, int64_t now_ms);

/*
 * The runner hands in a chunk of output, which is copied. Answers `request` with `taken` or
 * `refused`, now or later.
 */
void commands_chunk(struct commands *commands, uint32_t request, const uint8_t *token,
                    enum output_stream stream, uint32_t index, const void *bytes, size_t length,
                    int64_t now_ms);

/* The runner has no more to hand in; and: the broker says that it is gone. */
void commands_output_ended(struct commands *commands, const uint8_t *token, int64_t now_ms);
void commands_runner_gone(struct commands *commands, const uint8_t *token, int64_t now_ms);

/* No command is open any more (state became pending). What has come of them others keep. */
void commands_forget(struct commands *commands);

/*
 * Does what has become possible. Returns true, or false with `fault` set when the console has not
 * answered in time. To be called when commands_deadline_ms has come and after every write.
 */
int64_t commands_deadline_ms(const struct commands *commands);
bool commands_tick(struct commands *commands, int64_t now_ms, struct fault *fault);

#endif
