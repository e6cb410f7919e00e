#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

#include "rate.h"

static struct rate rate;

static void a_burst_then_one_at_a_time(void **state)
{
    (void)state;
    rate_init(&rate, 3, 1000);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(rate_wait_ms(&rate, "192.0.2.1", 50000), 0);
        rate_count(&rate, "192.0.2.1", 50000);
    }
    assert_int_equal(rate_wait_ms(&rate, "192.0.2.1", 50000), 1000);
    assert_int_equal(rate_wait_ms(&rate, "192.0.2.2", 50000), 0);
    assert_int_equal(rate_wait_ms(&rate, "192.0.2.1", 50999), 1);
    assert_int_equal(rate_wait_ms(&rate, "192.0.2.1", 51000), 0);
    rate_count(&rate, "192.0.2.1", 51000);
    assert_int_equal(rate_wait_ms(&rate, "192.0.2.1", 51000), 1000);
    assert_int_equal(rate_wait_ms(&rate, "192.0.2.1", 60000), 0);
}

static void ipv6_counts_by_subscriber(void **state)
{
    (void)state;
    rate_init(&rate, 1, 1000);
    rate_count(&rate, "2001:db8:1:2:3::4", 50000);
    assert_int_equal(rate_wait_ms(&rate, "2001:db8:1:2:ffff::5", 50000), 1000);
    assert_int_equal(rate_wait_ms(&rate, "2001:db8:1:3:3::4", 50000), 0);
}

static void a_full_table_keeps_the_worst(void **state)
{
    (void)state;
    char address[RATE_ADDRESS_MAX];
    rate_init(&rate, 1, 1000);
    rate_count(&rate, "192.0.2.1", 50000);
    rate_count(&rate, "192.0.2.1", 50000);
    for (int i = 0; i < 4 * RATE_SLOTS; i++) {
        snprintf(address, sizeof(address), "10.0.%d.%d", i / 256, i % 256);
        rate_count(&rate, address, 50000);
    }
    assert_int_equal(rate_wait_ms(&rate, "192.0.2.1", 50000), 2000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_burst_then_one_at_a_time),
        cmocka_unit_test(ipv6_counts_by_subscriber),
        cmocka_unit_test(a_full_table_keeps_the_worst),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
