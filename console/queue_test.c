/* The queue of commands in the database. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sodium.h>

#include "log.h"
#include "machines.h"
#include "proof.h"
#include "queue.h"

static char folder[64];
static struct store *store;
static uint8_t one[32] = {1}, two[32] = {2};

static int set_up(void **state)
{
    (void)state;
    strcpy(folder, "/tmp/console-queue-XXXXXX");
    return mkdtemp(folder) ? store_open(&store, folder, true) : -1;
}

static int tear_down(void **state)
{
    char command[128];
    (void)state;
    store = store_close(store);
    snprintf(command, sizeof(command), "rm -r %s", folder);
    return system(command);
}

/* Pushes a token that is `text`. */
static int push(const uint8_t machine[32], const char *text, bool again)
{
    uint8_t id[16];
    assert_true(queue_token_id(id, text, strlen(text)));
    assert_int_equal(store_begin(store), 0);
    int result = queue_push(store, machine, id, text, strlen(text), again, 1000);
    assert_int_equal(store_end(store, 0), 0);
    return result;
}

static unsigned waiting(const uint8_t machine[32], bool under_way, struct queue_item items[8])
{
    unsigned count = 99;
    assert_int_equal(queue_waiting(store, machine, under_way, items, 8, &count), 0);
    return count;
}

static struct queue_item get(int64_t row)
{
    struct queue_item item;
    assert_int_equal(queue_get(store, row, &item), 0);
    return item;
}

static void in_the_order_of_pushing(void **state)
{
    (void)state;
    struct queue_item items[8];
    char text[8], token[QUEUE_TOKEN_MAX];
    size_t length = 0;
    for (int i = 0; i < 10; i++) {
        snprintf(text, sizeof(text), "t%d", i);
        assert_int_equal(push(one, text, false), 0);
        assert_int_equal(push(two, text, false), 0);
    }
    assert_int_equal(waiting(one, false, items), 8);
    for (int i = 0; i < 8; i++) {
        assert_int_equal(queue_token(store, items[i].token, token, &length), 0);
        assert_int_equal(length, 2);
        assert_int_equal(token[1], '0' + i);
        assert_memory_equal(items[i].machine, one, sizeof(one));
    }
    assert_int_equal(waiting(one, true, items), 0);
}

static void from_state_to_state(void **state)
{
    (void)state;
    struct queue_item items[8];
    const struct output_place place = {4096, {3, 4}};
    char receipt[MESSAGE_RECEIPT_MAX + 1];
    push(one, "t", false);
    waiting(one, false, items);
    int64_t row = items[0].row;
    assert_int_equal(queue_unsent(store, row), QUEUE_UNKNOWN);
    assert_int_equal(queue_running(store, row, 1), QUEUE_UNKNOWN);
    assert_int_equal(queue_done(store, row, "r", &place, 1), QUEUE_UNKNOWN);
    assert_int_equal(queue_sent(store, row, 2000), 0);
    assert_int_equal(queue_sent(store, row, 2000), QUEUE_UNKNOWN);
    assert_int_equal(waiting(one, false, items), 0);
    assert_int_equal(waiting(one, true, items), 1);
    assert_int_equal(queue_unsent(store, row), 0);
    assert_int_equal(queue_sent(store, row, 2000), 0);
    assert_int_equal(queue_running(store, row, 3000), 0);
    assert_int_equal(queue_unsent(store, row), QUEUE_UNKNOWN);
    assert_int_equal(queue_running(store, row, 9000), 0);
    assert_int_equal(queue_wrong_receipt(store, row, "signature"), 0);
    assert_string_equal(get(row).wrong_receipt, "signature");
    assert_int_equal(queue_receipt(store, row, receipt), QUEUE_UNKNOWN);
    assert_int_equal(queue_done(store, row, "r", &place, 4000), 0);
    assert_int_equal(queue_done(store, row, "s", &place, 4000), QUEUE_UNKNOWN);
    assert_int_equal(queue_refused(store, row, "x", "", 1), QUEUE_UNKNOWN);
    struct queue_item item = get(row);
    assert_int_equal(item.state, QUEUE_DONE);
    assert_int_equal(item.decided_time_ms, 3000);
    assert_int_equal(item.ended_time_ms, 4000);
    assert_memory_equal(&item.place, &place, sizeof(place));
    assert_string_equal(item.wrong_receipt, "");
    assert_int_equal(queue_receipt(store, row, receipt), 0);
    assert_string_equal(receipt, "r");
}

