/*
 * What the schema grants, misused: malformed, forged, replayed, flooded, lying. And the door.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fixture.h"

static bool is_gone(struct world *world, void *arg)
{
    (void)world;
    return client_gone(arg);
}

static void assert_killed(int index)
{
    await_killed(index);
    for (int i = 0; i < STANDING; i++)
        if (i != index)
            assert_non_null(supervisor_serving(&w->b, w->b.workers[i].kind));
    /* And it comes back, the others never having stopped. */
    world_worker(w, index, IPC_PHASE_SERVE);
}

static void assert_cut_off(struct client_end *c)
{
    uint32_t refusals = w->b.refusals;
    world_run(w, is_gone, c);
    assert_true(w->b.refusals >= refusals);
    world_client_end(c);
    for (int i = 0; i < STANDING; i++)
        assert_non_null(supervisor_serving(&w->b, w->b.workers[i].kind));
}

static void raw(int index, const void *bytes, size_t length)
{
    assert_int_equal(channel_send_raw(w->ends[index].channel, bytes, length), CHANNEL_OK);
    assert_killed(index);
}

/* ---- the envelope ---- */

static void malformed_envelopes(void **state)
{
    (void)state;
    uint8_t m[ENVELOPE_HEADER + 64] = {0};
    raw(RUN_VAULT, m, 0);
    raw(RUN_VAULT, m, ENVELOPE_HEADER - 1);
    raw(RUN_VAULT, m, ENVELOPE_HEADER); /* version 0 */
    envelope_write(m, 0xffff, 0, 0, 0);
    raw(RUN_CAPTURE, m, ENVELOPE_HEADER);
    envelope_write(m, IPC_VAULT_EVENT, 0, 2, 0);
    m[2] = IPC_VERSION + 1;
    raw(RUN_VAULT, m, ENVELOPE_HEADER + 2);
    envelope_write(m, IPC_VAULT_EVENT, 0, 2, 0);
    raw(RUN_VAULT, m, ENVELOPE_HEADER + 1); /* truncated */
    raw(RUN_VAULT, m, ENVELOPE_HEADER + 3); /* trailing */
    envelope_write(m, IPC_VAULT_EVENT, 0, 0, 2);
    raw(RUN_VAULT, m, ENVELOPE_HEADER + 2); /* a blob where the route has none */
    envelope_write(m, IPC_VAULT_EVENT, 0, 0xffffffff, 3);
    raw(RUN_VAULT, m, ENVELOPE_HEADER + 2); /* lengths that wrap */
}

static void an_oversize_message(void **state)
{
    (void)state;
    size_t length = ipc_longest_from(IPC_PEER_VAULT) + 1;
    uint8_t *m = calloc(1, length);
    raw(RUN_VAULT, m, length);
    free(m);
}

static void a_body_that_does_not_decode(void **state)
{
    (void)state;
    uint8_t m[ENVELOPE_HEADER + 4];
    envelope_write(m, IPC_VAULT_EVENT, 0, 4, 0);
    memcpy(m + ENVELOPE_HEADER, "\xff\xff\xff\xff", 4);
    raw(RUN_VAULT, m, sizeof(m));
    envelope_write(m, IPC_CAPTURE_STATE, 0, 4, 0);
    raw(RUN_CAPTURE, m, sizeof(m));
    envelope_write(m, IPC_UPLINK_STATE, 0, 4, 0);
    raw(RUN_UPLINK, m, sizeof(m));
    w->b.uplink.phase = ipc_UplinkPhase_UPLINK_APPROVED;
}

/* ---- stamps, requests, answers ---- */

static void forged_stamps(void **state)
{
    (void)state;
    uint8_t m[ENVELOPE_HEADER];
    envelope_write(m, IPC_MACHINE_IDENTITY, 1, 0, 0);
    envelope_stamp(m, 1, 7, 0);
    raw(RUN_UPLINK, m, sizeof(m));
    envelope_write(m, IPC_MACHINE_IDENTITY, 1, 0, 0);
    envelope_stamp(m, 1, 0, 1000);
    raw(RUN_UPLINK, m, sizeof(m));
}

static void answers_that_answer_nothing(void **state)
{
    (void)state;
    ipc_OriginSigned signature = {0};
    assert_int_equal(
        channel_send(w->ends[RUN_VAULT].channel, IPC_ORIGIN_SIGNED, 1, &signature, NULL, 0),
        CHANNEL_OK);
    assert_killed(RUN_VAULT);
    ipc_Refused refused = {.reason = ipc_RefusalReason_FAILED};
    assert_int_equal(channel_send(w->ends[RUN_CAPTURE].channel, IPC_REFUSED, 99, &refused, NULL, 0),
                     CHANNEL_OK);
    assert_killed(RUN_CAPTURE);
}

