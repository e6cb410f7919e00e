#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <fcntl.h>
#include <errno.h>
#include <cmocka.h>

#include "config.h"
#include "config_values.h"
#include "monitor_protocol.h"
#include "trusted.h"

#define AGE1 "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p"
#define AGE2 "age1lggyhqrw2nlhcxprm67z43rta597azn8gknawjehu9d9dl0jq3yqqvfafg"

#define HASH1 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define HASH2 "ABCDEFABCDEFABCDEFABCDEFABCDEFABCDEFABCDEFABCDEFABCDEFABCDEFABCD"
#define HASH3 "3333333333333333333333333333333333333333333333333333333333333333"

static struct config config;
static char said[16384];

/* Reads `text` as a configuration; returns the number of errors, their text is in `said`. */
static unsigned read_bytes(const char *text, size_t length)
{
    char nothing = 0;
    FILE *in = fmemopen(length ? (void *)(uintptr_t)text : &nothing, length ? length : 1, "r");
    FILE *errors = fmemopen(said, sizeof said, "w");
    assert_non_null(in);
    assert_non_null(errors);
    memset(said, 0, sizeof said);
    if (length == 0) {
        (void)getc(in);
    }
    unsigned count = config_read(&config, in, "t.conf", errors);
    fclose(in);
    fclose(errors);
    return count;
}

static unsigned read_text(const char *text)
{
    return read_bytes(text, strlen(text));
}

static void test_defaults(void **state)
{
    (void)state;
    assert_int_equal(read_text(""), 0);
    assert_string_equal(config.agent.state_dir, "/var/lib/cloister");
    assert_string_equal(config.agent.runtime_dir, "/run/cloister");
    assert_string_equal(config.display, ":0");
    assert_int_equal(config.source, CONFIG_SOURCE_AUTO);
    assert_int_equal(config.agent.capture.screenshots, 1);
    assert_int_equal(config.agent.capture.max_age_ms, 900000);
    assert_int_equal(config.agent.capture.max_frames, 300);
    assert_int_equal(config.agent.capture.max_bytes, 64 << 20);
    assert_int_equal(config.agent.capture.cpu_percent, 2);
    assert_true(config.agent.capture.triggers ==
                (AGENT_TRIGGER_BUTTON(1) | AGENT_TRIGGER_BUTTON(3) | AGENT_TRIGGER_RETURN |
                 0xfffull << 10));
    assert_int_equal(config.agent.console.port, 443);
    assert_int_equal(config.agent.console.tls_minimum, AGENT_TLS_1_3);
    assert_string_equal(config.agent.console.path, "/agent");
    assert_int_equal(config.agent.ticket.per_uid_connections, 4);
    assert_int_equal(config.agent.ticket.auto_consent, 0);
    assert_int_equal(config.agent.ticket.max_bundle, 256 << 20);
    assert_int_equal(config.agent.log_syslog, 1);
    assert_int_equal(config.agent.commands.profile, MONITOR_PROFILE_DIAGNOSTIC);
    assert_int_equal(config.agent.commands.allow_count, 0);
    assert_int_equal(config.agent.commands.group_count, 0);
}

