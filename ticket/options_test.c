#include "options.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

static int parse(struct options *out, char *complaint, const char *const *words)
{
    char *argv[100] = {(char *)(size_t) "cloister-ticket"};
    int argc = 1;
    for (; words[argc - 1]; argc++)
        argv[argc] = (char *)(size_t)words[argc - 1];
    return options_parse(out, argc, argv, complaint, 100);
}
#define PARSE(...) parse(&options, complaint, (const char *const[]){__VA_ARGS__, NULL})

static void reads_a_scripts_line(void **state)
{
    (void)state;
    struct options options;
    char complaint[100];
    assert_int_equal(PARSE("--description", "it broke", "--drop", "id:2@5",
                           "--redact=id:3@6:1,2,3,4", "--until", "9@9", "--yes",
                           "--wait-for-connection"),
                     0);
    assert_string_equal(options.description, "it broke");
    assert_true(options.yes && options.wait_for_connection && !options.list && !options.json);
    assert_int_equal(options.edit_count, 2);
    assert_int_equal(options.edits[0].kind, OPTION_DROP);
    assert_string_equal(options.edits[0].value, "id:2@5");
    assert_int_equal(options.edits[1].kind, OPTION_REDACT);
    assert_string_equal(options.edits[1].value, "id:3@6:1,2,3,4");
    assert_string_equal(options.until, "9@9");
    assert_string_equal(options.agent, "/run/cloister");
}

static void refuses_what_it_does_not_know(void **state)
{
    (void)state;
    struct options options;
    char complaint[100];
    assert_int_equal(PARSE("--send"), 1);
    assert_string_equal(complaint, "unknown argument \"--send\"");
    assert_int_equal(PARSE("--yes=no"), 1);
    assert_int_equal(PARSE("file"), 1);
    assert_int_equal(PARSE(""), 1);
    assert_int_equal(PARSE("--drop"), 1);
    assert_string_equal(complaint, "--drop needs a value");
    assert_int_equal(PARSE("--list", "--yes"), 1);
    assert_int_equal(PARSE("--list", "--drop", "1"), 1);
    assert_int_equal(PARSE("--json"), 1);
    assert_int_equal(PARSE("--list", "--json"), 0);
    /* A value that looks like an option is a value. */
    assert_int_equal(PARSE("--description", "--yes"), 0);
    assert_false(options.yes);
}

/* --yes says which frames go, and not by their places in another run's list. */
static void a_consent_names_frames(void **state)
{
    (void)state;
    struct options options;
    char complaint[100];
    assert_int_equal(PARSE("--yes"), 1);
    assert_non_null(strstr(complaint, "which frames"));
    assert_int_equal(PARSE("--yes", "--drop", "id:1@2"), 1);
    assert_int_equal(PARSE("--yes", "--redact", "id:1@2:1,2,3,4"), 1);
    assert_int_equal(PARSE("--yes", "--keep", "1-3"), 1);
    assert_non_null(strstr(complaint, "by id"));
    assert_int_equal(PARSE("--yes", "--until", "3@4", "--drop", "1"), 1);
    assert_int_equal(PARSE("--yes", "--until", "3@4", "--redact", "2:1,2,3,4"), 1);
    assert_int_equal(PARSE("--yes", "--until", "3@4", "--no-title", "1"), 1);
    assert_int_equal(PARSE("--yes", "--until", "3@4"), 0);
    assert_int_equal(PARSE("--yes", "--until", "3@4", "--drop", "id:1@2", "--no-title", "all"), 0);
    assert_int_equal(PARSE("--yes", "--keep", "id:1@2,id:2@3"), 0);
    assert_int_equal(PARSE("--yes", "--keep", "all"), 0);
    assert_int_equal(PARSE("--yes", "--drop", "all"), 0);
    assert_int_equal(PARSE("--drop", "1", "--until", "3@4"), 0);
    assert_int_equal(PARSE("--list", "--until", "3@4"), 1);
}

static void bounds_the_edits(void **state)
{
    (void)state;
    struct options options;
    char complaint[100];
    const char *words[OPTIONS_EDITS_MAX + 2] = {0};
    for (int i = 0; i < OPTIONS_EDITS_MAX; i++)
        words[i] = "--drop=1";
    assert_int_equal(parse(&options, complaint, words), 0);
    words[OPTIONS_EDITS_MAX] = "--drop=1";
    assert_int_equal(parse(&options, complaint, words), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_a_scripts_line),
        cmocka_unit_test(refuses_what_it_does_not_know),
        cmocka_unit_test(a_consent_names_frames),
        cmocka_unit_test(bounds_the_edits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