/* Uplink asks the vault; capture tries to answer, then the vault answers with the wrong type. */
static void answers_by_who_was_not_asked(void **state)
{
    (void)state;
    ipc_MachineIdentity ask = {0};
    struct message m;
    assert_int_equal(
        channel_send(w->ends[RUN_UPLINK].channel, IPC_MACHINE_IDENTITY, 5, &ask, NULL, 0),
        CHANNEL_OK);
    world_receive(w, w->ends[RUN_VAULT].channel, &m);
    assert_int_equal(m.envelope.number, IPC_MACHINE_IDENTITY);
    uint32_t number = m.envelope.request;
    message_free(&m);
    ipc_Refused refused = {.reason = ipc_RefusalReason_FAILED};
    assert_int_equal(
        channel_send(w->ends[RUN_CAPTURE].channel, IPC_REFUSED, number, &refused, NULL, 0),
        CHANNEL_OK);
    assert_killed(RUN_CAPTURE);
    ipc_ChallengeSigned wrong = {0};
    assert_int_equal(
        channel_send(w->ends[RUN_VAULT].channel, IPC_CHALLENGE_SIGNED, number, &wrong, NULL, 0),
        CHANNEL_OK);
    /* Its asker is not left waiting: it hears that who it asked is gone. */
    world_receive(w, w->ends[RUN_UPLINK].channel, &m);
    assert_int_equal(m.envelope.number, IPC_REFUSED);
    assert_int_equal(m.envelope.request, 5);
    message_free(&m);
    assert_killed(RUN_VAULT);
}

static void an_answer_is_taken_once(void **state)
{
    (void)state;
    ipc_MachineIdentity ask = {0};
    ipc_MachineIdentityReply reply = {0};
    struct message m;
    assert_int_equal(
        channel_send(w->ends[RUN_UPLINK].channel, IPC_MACHINE_IDENTITY, 5, &ask, NULL, 0),
        CHANNEL_OK);
    world_receive(w, w->ends[RUN_VAULT].channel, &m);
    uint32_t number = m.envelope.request;
    message_free(&m);
    for (int i = 0; i < 2; i++)
        assert_int_equal(channel_send(w->ends[RUN_VAULT].channel, IPC_MACHINE_IDENTITY_REPLY,
                                      number, &reply, NULL, 0),
                         CHANNEL_OK);
    world_receive(w, w->ends[RUN_UPLINK].channel, &m);
    assert_int_equal(m.envelope.number, IPC_MACHINE_IDENTITY_REPLY);
    assert_int_equal(m.envelope.request, 5);
    message_free(&m);
    assert_killed(RUN_VAULT);
}

static void a_request_number_in_use(void **state)
{
    (void)state;
    ipc_MachineIdentity ask = {0};
    for (int i = 0; i < 2; i++)
        assert_int_equal(
            channel_send(w->ends[RUN_UPLINK].channel, IPC_MACHINE_IDENTITY, 5, &ask, NULL, 0),
            CHANNEL_OK);
    assert_killed(RUN_UPLINK);
    w->b.uplink.phase = ipc_UplinkPhase_UPLINK_APPROVED;
}

static void floods(void **state)
{
    (void)state;
    ipc_VaultEvent event = {.kind = ipc_VaultEventKind_IDENTIFIER_ADOPTED};
    uint32_t limit = ipc_types[IPC_VAULT_EVENT].per_second;
    for (uint32_t i = 0; i <= limit; i++)
        assert_int_equal(
            channel_send(w->ends[RUN_VAULT].channel, IPC_VAULT_EVENT, 0, &event, NULL, 0),
            CHANNEL_OK);
    assert_killed(RUN_VAULT);

    struct client_end c;
    world_client(w, &c, IPC_PEER_TICKET, IPC_PHASE_REVIEW);
    ipc_FrameFetch fetch = {.frame = 1};
    for (uint32_t i = 0; i <= REQUESTS_PER_ASKER; i++)
        assert_int_equal(channel_send(c.channel, IPC_FRAME_FETCH, i + 1, &fetch, NULL, 0),
                         CHANNEL_OK);
    assert_cut_off(&c);
}