static void test_every_key(void **state)
{
    (void)state;
    unsigned errors =
        read_text("# comment\n; another\n"
                  "[agent]\nstate = /srv/state\nruntime=/run/c\n"
                  "[session]\nsource=config\ndisplay = :7.1\nuser=jane\n"
                  "xauthority = /home/jane/.Xauthority\n"
                  "[capture]\nscreenshots=off\ntriggers = button2, f3-f5 ,return\n"
                  "max_age=2m ; short\nmax_frames=7\nmax_bytes=2M\ncpu_percent=100\n"
                  "deny = KeePassXC, *bank* \n"
                  "[console]\nhost=help.example.org\nport=8443\nca=/etc/ssl/ca.pem\n"
                  "pin=sha256//47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n"
                  "proxy=http://proxy.example.org:3128\ntls_minimum=1.2\npath=/a/b\n"
                  "[ticket]\nrecipients=" AGE1 ", " AGE2 "\nauto_consent=yes\n"
                  "per_uid_connections=2\nmax_bundle=1G\n"
                  "[commands]\nprofile = user\nallow = " HASH1 ", " HASH2 "\nallow=" HASH3
                  "\nallow = " HASH1 "\ngroups = sales, eu-1.north_2\n"
                  "[log]\nsyslog=no\nlevel=debug\n");
    assert_string_equal(said, "");
    assert_int_equal(errors, 0);
    const struct agent_config *agent = &config.agent;
    assert_string_equal(agent->state_dir, "/srv/state");
    assert_string_equal(agent->runtime_dir, "/run/c");
    assert_int_equal(config.source, CONFIG_SOURCE_CONFIG);
    assert_string_equal(config.display, ":7.1");
    assert_string_equal(config.user, "jane");
    assert_string_equal(config.xauthority, "/home/jane/.Xauthority");
    assert_int_equal(agent->capture.screenshots, 0);
    assert_true(agent->capture.triggers ==
                (AGENT_TRIGGER_BUTTON(2) | AGENT_TRIGGER_RETURN | AGENT_TRIGGER_FUNCTION(3) |
                 AGENT_TRIGGER_FUNCTION(4) | AGENT_TRIGGER_FUNCTION(5)));
    assert_int_equal(agent->capture.max_age_ms, 120000);
    assert_int_equal(agent->capture.max_frames, 7);
    assert_int_equal(agent->capture.max_bytes, 2 << 20);
    assert_int_equal(agent->capture.cpu_percent, 100);
    assert_int_equal(agent->capture.deny_count, 2);
    assert_string_equal(agent->capture.deny[0], "KeePassXC");
    assert_string_equal(agent->capture.deny[1], "*bank*");
    assert_string_equal(agent->console.host, "help.example.org");
    assert_int_equal(agent->console.port, 8443);
    assert_string_equal(agent->console.ca, "/etc/ssl/ca.pem");
    assert_int_equal(agent->console.has_pin, 1);
    assert_int_equal(agent->console.pin[0], 0xe3); /* SHA-256 of nothing */
    assert_int_equal(agent->console.pin[31], 0x55);
    assert_string_equal(agent->console.proxy_host, "proxy.example.org");
    assert_int_equal(agent->console.proxy_port, 3128);
    assert_int_equal(agent->console.tls_minimum, AGENT_TLS_1_2);
    assert_string_equal(agent->console.path, "/a/b");
    assert_int_equal(agent->ticket.recipient_count, 2);
    assert_string_equal(agent->ticket.recipients[1], AGE2);
    assert_int_equal(agent->ticket.auto_consent, 1);
    assert_int_equal(agent->ticket.per_uid_connections, 2);
    assert_true(agent->ticket.max_bundle == UINT64_C(1) << 30);
    assert_int_equal(agent->commands.profile, MONITOR_PROFILE_USER);
    assert_int_equal(agent->commands.allow_count, 3); /* one was said twice */
    assert_int_equal(agent->commands.allow[0][0], 0x01);
    assert_int_equal(agent->commands.allow[0][31], 0xef);
    assert_int_equal(agent->commands.allow[1][0], 0xab); /* upper case is read, too */
    assert_int_equal(agent->commands.allow[2][31], 0x33);
    assert_int_equal(agent->commands.group_count, 2);
    assert_string_equal(agent->commands.groups[0], "sales");
    assert_string_equal(agent->commands.groups[1], "eu-1.north_2");
    assert_int_equal(agent->log_syslog, 0);
    assert_int_equal(agent->log_level, 7);
}

