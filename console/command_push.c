#include "commands.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "admin.h"
#include "claims.h"
#include "clocks.h"
#include "exit_status.h"
#include "queue.h"

static const char push_help[] =
    "Usage: cloister-console push FILE... --machine MACHINE... [--again] [--state DIR] [--json]\n"
    "       cloister-console push FILE... --all\n"
    "Queue signed commands (compact JWS, made with cloister-sign or any JOSE library) for "
    "approved\n"
    "machines, in the order of the files, and print the token ids. Whether a command may run is\n"
    "for the machine to say; see commands. All of them are queued, or none.\n"
    "\n"
    "  FILE               a token of at most 262,144 bytes; one line end after it is dropped; '-' "
    "is\n"
    "                     standard input\n"
    "  --machine MACHINE  its name, or 8 or more digits of its id; repeat it for more\n"
    "  --all              every approved machine\n"
    "  --again            also where the token was pushed before; the machine will refuse it, if "
    "it\n"
    "                     ever accepted it\n";

struct push {
    const char **names; /* of machines, as typed */
    size_t name_count;
    bool all, again;
    struct machine *machines;
    size_t machine_count;
    json_t *json; /* list, or NULL */
};

struct token {
    char text[QUEUE_TOKEN_MAX + 2];
    size_t length;
    uint8_t id[16];
};

static bool take_option(void *context, int c, const char *value)
{
    struct push *p = context;
    if (c == 'm') {
        const char **names = reallocarray(p->names, p->name_count + 1, sizeof(*names));
        if (!names)
            return false;
        p->names = names;
        p->names[p->name_count++] = value;
    } else if (c == 'a') {
        p->all = true;
    } else if (c == 'g') {
        p->again = true;
    }
    return c == 'm' || c == 'a' || c == 'g';
}

static int add_machine(void *context, const struct machine *m)
{
    struct push *p = context;
    if (m->state != MACHINES_APPROVED)
        return 0;
    for (size_t i = 0; i < p->machine_count; i++) {
        if (memcmp(p->machines[i].id, m->id, sizeof(m->id)) == 0)
            return 0;
    }
    struct machine *list = reallocarray(p->machines, p->machine_count + 1, sizeof(*list));
    if (!list)
        return -ENOMEM;
    p->machines = list;
    p->machines[p->machine_count++] = *m;
    return 0;
}

static int find_machines(struct admin *a, struct push *p)
{
    if (p->all && machines_each(a->store, add_machine, p) != 0)
        return EXIT_FAILED;
    for (size_t i = 0; i < p->name_count; i++) {
        struct machine m;
        int status = admin_find_machine(a, p->names[i], &m);
        if (status)
            return status;
        if (m.state != MACHINES_APPROVED) {
            fprintf(stderr, "cloister-console: this machine is %s, not approved: nothing queued\n",
                    machines_state_word(m.state));
            return EXIT_REFUSED;
        }
        if (add_machine(p, &m) != 0)
            return EXIT_FAILED;
    }
    if (p->machine_count == 0)
        fprintf(stderr, "cloister-console: there is no approved machine\n");
    return p->machine_count ? EXIT_DONE : EXIT_NOT_FOUND;
}

static int read_bytes(const char *file, struct token *t)
{
    bool standard = strcmp(file, "-") == 0;
    int fd = standard ? STDIN_FILENO : open(file, O_RDONLY | O_CLOEXEC), result = 0;
    if (fd < 0)
        return -errno;
    for (ssize_t n = 1; n > 0 && t->length < sizeof(t->text);) {
        n = read(fd, t->text + t->length, sizeof(t->text) - t->length);
        if (n > 0)
            t->length += (size_t)n;
        else if (n < 0 && errno == EINTR)
            n = 1;
        else if (n < 0)
            result = -errno;
    }
    if (!standard)
        close(fd);
    return result;
}

/* What is wrong with a token that no machine could be sent, or NULL. */
static const char *check_token(const struct token *t)
{
    if (t->length == 0)
        return "is empty";
    if (t->length > QUEUE_TOKEN_MAX)
        return "is longer than 262,144 bytes";
    for (size_t i = 0; i < t->length; i++) {
        if ((unsigned char)t->text[i] >= 0x80)
            return "is not ASCII: not a token";
    }
    return NULL;
}