static void a_ready_without_a_lock(void **state)
{
    (void)state;
    int capture = RUN_CAPTURE;
    supervisor_kill(&w->b, &w->b.workers[RUN_CAPTURE], "test");
    await_killed(capture);
    world_worker(w, RUN_CAPTURE, IPC_PHASE_START);
    ipc_Ready ready = {.has_lock = true, .lock = {.seccomp_mode = 0, .no_new_privs = true}};
    assert_int_equal(channel_send(w->ends[RUN_CAPTURE].channel, IPC_READY, 0, &ready, NULL, 0),
                     CHANNEL_OK);
    assert_killed(RUN_CAPTURE);
}

static void states_that_are_not_its_to_declare(void **state)
{
    (void)state;
    ipc_UplinkState said = {.has_status = true,
                            .status = {.phase = ipc_UplinkPhase_UPLINK_NOT_CONFIGURED}};
    assert_int_equal(channel_send(w->ends[RUN_UPLINK].channel, IPC_UPLINK_STATE, 0, &said, NULL, 0),
                     CHANNEL_OK);
    assert_killed(RUN_UPLINK);
    ipc_ResolveAnswer answer = {.addresses_count = 1, .addresses = {{.address = {.size = 3}}}};
    assert_int_equal(
        channel_send(w->ends[RUN_RESOLVER].channel, IPC_RESOLVE_ANSWER, 0, &answer, NULL, 0),
        CHANNEL_OK);
    assert_killed(RUN_RESOLVER);
}

/* ---- consent ---- */

static struct client_end consenting(ipc_Consent *said, uint8_t *list)
{
    struct client_end c;
    world_client(w, &c, IPC_PEER_TICKET, IPC_PHASE_REVIEW);
    bundle_consent(w, &c, said, list);
    return c;
}

static void refuse_consent(struct client_end *c, const ipc_Consent *said, const uint8_t *list,
                           size_t length)
{
    assert_int_equal(channel_send(c->channel, IPC_CONSENT, 2, said, list, length), CHANNEL_OK);
    assert_cut_off(c);
    struct message m;
    enum envelope_outcome why;
    assert_int_equal(channel_receive(w->ends[RUN_VAULT].channel, &m, &why), CHANNEL_EMPTY);
}

static void consents_that_lie(void **state)
{
    (void)state;
    ipc_Consent said;
    uint8_t list[BUNDLE_CHUNKS * CONSENT_DIGEST + CONSENT_DIGEST] = {0};
    size_t length = BUNDLE_CHUNKS * CONSENT_DIGEST;

    struct client_end c = consenting(&said, list);
    said.ticket[0] ^= 1; /* another's ticket */
    refuse_consent(&c, &said, list, length);
    c = consenting(&said, list);
    said.recipients_digest[31] ^= 1;
    refuse_consent(&c, &said, list, length);
    c = consenting(&said, list);
    said.size = UINT64_MAX;
    refuse_consent(&c, &said, list, length);
    c = consenting(&said, list);
    said.digest[0] ^= 1;
    refuse_consent(&c, &said, list, length);
    c = consenting(&said, list);
    refuse_consent(&c, &said, list, length + CONSENT_DIGEST);
    c = consenting(&said, list);
    refuse_consent(&c, &said, list, length - 1);
}

/* Sends a chunk as the ticket; returns what uplink gets: true if the chunk. */
static void send_chunk(struct client_end *c, uint32_t index, const uint8_t *bytes, size_t length)
{
    ipc_BundleChunk chunk = {.index = index};
    assert_int_equal(channel_send(c->channel, IPC_BUNDLE_CHUNK, 10 + index, &chunk, bytes, length),
                     CHANNEL_OK);
}

static void nothing_reached_uplink(void)
{
    struct message m;
    enum envelope_outcome why;
    while (channel_receive(w->ends[RUN_UPLINK].channel, &m, &why) == CHANNEL_OK) {
        assert_int_not_equal(m.envelope.number, IPC_BUNDLE_CHUNK);
        message_free(&m);
    }
}

static void refuse_chunk(uint32_t index, const uint8_t *bytes, size_t length)
{
    struct client_end c;
    world_client(w, &c, IPC_PEER_TICKET, IPC_PHASE_CONSENTED);
    send_chunk(&c, index, bytes, length);
    assert_cut_off(&c);
    nothing_reached_uplink();
}