/* One wrong line each, and what has to be said of it. */
static const struct {
    const char *text, *expected;
} wrong[] = {
    {"[agent]\nstate = relative\n",
     "t.conf:2: \"relative\" is not right for \"state\"; allowed: an"},
    {"[agent]\nstate = /a/../b\n", "t.conf:2: "},
    {"[agent]\nstate = /a/\n", "t.conf:2: "},
    {"[agent]\nruntime = /0123456789012345678901234567890123456789012345678901234567890123\n",
     "t.conf:2: "},
    {"[agent]\nstat = /a\n", "t.conf:2: \"stat\" is not a key of [agent]; allowed: state, runtime"},
    {"[agent]\n\nstate = /a\nstate = /a\n", "t.conf:4: \"state\" is given twice in [agent]"},
    {"[nonsense]\n", "t.conf:1: \"[nonsense]\" is not a section; allowed: agent, session, capture, "
                     "console, ticket, "
                     "commands, log"},
    {"[agent\n", "t.conf:1: "},
    {"state = /a\n", "t.conf:1: \"state = /a\" stands before any [section]"},
    {"[agent]\nstate\n", "t.conf:2: \"state\" is not understood; allowed: [section], key = value"},
    {"[agent]\nstate:/a\n", "t.conf:2: "},
    {"[agent]\nstate = /a\x1b[2J\n", "t.conf:2: control character"},
    {"[session]\nsource = maybe\n", "allowed: auto, config or logind"},
    {"[session]\nsource = config\n", "t.conf:0: [session] source = config needs user"},
    {"[session]\ndisplay = host:0\n", "t.conf:2: "},
    {"[session]\ndisplay = :\n", "t.conf:2: "},
    {"[session]\ndisplay = :0.\n", "t.conf:2: "},
    {"[session]\ndisplay = :70000\n", "t.conf:2: "},
    {"[session]\nuser = a b\n", "t.conf:2: "},
    {"[session]\nuser = -x\n", "t.conf:2: "},
    {"[session]\nuser = 4294967295\n", "t.conf:2: "},
    {"[session]\nuser =\n", "t.conf:2: "},
    {"[session]\nxauthority = x\n", "t.conf:2: "},
    {"[capture]\nscreenshots = maybe\n", "t.conf:2: \"maybe\" is not right for \"screenshots\"; "
                                         "allowed: on or off"},
    {"[capture]\ntriggers = \n", "t.conf:2: "},
    {"[capture]\ntriggers = button0\n", "t.conf:2: "},
    {"[capture]\ntriggers = button10\n", "t.conf:2: "},
    {"[capture]\ntriggers = f25\n", "t.conf:2: "},
    {"[capture]\ntriggers = f5-f3\n", "t.conf:2: "},
    {"[capture]\ntriggers = button1-button3\n", "t.conf:2: "},
    {"[capture]\ntriggers = f1,,f2\n", "t.conf:2: "},
    {"[capture]\ntriggers = a\n", "t.conf:2: "},
    {"[capture]\nmax_age = 15\n", "allowed: 10s to 24h, with unit s, m or h"},
    {"[capture]\nmax_age = 9s\n", "t.conf:2: "},
    {"[capture]\nmax_age = 25h\n", "t.conf:2: "},
    {"[capture]\nmax_age = -1m\n", "t.conf:2: "},
    {"[capture]\nmax_age = 99999999999999999h\n", "t.conf:2: "},
    {"[capture]\nmax_age = 999999999999999999s\n", "t.conf:2: "},
    {"[capture]\nmax_frames = 0\n", "allowed: 1 to 10000"},
    {"[capture]\nmax_frames = 10001\n", "t.conf:2: "},
    {"[capture]\nmax_frames = 0x10\n", "t.conf:2: "},
    {"[capture]\nmax_bytes = 1023K\n", "t.conf:2: "},
    {"[capture]\nmax_bytes = 1025M\n", "t.conf:2: "},
    {"[capture]\nmax_bytes = 64MB\n", "t.conf:2: "},
    {"[capture]\ncpu_percent = 101\n", "t.conf:2: "},
    {"[capture]\ndeny = a,,b\n", "t.conf:2: "},
    {"[console]\nhost = ex ample\n", "t.conf:2: "},
    {"[console]\nhost = -x.org\n", "t.conf:2: "},
    {"[console]\nhost = x..org\n", "t.conf:2: "},
    {"[console]\nhost = ::g\n", "t.conf:2: "},
    {"[console]\nhost = a/b\n", "t.conf:2: "},
    {"[console]\nport = 0\n", "allowed: 1 to 65535"},
    {"[console]\nport = 65536\n", "t.conf:2: "},
    {"[console]\nhost = a\nca = x.pem\n", "t.conf:3: "},
    {"[console]\nca = /x.pem\n", "t.conf:0: [console] ca, pin and proxy need host"},
    {"[console]\nhost = a\npin = AAAA\n", "t.conf:3: "},
    {"[console]\nhost = a\npin = 47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFV=\n", "t.conf:3: "},
    {"[console]\nhost = a\npin = 47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSu!U=\n", "t.conf:3: "},
    {"[console]\nhost = a\nproxy = https://p:1\n", "t.conf:3: "},
    {"[console]\nhost = a\nproxy = http://p\n", "t.conf:3: "},
    {"[console]\nhost = a\nproxy = http://:80\n", "t.conf:3: "},
    {"[console]\nhost = a\nproxy = http://u@p:80\n", "t.conf:3: "},
    {"[console]\nhost = a\nproxy = http://::1:80\n", "t.conf:3: "},
    {"[console]\nhost = a\nproxy = http://p:0\n", "t.conf:3: "},
    {"[console]\ntls_minimum = 1.1\n", "allowed: 1.3 or 1.2"},
    {"[console]\npath = agent\n", "t.conf:2: "},
    {"[console]\npath = /a b\n", "t.conf:2: "},
    {"[ticket]\nrecipients = age1xyz\n", "t.conf:2: "},
    {"[ticket]\nrecipients = age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8q\n",
     "without typing errors"},
    {"[ticket]\nrecipients = " AGE1 "," AGE1 "\n", "up to 8 different"},
    {"[ticket]\nauto_consent = maybe\n", "t.conf:2: "},
    {"[ticket]\nauto_consent = yes\n", "t.conf:0: [ticket] auto_consent = yes needs recipients"},
    {"[ticket]\nper_uid_connections = 65\n", "t.conf:2: "},
    {"[ticket]\nmax_bundle = 1\n", "t.conf:2: "},
    {"[commands]\nprofile = root\n", "allowed: off, diagnostic, user or admin"},
    {"[commands]\nprofile = Admin\n", "t.conf:2: "},
    {"[commands]\nprofile = off\nprofile = user\n", "t.conf:3: \"profile\" is given twice"},
    {"[commands]\nallow =\n", "t.conf:2: "}, /* not as if it were left out, which allows all */
    {"[commands]\nallow = " HASH1 ",\n", "t.conf:2: "},
    {"[commands]\nallow = " HASH1 "0\n", "t.conf:2: "},
    {"[commands]\nallow = 123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\n",
     "64 hexadecimal digits"},
    {"[commands]\nallow = g123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\n",
     "t.conf:2: "},
    {"[commands]\ngroups = a, a\n", "different names"},
    {"[commands]\ngroups = a b\n", "t.conf:2: "},
    {"[commands]\ngroups = Sales\n", "t.conf:2: "},
    {"[commands]\ngroups =\n", "t.conf:2: "},
    {"[commands]\ngroups = a\ngroups = b\n", "t.conf:3: \"groups\" is given twice"},
    {"[commands]\ngroups = 012345678901234567890123456789012345678901234567\n", "t.conf:2: "},
    {"[commands]\ngroups = a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p,q\n", "up to 16"},
    {"[log]\nsyslog = maybe\n", "t.conf:2: "},
    {"[log]\nlevel = loud\n", "allowed: error, warning, notice, info or debug"},
};

