#include "commands.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include <sodium.h>

#include "admin.h"
#include "clocks.h"
#include "exit_status.h"
#include "machines.h"
#include "token.h"

#define DAY_MS UINT64_C(86400000)

static const char token_help[] =
    "Usage: cloister-console token [--expires SPAN] [--state DIR] [--json]\n"
    "Make an enrolment token and print it, once: the console keeps only its hash. It enrols one\n"
    "machine, which then waits for approval.\n"
    "\n"
    "  --expires SPAN   90s, 30m, 24h, 7d; at most 30d (24h)\n";

static bool take_expires(void *context, int c, const char *value)
{
    if (c == 'e' && admin_parse_span(value, 30 * DAY_MS, context))
        return true;
    if (c == 'e')
        fprintf(stderr, "cloister-console: --expires: 90s, 30m, 24h or 7d, at most 30d\n");
    return false;
}

static int print_token(const char *text, uint64_t expires_ms, bool json)
{
    if (json) {
        json_t *o =
            json_pack("{s:s, s:I}", "token", text, "expires_time_ms", (json_int_t)expires_ms);
        return admin_print_json(o) ? EXIT_DONE : EXIT_FAILED;
    }
    return puts(text) != EOF && fflush(stdout) == 0 ? EXIT_DONE : EXIT_FAILED;
}

int command_token(int argc, char **argv)
{
    static const struct option extra[] = {{"expires", required_argument, NULL, 'e'}, {0}};
    struct admin_options options;
    struct admin a;
    uint64_t span_ms = DAY_MS;
    char text[TOKEN_TEXT];
    int status = EXIT_FAILED;
    int operand = admin_parse(argc, argv, token_help, extra, take_expires, &span_ms, &options);
    if (operand < 0)
        return -1 - operand;
    if (operand != argc) {
        fputs(token_help, stderr);
        return EXIT_USAGE;
    }
    uint64_t now_ms = clocks_wall_ms();
    if (admin_open(&a, options.state) &&
        machines_token(a.store, text, now_ms, now_ms + span_ms) == 0)
        status = print_token(text, now_ms + span_ms, options.json);
    sodium_memzero(text, sizeof(text));
    admin_close(&a);
    return status;
}

static const char machines_help[] =
    "Usage: cloister-console machines [--state DIR] [--json]\n"
    "List the machines: id, state, name, and when each was last seen. A machine that waits for\n"
    "approval is listed without its fingerprint: ask the person before it, then approve.\n";

struct listing {
    bool server_runs;
    json_t *json; /* NULL: a table */
};

static json_t *machine_json(const struct machine *m, bool connected)
{
    char id[65], previous[65];
    json_t *o = json_pack(
        "{s:s, s:s, s:s, s:s, s:b, s:s, s:s, s:s, s:I, s:I, s:I}", "id", admin_hex(id, m->id, 32),
        "state", machines_state_word(m->state), "name", m->name, "os", m->os, "connected",
        connected, "address", m->address, "agent_version", m->agent_version, "boot_id", m->boot_id,
        "enrolled_time_ms", (json_int_t)m->enrolled_time_ms, "changed_time_ms",
        (json_int_t)m->changed_time_ms, "seen_time_ms", (json_int_t)m->seen_time_ms);
    if (o && m->has_previous) {
        json_object_set_new(o, "previous_machine_id",
                            json_string(admin_hex(previous, m->previous, 32)));
        json_object_set_new(o, "rotation_reason", json_string(m->reason));
    }
    return o;
}

static int list_machine(void *context, const struct machine *m)
{
    struct listing *l = context;
    char id[17], previous[17], name[65 * 4], seen[32];
    bool connected = l->server_runs && m->connected;
    if (l->json)
        return json_array_append_new(l->json, machine_json(m, connected));
    printf("%s  %-8s  %-9s  %s  %s", admin_hex(id, m->id, 8), machines_state_word(m->state),
           connected ? "connected" : "-", admin_time(seen, m->seen_time_ms),
           admin_show(name, sizeof(name), m->name));
    if (m->has_previous)
        printf("  (new key of %s: %s)", admin_hex(previous, m->previous, 8), m->reason);
    return putchar('\n') == EOF;
}

