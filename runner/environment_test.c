#include "environment.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

static struct environment environment;
static struct order order;

static const char *value_of(const char *name)
{
    size_t length = strlen(name);
    const char *found = NULL;
    for (size_t i = 0; environment.texts[i]; i++)
        if (strncmp(environment.texts[i], name, length) == 0 &&
            environment.texts[i][length] == '=') {
            assert_null(found); /* none twice */
            found = environment.texts[i] + length + 1;
        }
    return found;
}

static size_t count(void)
{
    size_t n = 0;
    while (environment.texts[n])
        n++;
    return n;
}

static void test_without_a_user(void **state)
{
    (void)state;
    order = (struct order){0};
    environment_fill(&environment, &order, NULL);
    assert_int_equal(count(), 3);
    assert_string_equal(value_of("HOME"), "/");
    assert_string_equal(value_of("LANG"), "C.UTF-8");
    assert_non_null(strstr(value_of("PATH"), "/usr/bin:"));
}

static void test_of_a_user(void **state)
{
    (void)state;
    const struct environment_user user = {"anna", "/home/anna", "/bin/zsh", "/run/user/1000"};
    order = (struct order){0};
    environment_fill(&environment, &order, &user);
    assert_int_equal(count(), 7);
    assert_string_equal(value_of("HOME"), "/home/anna");
    assert_string_equal(value_of("USER"), "anna");
    assert_string_equal(value_of("LOGNAME"), "anna");
    assert_string_equal(value_of("SHELL"), "/bin/zsh");
    assert_string_equal(value_of("XDG_RUNTIME_DIR"), "/run/user/1000");
}

static void test_order_comes_first(void **state)
{
    (void)state;
    order = (struct order){.envc = 3, .env = {"PATH=/x", "HOMER=y", "HOME="}};
    environment_fill(&environment, &order, NULL);
    assert_int_equal(count(), 4);
    assert_string_equal(value_of("PATH"), "/x");
    assert_string_equal(value_of("HOME"), "");
    assert_string_equal(value_of("HOMER"), "y");
}

static void test_most_variables(void **state)
{
    (void)state;
    static char names[ORDER_TEXTS_MAX][16];
    const struct environment_user user = {"a", "/a", "/s", "/r"};
    order = (struct order){.envc = ORDER_TEXTS_MAX};
    for (int i = 0; i < ORDER_TEXTS_MAX; i++) {
        snprintf(names[i], sizeof names[i], "V%d=%d", i, i);
        order.env[i] = names[i];
    }
    environment_fill(&environment, &order, &user);
    assert_int_equal(count(), ORDER_TEXTS_MAX + 7);
}

static void test_text_that_does_not_fit(void **state)
{
    (void)state;
    static char home[ENVIRONMENT_TEXT];
    memset(home, '/', sizeof home - 1);
    const struct environment_user user = {"a", home, "/s", NULL};
    order = (struct order){0};
    environment_fill(&environment, &order, &user);
    assert_null(value_of("HOME"));
    assert_string_equal(value_of("USER"), "a");
}

/* Asks as that user, in a process of its own. */
static int find_as(uid_t uid, const char *name)
{
    int status;
    pid_t pid = fork();
    if (pid == 0) {
        struct environment_user user;
        int error = setuid(uid) ? -errno : environment_find_user(&user);
        _exit(error ? -error : name ? strcmp(user.name, name) != 0 : 0);
    }
    waitpid(pid, &status, 0);
    return WEXITSTATUS(status);
}

static void test_user_database(void **state)
{
    (void)state;
    if (geteuid() != 0)
        skip();
    assert_int_equal(find_as(0, "root"), 0);
    assert_int_equal(find_as(65534, "nobody"), 0);
    assert_int_equal(find_as(4000000000u, NULL), ENOENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_without_a_user),         cmocka_unit_test(test_of_a_user),
        cmocka_unit_test(test_order_comes_first),      cmocka_unit_test(test_most_variables),
        cmocka_unit_test(test_text_that_does_not_fit), cmocka_unit_test(test_user_database),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