static void test_each_wrong_line(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        unsigned errors = read_text(wrong[i].text);
        if (errors != 1 || !strstr(said, wrong[i].expected)) {
            fail_msg("of <%s> was said, %u times: %s", wrong[i].text, errors, said);
        }
        assert_null(strchr(said, '\x1b'));
    }
}

static void test_all_errors_are_listed(void **state)
{
    (void)state;
    assert_int_equal(read_text("[agent]\nstate=x\n[bogus]\na=b\n[log]\nlevel=9\nfoo=1\nbar\n"), 5);
    for (int i = 0; i < 5; i++) {
        const char *lines[] = {
            "t.conf:2: ", "t.conf:3: ", "t.conf:6: ", "t.conf:7: ", "t.conf:8: "};
        assert_non_null(strstr(said, lines[i]));
    }
}

static void test_long_and_binary_lines(void **state)
{
    char text[3 * CONFIG_LINE_MAX];
    (void)state;
    memset(text, 'a', sizeof text - 1);
    text[sizeof text - 1] = 0;
    memcpy(text, "[log]\nlevel = ", 14);
    memcpy(text + sizeof text - 12, "\nbad = here", 11);
    assert_int_equal(read_text(text), 2);
    assert_non_null(strstr(said, "t.conf:2: line too long; allowed: 4094 bytes"));
    assert_non_null(strstr(said, "t.conf:3: \"bad\" is not a key"));
    assert_int_equal(read_bytes("[log]\nlevel=info\0x\n", 19), 1);
    assert_non_null(strstr(said, "t.conf:2: control character or NUL"));
    assert_int_equal(read_text("[log]\nlevel=info"), 0); /* no newline at the end */
    assert_int_equal(read_text("[log]\r\nlevel=info\r\n"), 0);
}

