/* Tokens and machines in a real database file, with a second connection beside it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sodium.h>

#include "log.h"
#include "machines.h"
#include "proof.h"
#include "token.h"

#define NOW UINT64_C(1790000000000)

static char folder[64];
static struct store *store;

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *where)
{
    (void)status;
    (void)type;
    (void)where;
    return remove(path);
}

static int set_up(void **state)
{
    (void)state;
    strcpy(folder, "/tmp/console-machines-XXXXXX");
    return mkdtemp(folder) ? store_open(&store, folder, true) : -1;
}

static int tear_down(void **state)
{
    (void)state;
    store = store_close(store);
    return nftw(folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static struct machine make_machine(const char *name)
{
    struct machine m = {0};
    randombytes_buf(m.public_key, sizeof(m.public_key));
    proof_machine_id(m.id, m.public_key);
    snprintf(m.name, sizeof(m.name), "%s", name);
    return m;
}

static struct machine enrolled(const char *name)
{
    char token[TOKEN_TEXT];
    struct machine m = make_machine(name);
    assert_int_equal(machines_token(store, token, NOW, NOW + 1000), 0);
    assert_int_equal(machines_enroll(store, token, &m, NOW), 0);
    return m;
}

static void a_token_is_single_use_and_expires(void **state)
{
    (void)state;
    char token[TOKEN_TEXT], other[TOKEN_TEXT];
    struct machine a = make_machine("a"), b = make_machine("b"), found;
    assert_int_equal(machines_token(store, token, NOW, NOW + 1000), 0);
    assert_int_equal(machines_token(store, other, NOW, NOW + 1000), 0);
    assert_int_equal(machines_enroll(store, token, &a, NOW + 1000), MACHINES_TOKEN_REFUSED);
    assert_int_equal(machines_get(store, a.id, &found), MACHINES_UNKNOWN);
    assert_int_equal(machines_enroll(store, token, &a, NOW + 999), 0);
    assert_int_equal(machines_enroll(store, token, &b, NOW + 999), MACHINES_TOKEN_REFUSED);
    assert_int_equal(machines_get(store, a.id, &found), 0);
    assert_int_equal(found.state, MACHINES_PENDING);
    assert_string_equal(found.name, "a");
    /* A machine that is known does not use a token up. */
    assert_int_equal(machines_enroll(store, other, &a, NOW), MACHINES_KNOWN);
    assert_int_equal(machines_enroll(store, other, &b, NOW), 0);
}

static void a_wrong_secret_does_not_spend_the_token(void **state)
{
    (void)state;
    char token[TOKEN_TEXT], wrong[TOKEN_TEXT];
    struct machine a = make_machine("a");
    assert_int_equal(machines_token(store, token, NOW, NOW + 1000), 0);
    strcpy(wrong, token);
    wrong[20] = wrong[20] == 'A' ? 'B' : 'A';
    assert_int_equal(machines_enroll(store, wrong, &a, NOW), MACHINES_TOKEN_REFUSED);
    assert_int_equal(machines_enroll(store, "garbage", &a, NOW), MACHINES_TOKEN_REFUSED);
    assert_int_equal(machines_enroll(store, token, &a, NOW), 0);
}

static void approval_wants_the_fingerprint(void **state)
{
    (void)state;
    char fingerprint[PROOF_FINGERPRINT_TEXT];
    struct machine a = enrolled("a"), b = enrolled("b"), found;
    proof_fingerprint(fingerprint, a.public_key);
    assert_int_equal(machines_approve(store, b.id, fingerprint, NOW), MACHINES_MISMATCH);
    assert_int_equal(machines_get(store, b.id, &found), 0);
    assert_int_equal(found.state, MACHINES_PENDING);
    assert_int_equal(machines_approve(store, a.id, fingerprint, NOW), 0);
    assert_int_equal(machines_get(store, a.id, &found), 0);
    assert_int_equal(found.state, MACHINES_APPROVED);
    assert_int_equal(machines_revoke(store, a.id, NOW), 0);
    assert_int_equal(machines_get(store, a.id, &found), 0);
    assert_int_equal(found.state, MACHINES_REVOKED);
    assert_int_equal(machines_revoke(store, make_machine("x").id, NOW), MACHINES_UNKNOWN);
}

