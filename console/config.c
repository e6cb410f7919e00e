#include "config.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <ini.h>
#include <jansson.h>

#include "log.h"

struct reading {
    struct config *config;
    const char *file;
    FILE *stream;
    unsigned line, wrong;
};

void config_default(struct config *c)
{
    memset(c, 0, sizeof(*c));
    snprintf(c->state, sizeof(c->state), "%s", CONFIG_STATE_DEFAULT);
    c->port = 8443;
    c->max_bundle_bytes = UINT64_C(512) << 20;
    c->quota_bytes = UINT64_C(4096) << 20;
    c->command_output_bytes = UINT64_C(1024) << 20;
    c->commands_quota_bytes = UINT64_C(4096) << 20;
    c->incomplete_days = 7;
    c->commands_days = 90;
    c->heartbeat_ms = 45000;
    c->connections = 1000;
}

static bool parse_number(const char *text, uint64_t low, uint64_t high, uint64_t *out)
{
    char *end;
    if (!isdigit((unsigned char)text[0]) || strlen(text) > 15)
        return false;
    *out = strtoull(text, &end, 10);
    return *end == '\0' && *out >= low && *out <= high;
}

bool config_set_listen(struct config *c, const char *text)
{
    uint8_t bytes[16];
    uint64_t port;
    char address[64];
    const char *colon = strrchr(text, ':');
    if (!colon || !parse_number(colon + 1, 0, 65535, &port))
        return false;
    size_t length = (size_t)(colon - text);
    if (length > 1 && text[0] == '[' && colon[-1] == ']') {
        text++;
        length -= 2;
    }
    if (length >= sizeof(address))
        return false;
    memcpy(address, text, length);
    address[length] = '\0';
    if (length > 0 && inet_pton(AF_INET, address, bytes) != 1 &&
        inet_pton(AF_INET6, address, bytes) != 1)
        return false;
    memcpy(c->address, address, length + 1);
    c->port = (int)port;
    return true;
}

bool config_add_host(struct config *c, const char *text, size_t length)
{
    if (c->host_count == CONFIG_HOSTS_MAX || length < 1 || length > 253)
        return false;
    char *out = c->host_text[c->host_count];
    for (size_t i = 0; i < length; i++) {
        out[i] = (char)tolower((unsigned char)text[i]);
        if (!isalnum((unsigned char)out[i]) && !strchr(".-_:", out[i]))
            return false;
    }
    if (out[length - 1] == '.')
        return false;
    out[length] = '\0';
    c->hosts[c->host_count++] = out;
    return true;
}

bool config_add_hosts(struct config *c, const char *text)
{
    static const char between[] = ", \t";
    for (text += strspn(text, between); *text; text += strspn(text, between)) {
        size_t length = strcspn(text, between);
        if (!config_add_host(c, text, length))
            return false;
        text += length;
    }
    return true;
}

static bool set_path(char out[PATH_MAX], const char *value)
{
    return value[0] == '/' && (size_t)snprintf(out, PATH_MAX, "%s", value) < PATH_MAX;
}

static bool set_title(struct config *c, const char *value)
{
    json_t *valid = json_string(value); /* refuses what is not UTF-8 */
    json_decref(valid);
    return valid && value[0] && (size_t)snprintf(c->title, sizeof(c->title), "%s", value) < 129;
}

static bool set_u32(uint32_t *out, const char *value, uint64_t low, uint64_t high, uint32_t unit)
{
    uint64_t number;
    if (!parse_number(value, low, high, &number))
        return false;
    *out = (uint32_t)number * unit;
    return true;
}

static bool set_mib(uint64_t *out, const char *value, uint64_t high)
{
    uint64_t number;
    if (!parse_number(value, 1, high, &number))
        return false;
    *out = number << 20;
    return true;
}

/* Returns NULL if the value was taken, else what is allowed. */
static const char *set_console(struct reading *r, const char *name, const char *value)
{
    struct config *c = r->config;
    if (strcmp(name, "state") == 0)
        return set_path(c->state, value) ? NULL : "an absolute path";
    if (strcmp(name, "listen") == 0)
        return config_set_listen(c, value) ? NULL : "ADDRESS:PORT, [IPV6]:PORT or :PORT";
    if (strcmp(name, "title") == 0)
        return set_title(c, value) ? NULL : "1 to 128 bytes of UTF-8";
    if (strcmp(name, "names") == 0)
        return config_add_hosts(c, value) ? NULL : "up to 16 host names or IP addresses";
    return "state, listen, title, names";
}