static void test_deny_limits(void **state)
{
    char text[4096] = "[capture]\ndeny = a";
    (void)state;
    for (int i = 1; i < AGENT_DENY_MAX; i++) {
        strcat(text, ",b");
    }
    assert_int_equal(read_text(text), 0);
    assert_int_equal(config.agent.capture.deny_count, AGENT_DENY_MAX);
    strcat(text, ",c");
    assert_int_equal(read_text(text), 1);
}

/* The list of commands may be spread over lines, to a bound that holds for all of them. */
static void test_allow_limits(void **state)
{
    static char text[8192];
    size_t used = (size_t)snprintf(text, sizeof text, "[commands]\n");
    (void)state;
    for (unsigned i = 0; i < AGENT_ALLOW_MAX; i++)
        used += (size_t)snprintf(text + used, sizeof text - used, "allow = %064x\n", i);
    assert_int_equal(read_text(text), 0);
    assert_int_equal(config.agent.commands.allow_count, AGENT_ALLOW_MAX);
    assert_int_equal(config.agent.commands.allow[AGENT_ALLOW_MAX - 1][31], AGENT_ALLOW_MAX - 1);
    snprintf(text + used, sizeof text - used, "allow = %064x\n", 3);
    assert_int_equal(read_text(text), 0);
    snprintf(text + used, sizeof text - used, "allow = %064x\n", AGENT_ALLOW_MAX);
    assert_int_equal(read_text(text), 1);
    assert_non_null(strstr(said, "64 in all the lines"));
}

static void test_hosts(void **state)
{
    struct agent_console console;
    char out[256];
    (void)state;
    assert_int_equal(value_host(out, "10.1.2.3", 8), 0);
    assert_int_equal(value_host(out, "2001:db8::1", 11), 0);
    assert_int_equal(value_host(out, "a-b.example", 11), 0);
    assert_int_equal(value_proxy(&console, "http://[::1]:8080"), 0);
    assert_string_equal(console.proxy_host, "::1");
    assert_int_equal(value_proxy(&console, "http://[p]:8080"), -1);
}