static int read_token(const char *file, struct token *t)
{
    struct claims claims;
    t->length = 0;
    int result = read_bytes(file, t);
    if (result) {
        fprintf(stderr, "cloister-console: %s: %s\n", file, strerror(-result));
        return EXIT_FAILED;
    }
    if (t->length > 0 && t->text[t->length - 1] == '\n')
        t->length--;
    if (t->length > 0 && t->text[t->length - 1] == '\r')
        t->length--;
    const char *wrong = check_token(t);
    if (wrong) {
        fprintf(stderr, "cloister-console: %s %s: nothing queued\n", file, wrong);
        return EXIT_REFUSED;
    }
    claims_read(&claims, t->text, t->length);
    if (!claims.compact)
        fprintf(stderr, "cloister-console: %s is no compact JWS: machines will refuse it\n", file);
    return queue_token_id(t->id, t->text, t->length) ? EXIT_DONE : EXIT_FAILED;
}

/* Within a transaction. */
static int push_token(struct admin *a, struct push *p, const struct token *t)
{
    char id[33], machine[65];
    admin_hex(id, t->id, 16);
    for (size_t i = 0; i < p->machine_count; i++) {
        const struct machine *m = &p->machines[i];
        int result =
            queue_push(a->store, m->id, t->id, t->text, t->length, p->again, clocks_wall_ms());
        if (result < 0)
            return result;
        admin_hex(machine, m->id, 32);
        if (p->json)
            json_array_append_new(p->json, json_pack("{s:s, s:s, s:b}", "token", id, "machine",
                                                     machine, "queued", result == 0));
        if (result == QUEUE_KNOWN)
            fprintf(stderr, "cloister-console: %s: machine %.16s has it already\n", id, machine);
    }
    return 0;
}

static int push_files(struct admin *a, struct push *p, char **files, int count)
{
    static struct token t;
    int status = EXIT_DONE;
    char *ids = calloc((size_t)count, 33);
    if (!ids || store_begin(a->store) != 0) {
        free(ids);
        return EXIT_FAILED;
    }
    for (int i = 0; status == EXIT_DONE && i < count; i++) {
        status = read_token(files[i], &t);
        if (status == EXIT_DONE && push_token(a, p, &t) != 0)
            status = EXIT_FAILED;
        admin_hex(ids + (size_t)i * 33, t.id, 16);
    }
    if (store_end(a->store, status == EXIT_DONE ? 0 : -ECANCELED) != 0 && status == EXIT_DONE)
        status = EXIT_FAILED;
    admin_wake(a);
    for (int i = 0; status == EXIT_DONE && !p->json && i < count; i++)
        puts(ids + (size_t)i * 33);
    free(ids);
    if (status == EXIT_DONE && fflush(stdout) != 0)
        status = EXIT_FAILED;
    return status;
}

int command_push(int argc, char **argv)
{
    static const struct option extra[] = {{"machine", required_argument, NULL, 'm'},
                                          {"all", no_argument, NULL, 'a'},
                                          {"again", no_argument, NULL, 'g'},
                                          {0}};
    struct admin_options options;
    struct push p = {0};
    struct admin a;
    int status = EXIT_FAILED;
    int operand = admin_parse(argc, argv, push_help, extra, take_option, &p, &options);
    if (operand < 0) {
        status = -1 - operand;
    } else if (operand == argc || p.all == (p.name_count > 0)) {
        fputs(push_help, stderr);
        status = EXIT_USAGE;
    } else {
        p.json = options.json ? json_array() : NULL;
        if (admin_open(&a, options.state) && !(status = find_machines(&a, &p)))
            status = push_files(&a, &p, argv + operand, argc - operand);
        admin_close(&a);
        if (p.json && status == EXIT_DONE && !admin_print_json(json_incref(p.json)))
            status = EXIT_FAILED;
    }
    json_decref(p.json);
    free(p.names);
    free(p.machines);
    return status;
}
