#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config.h"

static struct config config;
static char messages[4096];

/* Reads `text` as a configuration; what goes to stderr is kept in `messages`. */
static bool read_text(const char *text)
{
    char file[] = "/tmp/console-config-XXXXXX", said[] = "/tmp/console-said-XXXXXX";
    int in = mkstemp(file), out = mkstemp(said), saved = dup(STDERR_FILENO);
    assert_int_equal(write(in, text, strlen(text)), strlen(text));
    close(in);
    dup2(out, STDERR_FILENO);
    config_default(&config);
    bool good = config_read(&config, file);
    fflush(stderr);
    dup2(saved, STDERR_FILENO);
    close(saved);
    ssize_t n = pread(out, messages, sizeof(messages) - 1, 0);
    messages[n > 0 ? n : 0] = '\0';
    close(out);
    unlink(file);
    unlink(said);
    return good;
}

static void everything_that_can_be_said(void **state)
{
    (void)state;
    assert_true(read_text("; the help desk\n"
                          "[console]\n"
                          "title = Help desk\n"
                          "state = /srv/console\n"
                          "listen = [2001:db8::1]:443\n"
                          "names = Console.Example.org, 192.0.2.7\n"
                          "[tls]\n"
                          "certificate = /etc/c.pem\n"
                          "key = /etc/k.pem\n"
                          "minimum = 1.2\n"
                          "[limits]\n"
                          "max_bundle_mib = 64\n"
                          "quota_mib = 128\n"
                          "incomplete_days = 3\n"
                          "command_output_mib = 16\n"
                          "commands_quota_mib = 32\n"
                          "commands_days = 5\n"
                          "heartbeat_s = 20\n"
                          "connections = 50\n"));
    assert_string_equal(config.title, "Help desk");
    assert_string_equal(config.state, "/srv/console");
    assert_string_equal(config.address, "2001:db8::1");
    assert_int_equal(config.port, 443);
    assert_int_equal(config.host_count, 2);
    assert_string_equal(config.hosts[0], "console.example.org");
    assert_string_equal(config.hosts[1], "192.0.2.7");
    assert_true(config.tls12);
    assert_int_equal(config.max_bundle_bytes, 64 << 20);
    assert_int_equal(config.quota_bytes, 128 << 20);
    assert_int_equal(config.heartbeat_ms, 20000);
    assert_int_equal(config.command_output_bytes, 16 << 20);
    assert_int_equal(config.commands_quota_bytes, 32 << 20);
    assert_int_equal(config.commands_days, 5);
}

static void every_wrong_line_is_named(void **state)
{
    (void)state;
    assert_false(read_text("[console]\n"
                           "listen = nowhere\n"
                           "colour = blue\n"
                           "[limits]\n"
                           "quota_mib = -1\n"
                           "heartbeat_s = 0x10\n"
                           "commands_days = 0\n"
                           "[tls]\n"
                           "minimum = 1.0\n"
                           "[extra]\n"
                           "x = \x1b[2J\n"));
    assert_non_null(strstr(messages, ":2: listen: nowhere; allowed: ADDRESS:PORT"));
    assert_non_null(strstr(messages, ":3: colour: blue; allowed: state, listen, title, names"));
    assert_non_null(strstr(messages, ":5: quota_mib: -1; allowed: 1 to"));
    assert_non_null(strstr(messages, ":6: heartbeat_s: 0x10; allowed: 1 to 600"));
    assert_non_null(strstr(messages, ":7: commands_days: 0; allowed: 1 to 3650"));
    assert_non_null(strstr(messages, ":9: minimum: 1.0; allowed: 1.3 or 1.2"));
    assert_non_null(strstr(messages, ":11: unknown section: extra"));
    assert_null(strchr(messages, '\x1b'));
    assert_false(read_text("[console]\nno equals sign\n"));
    assert_non_null(strstr(messages, ":2: not a line of an INI file"));
}

static void addresses(void **state)
{
    (void)state;
    config_default(&config);
    assert_true(config_set_listen(&config, ":0"));
    assert_string_equal(config.address, "");
    assert_true(config_set_listen(&config, "127.0.0.1:8443"));
    assert_true(config_set_listen(&config, "[::1]:65535"));
    assert_string_equal(config.address, "::1");
    static const char *const wrong[] = {"",    "8443", "127.0.0.1", "localhost:1", ":65536",
                                        ":-1", ":1x",  "[::1:1",    "1.2.3.4.5:1", "[zz]:1",
                                        ": 1"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        assert_false(config_set_listen(&config, wrong[i]));
}

static void names(void **state)
{
    (void)state;
    config_default(&config);
    assert_true(config_add_hosts(&config, " A.example, b_1 ,2001:db8::1 "));
    assert_int_equal(config.host_count, 3);
    assert_string_equal(config.hosts[0], "a.example");
    assert_false(config_add_hosts(&config, "a/b"));
    assert_false(config_add_hosts(&config, "a."));
    assert_false(config_add_hosts(&config, "*.example"));
    for (size_t i = config.host_count; i < CONFIG_HOSTS_MAX; i++)
        assert_true(config_add_host(&config, "x", 1));
    assert_false(config_add_host(&config, "x", 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everything_that_can_be_said),
        cmocka_unit_test(every_wrong_line_is_named),
        cmocka_unit_test(addresses),
        cmocka_unit_test(names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