static void bytes_that_were_not_consented_to(void **state)
{
    (void)state;
    static uint8_t other[CONSENT_CHUNK];
    memcpy(other, bundle_bytes(), sizeof(other));
    other[100] ^= 1;
    refuse_chunk(0, other, CONSENT_CHUNK);              /* different */
    refuse_chunk(0, bundle_bytes(), CONSENT_CHUNK - 1); /* less */
    refuse_chunk(3, bundle_bytes() + 3u * CONSENT_CHUNK, 1001 - 2);
    memcpy(other, bundle_bytes() + 3u * CONSENT_CHUNK, 1000);
    refuse_chunk(3, other, 1001);                   /* more */
    refuse_chunk(1, bundle_bytes(), CONSENT_CHUNK); /* in another's place */
    refuse_chunk(4, other, 1000);                   /* one more */
    refuse_chunk(UINT32_MAX, other, 1000);
}

static void the_consented_bytes_pass(void **state)
{
    (void)state;
    struct client_end c;
    struct message m;
    world_client(w, &c, IPC_PEER_TICKET, IPC_PHASE_CONSENTED);
    ipc_BundleBegin begin = {0};
    assert_int_equal(channel_send(c.channel, IPC_BUNDLE_BEGIN, 3, &begin, NULL, 0), CHANNEL_OK);
    world_receive(w, w->ends[RUN_UPLINK].channel, &m);
    assert_int_equal(m.envelope.number, IPC_BUNDLE_OFFER);
    message_free(&m);
    world_receive(w, w->ends[RUN_UPLINK].channel, &m);
    assert_int_equal(m.envelope.number, IPC_BUNDLE_BEGIN);
    assert_int_equal(m.envelope.uid, geteuid());
    assert_int_not_equal(m.envelope.ticket, 0);
    message_free(&m);
    for (uint32_t i = 0; i < BUNDLE_CHUNKS; i++) {
        send_chunk(&c, i, bundle_bytes() + i * CONSENT_CHUNK,
                   i + 1 < BUNDLE_CHUNKS ? CONSENT_CHUNK : 1000);
        world_receive(w, w->ends[RUN_UPLINK].channel, &m);
        assert_int_equal(m.envelope.number, IPC_BUNDLE_CHUNK);
        assert_memory_equal(m.envelope.blob, bundle_bytes() + i * CONSENT_CHUNK,
                            m.envelope.blob_length);
        message_free(&m);
    }
    world_client_end(&c);
    world_receive(w, w->ends[RUN_UPLINK].channel, &m);
    assert_int_equal(m.envelope.number, IPC_TICKET_ENDED);
    message_free(&m);
}

/* Without a consent, an end of a ticket is not even told to uplink. */
static void uplink_learns_nothing_before_consent(void **state)
{
    (void)state;
    struct client_end c;
    uint16_t number;
    world_client(w, &c, IPC_PEER_TICKET, IPC_PHASE_CLOSED);
    world_client_end(&c);
    world_settle(w);
    struct message m;
    enum envelope_outcome why;
    assert_int_equal(channel_receive(w->ends[RUN_UPLINK].channel, &m, &why), CHANNEL_EMPTY);
    do { /* after what it was told of the session when it began to serve */
        world_receive(w, w->ends[RUN_CAPTURE].channel, &m);
        number = m.envelope.number;
        message_free(&m);
    } while (number == IPC_SESSION_CHANGED);
    assert_int_equal(number, IPC_TICKET_ENDED);
}

/* The screen may have been locked while capture started: it is told when it serves. */
static void capture_learns_what_it_missed(void **state)
{
    (void)state;
    int capture = RUN_CAPTURE;
    supervisor_kill(&w->b, &w->b.workers[RUN_CAPTURE], "test");
    await_killed(capture);
    w->b.session.active = 1;
    world_worker(w, RUN_CAPTURE, IPC_PHASE_START);
    w->b.session.active = 0;
    ipc_Ready ready = {.has_lock = true, .lock = {.seccomp_mode = 2, .no_new_privs = true}};
    assert_int_equal(channel_send(w->ends[RUN_CAPTURE].channel, IPC_READY, 0, &ready, NULL, 0),
                     CHANNEL_OK);
    struct message m;
    ipc_SessionChanged changed = {.active = true};
    world_receive(w, w->ends[RUN_CAPTURE].channel, &m);
    assert_int_equal(m.envelope.number, IPC_SESSION_CHANGED);
    assert_int_equal(envelope_decode(&m.envelope, &changed), ENVELOPE_OK);
    assert_false(changed.active);
    message_free(&m);
}

