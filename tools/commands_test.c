/* What is new of commands, and that what the vault says of them neither draws nor breaks JSON. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "commands.h"

static ipc_CommandStatusReply before, now;

static void reset(void)
{
    memset(&before, 0, sizeof(before));
    memset(&now, 0, sizeof(now));
}

/* Adds as the newest. */
static void add(ipc_CommandStatusReply *reply, uint8_t token, ipc_CommandPhase phase,
                uint64_t at_ms)
{
    size_t most = sizeof(reply->recent) / sizeof(reply->recent[0]);
    size_t kept = reply->recent_count < most ? reply->recent_count : most - 1;
    memmove(reply->recent + 1, reply->recent, kept * sizeof(reply->recent[0]));
    reply->recent[0] = (ipc_CommandEntry){.token = {token}, .phase = phase, .accepted_ms = at_ms};
    reply->recent_count = (pb_size_t)(kept + 1);
}

static char seen[128];

static void show(void *context, const ipc_CommandEntry *entry, bool fresh)
{
    char one[16];
    assert_ptr_equal(context, seen);
    snprintf(one, sizeof(one), "%s%u ", fresh ? "+" : "=", entry->token[0]);
    strcat(seen, one);
}

static bool compare(uint64_t since_ms)
{
    *seen = '\0';
    return commands_compare(&before, &now, since_ms, show, seen);
}

static void test_new_and_changed(void **state)
{
    (void)state;
    reset();
    add(&now, 1, ipc_COMMAND_ENDED, 10);
    add(&now, 2, ipc_COMMAND_STARTED, 20);
    assert_true(compare(0));
    assert_string_equal(seen, "+1 +2 ");
    before = now;
    assert_true(compare(0));
    assert_string_equal(seen, "");
    now.recent[0].phase = ipc_COMMAND_ENDED;
    add(&now, 3, ipc_COMMAND_ACCEPTED, 30);
    assert_true(compare(0));
    assert_string_equal(seen, "=2 +3 ");
    assert_true(compare(30));
    assert_string_equal(seen, "+3 ");
}

static void test_missed(void **state)
{
    (void)state;
    reset();
    for (uint8_t i = 1; i <= 16; i++)
        add(&before, i, ipc_COMMAND_ENDED, i);
    now = before;
    for (uint8_t i = 17; i <= 31; i++)
        add(&now, i, ipc_COMMAND_ENDED, i);
    assert_true(compare(0)); /* 16 is still there */
    add(&now, 32, ipc_COMMAND_ENDED, 32);
    assert_false(compare(0));
    assert_non_null(strstr(seen, "+17 "));
}

static char *printed(void (*print)(const ipc_CommandStatusReply *reply))
{
    char *text = NULL;
    size_t length = 0;
    FILE *terminal = stdout;
    stdout = open_memstream(&text, &length);
    print(&now);
    fclose(stdout);
    stdout = terminal;
    return text;
}

static void test_text(void **state)
{
    (void)state;
    reset();
    char *text = printed(commands_print_text);
    assert_non_null(strstr(text, "none are taken: this build has no keys"));
    assert_non_null(strstr(text, "No command was accepted yet."));
    free(text);
    strcpy(now.store, "no such file"); /* which does not matter without keys */
    assert_false(commands_are_down(&now));
    now.keys_count = 1;
    now.keys[0] = (ipc_CommandKey){.profile = ipc_PROFILE_USER, .revoked = true, .revokes = true};
    strcpy(now.keys[0].kid, "ops");
    strcpy(now.keys[0].fingerprint, "SHA256:abc");
    now.receipts_waiting = 1;
    now.refused = 7;
    add(&now, 1, ipc_COMMAND_ENDED, 1790000000000);
    strcpy(now.recent[0].kid, "ops");
    strcpy(now.recent[0].result, "exit 3");
    strcpy(now.recent[0].summary, "'/bin/x' '\033[2J'");
    assert_true(commands_are_down(&now));
    text = printed(commands_print_text);
    assert_non_null(strstr(text, "1 key; 7 refused since the vault started; 1 receipt not"));
    assert_non_null(strstr(text, "every command is REFUSED: no such file"));
    assert_non_null(strstr(text, "ops         SHA256:abc user, revokes, REVOKED"));
    assert_non_null(strstr(text, "  ops           exit 3\n"));
    assert_non_null(strstr(text, "'/bin/x' '\\x1b[2J'"));
    assert_null(strchr(text, '\033'));
    free(text);
    text = printed(commands_print_summary);
    assert_non_null(strstr(text, "signed by ops: exit 3"));
    free(text);
}

static void test_json(void **state)
{
    (void)state;
    json_t *object = commands_object(&now);
    assert_int_equal(json_integer_value(json_object_get(object, "refused")), 7);
    assert_true(json_is_true(json_object_get(object, "down")));
    json_t *key = json_array_get(json_object_get(object, "keys"), 0);
    assert_string_equal(json_string_value(json_object_get(key, "profile")), "user");
    json_t *entry = json_array_get(json_object_get(object, "recent"), 0);
    assert_string_equal(json_string_value(json_object_get(entry, "phase")), "ended");
    assert_string_equal(json_string_value(json_object_get(entry, "token")),
                        "01000000000000000000000000000000");
    json_decref(object);
    strcpy(now.recent[0].summary, "\xff");
    object = commands_entry_object(&now.recent[0]);
    assert_string_equal(json_string_value(json_object_get(object, "summary")), "\\xff");
    json_decref(object);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_new_and_changed),
        cmocka_unit_test(test_missed),
        cmocka_unit_test(test_text),
        cmocka_unit_test(test_json),
    };
    return cmocka_run_group_tests_name("commands", tests, NULL, NULL);
}
