#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "peer.h"

static struct envelope envelope(uint16_t number, uint32_t request)
{
    return (struct envelope){.type = ipc_type_find(number), .number = number, .request = request};
}

static bool refused_by_schema(enum ipc_peer kind, enum ipc_phase phase, uint16_t number)
{
    struct peer peer = {.kind = kind, .phase = phase};
    struct envelope e =
        envelope(number, ipc_is_answer(ipc_types + number) || ipc_is_request(number));
    return peer_check(&peer, &e, 1) == PEER_NOT_GRANTED;
}

/* Every cell of (sender, type, phase), the impossible ones included, against the generated list. */
static void every_cell_is_as_the_schema_says(void **state)
{
    (void)state;
    static bool listed[IPC_PEER_LIMIT][IPC_PHASE_LIMIT][IPC_TYPE_LIMIT];
    size_t cells = 0;
#define X(peer, phase, type)                                                                       \
    listed[IPC_PEER_##peer][IPC_PHASE_##phase][IPC_##type] = true;                                 \
    cells++;
#include "ipc_refused.h"
#undef X
    assert_int_equal(cells, IPC_REFUSED_CELLS);
    size_t found = 0;
    for (int peer = IPC_PEER_BROKER + 1; peer < IPC_PEER_LIMIT; peer++)
        for (int phase = 1; phase < IPC_PHASE_LIMIT; phase++)
            for (uint16_t n = 1; n < IPC_TYPE_LIMIT; n++) {
                if (!ipc_type_find(n))
                    continue;
                bool refused = refused_by_schema(peer, phase, n);
                if (listed[peer][phase][n])
                    assert_true(refused);
                found += refused && listed[peer][phase][n];
            }
    assert_int_equal(found, cells);
}

static void stamps_are_the_broker_s(void **state)
{
    (void)state;
    struct peer peer = {.kind = IPC_PEER_ADMIN, .phase = IPC_PHASE_SERVE};
    struct envelope e = envelope(IPC_STATUS, 1);
    e.ticket = 1;
    assert_int_equal(peer_check(&peer, &e, 1), PEER_STAMPED);
    e.ticket = 0;
    e.uid = 1000;
    assert_int_equal(peer_check(&peer, &e, 1), PEER_STAMPED);
    e.uid = 0;
    assert_int_equal(peer_check(&peer, &e, 1), PEER_OK);
}

static void requests_have_numbers_and_notices_have_none(void **state)
{
    (void)state;
    struct peer admin = {.kind = IPC_PEER_ADMIN, .phase = IPC_PHASE_SERVE};
    struct envelope e = envelope(IPC_STATUS, 0);
    assert_int_equal(peer_check(&admin, &e, 1), PEER_NO_REQUEST);
    struct peer vault = {.kind = IPC_PEER_VAULT, .phase = IPC_PHASE_SERVE};
    e = envelope(IPC_VAULT_EVENT, 1);
    assert_int_equal(peer_check(&vault, &e, 1), PEER_NO_REQUEST);
    e = envelope(IPC_ORIGIN_SIGNED, 0);
    assert_int_equal(peer_check(&vault, &e, 1), PEER_NO_REQUEST);
}

static void once_is_once_and_quotas_count_by_type(void **state)
{
    (void)state;
    struct peer capture = {.kind = IPC_PEER_CAPTURE, .phase = IPC_PHASE_START};
    struct envelope e = envelope(IPC_HELLO, 1);
    assert_int_equal(peer_check(&capture, &e, 1), PEER_OK);
    assert_int_equal(peer_check(&capture, &e, 1), PEER_AGAIN);

    struct peer admin = {.kind = IPC_PEER_ADMIN, .phase = IPC_PHASE_SERVE};
    for (uint32_t i = 0; i < ipc_types[IPC_STATUS].per_second; i++) {
        e = envelope(IPC_STATUS, i + 1);
        assert_int_equal(peer_check(&admin, &e, 1), PEER_OK);
    }
    assert_int_equal(peer_check(&admin, &e, 1), PEER_QUOTA);
    e = envelope(IPC_MACHINE_IDENTITY, 99);
    assert_int_equal(peer_check(&admin, &e, 1), PEER_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_cell_is_as_the_schema_says),
        cmocka_unit_test(stamps_are_the_broker_s),
        cmocka_unit_test(requests_have_numbers_and_notices_have_none),
        cmocka_unit_test(once_is_once_and_quotas_count_by_type),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
