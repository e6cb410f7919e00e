/*
 * Tokens verified behind the vault's shipped seccomp program, where whatever libcrypto or jansson
 * would still have to open, load or ask for kills.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>
#include <sodium.h>

#include "behind_filter.h"
#include "token.h"
#include "token_sample.h"

#define TOKENS 8

static struct {
    char text[TOKEN_BYTES_MAX + 1];
    size_t length;
    ipc_Decision decision;
} tokens[TOKENS];
static size_t count;

static void add(enum sample_key key, const char *payload, size_t length, ipc_Decision decision)
{
    assert_true(count < TOKENS);
    tokens[count].length = sample_sign(tokens[count].text, key, payload, length);
    tokens[count++].decision = decision;
}

/* A command with as much standard input as fits. */
static void add_long(void)
{
    static char payload[TOKEN_PAYLOAD_MAX];
    const char *base = sample_payload("diagnostic");
    size_t used = strlen(base) - 1, fill = 195000 / 4 * 4;
    memcpy(payload, base, used);
    used += (size_t)sprintf(payload + used, ",\"stdin\":\"");
    memset(payload + used, 'A', fill);
    memcpy(payload + used + fill, "\"}", 2);
    add(SAMPLE_DIAGNOSTIC, payload, used + fill + 2, ipc_DECISION_ACCEPTED);
}

static int set_up(void **state)
{
    (void)state;
    static const char list[] =
        "{\"typ\":\"cloister-revocation\",\"ver\":1,\"revoked\":[\"ops-2\"]}";
    const char *admin;
    if (sodium_init() < 0)
        return -1;
    add_long();
    admin = sample_payload("admin");
    add(SAMPLE_ADMIN, list, strlen(list), ipc_DECISION_REVOCATION);
    add(SAMPLE_ADMIN, admin, strlen(admin), ipc_DECISION_COUNTERSIGNATURE);
    add(SAMPLE_CUSTOMER, tokens[count - 1].text, tokens[count - 1].length, ipc_DECISION_ACCEPTED);
    add(SAMPLE_DIAGNOSTIC, "{\"a\":1,\"a\":1}", 13, ipc_DECISION_PAYLOAD);
    add(SAMPLE_DIAGNOSTIC, "[1e999,1.5,\"\\u00e4\xff\"]", 22, ipc_DECISION_PAYLOAD);
    add(SAMPLE_DIAGNOSTIC, list, strlen(list), ipc_DECISION_PROFILE);
    add(SAMPLE_DIAGNOSTIC, list, strlen(list), ipc_DECISION_SIGNATURE);
    char *changed = &tokens[count - 1].text[tokens[count - 1].length - 9];
    *changed = *changed == 'A' ? 'B' : 'A';
    return 0;
}

static void verify_all(void)
{
    static struct token token;
    static struct order order;
    static uint8_t written[ORDER_MAX];
    struct command_keys table;
    struct token_verifier *verifier;
    sample_table(&table, SAMPLE_KEYS);
    if (token_verifier_new(&verifier, &table))
        _exit(98);
    behind_filter_enter();
    for (unsigned round = 0; round < 50; round++) {
        for (size_t i = 0; i < count; i++) {
            ipc_Decision decision =
                token_verify(verifier, &token, (uint8_t *)tokens[i].text, tokens[i].length, 0);
            if (decision != tokens[i].decision)
                _exit((int)i + 1);
            if (decision != ipc_DECISION_ACCEPTED)
                continue;
            token_order(&order, &token, 1, 1);
            if (order_write(written, sizeof written, &order) == 0)
                _exit(97);
        }
    }
    _exit(0);
}

static void verifies_behind_the_filter(void **state)
{
    (void)state;
    int status;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0)
        verify_all();
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(verifies_behind_the_filter),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}
