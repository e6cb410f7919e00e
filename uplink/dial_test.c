#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "dial.h"

/* A listening socket on loopback; `backlog` 0 with nobody accepting can be filled up. */
static int listen_on(const char *host, struct dial_address *address, int backlog)
{
    int fd = socket(strchr(host, ':') ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return -1;
    assert_int_equal(dial_address_read(address, host, 0), 0);
    if (bind(fd, (struct sockaddr *)&address->storage, address->length) < 0) {
        close(fd);
        return -1;
    }
    if (backlog >= 0)
        assert_int_equal(listen(fd, backlog), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address->storage, &address->length), 0);
    return fd;
}

static void connects(void **state)
{
    struct dial_address address;
    struct fault fault = {0};
    int server = listen_on("127.0.0.1", &address, 4);
    size_t used = 9;
    int fd = -1;

    (void)state;
    assert_true(server >= 0);
    assert_int_equal(dial(&fd, &address, 1, 2000, &used, &fault), 0);
    assert_int_equal(used, 0);
    assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
    assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    close(fd);
    close(server);
}

static void goes_on_to_the_next_address(void **state)
{
    struct dial_address addresses[2];
    struct fault fault = {0};
    int closed = listen_on("127.0.0.1", &addresses[0], -1); /* bound, not listening: refuses */
    int server = listen_on("127.0.0.1", &addresses[1], 4);
    size_t used = 9;
    int fd = -1;

    (void)state;
    assert_int_equal(dial(&fd, addresses, 2, 2000, &used, &fault), 0);
    assert_int_equal(used, 1);
    assert_int_equal(fault.reason, FAULT_NONE);
    close(fd);
    close(closed);
    close(server);
}

static long elapsed_ms(const struct timespec *from, const struct timespec *to)
{
    return (to->tv_sec - from->tv_sec) * 1000 + (to->tv_nsec - from->tv_nsec) / 1000000;
}

/* A listener whose queue is full does not answer further SYNs: that is a connect that hangs. */
static void times_out_and_prefers_the_telling_fault(void **state)
{
    struct dial_address addresses[3];
    struct fault fault = {0};
    int full = listen_on("127.0.0.1", &addresses[0], 0);
    int closed = listen_on("127.0.0.1", &addresses[1], -1);
    struct dial_address closed_address = addresses[1];
    struct timespec before, after;
    int fillers[4];
    size_t used;
    int fd = -1;

    (void)state;
    for (int i = 0; i < 4; i++) {
        fillers[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        connect(fillers[i], (struct sockaddr *)&addresses[0].storage, addresses[0].length);
    }
    usleep(50000); /* for the queue to fill; too early would only let the first dial succeed */
    clock_gettime(CLOCK_MONOTONIC, &before);
    assert_int_equal(dial(&fd, addresses, 1, 300, &used, &fault), FAULT_CONNECT_TIMEOUT);
    clock_gettime(CLOCK_MONOTONIC, &after);
    assert_true(after.tv_sec - before.tv_sec < 5);
    fault_clear(&fault);
    assert_int_equal(dial(&fd, addresses, 2, 300, &used, &fault), FAULT_REFUSED);
    addresses[1] = addresses[2] = addresses[0]; /* three that hang share the time */
    fault_clear(&fault);
    clock_gettime(CLOCK_MONOTONIC, &before);
    assert_int_equal(dial(&fd, addresses, 3, 900, &used, &fault), FAULT_CONNECT_TIMEOUT);
    clock_gettime(CLOCK_MONOTONIC, &after);
    assert_true(elapsed_ms(&before, &after) >= 850 && elapsed_ms(&before, &after) < 2000);
    fault_clear(&fault);
    assert_int_equal(dial(&fd, &closed_address, 1, 300, &used, &fault), FAULT_REFUSED);
    assert_non_null(strstr(fault.detail, "127.0.0.1:"));
    assert_int_equal(fd, -1);
    for (int i = 0; i < 4; i++)
        close(fillers[i]);
    close(full);
    close(closed);
}

static void reads_and_writes_addresses(void **state)
{
    struct dial_address address;
    struct fault fault = {0};
    char text[DIAL_TEXT_MAX];
    size_t used;
    int fd;

    (void)state;
    assert_int_equal(dial_address_read(&address, "2001:db8::1", 8443), 0);
    dial_address_write(text, &address);
    assert_string_equal(text, "[2001:db8::1]:8443");
    assert_int_equal(dial_address_read(&address, "192.0.2.7", 1), 0);
    dial_address_write(text, &address);
    assert_string_equal(text, "192.0.2.7:1");
    assert_int_equal(dial_address_read(&address, "console", 1), -EINVAL);
    assert_int_equal(dial_address_read(&address, "127.1", 1), -EINVAL);
    assert_int_equal(dial_address_read(&address, "[::1]", 1), -EINVAL);
    assert_int_equal(dial_address_read(&address, "fe80::1%lo", 1), -EINVAL);
    assert_int_equal(dial_address_read(&address, "", 1), -EINVAL);
    assert_int_equal(dial(&fd, &address, 0, 100, &used, &fault), FAULT_NAME_NOT_RESOLVED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(connects),
        cmocka_unit_test(goes_on_to_the_next_address),
        cmocka_unit_test(times_out_and_prefers_the_telling_fault),
        cmocka_unit_test(reads_and_writes_addresses),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
