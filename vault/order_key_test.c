#include "order_key.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <cmocka.h>
#include <sodium.h>

#include "secret_memory.h"

#define ALL_SEALS (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)

static struct grant vaults(void)
{
    struct grant grant = {.magic = GRANT_MAGIC};
    memset(grant.key, 0x77, sizeof grant.key);
    strcpy(grant.groups[0], "desks");
    return grant;
}

static int seal(const struct grant *grant, size_t length, int seals)
{
    int fd = memfd_create("grant", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, grant, length), length);
    assert_int_equal(fcntl(fd, F_ADD_SEALS, seals), 0);
    return fd;
}

static int take(const struct grant *grant)
{
    struct grant *key = NULL;
    int error = order_key_take(seal(grant, sizeof *grant, ALL_SEALS), &key);
    assert_true(!key == (error != 0));
    secret_free(key);
    return error;
}

static void it_takes_the_vaults(void **state)
{
    (void)state;
    struct grant grant = vaults();
    struct grant *key = NULL;
    int fd = seal(&grant, sizeof grant, ALL_SEALS);
    assert_int_equal(order_key_take(fd, &key), 0);
    assert_memory_equal(key, &grant, sizeof grant);
    assert_int_equal(fcntl(fd, F_GETFD), -1); /* closed */
    secret_free(key);
}

static void what_could_change_is_refused(void **state)
{
    (void)state;
    static const int seals[] = {F_SEAL_SEAL, F_SEAL_SHRINK, F_SEAL_GROW, F_SEAL_WRITE};
    struct grant grant = vaults();
    struct grant *key = NULL;
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(order_key_take(seal(&grant, sizeof grant, ALL_SEALS & ~seals[i]), &key),
                         -EPROTO);
    assert_int_equal(order_key_take(seal(&grant, sizeof grant - 1, ALL_SEALS), &key), -EPROTO);
    char name[] = "/tmp/order_key_test.XXXXXX";
    int file = mkstemp(name);
    assert_int_equal(write(file, &grant, sizeof grant), sizeof grant);
    assert_int_equal(unlink(name), 0);
    assert_int_equal(order_key_take(file, &key), -EPROTO);
    assert_int_equal(order_key_take(-1, &key), -EPROTO);
    assert_null(key);
}

static void another_ones_is_refused(void **state)
{
    (void)state;
    struct grant grant = vaults();
    assert_int_equal(take(&grant), 0);
    memset(grant.groups[1], 'x', sizeof grant.groups[1]); /* without its end */
    assert_int_equal(take(&grant), -EPROTO);
    grant = vaults();
    grant.magic++;
    assert_int_equal(take(&grant), -EPROTO);
    grant = vaults();
    grant.slot = 1;
    assert_int_equal(take(&grant), -EPROTO);
    grant = vaults();
    grant.generation = 1;
    assert_int_equal(take(&grant), -EPROTO);
    grant = vaults();
    grant.profile = 1;
    assert_int_equal(take(&grant), -EPROTO);
    grant = vaults();
    grant.digest[31] = 1;
    assert_int_equal(take(&grant), -EPROTO);
    grant = vaults();
    memset(grant.key, 0, sizeof grant.key);
    assert_int_equal(take(&grant), -EPROTO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_takes_the_vaults),
        cmocka_unit_test(what_could_change_is_refused),
        cmocka_unit_test(another_ones_is_refused),
    };
    return sodium_init() < 0 || cmocka_run_group_tests(tests, NULL, NULL);
}
