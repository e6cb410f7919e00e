/*
 * How long an offer of a token takes to be answered by the shipped vault in its sandbox, over its
 * channel, beside libcrypto's verification of one digest: ./run bench. Needs root.
 *
 * Three offers take turns: a list of revoked keys that the vault has already (it is verified, read
 * and answered, nothing is signed or written), a command for another machine (verified, read, and
 * the answer holds a signed receipt), and a command that is accepted (and written down, which is a
 * record and its anchor, each with an fdatasync). Prints a JSON object of nanoseconds, medians.
 */
#include <fcntl.h>
#include <setjmp.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include "bare_verify.h"
#include "command_sample.h"
#include "launched.h"

#define CHECK(condition) ((condition) ? (void)0 : abort())
#define ROUNDS           250 /* below what the vault looks at and signs at once */
#define UPLINK_UID       64300
#define RECORD_BYTES     512

static struct launched vault;
static char revocation[TOKEN_BYTES_MAX + 1], foreign[TOKEN_BYTES_MAX + 1];
static size_t revocation_length, foreign_length;
static uint64_t bare_ns[ROUNDS], revocation_ns[ROUNDS], foreign_ns[ROUNDS], accepted_ns[ROUNDS],
    sync_ns[ROUNDS];

static uint64_t offer_ns(const char *token, size_t length, ipc_Decision wanted)
{
    ipc_TokenOffer request = {0};
    ipc_TokenDecision reply;
    ipc_Refused refused;
    uint64_t start = bare_now_ns();
    uint16_t answer = launched_ask_with(&vault, IPC_TOKEN_OFFER, UPLINK_UID, &request, token,
                                        length, &reply, &refused);
    uint64_t took = bare_now_ns() - start;
    CHECK(answer == IPC_TOKEN_DECISION && reply.decision == wanted);
    return took;
}

static size_t make_command(char *out, const char *audience, uint32_t number)
{
    uint64_t now = (uint64_t)time(NULL);
    return command_sample_sign(out, &(struct command_sample){.key = SAMPLE_DIAGNOSTIC,
                                                             .audience = audience,
                                                             .profile = "diagnostic",
                                                             .seq = number,
                                                             .jti = number,
                                                             .nbf = now,
                                                             .exp = now + 600});
}

/* Accepted, and given up at once, so that the next can be; its receipt is collected. */
static uint64_t accept_ns(uint32_t number)
{
    static char token[TOKEN_BYTES_MAX + 1];
    size_t length = make_command(token, "group:desks", number);
    ipc_CommandQuery query = {0};
    ipc_CommandQueryReply reply;
    ipc_Refused refused;
    vault.wanted = false;
    uint64_t took = offer_ns(token, length, ipc_DECISION_ACCEPTED);
    launched_ask(&vault, IPC_COMMAND_QUERY, UPLINK_UID, &query, &reply, &refused); /* behind it */
    CHECK(vault.wanted);
    ipc_CommandLost lost = {.number = vault.runner.number, .reason = "not_started"};
    ipc_ReceiptDelivered delivered;
    ipc_ReceiptForgotten forgotten;
    launched_tell(&vault, IPC_COMMAND_LOST, &lost);
    memcpy(delivered.token, vault.runner.token, sizeof delivered.token);
    launched_ask(&vault, IPC_RECEIPT_DELIVERED, UPLINK_UID, &delivered, &forgotten, &refused);
    return took;
}

/* One write of a record's size and its fdatasync, beside the vault's state. */
static uint64_t write_ns(int fd)
{
    static uint8_t record[RECORD_BYTES];
    randombytes_buf(record, sizeof record);
    uint64_t start = bare_now_ns();
    CHECK(write(fd, record, sizeof record) == sizeof record && fdatasync(fd) == 0);
    return bare_now_ns() - start;
}

static void prepare(void)
{
    static const char list[] =
        "{\"typ\":\"cloister-revocation\",\"ver\":1,\"revoked\":[\"gone-1\"]}";
    struct command_keys table;
    sample_table(&table, SAMPLE_KEYS);
    launched_prepare(&vault);
    launched_stamp(&vault, &table);
    launched_start(&vault, "D1");
    revocation_length = sample_sign(revocation, SAMPLE_ADMIN, list, strlen(list));
    foreign_length = make_command(foreign, "group:elsewhere", 1);
    bare_prepare();
    offer_ns(revocation, revocation_length, ipc_DECISION_REVOCATION); /* this one writes it down */
}

static void print(const char *name, uint64_t *values, const char *after)
{
    printf("\"%s_ns\":%llu%s", name, (unsigned long long)bare_median(values, ROUNDS), after);
}

int main(void)
{
    char path[80];
    CHECK(sodium_init() >= 0);
    prepare();
    snprintf(path, sizeof path, "%s/written", vault.home);
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    CHECK(fd >= 0);
    for (uint32_t i = 0; i < ROUNDS; i++) {
        bare_ns[i] = bare_verify_ns();
        revocation_ns[i] = offer_ns(revocation, revocation_length, ipc_DECISION_REVOCATION);
        foreign_ns[i] = offer_ns(foreign, foreign_length, ipc_DECISION_AUDIENCE);
        CHECK(vault.blob_length > 0); /* the receipt */
        accepted_ns[i] = accept_ns(i + 1);
        sync_ns[i] = write_ns(fd);
    }
    printf("{");
    print("ecdsa", bare_ns, ",");
    print("verified", revocation_ns, ",");
    print("refused", foreign_ns, ",");
    print("accepted", accepted_ns, ",");
    print("fdatasync", sync_ns, "}\n");
    launched_remove(&vault);
    return 0;
}