/* The file that is installed: right as it is, and with every key that it shows. */
static void test_installed_file(void **state)
{
    static char text[16384], uncommented[16384];
    (void)state;
    FILE *file = fopen(CLOISTER_CONF, "r");
    assert_non_null(file);
    size_t size = fread(text, 1, sizeof text - 1, file), used = 0;
    fclose(file);
    assert_true(size < sizeof text - 1);
    assert_int_equal(read_text(text), 0);
    unsigned keys_shown = 0;
    for (const char *line = text; *line; line = strchr(line, '\n') + 1) {
        int shown = line[0] == '#' && line[1] != ' ' && line[1] != '\n';
        const char *from = line + shown;
        size_t length = strcspn(from, "\n") + 1;
        memcpy(uncommented + used, from, length);
        used += length;
        keys_shown += (unsigned)shown;
    }
    uncommented[used] = 0;
    (void)read_text(uncommented);
    assert_string_equal(said, "");
    assert_int_equal(keys_shown, 29); /* all there are */
    assert_int_equal(read_text("[x]\n"), 1);
}

static void write_file(const char *path, const char *text, mode_t mode)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
    assert_int_equal(chmod(path, mode), 0);
}

/* Loads the file and returns whether it was accepted; `said` has the errors. */
static int loads(const char *path)
{
    FILE *errors = fmemopen(said, sizeof said, "w"), *in = fopen(path, "r");
    assert_non_null(in);
    memset(said, 0, sizeof said);
    unsigned count = config_load(&config, in, path, errors);
    fclose(in);
    fclose(errors);
    return count == 0;
}

static void test_files_must_be_roots(void **state)
{
    char folder[] = "/tmp/cloister-config.XXXXXX", path[64], ca[64], text[256];
    (void)state;
    if (geteuid() != 0) {
        skip();
    }
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/a.conf", folder);
    snprintf(ca, sizeof ca, "%s/ca.pem", folder);
    assert_int_equal(trusted_open(AT_FDCWD, path, O_RDONLY, S_IFREG), -ENOENT);
    snprintf(text, sizeof text, "[console]\nhost=a\nca=%s\n", ca);
    write_file(path, text, 0644);
    int fd = trusted_open(AT_FDCWD, path, O_RDONLY, S_IFREG);
    assert_true(fd >= 0);
    close(fd);
    assert_int_equal(trusted_open(AT_FDCWD, folder, O_RDONLY, S_IFREG), -EINVAL);
    assert_int_equal(trusted_open(AT_FDCWD, path, O_RDONLY, S_IFDIR), -EINVAL);
    assert_int_equal(chmod(path, 0664), 0);
    assert_int_equal(trusted_open(AT_FDCWD, path, O_RDONLY, S_IFREG), -EPERM);
    assert_int_equal(chmod(path, 0646), 0);
    assert_int_equal(trusted_open(AT_FDCWD, path, O_RDONLY, S_IFREG), -EPERM);
    assert_int_equal(chmod(path, 0644), 0);
    assert_int_equal(chown(path, 65534, 0), 0);
    assert_int_equal(trusted_open(AT_FDCWD, path, O_RDONLY, S_IFREG), -EPERM);

    assert_false(loads(path));
    assert_non_null(strstr(said, "ca.pem No such file"));
    write_file(ca, "x", 0644);
    assert_true(loads(path));
    assert_int_equal(chmod(ca, 0666), 0);
    assert_false(loads(path));
    assert_non_null(strstr(said, "ca.pem must belong to root and be writable by nobody else"));
    unlink(ca);
    unlink(path);
    rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_every_key),
        cmocka_unit_test(test_each_wrong_line),
        cmocka_unit_test(test_all_errors_are_listed),
        cmocka_unit_test(test_long_and_binary_lines),
        cmocka_unit_test(test_deny_limits),
        cmocka_unit_test(test_allow_limits),
        cmocka_unit_test(test_hosts),
        cmocka_unit_test(test_installed_file),
        cmocka_unit_test(test_files_must_be_roots),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
