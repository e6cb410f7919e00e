#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "http.h"

static struct http_head head;

static int feed(const char *text, size_t length)
{
    size_t consumed = 0;
    int rc;

    http_head_init(&head);
    rc = http_head_feed(&head, text, length, &consumed);
    assert_true(consumed <= length);
    return rc;
}

#define feed_text(text) feed(text, sizeof(text) - 1)

static void reads_a_plain_answer(void **state)
{
    const char text[] = "HTTP/1.1 101 Switching Protocols\r\n"
                        "Upgrade: websocket\r\n"
                        "connection:\t keep-alive ,  Upgrade \t\r\n"
                        "Empty:\r\n"
                        "X: a\r\nx: b\r\n\r\n\x81\x02hi";
    size_t consumed, count;

    (void)state;
    http_head_init(&head);
    assert_int_equal(http_head_feed(&head, text, sizeof text - 1, &consumed), 0);
    assert_int_equal(consumed, sizeof text - 1 - 4);
    assert_int_equal(head.status, 101);
    assert_int_equal(head.minor_version, 1);
    assert_string_equal(head.reason, "Switching Protocols");
    assert_string_equal(http_head_field(&head, "UPGRADE", &count), "websocket");
    assert_int_equal(count, 1);
    assert_string_equal(http_head_field(&head, "Connection", NULL), "keep-alive ,  Upgrade");
    assert_string_equal(http_head_field(&head, "empty", NULL), "");
    assert_string_equal(http_head_field(&head, "X", &count), "a");
    assert_int_equal(count, 2);
    assert_null(http_head_field(&head, "Y", &count));
    assert_int_equal(count, 0);
    assert_true(http_head_lists(&head, "Connection", "upgrade"));
    assert_true(http_head_lists(&head, "Connection", "keep-alive"));
    assert_true(http_head_lists(&head, "X", "b"));
    assert_false(http_head_lists(&head, "Connection", "keep"));
    assert_false(http_head_lists(&head, "Connection", ""));
}

static void reads_byte_by_byte(void **state)
{
    const char text[] = "HTTP/1.0 200\r\nVia: x\r\n\r\n";
    size_t consumed;

    (void)state;
    http_head_init(&head);
    for (size_t i = 0; i < sizeof text - 2; i++)
        assert_int_equal(http_head_feed(&head, text + i, 1, &consumed), HTTP_MORE);
    assert_int_equal(http_head_feed(&head, "\n", 1, &consumed), 0);
    assert_int_equal(head.status, 200);
    assert_int_equal(head.minor_version, 0);
    assert_string_equal(head.reason, "");
}

static void refuses_what_is_malformed(void **state)
{
    (void)state;
    assert_int_equal(feed_text("<"), HTTP_MALFORMED); /* at the first byte, not at a time-out */
    assert_int_equal(feed_text("SSH-2.0-x\r\n"), HTTP_MALFORMED);
    assert_int_equal(feed_text("http/1.1 200 OK\r\n\r\n"), HTTP_MALFORMED);
    assert_int_equal(feed_text("HTTP/2.0 200 OK\r\n\r\n"), HTTP_MALFORMED);
    assert_int_equal(feed_text("HTTP/1.2 200 OK\r\n\r\n"), HTTP_MALFORMED);
    assert_int_equal(feed_text("HTTP/1.1  200 OK\r\n\r\n"), HTTP_MALFORMED);
    assert_int_equal(feed_text("HTTP/1.1 20 OK\r\n\r\n"), HTTP_MALFORMED);
    assert_int_equal(feed_text("HTTP/1.1 2000 OK\r\n\r\n"), HTTP_MALFORMED);
    assert_int_equal(feed_text("HTTP/1.1 012 OK\r\n\r\n"), HTTP_MALFORMED);
    assert_int_equal(feed_text("HTTP/1.1 2x0 OK\r\n\r\n"), HTTP_MALFORMED);
    assert_int_equal(feed_text("HTTP/1.1\r\n\r\n"), HTTP_MALFORMED);
    assert_int_equal(feed_text("HTTP/1.1 200 OK\n\n"), HTTP_MALFORMED);
    assert_int_equal(feed_text("HTTP/1.1 200 OK\r\r\n\r\n"), HTTP_MALFORMED);
    assert_int_equal(feed_text("HTTP/1.1 200 OK\r\nA: b\nC: d\r\n\r\n"), HTTP_MALFORMED);
    assert_int_equal(feed_text("HTTP/1.1 200 OK\r\nA : b\r\n\r\n"), HTTP_MALFORMED);
    assert_int_equal(feed_text("HTTP/1.1 200 OK\r\n: b\r\n\r\n"), HTTP_MALFORMED);
    assert_int_equal(feed_text("HTTP/1.1 200 OK\r\nnocolon\r\n\r\n"), HTTP_MALFORMED);
    assert_int_equal(feed_text("HTTP/1.1 200 OK\r\nA: b\r\n folded\r\n\r\n"), HTTP_MALFORMED);
    assert_int_equal(feed_text("HTTP/1.1 200 OK\r\nA: b\0c\r\n\r\n"), HTTP_MALFORMED);
    assert_int_equal(feed_text("HTTP/1.1 200 OK\r\nA: b\x1b[2J\r\n\r\n"), HTTP_MALFORMED);
    assert_int_equal(feed_text("HTTP/1.1 200 OK\r\nA\x80: b\r\n\r\n"), HTTP_MALFORMED);
}

static void refuses_what_is_endless(void **state)
{
    static char text[HTTP_HEAD_MAX * 2];
    const char start[] = "HTTP/1.1 200 ";
    size_t length;

    (void)state;
    memset(text, 'a', sizeof text);
    memcpy(text, start, sizeof start - 1);
    assert_int_equal(feed(text, HTTP_HEAD_MAX), HTTP_MORE);
    assert_int_equal(feed(text, HTTP_HEAD_MAX + 1), HTTP_TOO_LARGE);

    length = (size_t)(stpcpy(text, "HTTP/1.1 200 OK\r\n") - text);
    for (int i = 0; i < HTTP_FIELDS_MAX; i++)
        length += (size_t)(stpcpy(text + length, "A: b\r\n") - (text + length));
    memcpy(text + length, "\r\n", 2);
    assert_int_equal(feed(text, length + 2), 0);
    assert_int_equal(head.field_count, HTTP_FIELDS_MAX);
    memcpy(text + length, "A: b\r\n\r\n", 8);
    assert_int_equal(feed(text, length + 8), HTTP_TOO_LARGE);
}

static void fits_exactly(void **state)
{
    static char text[HTTP_HEAD_MAX];
    const char start[] = "HTTP/1.1 200 ";

    (void)state;
    memset(text, 'a', sizeof text);
    memcpy(text, start, sizeof start - 1);
    memcpy(text + sizeof text - 4, "\r\n\r\n", 4);
    assert_int_equal(feed(text, sizeof text), 0);
    assert_int_equal(head.field_count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_a_plain_answer),
        cmocka_unit_test(reads_byte_by_byte),
        cmocka_unit_test(refuses_what_is_malformed),
        cmocka_unit_test(refuses_what_is_endless),
        cmocka_unit_test(fits_exactly),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