/* However many users hold the door, root still gets in. */
static void users_do_not_shut_root_out(void **state)
{
    (void)state;
    struct client_end c[13];
    w->config.ticket.per_uid_connections = 64;
    for (int i = 0; i < 12; i++)
        world_client(w, &c[i], IPC_PEER_CONTROL, IPC_PHASE_SERVE);
    uid_t self = geteuid();
    assert_int_equal(seteuid(65534), 0);
    int fd = world_knock(w, "control");
    assert_int_equal(seteuid(self), 0);
    world_turned_away(w, fd, "too many connections are open");
    world_client(w, &c[12], IPC_PEER_ADMIN, IPC_PHASE_SERVE);
    for (int i = 0; i < 13; i++)
        world_client_end(&c[i]);
}

/* ---- the door ---- */

static void a_second_ticket_hears_of_the_first(void **state)
{
    (void)state;
    struct client_end first, second;
    struct message m;
    world_client(w, &first, IPC_PEER_TICKET, IPC_PHASE_REVIEW);
    world_client(w, &second, IPC_PEER_TICKET, IPC_PHASE_START);
    ipc_Hello hello;
    memcpy(hello.schema_digest, ipc_schema_digest, sizeof(hello.schema_digest));
    assert_int_equal(channel_send(second.channel, IPC_HELLO, 1, &hello, NULL, 0), CHANNEL_OK);
    world_receive(w, second.channel, &m);
    ipc_Refused refused;
    assert_int_equal(m.envelope.number, IPC_REFUSED);
    assert_int_equal(envelope_decode(&m.envelope, &refused), ENVELOPE_OK);
    assert_int_equal(refused.reason, ipc_RefusalReason_ALREADY_OPEN);
    assert_int_equal(refused.pid, getpid());
    message_free(&m);
    world_client_end(&second);
    world_client_end(&first);
}

static void who_writes_at_the_door_is_out(void **state)
{
    (void)state;
    struct client_end c;
    world_client(w, &c, IPC_PEER_ADMIN, IPC_PHASE_SERVE);
    assert_int_equal(send(c.door, "x", 1, MSG_NOSIGNAL), 1);
    assert_cut_off(&c);
}

static void only_the_ticket_program_s_group_opens_tickets(void **state)
{
    (void)state;
    w->config.ticket.gid = getegid() + 1;
    expect_turned_away(w, "ticket", "only cloister-ticket, installed setgid, may open tickets");
}

static void connections_are_counted(void **state)
{
    (void)state;
    struct client_end c[4];
    for (int i = 0; i < 4; i++)
        world_client(w, &c[i], IPC_PEER_ADMIN, IPC_PHASE_SERVE);
    expect_turned_away(w, "control", "you have too many connections open");
    for (int i = 0; i < 4; i++)
        world_client_end(&c[i]);
}

static void another_build_is_told_so(void **state)
{
    (void)state;
    struct client_end c;
    struct message m;
    world_client(w, &c, IPC_PEER_ADMIN, IPC_PHASE_START);
    ipc_Hello hello = {0};
    assert_int_equal(channel_send(c.channel, IPC_HELLO, 1, &hello, NULL, 0), CHANNEL_OK);
    world_receive(w, c.channel, &m);
    ipc_Refused refused;
    assert_int_equal(envelope_decode(&m.envelope, &refused), ENVELOPE_OK);
    assert_int_equal(refused.reason, ipc_RefusalReason_SCHEMA_MISMATCH);
    message_free(&m);
    world_client_end(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_WORLD(malformed_envelopes),
        IN_WORLD(an_oversize_message),
        IN_WORLD(a_body_that_does_not_decode),
        IN_WORLD(forged_stamps),
        IN_WORLD(answers_that_answer_nothing),
        IN_WORLD(answers_by_who_was_not_asked),
        IN_WORLD(an_answer_is_taken_once),
        IN_WORLD(a_request_number_in_use),
        IN_WORLD(floods),
        IN_WORLD(a_ready_without_a_lock),
        IN_WORLD(states_that_are_not_its_to_declare),
        IN_WORLD(consents_that_lie),
        IN_WORLD(bytes_that_were_not_consented_to),
        IN_WORLD(the_consented_bytes_pass),
        IN_WORLD(uplink_learns_nothing_before_consent),
        IN_WORLD(a_second_ticket_hears_of_the_first),
        IN_WORLD(who_writes_at_the_door_is_out),
        IN_WORLD(only_the_ticket_program_s_group_opens_tickets),
        IN_WORLD(connections_are_counted),
        IN_WORLD(users_do_not_shut_root_out),
        IN_WORLD(capture_learns_what_it_missed),
        IN_WORLD(another_build_is_told_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
