#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <sys/eventfd.h>
#include <unistd.h>

#include "event_loop.h"

static int loop;
static struct event_source first, second;
static int heard_by_second;

static void second_ready(void *context, uint32_t events)
{
    (void)context;
    (void)events;
    heard_by_second++;
}

static void watch(struct event_source *source, void (*ready)(void *, uint32_t))
{
    *source = (struct event_source){.fd = eventfd(1, EFD_CLOEXEC), .ready = ready};
    assert_true(source->fd >= 0);
    assert_int_equal(event_loop_add(loop, source), 0);
}

static void drop(struct event_source *source)
{
    event_loop_remove(loop, source);
    close(source->fd);
}

/* Whichever runs first replaces the other by a successor at the same address. */
static void replace_other(void *context, uint32_t events)
{
    (void)events;
    struct event_source *other = context;
    drop(other);
    watch(other, second_ready);
}

static void an_event_does_not_reach_its_source_s_successor(void **state)
{
    (void)state;
    loop = event_loop_new();
    watch(&first, replace_other);
    watch(&second, replace_other);
    first.context = &second;
    second.context = &first;
    assert_int_equal(event_loop_run(loop, 1000), 0);
    assert_int_equal(heard_by_second, 0);
    /* Its own event comes in the next round. */
    event_loop_remove(loop, first.ready == replace_other ? &first : &second);
    assert_int_equal(event_loop_run(loop, 1000), 0);
    assert_int_equal(heard_by_second, 1);
    drop(&first);
    drop(&second);
    close(loop);
}

static void a_removed_source_is_silent(void **state)
{
    (void)state;
    heard_by_second = 0;
    loop = event_loop_new();
    watch(&second, second_ready);
    event_loop_remove(loop, &second);
    event_loop_remove(loop, &second);
    assert_int_equal(event_loop_run(loop, 0), 0);
    assert_int_equal(heard_by_second, 0);
    close(second.fd);
    close(loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_event_does_not_reach_its_source_s_successor),
        cmocka_unit_test(a_removed_source_is_silent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
