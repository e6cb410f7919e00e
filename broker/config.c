#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <ini.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config_values.h"
#include "log.h"
#include "monitor_protocol.h"
#include "trusted.h"

struct key {
    const char *section, *name;
    int (*set)(struct config *config, const struct key *key, const char *text);
    size_t offset; /* of the member in struct config */
    uint64_t low, high;
    const char *allowed;
};

struct reader {
    struct config *config;
    FILE *stream, *errors;
    const char *name;
    unsigned line, count;
    int section_seen, section_known;
    uint64_t seen; /* one bit per key */
};

static void __attribute__((format(printf, 2, 3)))
complain(struct reader *reader, const char *format, ...)
{
    char text[LOG_LINE_MAX], safe[LOG_LINE_MAX];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    log_escape(safe, sizeof safe, text,
               length < 0 ? 0
                          : strnlen(text, sizeof text)); /* the file is not to draw on a terminal */
    fprintf(reader->errors, "%s:%u: %s\n", reader->name, reader->line, safe);
    reader->count++;
}

#define MEMBER(config, key) ((void *)((char *)(config) + (key)->offset))

static int set_flag(struct config *config, const struct key *key, const char *text)
{
    int on = !strcmp(text, "yes") || !strcmp(text, "on");
    *(uint32_t *)MEMBER(config, key) = (uint32_t)on;
    return on || !strcmp(text, "no") || !strcmp(text, "off") ? 0 : -1;
}

static int set_number(struct config *config, const struct key *key, const char *text)
{
    uint64_t value;
    int result = value_number(&value, text, key->low, key->high);
    *(uint32_t *)MEMBER(config, key) = (uint32_t)(result == 0 ? value : 0);
    return result;
}

static int set_port(struct config *config, const struct key *key, const char *text)
{
    uint64_t value;
    int result = value_number(&value, text, key->low, key->high);
    *(uint16_t *)MEMBER(config, key) = (uint16_t)(result == 0 ? value : 0);
    return result;
}

static int set_duration(struct config *config, const struct key *key, const char *text)
{
    return value_duration_ms(MEMBER(config, key), text, key->low, key->high);
}

static int set_size(struct config *config, const struct key *key, const char *text)
{
    return value_size(MEMBER(config, key), text, key->low, key->high);
}

/* `high` is the member's capacity. */
static int set_path(struct config *config, const struct key *key, const char *text)
{
    return value_path(MEMBER(config, key), key->high, text);
}

static int set_triggers(struct config *config, const struct key *key, const char *text)
{
    return value_triggers(MEMBER(config, key), text);
}

static int set_deny(struct config *config, const struct key *key, const char *text)
{
    return value_deny(MEMBER(config, key), text);
}

static int set_recipients(struct config *config, const struct key *key, const char *text)
{
    return value_recipients(MEMBER(config, key), text);
}

static int set_host(struct config *config, const struct key *key, const char *text)
{
    return value_host(MEMBER(config, key), text, strlen(text));
}

static int set_proxy(struct config *config, const struct key *key, const char *text)
{
    return value_proxy(MEMBER(config, key), text);
}

static int set_pin(struct config *config, const struct key *key, const char *text)
{
    config->agent.console.has_pin = 1;
    return value_pin(MEMBER(config, key), text);
}

static int set_ca(struct config *config, const struct key *key, const char *text)
{
    return strcmp(text, "system") == 0 ? 0 : set_path(config, key, text);
}

static int set_url_path(struct config *config, const struct key *key, const char *text)
{
    return value_url_path(MEMBER(config, key), text);
}

static int set_display(struct config *config, const struct key *key, const char *text)
{
    return value_display(MEMBER(config, key), text);
}

static int set_user(struct config *config, const struct key *key, const char *text)
{
    return value_user(MEMBER(config, key), text);
}

static int set_tls(struct config *config, const struct key *key, const char *text)
{
    int old = strcmp(text, "1.2") == 0;
    *(uint16_t *)MEMBER(config, key) = old ? AGENT_TLS_1_2 : AGENT_TLS_1_3;
    return old || strcmp(text, "1.3") == 0 ? 0 : -1;
}

