#include "json_write.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include "peer.h"

static void assert_document(struct json_write *json, const char *want)
{
    struct locked_bytes text;
    assert_int_equal(json_write_finish(json, &text), 0);
    assert_int_equal(text.length, strlen(want));
    assert_memory_equal(text.data, want, text.length);
    locked_bytes_clear(&text);
}

static void writes_nested_values(void **state)
{
    (void)state;
    struct json_write json = {0};
    json_begin(&json, NULL, '{');
    json_number(&json, "n", UINT64_MAX);
    json_begin(&json, "list", '[');
    json_text(&json, NULL, "a", 1);
    json_begin(&json, NULL, '{');
    json_end(&json, '}');
    json_bool(&json, NULL, 1);
    json_end(&json, ']');
    json_bool(&json, "no", 0);
    json_end(&json, '}');
    assert_document(&json, "{\"n\":18446744073709551615,\"list\":[\"a\",{},true],\"no\":false}\n");
}

static void escapes_text(void **state)
{
    (void)state;
    struct json_write json = {0};
    static const char text[] = "\"\\\n\x1b[31m\x7f caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80";
    json_text(&json, NULL, text, sizeof(text) - 1);
    assert_document(&json, "\"\\\"\\\\\\u000a\\u001b[31m\\u007f caf\xc3\xa9 \xe2\x82\xac "
                           "\xf0\x9f\x98\x80\"\n");
}

/* Python's strict decoder agrees on every lead and following byte. */
static void any_bytes_become_valid_utf8(void **state)
{
    (void)state;
    struct json_write json = {0};
    json_begin(&json, NULL, '[');
    for (int first = 0; first < 256; first++)
        for (int second = 0; second < 256; second += 1 + 15 * (first < 0x80)) {
            const char text[4] = {(char)first, (char)second, (char)0x80, (char)0xbf};
            for (size_t length = 1; length <= 4; length++)
                json_text(&json, NULL, text, length);
        }
    json_end(&json, ']');
    struct locked_bytes text;
    assert_int_equal(json_write_finish(&json, &text), 0);
    peer_write("any.json", text.data, text.length);
    peer_run("python3 -c 'import json; "
             "texts = json.loads(open(\"any.json\", \"rb\").read().decode(\"utf-8\", \"strict\")); "
             "raws = [bytes([f, s, 128, 191])[:n] for f in range(256) "
             "for s in range(0, 256, 16 if f < 128 else 1) for n in (1, 2, 3, 4)]; "
             "assert len(texts) == len(raws); "
             "bad = [(r, t) for r, t in zip(raws, texts) "
             "if (\"\\ufffd\" in t) != (\"\\ufffd\" in r.decode(\"utf-8\", \"replace\"))]; "
             "assert not bad, bad[:5]'");
    locked_bytes_clear(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writes_nested_values),
        cmocka_unit_test(escapes_text),
        cmocka_unit_test(any_bytes_become_valid_utf8),
    };
    return cmocka_run_group_tests(tests, peer_enter, peer_leave);
}