static void once_unless_again(void **state)
{
    (void)state;
    struct queue_item items[8];
    assert_int_equal(push(one, "t", false), 0);
    assert_int_equal(push(one, "t", false), QUEUE_KNOWN);
    assert_int_equal(push(one, "t", true), QUEUE_KNOWN);
    assert_int_equal(push(two, "t", false), 0);
    waiting(one, false, items);
    queue_sent(store, items[0].row, 1);
    queue_refused(store, items[0].row, "expired", "", 1);
    assert_int_equal(push(one, "t", false), QUEUE_KNOWN);
    assert_int_equal(push(one, "t", true), 0);
    assert_int_equal(waiting(one, false, items), 1);
}

static void found_by_the_beginning_of_the_id(void **state)
{
    (void)state;
    struct queue_item item, items[8];
    char hex[33];
    push(one, "t", false);
    waiting(one, false, items);
    sodium_bin2hex(hex, sizeof(hex), items[0].token, 16);
    assert_int_equal(queue_find(store, hex, NULL, &item), 0);
    assert_int_equal(item.row, items[0].row);
    hex[8] = '\0';
    assert_int_equal(queue_find(store, hex, NULL, &item), 0);
    assert_int_equal(queue_find(store, hex, two, &item), QUEUE_UNKNOWN);
    push(two, "t", false);
    assert_int_equal(queue_find(store, hex, NULL, &item), QUEUE_AMBIGUOUS);
    assert_int_equal(queue_find(store, hex, two, &item), 0);
    hex[7] = '\0';
    assert_int_equal(queue_find(store, hex, two, &item), QUEUE_UNKNOWN);
    assert_int_equal(queue_find(store, "%%%%%%%%", two, &item), QUEUE_UNKNOWN);
    /* Of two runs the one that was not refused. */
    queue_sent(store, items[0].row, 1);
    queue_running(store, items[0].row, 1);
    queue_done(store, items[0].row, "r", &items[0].place, 1);
    push(one, "t", true);
    struct queue_item again[8];
    waiting(one, false, again);
    queue_sent(store, again[0].row, 1);
    queue_refused(store, again[0].row, "replayed", "", 1);
    sodium_bin2hex(hex, sizeof(hex), items[0].token, 16);
    assert_int_equal(queue_find(store, hex, one, &item), 0);
    assert_int_equal(item.row, items[0].row);
}

static void enroll(const uint8_t public_key[32], uint8_t id[32])
{
    struct machine m = {.name = "desk"};
    char token[64], fingerprint[PROOF_FINGERPRINT_TEXT];
    proof_machine_id(m.id, public_key);
    memcpy(m.public_key, public_key, 32);
    memcpy(id, m.id, 32);
    proof_fingerprint(fingerprint, public_key);
    assert_int_equal(machines_token(store, token, 0, 1000), 0);
    assert_int_equal(machines_enroll(store, token, &m, 1), 0);
    assert_int_equal(machines_approve(store, id, fingerprint, 1), 0);
}