static const char *set_tls(struct reading *r, const char *name, const char *value)
{
    struct config *c = r->config;
    if (strcmp(name, "certificate") == 0)
        return set_path(c->certificate, value) ? NULL : "an absolute path";
    if (strcmp(name, "key") == 0)
        return set_path(c->key, value) ? NULL : "an absolute path";
    if (strcmp(name, "minimum") == 0) {
        c->tls12 = strcmp(value, "1.2") == 0;
        return c->tls12 || strcmp(value, "1.3") == 0 ? NULL : "1.3 or 1.2";
    }
    return "certificate, key, minimum";
}

static const char *set_limits(struct reading *r, const char *name, const char *value)
{
    struct config *c = r->config;
    if (strcmp(name, "max_bundle_mib") == 0)
        return set_mib(&c->max_bundle_bytes, value, 16384) ? NULL : "1 to 16384";
    if (strcmp(name, "quota_mib") == 0)
        return set_mib(&c->quota_bytes, value, 1 << 26) ? NULL : "1 to 67108864";
    if (strcmp(name, "incomplete_days") == 0)
        return set_u32(&c->incomplete_days, value, 1, 365, 1) ? NULL : "1 to 365";
    if (strcmp(name, "command_output_mib") == 0)
        return set_mib(&c->command_output_bytes, value, 16384) ? NULL : "1 to 16384";
    if (strcmp(name, "commands_quota_mib") == 0)
        return set_mib(&c->commands_quota_bytes, value, 1 << 26) ? NULL : "1 to 67108864";
    if (strcmp(name, "commands_days") == 0)
        return set_u32(&c->commands_days, value, 1, 3650, 1) ? NULL : "1 to 3650";
    if (strcmp(name, "heartbeat_s") == 0)
        return set_u32(&c->heartbeat_ms, value, 1, 600, 1000) ? NULL : "1 to 600";
    if (strcmp(name, "connections") == 0)
        return set_u32(&c->connections, value, 1, 100000, 1) ? NULL : "1 to 100000";
    return "max_bundle_mib, quota_mib, incomplete_days, command_output_mib, commands_quota_mib,"
           " commands_days, heartbeat_s, connections";
}

static void complain(struct reading *r, const char *what, const char *value, const char *allowed)
{
    char shown[256];
    log_escape(shown, sizeof(shown), value, strlen(value));
    fprintf(stderr, "%s:%u: %s: %s; allowed: %s\n", r->file, r->line, what, shown, allowed);
    r->wrong++;
}

static int take_line(void *context, const char *section, const char *name, const char *value)
{
    struct reading *r = context;
    const char *allowed;
    if (strcmp(section, "console") == 0) {
        allowed = set_console(r, name, value);
    } else if (strcmp(section, "tls") == 0) {
        allowed = set_tls(r, name, value);
    } else if (strcmp(section, "limits") == 0) {
        allowed = set_limits(r, name, value);
    } else {
        complain(r, "unknown section", section, "[console], [tls], [limits]");
        return 1;
    }
    if (allowed)
        complain(r, name, value, allowed);
    return 1;
}

/* inih does not tell its handler the line, so the reader counts. */
static char *next_line(char *out, int capacity, void *context)
{
    struct reading *r = context;
    r->line++;
    return fgets(out, capacity, r->stream);
}

bool config_read(struct config *c, const char *file)
{
    struct reading r = {.config = c, .file = file, .stream = fopen(file, "re")};
    if (!r.stream) {
        fprintf(stderr, "%s: %s\n", file, strerror(errno));
        return false;
    }
    int result = ini_parse_stream(next_line, &r, take_line, &r);
    fclose(r.stream);
    if (result > 0) {
        r.line = (unsigned)result;
        complain(&r, "not a line of an INI file", "", "[section], name = value, ; comment");
    }
    return result == 0 && r.wrong == 0;
}