static int one_of(uint32_t *out, const char *const *names, const char *text)
{
    for (*out = 0; names[*out]; (*out)++)
        if (strcmp(names[*out], text) == 0)
            return 0;
    return -1;
}

static int set_profile(struct config *config, const struct key *key, const char *text)
{
    return one_of(MEMBER(config, key),
                  (const char *const[]){"off", "diagnostic", "user", "admin", NULL}, text);
}

static int set_allow(struct config *config, const struct key *key, const char *text)
{
    return value_allow(MEMBER(config, key), text);
}

static int set_groups(struct config *config, const struct key *key, const char *text)
{
    return value_groups(MEMBER(config, key), text);
}

static int set_source(struct config *config, const struct key *key, const char *text)
{
    return one_of(MEMBER(config, key), (const char *const[]){"auto", "config", "logind", NULL},
                  text);
}

static int set_level(struct config *config, const struct key *key, const char *text)
{
    uint32_t *level = MEMBER(config, key);
    int result = one_of(
        level, (const char *const[]){"error", "warning", "notice", "info", "debug", NULL}, text);
    *level += LOG_ERR;
    return result;
}

#define AT(member) offsetof(struct config, member)
#define MIB        (UINT64_C(1) << 20)
static const struct key keys[] = {
    {"agent", "state", set_path, AT(agent.state_dir), 0, 128,
     "an absolute path, at most 127 bytes"},
    {"agent", "runtime", set_path, AT(agent.runtime_dir), 0, 64,
     "an absolute path, at most 63 bytes"},
    {"session", "source", set_source, AT(source), 0, 0, "auto, config or logind"},
    {"session", "display", set_display, AT(display), 0, 0, "a local X display, as :0"},
    {"session", "user", set_user, AT(user), 0, 0, "an account's name or number"},
    {"session", "xauthority", set_path, AT(xauthority), 0, 256, "an absolute path"},
    {"capture", "screenshots", set_flag, AT(agent.capture.screenshots), 0, 0, "on or off"},
    {"capture", "triggers", set_triggers, AT(agent.capture.triggers), 0, 0,
     "a list of button1 to button9, return, f1 to f24 and ranges as f1-f12"},
    {"capture", "max_age", set_duration, AT(agent.capture.max_age_ms), 10000, 86400000,
     "10s to 24h, with unit s, m or h"},
    {"capture", "max_frames", set_number, AT(agent.capture.max_frames), 1, 10000, "1 to 10000"},
    {"capture", "max_bytes", set_size, AT(agent.capture.max_bytes), MIB, 1024 * MIB,
     "1M to 1G, with unit K, M or G"},
    {"capture", "cpu_percent", set_number, AT(agent.capture.cpu_percent), 1, 100, "1 to 100"},
    {"capture", "deny", set_deny, AT(agent.capture), 0, 0,
     "up to 32 window classes of up to 63 bytes, separated by commas, with * and ?"},
    {"console", "host", set_host, AT(agent.console.host), 0, 0, "a host name or an IP address"},
    {"console", "port", set_port, AT(agent.console.port), 1, 65535, "1 to 65535"},
    {"console", "ca", set_ca, AT(agent.console.ca), 0, 256,
     "system, or the absolute path of a PEM file"},
    {"console", "pin", set_pin, AT(agent.console.pin), 0, 0,
     "SHA-256 of the server's public key in base64, 44 characters, after an optional sha256//"},
    {"console", "proxy", set_proxy, AT(agent.console), 0, 0, "http://host:port"},
    {"console", "tls_minimum", set_tls, AT(agent.console.tls_minimum), 0, 0, "1.3 or 1.2"},
    {"console", "path", set_url_path, AT(agent.console.path), 0, 0,
     "a URL path that begins with /"},
    {"ticket", "recipients", set_recipients, AT(agent.ticket), 0, 0,
     "up to 8 different age recipients (age1...), separated by commas, without typing errors"},
    {"ticket", "auto_consent", set_flag, AT(agent.ticket.auto_consent), 0, 0, "no or yes"},
    {"ticket", "per_uid_connections", set_number, AT(agent.ticket.per_uid_connections), 1, 64,
     "1 to 64"},
    {"ticket", "max_bundle", set_size, AT(agent.ticket.max_bundle), MIB, 4096 * MIB,
     "1M to 1G, with unit K, M or G"},
    {"commands", "profile", set_profile, AT(agent.commands.profile), 0, 0,
     "off, diagnostic, user or admin"},
    {"commands", "allow", set_allow, AT(agent.commands), 0, 0,
     "SHA-256 of commands, 64 hexadecimal digits each, separated by commas; 64 in all the lines"},
    {"commands", "groups", set_groups, AT(agent.commands), 0, 0,
     "up to 16 different names of a-z, 0-9, dot, _ and -, of up to 47 bytes, separated by commas"},
    {"log", "syslog", set_flag, AT(agent.log_syslog), 0, 0, "yes or no"},
    {"log", "level", set_level, AT(agent.log_level), 0, 0, "error, warning, notice, info or debug"},
};
#define KEYS (sizeof keys / sizeof keys[0])
_Static_assert(KEYS <= 64, "one bit each in reader.seen");

