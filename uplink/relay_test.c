#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "relay_place.h"

#define TICKET 5

/* A relay whose worker is at one end of a real channel; the test is the broker at the other. */
static struct relay_place at;

static int set_up(void **state)
{
    (void)state;
    relay_place_open(&at);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    return relay_place_close(&at);
}

/* The broker says something, and the relay has handled it. */
static void bring(uint16_t number, uint32_t request, uint32_t ticket, const void *body)
{
    struct pollfd ready = {.fd = channel_fd(at.worker.channel), .events = POLLIN};
    struct message message;

    assert_int_equal(channel_send_stamped(at.broker, number, request, ticket, 1000, body, NULL, 0),
                     CHANNEL_OK);
    assert_int_equal(poll(&ready, 1, DEADLINE_MS), 1);
    assert_true(worker_next(&at.worker, &message));
    relay_message(&at.relay, &message, 0);
    message_free(&message);
}

/* The next answer at the broker must be a refusal of `request`. */
static void expect_refused(uint32_t request, ipc_RefusalReason reason)
{
    struct pollfd ready = {.fd = channel_fd(at.broker), .events = POLLIN};
    struct message message;
    enum envelope_outcome why;
    ipc_Refused refused;

    assert_int_equal(poll(&ready, 1, DEADLINE_MS), 1);
    assert_int_equal(channel_receive(at.broker, &message, &why), CHANNEL_OK);
    assert_int_equal(message.envelope.number, IPC_REFUSED);
    assert_int_equal(message.envelope.request, request);
    assert_int_equal(envelope_decode(&message.envelope, &refused), ENVELOPE_OK);
    assert_int_equal(refused.reason, reason);
    message_free(&message);
}

/* Nothing more is said: the refusal of a request that is asked now comes next. */
static void expect_silence(void)
{
    const ipc_BundleFinish body = ipc_BundleFinish_init_zero;

    bring(IPC_BUNDLE_FINISH, 999, TICKET, &body);
    expect_refused(999, ipc_RefusalReason_NO_SUCH);
}

/* What nobody answers stays in the broker's table for good, which holds a limited number. */
static void an_ended_ticket_leaves_no_question_open(void **state)
{
    const ipc_TicketEnded body = {.ticket = TICKET};
    struct relay_ticket *ticket = &at.relay.tickets[3];

    (void)state;
    *ticket = (struct relay_ticket){.ticket = TICKET, .chunks = 9, .begin = 11, .finish = 12};
    for (uint32_t i = 0; i < UPLOAD_AHEAD_MAX; i++)
        ticket->chunk[i] = 20 + i;
    bring(IPC_TICKET_ENDED, 0, 0, &body);
    expect_refused(11, ipc_RefusalReason_NO_SUCH);
    for (uint32_t i = 0; i < UPLOAD_AHEAD_MAX; i++)
        expect_refused(20 + i, ipc_RefusalReason_NO_SUCH);
    expect_refused(12, ipc_RefusalReason_NO_SUCH);
    assert_int_equal(ticket->ticket, 0);
    expect_silence();
}

static void an_unknown_ticket_may_end(void **state)
{
    ipc_TicketEnded body = {.ticket = TICKET};

    (void)state;
    bring(IPC_TICKET_ENDED, 0, 0, &body);
    body.ticket = 0;
    bring(IPC_TICKET_ENDED, 0, 0, &body);
    expect_silence();
}

#define unit(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        unit(an_ended_ticket_leaves_no_question_open),
        unit(an_unknown_ticket_may_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
