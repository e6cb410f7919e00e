#include "link.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

static int ends[2];

static int set_up(void **state)
{
    (void)state;
    return socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends);
}

static int tear_down(void **state)
{
    (void)state;
    close(ends[0]);
    close(ends[1]);
    return 0;
}

/* The lowest descriptor that is free, by which a leak shows. */
static int next_descriptor(void)
{
    int fd = dup(0);
    close(fd);
    return fd;
}

static void test_message(void **state)
{
    (void)state;
    struct link_message message;
    assert_int_equal(link_send(ends[0], LINK_ENDED, LINK_SIGNALLED, 9), 0);
    assert_int_equal(link_receive(ends[1], &message), 0);
    assert_int_equal(message.word, LINK_ENDED);
    assert_int_equal(message.value, LINK_SIGNALLED);
    assert_int_equal(message.more, 9);
}

static void test_end_of_the_stream(void **state)
{
    (void)state;
    struct link_message message;
    assert_int_equal(write(ends[0], "half a me", 9), 9);
    shutdown(ends[0], SHUT_WR);
    assert_int_equal(link_receive(ends[1], &message), -EPIPE);
    assert_int_equal(link_receive(ends[1], &message), -EPIPE);
    close(ends[1]);
    ends[1] = dup(0);
    assert_int_equal(link_send(ends[0], LINK_HELLO, 0, 0), -EPIPE); /* and no signal */
}

static void test_wrong_magic(void **state)
{
    (void)state;
    struct link_message message = {LINK_MAGIC + 1, LINK_KILL, 0, 0};
    assert_int_equal(write(ends[0], &message, sizeof message), sizeof message);
    assert_int_equal(link_receive(ends[1], &message), -EPROTO);
}

static void test_order(void **state)
{
    (void)state;
    int given[3] = {0, 1, 2}, got[3];
    uint32_t length;
    assert_int_equal(link_send_order(ends[0], 1234, given), 0);
    assert_int_equal(link_receive_order(ends[1], &length, got), 0);
    assert_int_equal(length, 1234);
    for (int i = 0; i < 3; i++) {
        assert_true(got[i] > 2);
        assert_int_equal(fcntl(got[i], F_GETFD), FD_CLOEXEC);
        close(got[i]);
    }
}

/* Sends a message with so many descriptors. */
static void send_with(const struct link_message *message, size_t size, size_t count)
{
    union {
        struct cmsghdr head;
        uint8_t bytes[CMSG_SPACE(8 * sizeof(int))];
    } control = {0};
    struct iovec bytes = {(void *)(uintptr_t)message, size};
    struct msghdr packet = {.msg_iov = &bytes, .msg_iovlen = 1};
    if (count > 0) {
        packet.msg_control = control.bytes;
        packet.msg_controllen = CMSG_SPACE(count * sizeof(int));
        control.head.cmsg_level = SOL_SOCKET;
        control.head.cmsg_type = SCM_RIGHTS;
        control.head.cmsg_len = CMSG_LEN(count * sizeof(int));
        memset(CMSG_DATA(&control.head), 0, count * sizeof(int)); /* descriptor 0, often */
    }
    assert_int_equal(sendmsg(ends[0], &packet, 0), size);
}

/* What is no order leaves no descriptor behind. */
static void test_what_is_no_order(void **state)
{
    (void)state;
    const struct link_message order = {LINK_MAGIC, LINK_ORDER, 5, 0};
    const struct link_message wrong[] = {{LINK_MAGIC, LINK_KILL, 5, 0},
                                         {LINK_MAGIC, LINK_ORDER, 5, 1},
                                         {LINK_MAGIC ^ 1, LINK_ORDER, 5, 0}};
    int got[3], before = next_descriptor();
    uint32_t length;
    for (size_t count = 0; count <= 6; count++) {
        send_with(&order, sizeof order, count);
        int wanted = count == 3 ? 0 : -EPROTO;
        assert_int_equal(link_receive_order(ends[1], &length, got), wanted);
        for (int i = 0; i < 3 && count == 3; i++)
            close(got[i]);
        assert_int_equal(next_descriptor(), before);
    }
    for (size_t i = 0; i < 3; i++) {
        send_with(&wrong[i], sizeof wrong[i], 3);
        assert_int_equal(link_receive_order(ends[1], &length, got), -EPROTO);
        assert_int_equal(next_descriptor(), before);
    }
    send_with(&order, 7, 3);
    shutdown(ends[0], SHUT_WR);
    assert_int_equal(link_receive_order(ends[1], &length, got), -EPROTO);
    assert_int_equal(link_receive_order(ends[1], &length, got), -EPIPE);
    assert_int_equal(next_descriptor(), before);
}

/* A message of another kind that carries descriptors is taken, and they are not. */
static void test_descriptors_that_nobody_wants(void **state)
{
    (void)state;
    const struct link_message kill = {LINK_MAGIC, LINK_KILL, 0, 0};
    struct link_message message;
    int before = next_descriptor();
    send_with(&kill, sizeof kill, 5);
    assert_int_equal(link_receive(ends[1], &message), 0);
    assert_int_equal(next_descriptor(), before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_message, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_end_of_the_stream, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_wrong_magic, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_order, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_what_is_no_order, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_descriptors_that_nobody_wants, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
