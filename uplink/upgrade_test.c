#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "upgrade.h"

/* The key of RFC 6455 section 1.3. */
static const struct upgrade rfc = {"dGhlIHNhbXBsZSBub25jZQ==", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="};

static enum fault_reason judge(const char *text, bool proxy, size_t surplus)
{
    static struct http_head head;
    struct fault fault;
    size_t consumed;
    bool good;

    fault_clear(&fault);
    http_head_init(&head);
    assert_int_equal(http_head_feed(&head, text, strlen(text), &consumed), 0);
    assert_int_equal(consumed, strlen(text));
    good =
        proxy ? upgrade_connect_check(&head, surplus, &fault) : upgrade_check(&rfc, &head, &fault);
    assert_int_equal(good, fault.reason == FAULT_NONE);
    return fault.reason;
}

static void derives_what_the_rfc_says(void **state)
{
    struct upgrade upgrade = {.key = "dGhlIHNhbXBsZSBub25jZQ=="};

    (void)state;
    assert_int_equal(upgrade_derive(&upgrade), 0);
    assert_string_equal(upgrade.accept, rfc.accept);
}

static void asks_for_the_upgrade(void **state)
{
    struct upgrade one, two;
    char text[UPGRADE_REQUEST_MAX];
    char name[600];
    int length;

    (void)state;
    length = upgrade_request(&one, text, "console.example.org", 443, "/agent");
    assert_true(length > 0);
    assert_int_equal(strlen(text), length);
    assert_non_null(strstr(text, "GET /agent HTTP/1.1\r\nHost: console.example.org:443\r\n"));
    assert_non_null(strstr(text, "Sec-WebSocket-Protocol: cloister.v1\r\n"));
    assert_null(strstr(text, "Origin"));
    assert_string_equal(text + length - 4, "\r\n\r\n");
    assert_true(upgrade_request(&two, text, "::1", 8443, "/agent") > 0);
    assert_non_null(strstr(text, "Host: [::1]:8443\r\n"));
    assert_string_not_equal(one.key, two.key);
    assert_true(upgrade_connect_request(text, "::1", 8443) > 0);
    assert_string_equal(text, "CONNECT [::1]:8443 HTTP/1.1\r\nHost: [::1]:8443\r\n\r\n");
    memset(name, 'a', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    assert_int_equal(upgrade_request(&two, text, name, 1, "/agent"), -ENAMETOOLONG);
    assert_int_equal(upgrade_connect_request(text, name, 1), -ENAMETOOLONG);
}

#define START  "HTTP/1.1 101 Switching Protocols\r\n"
#define UP     "Upgrade: WebSocket\r\n"
#define CONN   "Connection: Upgrade\r\n"
#define ACCEPT "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
#define SUB    "Sec-WebSocket-Protocol: cloister.v1\r\n"
#define END    "\r\n"

static void judges_the_console(void **state)
{
    (void)state;
    assert_int_equal(judge(START UP CONN ACCEPT SUB END, false, 0), FAULT_NONE);
    assert_int_equal(judge("HTTP/1.1 403 No\r\n" END, false, 0), FAULT_HTTP_STATUS);
    assert_int_equal(judge("HTTP/1.1 200 OK\r\n" UP CONN ACCEPT SUB END, false, 0),
                     FAULT_HTTP_STATUS);
    assert_int_equal(judge("HTTP/1.0 101 X\r\n" UP CONN ACCEPT SUB END, false, 0),
                     FAULT_NOT_WEBSOCKET);
    assert_int_equal(judge(START CONN ACCEPT SUB END, false, 0), FAULT_NOT_WEBSOCKET);
    assert_int_equal(judge(START UP ACCEPT SUB END, false, 0), FAULT_NOT_WEBSOCKET);
    assert_int_equal(judge(START UP CONN SUB END, false, 0), FAULT_NOT_WEBSOCKET);
    assert_int_equal(judge(START UP CONN ACCEPT ACCEPT SUB END, false, 0), FAULT_NOT_WEBSOCKET);
    assert_int_equal(judge(START UP CONN
                           "Sec-WebSocket-Accept: S3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n" SUB END,
                           false, 0),
                     FAULT_NOT_WEBSOCKET);
    assert_int_equal(
        judge(START UP CONN ACCEPT SUB "Sec-WebSocket-Extensions: x\r\n" END, false, 0),
        FAULT_NOT_WEBSOCKET);
    assert_int_equal(judge(START UP CONN ACCEPT SUB "Content-Length: 3\r\n" END, false, 0),
                     FAULT_NOT_WEBSOCKET);
    assert_int_equal(judge(START UP CONN ACCEPT END, false, 0), FAULT_NO_SUBPROTOCOL);
    assert_int_equal(judge(START UP CONN ACCEPT SUB SUB END, false, 0), FAULT_NO_SUBPROTOCOL);
    assert_int_equal(judge(START UP CONN ACCEPT "Sec-WebSocket-Protocol: chat\r\n" END, false, 0),
                     FAULT_NO_SUBPROTOCOL);
}

static void judges_the_proxy(void **state)
{
    (void)state;
    assert_int_equal(judge("HTTP/1.0 200 Connection established\r\n\r\n", true, 0), FAULT_NONE);
    assert_int_equal(judge("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", true, 0), FAULT_NONE);
    assert_int_equal(judge("HTTP/1.1 200 OK\r\n\r\n", true, 1), FAULT_PROXY_PROTOCOL);
    assert_int_equal(judge("HTTP/1.1 407 Auth\r\n\r\n", true, 0), FAULT_PROXY_STATUS);
    assert_int_equal(judge("HTTP/1.1 503 Busy\r\n\r\n", true, 0), FAULT_PROXY_STATUS);
    assert_int_equal(judge("HTTP/1.1 101 Switching\r\n\r\n", true, 0), FAULT_PROXY_STATUS);
}

static void hides_nothing_in_the_detail(void **state)
{
    static struct http_head head;
    const char text[] = "HTTP/1.1 500 \x9b"
                        "31mred\\\t\r\n\r\n";
    struct fault fault;
    size_t consumed;

    (void)state;
    fault_clear(&fault);
    http_head_init(&head);
    assert_int_equal(http_head_feed(&head, text, sizeof text - 1, &consumed), 0);
    assert_false(upgrade_check(&rfc, &head, &fault));
    assert_string_equal(fault.detail, "the console said 500 ?31mred??");
    assert_int_equal(fault_set(&fault, FAULT_CLOSED, "later"), FAULT_HTTP_STATUS);
    assert_string_equal(fault_name(fault.reason), "http-status");
    for (int reason = 0; reason < FAULT_COUNT; reason++)
        assert_non_null(fault_name((enum fault_reason)reason));
    assert_string_equal(fault_name(FAULT_COUNT), "unknown");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(derives_what_the_rfc_says),   cmocka_unit_test(asks_for_the_upgrade),
        cmocka_unit_test(judges_the_console),          cmocka_unit_test(judges_the_proxy),
        cmocka_unit_test(hides_nothing_in_the_detail),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