static void deleting(void **state)
{
    (void)state;
    struct queue_item items[8];
    uint8_t key[32] = {9}, id[32];
    char token[QUEUE_TOKEN_MAX];
    size_t length;
    enroll(key, id);
    push(id, "t", false);
    push(two, "t", false);
    waiting(id, false, items);
    queue_sent(store, items[0].row, 1);
    assert_int_equal(queue_delete(store, items[0].row, true), QUEUE_UNKNOWN);
    queue_running(store, items[0].row, 1);
    assert_int_equal(queue_delete(store, items[0].row, true), QUEUE_UNKNOWN);
    assert_int_equal(machines_revoke(store, id, 1), 0);
    assert_int_equal(queue_delete(store, items[0].row, true), 0);
    assert_int_equal(queue_token(store, items[0].token, token, &length), 0);
    waiting(two, false, items);
    assert_int_equal(queue_delete(store, items[0].row, true), 0);
    assert_int_equal(queue_token(store, items[0].token, token, &length), QUEUE_UNKNOWN);
    assert_int_equal(queue_delete(store, items[0].row, true), QUEUE_UNKNOWN);
}

static void expiring(void **state)
{
    (void)state;
    struct queue_item items[8];
    uint8_t key[32] = {9}, id[32];
    int64_t row;
    enroll(key, id);
    push(id, "t", false);
    push(id, "u", false);
    assert_int_equal(queue_expired(store, 1001, &row), QUEUE_UNKNOWN); /* it is connected */
    waiting(id, false, items);
    queue_sent(store, items[1].row, 2000);
    queue_refused(store, items[1].row, "expired", "", 3000);
    assert_int_equal(queue_expired(store, 3000, &row), QUEUE_UNKNOWN);
    assert_int_equal(queue_expired(store, 3001, &row), 0);
    assert_int_equal(row, items[1].row);
    assert_int_equal(queue_delete(store, row, false), 0);
    assert_int_equal(queue_expired(store, 3001, &row), QUEUE_UNKNOWN);
    assert_int_equal(machines_all_gone(store), 0);
    assert_int_equal(queue_expired(store, 1001, &row), 0);
    assert_int_equal(row, items[0].row);
}

static void what_is_stored(void **state)
{
    (void)state;
    struct queue_item items[8];
    uint64_t bytes = 1;
    assert_int_equal(queue_stored(store, one, &bytes), 0);
    assert_int_equal(bytes, 0);
    push(one, "t", false);
    push(one, "u", false);
    waiting(one, false, items);
    queue_progress(store, items[0].row, &(struct output_place){1000, {1, 0}});
    queue_progress(store, items[1].row, &(struct output_place){500, {1, 0}});
    assert_int_equal(queue_stored(store, one, &bytes), 0);
    assert_int_equal(bytes, 1500);
}

/* Makes of the database what a console without commands left. */
static void make_older(void)
{
    static const char *const steps[] = {"DROP TABLE commands", "DROP TABLE command_tokens",
                                        "PRAGMA user_version = 1"};
    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++)
        assert_int_equal(store_run(store_prepare(store, steps[i])), 0);
}

static void an_older_database_is_brought_up_to_date(void **state)
{
    (void)state;
    struct machine m;
    uint8_t key[32] = {9}, id[32];
    enroll(key, id);
    make_older();
    store = store_close(store);
    assert_int_equal(store_open(&store, folder, false), 0);
    assert_int_equal(machines_get(store, id, &m), 0);
    assert_int_equal(push(id, "t", false), 0);
    assert_int_equal(store_run(store_prepare(store, "PRAGMA user_version = 3")), 0);
    store = store_close(store);
    assert_int_equal(store_open(&store, folder, false), -EPROTO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(in_the_order_of_pushing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(from_state_to_state, set_up, tear_down),
        cmocka_unit_test_setup_teardown(once_unless_again, set_up, tear_down),
        cmocka_unit_test_setup_teardown(found_by_the_beginning_of_the_id, set_up, tear_down),
        cmocka_unit_test_setup_teardown(deleting, set_up, tear_down),
        cmocka_unit_test_setup_teardown(expiring, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_stored, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_older_database_is_brought_up_to_date, set_up, tear_down),
    };
    log_setup("test", 0);
    return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
