#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stddef.h>
#include <cmocka.h>

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "log.h"

static void escapes_what_is_not_printable(void **state)
{
    (void)state;
    char out[64];
    const char hostile[] = "a\n\x1b[2J\\\xff";
    size_t n = log_escape(out, sizeof(out), hostile, sizeof(hostile) - 1);
    assert_string_equal(out, "a\\x0a\\x1b[2J\\x5c\\xff");
    assert_int_equal(n, strlen(out));
}

static void cuts_whole_escapes(void **state)
{
    (void)state;
    char out[6];
    assert_int_equal(log_escape(out, sizeof(out), "ab\n", 3), 2);
    assert_string_equal(out, "ab");
    assert_int_equal(log_escape(out, sizeof(out), "a\nb", 3), 5);
    assert_string_equal(out, "a\\x0a");
}

static void a_line_cannot_be_forged(void **state)
{
    (void)state;
    int pipefd[2];
    assert_int_equal(pipe2(pipefd, O_CLOEXEC | O_NONBLOCK), 0);
    int saved = dup(STDERR_FILENO);
    assert_true(dup2(pipefd[1], STDERR_FILENO) >= 0);
    log_setup("capture", 1);
    log_warning("title: %s", "x\n<0>broker: all is well");
    char huge[4 * LOG_LINE_MAX];
    memset(huge, 'A', sizeof(huge) - 1);
    huge[sizeof(huge) - 1] = '\0';
    log_warning("%s", huge);
    assert_true(dup2(saved, STDERR_FILENO) >= 0);
    close(saved);

    char got[3 * LOG_LINE_MAX];
    ssize_t n = read(pipefd[0], got, sizeof(got) - 1);
    assert_true(n > 0);
    got[n] = '\0';
    const char *expected = "<4>capture: title: x\\x0a<0>broker: all is well\n";
    assert_memory_equal(got, expected, strlen(expected));
    size_t rest = (size_t)n - strlen(expected);
    assert_int_equal(rest, LOG_LINE_MAX - 1);
    assert_int_equal(got[n - 1], '\n');
    close(pipefd[0]);
    close(pipefd[1]);
}

static void a_relayed_line_is_its_reader_s_word(void **state)
{
    (void)state;
    int pipefd[2];
    assert_int_equal(pipe2(pipefd, O_CLOEXEC | O_NONBLOCK), 0);
    int saved = dup(STDERR_FILENO);
    assert_true(dup2(pipefd[1], STDERR_FILENO) >= 0);
    log_setup("broker", 1);
    const char *said[] = {"<0>capture: title \\x0a\x1b[2J", "vault: I am the vault", "<9", ""};
    for (size_t i = 0; i < 4; i++)
        log_relay("capture", 7, said[i], strlen(said[i]));
    log_set_level(LOG_ERR);
    log_relay("capture", 7, "<6>quiet", 8);
    log_set_level(LOG_DEBUG);
    assert_true(dup2(saved, STDERR_FILENO) >= 0);
    close(saved);
    char got[1024] = "";
    assert_true(read(pipefd[0], got, sizeof(got) - 1) > 0);
    assert_string_equal(got, "<3>capture[7]: title \\x0a\\x1b[2J\n"
                             "<6>capture[7]: vault: I am the vault\n"
                             "<6>capture[7]: <9\n<6>capture[7]: \n");
    close(pipefd[0]);
    close(pipefd[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(escapes_what_is_not_printable),
        cmocka_unit_test(cuts_whole_escapes),
        cmocka_unit_test(a_line_cannot_be_forged),
        cmocka_unit_test(a_relayed_line_is_its_reader_s_word),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