static void rotation_is_a_claim_until_it_is_approved(void **state)
{
    (void)state;
    char fingerprint[PROOF_FINGERPRINT_TEXT];
    struct machine old = enrolled("old"), found;
    struct machine claims[MACHINES_CLAIMS_MAX + 1], early = make_machine("");
    early.has_previous = true;
    memcpy(early.previous, old.id, 32);
    assert_int_equal(machines_rotate(store, &early, NOW), MACHINES_CLAIM_REFUSED);
    proof_fingerprint(fingerprint, old.public_key);
    assert_int_equal(machines_approve(store, old.id, fingerprint, NOW), 0);
    for (int i = 0; i <= MACHINES_CLAIMS_MAX; i++) {
        claims[i] = make_machine("");
        claims[i].has_previous = true;
        memcpy(claims[i].previous, old.id, 32);
        strcpy(claims[i].reason, "disk");
        int expected = i < MACHINES_CLAIMS_MAX ? 0 : MACHINES_CLAIM_REFUSED;
        assert_int_equal(machines_rotate(store, &claims[i], NOW), expected);
    }
    assert_int_equal(machines_rotate(store, &claims[0], NOW), MACHINES_KNOWN);
    assert_int_equal(machines_get(store, old.id, &found), 0);
    assert_int_equal(found.state, MACHINES_APPROVED);
    memcpy(early.previous, claims[0].id, 32);
    assert_int_equal(machines_rotate(store, &early, NOW), MACHINES_CLAIM_REFUSED);
    proof_fingerprint(fingerprint, claims[1].public_key);
    assert_int_equal(machines_approve(store, claims[1].id, fingerprint, NOW), 0);
    const enum machines_state expected[] = {MACHINES_REVOKED, MACHINES_APPROVED, MACHINES_REVOKED,
                                            MACHINES_REVOKED};
    for (int i = 0; i < MACHINES_CLAIMS_MAX; i++) {
        assert_int_equal(machines_get(store, claims[i].id, &found), 0);
        assert_int_equal(found.state, expected[i]);
        assert_string_equal(found.name, "old");
    }
    assert_int_equal(machines_get(store, old.id, &found), 0);
    assert_int_equal(found.state, MACHINES_REVOKED);
}

static void machines_are_found_by_name_or_digits(void **state)
{
    (void)state;
    char hex[65];
    struct machine a = enrolled("desk"), b = enrolled("twin"), c = enrolled("twin"), found;
    sodium_bin2hex(hex, sizeof(hex), a.id, 32);
    assert_int_equal(machines_find(store, "desk", &found), 0);
    assert_memory_equal(found.id, a.id, 32);
    assert_int_equal(machines_find(store, hex, &found), 0);
    hex[8] = '\0';
    assert_int_equal(machines_find(store, hex, &found), 0);
    hex[7] = '\0';
    assert_int_equal(machines_find(store, hex, &found), MACHINES_UNKNOWN);
    assert_int_equal(machines_find(store, "twin", &found), MACHINES_AMBIGUOUS);
    assert_int_equal(machines_find(store, "' OR 1 --", &found), MACHINES_UNKNOWN);
    /* A machine that calls itself like another's id does not take its place. */
    sodium_bin2hex(hex, sizeof(hex), b.id, 32);
    hex[12] = '\0';
    enrolled(hex);
    assert_int_equal(machines_find(store, hex, &found), MACHINES_AMBIGUOUS);
    (void)c;
}

static void another_connection_is_noticed(void **state)
{
    (void)state;
    struct store *other;
    struct machine a = enrolled("a");
    assert_int_equal(store_open(&other, folder, false), 0);
    uint32_t before = store_version(store);
    assert_int_equal(store_version(store), before);
    assert_int_equal(machines_revoke(store, a.id, NOW), 0);
    assert_int_equal(store_version(store), before);
    assert_int_equal(machines_revoke(other, a.id, NOW + 1), 0);
    assert_int_not_equal(store_version(store), before);
    store_close(other);
}

static void the_file_is_private_and_not_made_by_accident(void **state)
{
    (void)state;
    struct stat status;
    struct store *other = NULL;
    char path[128];
    snprintf(path, sizeof(path), "%s/console.db", folder);
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0600);
    assert_int_equal(store_open(&other, "/tmp", false), -ENOENT);
    assert_null(other);
}

static void a_newer_schema_is_left_alone(void **state)
{
    (void)state;
    struct store *other = NULL;
    assert_int_equal(store_run(store_prepare(store, "PRAGMA user_version = 99")), 0);
    assert_int_equal(store_open(&other, folder, false), -EPROTO);
    assert_null(other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_token_is_single_use_and_expires, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_wrong_secret_does_not_spend_the_token, set_up, tear_down),
        cmocka_unit_test_setup_teardown(approval_wants_the_fingerprint, set_up, tear_down),
        cmocka_unit_test_setup_teardown(rotation_is_a_claim_until_it_is_approved, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(machines_are_found_by_name_or_digits, set_up, tear_down),
        cmocka_unit_test_setup_teardown(another_connection_is_noticed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_file_is_private_and_not_made_by_accident, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_newer_schema_is_left_alone, set_up, tear_down),
    };
    log_setup("test", 0);
    return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
