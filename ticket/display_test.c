/* Which display is one that frames may be shown on, and its cookie file. */
#include "display.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "peer.h"

static struct display display;

static void only_displays_of_this_machine_are_found(void **state)
{
    (void)state;
    static const struct {
        const char *name, *number;
    } good[] = {{":0", "0"}, {":7.0", "7"}, {"unix:12", "12"}, {":54321.12", "54321"}};
    static const char *const foreign[] = {
        "localhost:10.0",
        "host:0",
        "127.0.0.1:0",
        "[::1]:0",
        "tcp/host:0",
        "0",
        ":",
        ":x",
        ":0x",
        ":0.x",
        "::0",
        "host::0",
        ":123456",
        ":0/../../tmp/x",
        "/tmp/launch/org.xquartz:0",
        "unix",
        "unix/:0",
        ":-1",
    };
    for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
        assert_int_equal(display_find(&display, good[i].name), 0);
        assert_string_equal(display.number, good[i].number);
    }
    for (size_t i = 0; i < sizeof(foreign) / sizeof(*foreign); i++)
        assert_int_equal(display_find(&display, foreign[i]), DISPLAY_FOREIGN);
    assert_int_equal(display_find(&display, NULL), DISPLAY_NONE);
    assert_int_equal(display_find(&display, ""), DISPLAY_NONE);
}

static bool cookie_of(const char *file, struct xauth_cookie *cookie)
{
    setenv("XAUTHORITY", file, 1);
    assert_int_equal(display_find(&display, ":7"), 0);
    display_read_cookie(&display);
    return display_cookie(&display, cookie);
}

static void the_cookie_file_is_read(void **state)
{
    (void)state;
    struct xauth_cookie cookie;
    peer_run("xauth -q -f cookies add \"$(hostname)/unix:7\" . 000102030405060708090a0b0c0d0e0f "
             "2>/dev/null");
    assert_true(cookie_of("cookies", &cookie));
    assert_memory_equal(cookie.bytes, "\0\1\2\3\4\5\6\7\10\11\12\13\14\15\16\17", 16);
    assert_int_equal(display.length, 0);
    for (size_t i = 0; i < sizeof(display.file); i++)
        assert_int_equal(display.file[i], 0);
    unsetenv("XAUTHORITY");
    setenv("HOME", ".", 1);
    peer_run("cp cookies .Xauthority");
    assert_int_equal(display_find(&display, ":7"), 0);
    display_read_cookie(&display);
    assert_true(display_cookie(&display, &cookie));
}

/* None of them holds the program up. */
static void what_is_no_cookie_file_is_none(void **state)
{
    (void)state;
    struct xauth_cookie cookie;
    assert_int_equal(mkfifo("pipe", 0600), 0);
    assert_false(cookie_of("pipe", &cookie));
    assert_false(cookie_of("/dev/zero", &cookie));
    assert_false(cookie_of(".", &cookie));
    assert_false(cookie_of("nothing", &cookie));
    peer_run("head -c 200000 /dev/urandom >noise");
    assert_false(cookie_of("noise", &cookie));
}

/* A socket ./X7 that a process of `uid` made. */
static void make_server(uid_t uid)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "X7"};
    int status;
    unlink("X7");
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    pid_t child = fork();
    /* The server is who listens. */
    if (child == 0)
        _exit(setresuid(uid, uid, uid) || listen(fd, 5));
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    /* Left open: it lives as long as the test. */
}

static void a_server_of_another_user_is_not_used(void **state)
{
    (void)state;
    int fd = -1;
    assert_int_equal(display_find(&display, ":7"), 0);
    assert_int_equal(display_dial(&display, ".", &fd), -ENOENT);
    make_server(getuid());
    assert_int_equal(display_dial(&display, ".", &fd), 0);
    close(fd);
    if (geteuid() != 0)
        skip();
    make_server(65534);
    assert_int_equal(display_dial(&display, ".", &fd), DISPLAY_NOT_OURS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_displays_of_this_machine_are_found),
        cmocka_unit_test(the_cookie_file_is_read),
        cmocka_unit_test(what_is_no_cookie_file_is_none),
        cmocka_unit_test(a_server_of_another_user_is_not_used),
    };
    return cmocka_run_group_tests(tests, peer_enter, peer_leave);
}