int command_machines(int argc, char **argv)
{
    struct admin_options options;
    struct admin a;
    int status = EXIT_FAILED;
    int operand = admin_parse(argc, argv, machines_help, NULL, NULL, NULL, &options);
    if (operand < 0)
        return -1 - operand;
    if (operand != argc) {
        fputs(machines_help, stderr);
        return EXIT_USAGE;
    }
    if (admin_open(&a, options.state)) {
        struct listing l = {a.server_runs, options.json ? json_array() : NULL};
        if (!options.json)
            printf("%-16s  %-8s  %-9s  %-20s  %s\n", "MACHINE", "STATE", "NOW", "SEEN", "NAME");
        if (machines_each(a.store, list_machine, &l) == 0 && fflush(stdout) == 0)
            status = EXIT_DONE;
        if (l.json && status == EXIT_DONE && !admin_print_json(l.json))
            status = EXIT_FAILED;
    }
    admin_close(&a);
    return status;
}

static const char approve_help[] =
    "Usage: cloister-console approve MACHINE --fingerprint FINGERPRINT [--state DIR]\n"
    "Approve a machine. MACHINE is its name or 8 or more digits of its id. FINGERPRINT is what "
    "the\n"
    "machine itself shows; get it from the person before it, not from here. A machine that\n"
    "replaces another (new key) revokes that one.\n";

static bool take_fingerprint(void *context, int c, const char *value)
{
    if (c == 'f')
        *(const char **)context = value;
    return c == 'f';
}

int command_approve(int argc, char **argv)
{
    static const struct option extra[] = {{"fingerprint", required_argument, NULL, 'f'}, {0}};
    struct admin_options options;
    struct admin a;
    struct machine m;
    const char *fingerprint = NULL;
    char id[65];
    int status = EXIT_FAILED;
    int operand =
        admin_parse(argc, argv, approve_help, extra, take_fingerprint, &fingerprint, &options);
    if (operand < 0)
        return -1 - operand;
    if (operand + 1 != argc || !fingerprint) {
        fputs(approve_help, stderr);
        return EXIT_USAGE;
    }
    if (admin_open(&a, options.state) && !(status = admin_find_machine(&a, argv[operand], &m))) {
        int result = machines_approve(a.store, m.id, fingerprint, clocks_wall_ms());
        if (result == MACHINES_MISMATCH)
            fprintf(stderr, "cloister-console: that is not the fingerprint of %s: not approved\n",
                    admin_hex(id, m.id, 32));
        else if (result == 0)
            printf("approved %s\n", admin_hex(id, m.id, 32));
        status = result == 0 ? EXIT_DONE : result == MACHINES_MISMATCH ? EXIT_REFUSED : EXIT_FAILED;
    }
    if (status == EXIT_DONE)
        admin_wake(&a);
    admin_close(&a);
    return status;
}

static const char revoke_help[] =
    "Usage: cloister-console revoke MACHINE [--state DIR]\n"
    "Revoke a machine: it is disconnected at once and not let in again, unless it is approved\n"
    "anew. Its tickets stay.\n";

int command_revoke(int argc, char **argv)
{
    struct admin_options options;
    struct admin a;
    struct machine m;
    char id[65];
    int status = EXIT_FAILED;
    int operand = admin_parse(argc, argv, revoke_help, NULL, NULL, NULL, &options);
    if (operand < 0)
        return -1 - operand;
    if (operand + 1 != argc) {
        fputs(revoke_help, stderr);
        return EXIT_USAGE;
    }
    if (admin_open(&a, options.state) && !(status = admin_find_machine(&a, argv[operand], &m))) {
        if (machines_revoke(a.store, m.id, clocks_wall_ms()) == 0)
            printf("revoked %s\n", admin_hex(id, m.id, 32));
        else
            status = EXIT_FAILED;
        admin_wake(&a);
    }
    admin_close(&a);
    return status;
}