void config_defaults(struct config *out)
{
    *out = (struct config){
        .source = CONFIG_SOURCE_AUTO,
        .display = ":0",
        .agent = {
            .magic = AGENT_CONFIG_MAGIC,
            .size = sizeof(struct agent_config),
            .state_dir = "/var/lib/cloister",
            .runtime_dir = "/run/cloister",
            .log_syslog = 1,
            .log_level = LOG_INFO,
            .session = {.uid = AGENT_UID_NONE, .gid = AGENT_UID_NONE},
            .capture = {.max_age_ms = 15 * 60000,
                        .max_bytes = 64 * MIB,
                        .max_frames = 300,
                        .cpu_percent = 2,
                        .screenshots = 1},
            .console = {.path = "/agent", .port = 443, .tls_minimum = AGENT_TLS_1_3},
            .ticket = {.max_bundle = 256 * MIB, .per_uid_connections = 4, .gid = AGENT_UID_NONE},
            .commands = {.profile = MONITOR_PROFILE_DIAGNOSTIC}}};
    (void)value_triggers(&out->agent.capture.triggers, "button1,button3,return,f1-f12");
}

static void list_names(char *out, size_t capacity, const char *section)
{
    size_t used = 0;
    out[0] = 0;
    for (size_t i = 0; i < KEYS; i++) {
        const char *name = section ? keys[i].name : keys[i].section;
        if (section ? strcmp(keys[i].section, section) == 0
                    : i == 0 || strcmp(name, keys[i - 1].section) != 0) {
            int length = snprintf(out + used, capacity - used, "%s%s", used ? ", " : "", name);
            used += length > 0 && (size_t)length < capacity - used ? (size_t)length : 0;
        }
    }
}

/* inih's handler: one "name = value" line in a section. Always goes on, to find all errors. */
static int handle(void *user, const char *section, const char *name, const char *value)
{
    struct reader *reader = user;
    char names[256];
    for (size_t i = 0; i < KEYS; i++) {
        if (strcmp(keys[i].section, section) != 0 || strcmp(keys[i].name, name) != 0)
            continue;
        /* the list of commands may be spread over several lines */
        if (reader->seen >> i & 1 && keys[i].set != set_allow) {
            complain(reader, "\"%s\" is given twice in [%s]", name, section);
        } else if (keys[i].set(reader->config, &keys[i], value) != 0) {
            complain(reader, "\"%.200s\" is not right for \"%s\"; allowed: %s", value, name,
                     keys[i].allowed);
        }
        reader->seen |= UINT64_C(1) << i;
        return 1;
    }
    list_names(names, sizeof names, section);
    complain(reader, "\"%s\" is not a key of [%s]; allowed: %s", name, section, names);
    return 1;
}

