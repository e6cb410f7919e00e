/* The users' programs of world.h, and the bundle that they consent to. */
#include "world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

const uint8_t *bundle_bytes(void)
{
    static uint8_t bytes[BUNDLE_SIZE];
    if (bytes[1] == 0)
        for (size_t i = 0; i < sizeof(bytes); i++)
            bytes[i] = (uint8_t)(i * 7 + i / 1021);
    return bytes;
}

void bundle_consent(struct world *w, const struct client_end *c, ipc_Consent *out,
                    uint8_t list[BUNDLE_CHUNKS * CONSENT_DIGEST])
{
    *out = (ipc_Consent){.size = BUNDLE_SIZE};
    for (size_t i = 0; i < BUNDLE_CHUNKS; i++)
        consent_sha256(list + i * CONSENT_DIGEST, bundle_bytes() + i * CONSENT_CHUNK,
                       i + 1 < BUNDLE_CHUNKS ? CONSENT_CHUNK : 1000);
    consent_sha256(out->digest, list, BUNDLE_CHUNKS * CONSENT_DIGEST);
    memcpy(out->ticket, c->ticket, sizeof(out->ticket));
    ticket_recipients_digest(&w->config, out->recipients_digest);
}

static void consent(struct world *w, struct client_end *c)
{
    ipc_Consent said;
    uint8_t list[BUNDLE_CHUNKS * CONSENT_DIGEST];
    bundle_consent(w, c, &said, list);
    assert_int_equal(channel_send(c->channel, IPC_CONSENT, 2, &said, list, sizeof(list)),
                     CHANNEL_OK);
    struct message m;
    world_receive(w, w->ends[RUN_VAULT].channel, &m);
    while (m.envelope.number == IPC_COMMAND_LOST) { /* of a runner before */
        message_free(&m);
        world_receive(w, w->ends[RUN_VAULT].channel, &m);
    }
    assert_int_equal(m.envelope.number, IPC_SIGN_ORIGIN);
    ipc_OriginSigned signature = {.signature = {1}};
    assert_int_equal(channel_send(w->ends[RUN_VAULT].channel, IPC_ORIGIN_SIGNED, m.envelope.request,
                                  &signature, NULL, 0),
                     CHANNEL_OK);
    message_free(&m);
    world_receive(w, c->channel, &m);
    assert_int_equal(m.envelope.number, IPC_CONSENT_GRANTED);
    message_free(&m);
}

struct door_answer {
    int fd;
    char said[192];
};

static bool door_answered(struct world *w, void *arg)
{
    (void)w;
    struct door_answer *a = arg;
    ssize_t n = recv(a->fd, a->said, sizeof(a->said) - 1, MSG_DONTWAIT);
    if (n > 0)
        a->said[n] = '\0';
    return n >= 0;
}

int world_knock(struct world *w, const char *name)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    snprintf(a.sun_path, sizeof(a.sun_path), "%s/door/%s", w->folder, name);
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
    return fd;
}

void expect_turned_away(struct world *w, const char *name, const char *why)
{
    world_turned_away(w, world_knock(w, name), why);
}

void world_turned_away(struct world *w, int fd, const char *why)
{
    struct door_answer answer = {.fd = fd};
    world_run(w, door_answered, &answer);
    assert_memory_equal(answer.said, "no ", 3);
    assert_string_equal(answer.said + 3, why);
    close(answer.fd);
}

void world_client(struct world *w, struct client_end *c, enum ipc_peer kind, enum ipc_phase phase)
{
    /* An ordinary user's command line: the kernel notes the effective uid at connect(2). */
    uid_t self = geteuid();
    if (kind == IPC_PEER_CONTROL)
        assert_int_equal(seteuid(65534), 0);
    *c =
        (struct client_end){.door = world_knock(w, kind == IPC_PEER_TICKET ? "ticket" : "control")};
    uid_t theirs = geteuid();
    assert_int_equal(seteuid(self), 0);
    struct door_answer answer = {.fd = c->door};
    world_run(w, door_answered, &answer);
    if (strncmp(answer.said, "ok ", 3) != 0)
        fail_msg("turned away: %s", answer.said);
    assert_int_equal(seteuid(theirs), 0);
    assert_int_equal(channel_dial(&c->channel, answer.said + 3, kind, false), 0);
    assert_int_equal(seteuid(self), 0);
    if (phase == IPC_PHASE_START)
        return;
    ipc_Hello hello;
    memcpy(hello.schema_digest, ipc_schema_digest, sizeof(hello.schema_digest));
    assert_int_equal(channel_send(c->channel, IPC_HELLO, 1, &hello, NULL, 0), CHANNEL_OK);
    struct message m;
    world_receive(w, c->channel, &m);
    assert_int_equal(m.envelope.number, IPC_WELCOME);
    static ipc_Welcome welcome;
    assert_int_equal(envelope_decode(&m.envelope, &welcome), ENVELOPE_OK);
    memcpy(c->ticket, welcome.config.ticket.ticket, sizeof(c->ticket));
    message_free(&m);
    if (phase == IPC_PHASE_CONSENTED)
        consent(w, c);
    if (phase == IPC_PHASE_CLOSED) {
        ipc_TicketCancel cancel = {0};
        assert_int_equal(channel_send(c->channel, IPC_TICKET_CANCEL, 0, &cancel, NULL, 0),
                         CHANNEL_OK);
        world_settle(w);
    }
}

bool client_gone(struct client_end *c)
{
    char byte;
    c->gone = c->gone || recv(c->door, &byte, 1, MSG_DONTWAIT) == 0;
    return c->gone;
}

void world_client_end(struct client_end *c)
{
    c->channel = channel_free(c->channel);
    close(c->door);
}
