#include "admin.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <sodium.h>

#include "config.h"
#include "exit_status.h"
#include "log.h"
#include "state_folder.h"
#include "wake.h"

#define OPTIONS_MAX 16

bool admin_open(struct admin *a, const char *state)
{
    a->store = NULL;
    a->state = open(state, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (a->state < 0) {
        fprintf(stderr, "cloister-console: %s: %s\n", state, strerror(errno));
        return false;
    }
    a->server_runs = state_folder_served(a->state);
    int result = store_open(&a->store, state, false);
    if (result == -ENOENT)
        fprintf(stderr, "cloister-console: %s: no console was started here yet\n", state);
    return result == 0;
}

void admin_close(struct admin *a)
{
    a->store = store_close(a->store);
    if (a->state >= 0)
        close(a->state);
    a->state = -1;
}

void admin_wake(const struct admin *a)
{
    if (a->server_runs)
        wake_server(a->state);
}

int admin_find_machine(struct admin *a, const char *text, struct machine *m)
{
    int result = machines_find(a->store, text, m);
    if (result == 0)
        return EXIT_DONE;
    if (result == MACHINES_UNKNOWN)
        fprintf(stderr, "cloister-console: no such machine: give its name, or 8 or more digits of "
                        "its id\n");
    else if (result == MACHINES_AMBIGUOUS)
        fprintf(stderr, "cloister-console: more than one machine is meant; use the id\n");
    return result < 0 ? EXIT_FAILED : EXIT_NOT_FOUND;
}

const char *admin_show(char *out, size_t capacity, const char *text)
{
    log_escape(out, capacity, text, strlen(text));
    return out;
}

const char *admin_time(char out[32], uint64_t time_ms)
{
    struct tm tm;
    time_t seconds = (time_t)(time_ms / 1000);
    if (time_ms == 0 || !gmtime_r(&seconds, &tm) || strftime(out, 32, "%F %TZ", &tm) == 0)
        snprintf(out, 32, "-");
    return out;
}

const char *admin_hex(char *out, const uint8_t *data, size_t bytes)
{
    return sodium_bin2hex(out, 2 * bytes + 1, data, bytes);
}

bool admin_parse_span(const char *text, uint64_t max_ms, uint64_t *out_ms)
{
    static const struct {
        char letter;
        uint64_t ms;
    } units[] = {{'s', 1000}, {'m', 60000}, {'h', 3600000}, {'d', 86400000}};
    char *end;
    if (!isdigit((unsigned char)text[0]) || strlen(text) > 9)
        return false;
    uint64_t number = strtoull(text, &end, 10);
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        if (end[0] == units[i].letter && end[1] == '\0') {
            *out_ms = number * units[i].ms;
            return *out_ms > 0 && *out_ms <= max_ms;
        }
    }
    return false;
}

bool admin_print_json(json_t *value)
{
    bool good = value && json_dumpf(value, stdout, JSON_INDENT(2) | JSON_ENSURE_ASCII) == 0 &&
                putchar('\n') != EOF && fflush(stdout) == 0;
    json_decref(value);
    if (!good)
        fprintf(stderr, "cloister-console: cannot write: %s\n", strerror(errno));
    return good;
}

static const struct option common[] = {
    {"state", required_argument, NULL, 'S'},
    {"config", required_argument, NULL, 'C'},
    {"json", no_argument, NULL, 'J'},
    {"help", no_argument, NULL, 'h'},
};

static void join_options(struct option out[OPTIONS_MAX], const struct option *extra)
{
    size_t n = 0;
    memset(out, 0, OPTIONS_MAX * sizeof(out[0]));
    for (; n < sizeof(common) / sizeof(common[0]); n++)
        out[n] = common[n];
    for (; extra && extra->name && n < OPTIONS_MAX - 1; extra++)
        out[n++] = *extra;
}

static bool take_config(struct admin_options *out, const char *file)
{
    static struct config config; /* out->state points into it */
    config_default(&config);
    if (!config_read(&config, file))
        return false;
    out->state = config.state;
    return true;
}

int admin_parse(int argc, char **argv, const char *help, const struct option *extra,
                bool (*more)(void *context, int c, const char *value), void *context,
                struct admin_options *out)
{
    struct option options[OPTIONS_MAX];
    int c;
    join_options(options, extra);
    *out = (struct admin_options){.state = CONFIG_STATE_DEFAULT};
    optind = 1;
    while ((c = getopt_long(argc, argv, "h", options, NULL)) != -1) {
        if (c == 'h') {
            fputs(help, stdout);
            return -1 - EXIT_DONE;
        }
        bool good = true;
        if (c == 'S')
            out->state = optarg;
        else if (c == 'C')
            good = take_config(out, optarg);
        else if (c == 'J')
            out->json = true;
        else if (c == '?' || !more || !more(context, c, optarg)) {
            fprintf(stderr, "cloister-console: see cloister-console %s --help\n", argv[0]);
            good = false;
        }
        if (!good)
            return -1 - EXIT_USAGE;
    }
    return optind;
}
