#include "grant_take.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <cmocka.h>

#define ALL_SEALS (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)

static const struct grant good = {GRANT_MAGIC, 31, 1, 3, {1, 2, 3}, {4, 5, 6}, {{0}}};

/* Takes `length` bytes from a memfd with these seals; checks that it is closed afterwards. */
static int take(const void *bytes, size_t length, int seals, struct grant *out)
{
    int fd = memfd_create("grant", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, length), (ssize_t)length);
    assert_int_equal(fcntl(fd, F_ADD_SEALS, seals), 0);
    memset(out, 0xff, sizeof *out);
    int error = grant_take(fd, out);
    assert_int_equal(fcntl(fd, F_GETFD), -1);
    return error;
}

static void refused(struct grant grant)
{
    static const struct grant zero;
    struct grant got;
    assert_int_equal(take(&grant, sizeof grant, ALL_SEALS, &got), -EPROTO);
    assert_memory_equal(&got, &zero, sizeof got);
}

static void test_good(void **state)
{
    (void)state;
    struct grant got;
    assert_int_equal(take(&good, sizeof good, ALL_SEALS, &got), 0);
    assert_memory_equal(&got, &good, sizeof got);
}

/* Whoever else holds it must not be able to change it. */
static void test_each_seal_is_needed(void **state)
{
    (void)state;
    struct grant got;
    for (int bit = 0; bit < 4; bit++)
        assert_int_equal(take(&good, sizeof good, ALL_SEALS & ~(1 << bit), &got), -EPROTO);
}

static void test_size(void **state)
{
    (void)state;
    struct grant got;
    uint8_t bytes[sizeof good + 1] = {0};
    memcpy(bytes, &good, sizeof good);
    assert_int_equal(take(bytes, sizeof bytes, ALL_SEALS, &got), -EPROTO);
    assert_int_equal(take(bytes, sizeof good - 1, ALL_SEALS, &got), -EPROTO);
    assert_int_equal(take(bytes, 0, ALL_SEALS, &got), -EPROTO);
}

static void test_what_is_no_runners(void **state)
{
    (void)state;
    struct grant grant = good;
    grant.magic ^= 1;
    refused(grant);
    grant = good;
    grant.slot = 32;
    refused(grant);
    grant = good;
    grant.generation = 0; /* the vault's */
    refused(grant);
    grant = good;
    grant.profile = 0;
    refused(grant);
    grant.profile = 4;
    refused(grant);
}

static void test_other_descriptors(void **state)
{
    (void)state;
    struct grant got;
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(grant_take(ends[0], &got), -EPROTO);
    assert_int_equal(grant_take(open("/dev/zero", O_RDONLY), &got), -EPROTO);
    assert_int_equal(grant_take(-1, &got), -EPROTO);
    close(ends[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),
        cmocka_unit_test(test_each_seal_is_needed),
        cmocka_unit_test(test_size),
        cmocka_unit_test(test_what_is_no_runners),
        cmocka_unit_test(test_other_descriptors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
