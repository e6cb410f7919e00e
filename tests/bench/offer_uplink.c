/*
 * In the place of cloister-uplink, under its policy and filter: offers the token that the CA file
 * holds to the vault, through the broker, in turns with libcrypto's verification of one digest, and
 * writes the medians into its log, "offers: " and a JSON object of nanoseconds. It connects to
 * nobody. The token is a list of revoked keys: it is verified and read, nothing is signed for the
 * answer, and, after the first offer, nothing written.
 */
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "bare_verify.h"
#include "log.h"
#include "uplink_filter.h"
#include "worker.h"

#define CA_FD     3
#define ANSWER_MS 5000
/* Turns with pauses: the vault looks at 200 tokens a second, the schema lets 300 pass. */
#define TURNS    12
#define A_TURN   50
#define PAUSE_MS 300

static uint64_t bare_ns[TURNS * A_TURN], offered_ns[TURNS * A_TURN];
static char token[4096];

static size_t read_token(void)
{
    size_t used = 0;
    ssize_t n;
    while (used < sizeof token && (n = read(CA_FD, token + used, sizeof token - used)) > 0)
        used += (size_t)n;
    close(CA_FD);
    if (used == 0 || used == sizeof token)
        worker_fail(WORKER_EXIT_FAILED, "no token");
    return used;
}

static uint64_t offer_ns(struct worker *worker, size_t length)
{
    ipc_TokenOffer offer = {0};
    ipc_TokenDecision decision;
    struct message message;
    uint64_t start = bare_now_ns();
    worker_request(worker, IPC_TOKEN_OFFER, &offer, token, length);
    while (!worker_next(worker, &message))
        worker_wait(worker, NULL, 0, ANSWER_MS);
    uint64_t took = bare_now_ns() - start;
    if (message.envelope.number != IPC_TOKEN_DECISION)
        worker_fail(WORKER_EXIT_FAILED, "the answer is of another type");
    worker_decode(worker, &message, &decision);
    if (decision.decision != ipc_Decision_DECISION_REVOCATION)
        worker_fail(WORKER_EXIT_FAILED, "the decision is %d", (int)decision.decision);
    message_free(&message);
    return took;
}

static void measure(struct worker *worker, size_t length)
{
    size_t at = 0;
    offer_ns(worker, length);
    for (int turn = 0; turn < TURNS; turn++) {
        for (int i = 0; i < A_TURN; i++, at++) {
            offered_ns[at] = offer_ns(worker, length);
            bare_ns[at] = bare_verify_ns();
        }
        worker_wait(worker, NULL, 0, PAUSE_MS);
    }
    log_notice("offers: {\"ecdsa_ns\":%llu,\"offered_ns\":%llu}",
               (unsigned long long)bare_median(bare_ns, at),
               (unsigned long long)bare_median(offered_ns, at));
}

int main(void)
{
    static struct worker worker;
    if (sandbox_early())
        return WORKER_EXIT_SANDBOX;
    bare_prepare();
    log_setup("uplink", 1);
    size_t length = read_token();
    worker_start(&worker, "uplink", IPC_PEER_UPLINK, &uplink_filter);
    worker_lock(&worker);
    measure(&worker, length);
    for (;;)
        worker_wait(&worker, NULL, 0, -1);
}
