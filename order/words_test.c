#include "words.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static void every_decision_has_a_word_of_its_own(void **state)
{
    (void)state;
    for (int a = 0; a <= (int)_ipc_Decision_MAX; a++) {
        const char *word = decision_word((ipc_Decision)a);
        assert_non_null(word);
        assert_int_equal(strspn(word, "abcdefghijklmnopqrstuvwxyz_"), strlen(word));
        for (int b = 0; b < a; b++)
            assert_string_not_equal(word, decision_word((ipc_Decision)b));
    }
    assert_string_equal(decision_word(ipc_DECISION_NOT_YET_VALID), "not_yet_valid");
    assert_string_equal(decision_word((ipc_Decision)_ipc_Decision_ARRAYSIZE), "unspecified");
    assert_string_equal(decision_word((ipc_Decision)-1), "unspecified");
}

/* Reads the words from the page, so that neither changes without the other. */
static char *read_page(void)
{
    static char page[65536];
    FILE *file = fopen(COMMANDS_PAGE, "r");
    assert_non_null(file);
    size_t length = fread(page, 1, sizeof page - 1, file);
    fclose(file);
    assert_in_range(length, 1, sizeof page - 2);
    return page;
}

static void the_page_lists_them(void **state)
{
    (void)state;
    const char *page = strstr(read_page(), "## What is checked");
    assert_non_null(page);
    for (int d = ipc_DECISION_TOO_LONG; d <= (int)_ipc_Decision_MAX; d++) {
        char word[64];
        snprintf(word, sizeof word, "`%s`", decision_word((ipc_Decision)d));
        if (!strstr(page, word))
            fail_msg("%s is not in docs/commands.md", word);
    }
    const char *line = strstr(page, "Reasons of `not_run`: ");
    assert_non_null(line);
    const char *other = strstr(line, "Of `unknown`: ");
    assert_non_null(other);
    line += strlen("Reasons of `not_run`: ");
    other += strlen("Of `unknown`: ");
    int not_run = 0, unknown = 0;
    char word[32];
    for (const char *at = line; *at && strncmp(at, "\n\n", 2) != 0; at++) {
        if (sscanf(at, "`%31[a-z_]`", word) != 1)
            continue;
        at += strlen(word) + 1;
        if (strcmp(word, "unknown") == 0)
            continue;
        if (at < other) {
            assert_true(not_run_word(word));
            not_run++;
        } else {
            assert_true(unknown_word(word));
            unknown++;
        }
    }
    assert_int_equal(not_run, 10);
    assert_int_equal(unknown, 2);
}

static void what_is_no_word_is_none(void **state)
{
    (void)state;
    assert_false(not_run_word(""));
    assert_false(not_run_word("runner_died"));
    assert_false(not_run_word("agent_stopped\""));
    assert_false(unknown_word("policy_profile"));
}

static void profiles_have_words(void **state)
{
    (void)state;
    assert_string_equal(profile_word(ipc_PROFILE_DIAGNOSTIC), "diagnostic");
    assert_string_equal(profile_word(ipc_PROFILE_USER), "user");
    assert_string_equal(profile_word(ipc_PROFILE_ADMIN), "admin");
    assert_string_equal(profile_word((ipc_CommandProfile)4), "none");
}

static void only_what_was_authentic_is(void **state)
{
    (void)state;
    assert_true(decision_is_authentic(ipc_DECISION_ACCEPTED));
    assert_true(decision_is_authentic(ipc_DECISION_REVOCATION));
    assert_true(decision_is_authentic(ipc_DECISION_PAYLOAD));
    assert_true(decision_is_authentic(ipc_DECISION_COUNTERSIGNATURE));
    for (int d = ipc_DECISION_TOO_LONG; d <= ipc_DECISION_BUSY; d++)
        assert_false(decision_is_authentic((ipc_Decision)d));
    assert_false(decision_is_authentic(ipc_DECISION_UNSPECIFIED));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_decision_has_a_word_of_its_own),
        cmocka_unit_test(the_page_lists_them),
        cmocka_unit_test(what_is_no_word_is_none),
        cmocka_unit_test(profiles_have_words),
        cmocka_unit_test(only_what_was_authentic_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
