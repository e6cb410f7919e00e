/* What a read leaves of a buffer. */
#include "x11_wipe.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

struct pair {
    int ours, theirs;
    uint8_t buffer[64];
};

static int begin(void **state)
{
    static struct pair pair;
    int fds[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds))
        return -1;
    pair.ours = fds[0];
    pair.theirs = fds[1];
    memset(pair.buffer, 'k', sizeof(pair.buffer));
    *state = &pair;
    return 0;
}

static int end(void **state)
{
    struct pair *pair = *state;
    x11_wipe_reads(-1);
    close(pair->ours);
    close(pair->theirs);
    return 0;
}

/* Reads into the buffer from its byte 8 on, in two parts. */
static ssize_t receive(struct pair *pair)
{
    struct iovec parts[] = {{pair->buffer + 8, 16}, {pair->buffer + 24, 40}};
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};
    return recvmsg(pair->ours, &message, 0);
}

static void assert_all(const uint8_t *bytes, size_t length, uint8_t value)
{
    for (size_t i = 0; i < length; i++)
        assert_int_equal(bytes[i], value);
}

static void what_is_not_filled_is_wiped(void **state)
{
    struct pair *pair = *state;
    x11_wipe_reads(pair->ours);
    assert_int_equal(send(pair->theirs, "0123456789abcdefghij", 20, 0), 20);
    assert_int_equal(receive(pair), 20);
    assert_all(pair->buffer, 8, 'k');
    assert_memory_equal(pair->buffer + 8, "0123456789abcdefghij", 20);
    assert_all(pair->buffer + 28, 36, 0);
}

static void a_read_that_brings_nothing_wipes_all_it_was_given(void **state)
{
    struct pair *pair = *state;
    x11_wipe_reads(pair->ours);
    assert_int_equal(receive(pair), -1);
    assert_all(pair->buffer, 8, 'k');
    assert_all(pair->buffer + 8, 56, 0);
}

static void other_reads_are_left_alone(void **state)
{
    struct pair *pair = *state;
    x11_wipe_reads(pair->theirs);
    assert_int_equal(receive(pair), -1);
    assert_all(pair->buffer, 64, 'k');
    x11_wipe_reads(-1);
    assert_int_equal(receive(pair), -1);
    assert_all(pair->buffer, 64, 'k');
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_is_not_filled_is_wiped, begin, end),
        cmocka_unit_test_setup_teardown(a_read_that_brings_nothing_wipes_all_it_was_given, begin,
                                        end),
        cmocka_unit_test_setup_teardown(other_reads_are_left_alone, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