/* Looks at one line before inih does: at what inih would pass over. Returns 0 if it is to be read.
 */
static int check_line(struct reader *reader, const char *line)
{
    const char *text = line + strspn(line, " \t\r\n");
    if (*text == 0 || *text == ';' || *text == '#')
        return 0;
    if (*text == '[') {
        char names[256], section[32] = "";
        size_t length = strcspn(++text, "]");
        for (size_t i = 0; i < KEYS && length < sizeof section; i++)
            if (strlen(keys[i].section) == length && !strncmp(keys[i].section, text, length))
                memcpy(section, text, length);
        reader->section_seen = 1;
        reader->section_known = section[0] && text[length] == ']';
        if (!reader->section_known) {
            list_names(names, sizeof names, NULL);
            complain(reader, "\"[%.60s\" is not a section; allowed: %s", text, names);
        }
        return !reader->section_known;
    }
    if (text[strcspn(text, "=:")] != '=') {
        complain(reader, "\"%.60s\" is not understood; allowed: [section], key = value, # comment",
                 text);
        return -1;
    }
    if (!reader->section_seen)
        complain(reader, "\"%.60s\" stands before any [section]", text);
    return !reader->section_known; /* an unknown section has been complained of once */
}

/* inih's reader: one line, or an empty one in place of one that it must not see. */
static char *read_line(char *out, int capacity, void *user)
{
    struct reader *reader = user;
    int used = 0, bad = 0, c;
    while ((c = getc(reader->stream)) != EOF && c != '\n') {
        bad |= (c < ' ' && c != '\t' && c != '\r') || c == 0x7f;
        if (used < capacity - 2)
            out[used++] = (char)c;
        else
            bad |= 2;
    }
    if (c == EOF && used == 0)
        return NULL;
    reader->line++;
    out[used] = 0;
    if (bad) {
        complain(reader,
                 bad & 2 ? "line too long; allowed: %d bytes"
                         : "control character or NUL in the line; allowed: text, %d bytes",
                 CONFIG_LINE_MAX - 2);
    }
    if (bad || check_line(reader, out) != 0)
        out[0] = 0;
    return out;
}

/* What no single line can be wrong about. */
static void check_whole(struct reader *reader)
{
    const struct agent_console *console = &reader->config->agent.console;
    reader->line = 0;
    if (reader->config->source == CONFIG_SOURCE_CONFIG && !reader->config->user[0])
        complain(reader, "[session] source = config needs user");
    if (!console->host[0] && (console->ca[0] || console->has_pin || console->proxy_host[0]))
        complain(reader, "[console] ca, pin and proxy need host");
    if (reader->config->agent.ticket.auto_consent &&
        reader->config->agent.ticket.recipient_count == 0)
        complain(reader, "[ticket] auto_consent = yes needs recipients");
}

unsigned config_read(struct config *out, FILE *stream, const char *name, FILE *errors)
{
    struct reader reader = {.config = out, .stream = stream, .errors = errors, .name = name};
    config_defaults(out);
    ini_use_stack = false; /* its buffer on the stack has 200 bytes */
    ini_allow_realloc = false;
    ini_initial_alloc = ini_max_line = CONFIG_LINE_MAX;
    ini_allow_multiline = false;
    ini_allow_bom = false;
    ini_allow_no_value = false;
    int result = ini_parse_stream(read_line, &reader, handle, &reader);
    if (ferror(stream) || (result != 0 && reader.count == 0))
        complain(&reader, "cannot be read");
    check_whole(&reader);
    return reader.count;
}

unsigned config_load(struct config *out, FILE *stream, const char *name, FILE *errors)
{
    struct reader reader = {.config = out, .errors = errors, .name = name};
    reader.count = config_read(out, stream, name, errors);
    if (out->agent.console.ca[0]) {
        int ca = trusted_open(AT_FDCWD, out->agent.console.ca, O_RDONLY, S_IFREG);
        if (ca < 0)
            complain(&reader, "%s %s", out->agent.console.ca, trusted_error(ca));
        else
            close(ca);
    }
    return reader.count;
}
