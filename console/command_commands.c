#include "commands.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "admin.h"
#include "command_text.h"
#include "exit_status.h"
#include "output_file.h"

static const char commands_help[] =
    "Usage: cloister-console commands [--machine MACHINE] [--state DIR] [--json]\n"
    "List the commands that were pushed, oldest first: token id, machine, when, what became of "
    "it,\n"
    "and what the token claims to be (nobody has verified that here).\n"
    "\n"
    "  --machine MACHINE  only those of this machine\n";

struct listing {
    struct admin *admin;
    json_t *json; /* NULL: a table */
    bool failed;
};

static void print_row(const struct command_view *v)
{
    char token[33], machine[17], when[32], state[COMMAND_TEXT_STATE], what[256 * 4],
        profile[17 * 4];
    printf("%s  %s  %s  %-24s  %s%s%s\n", admin_hex(token, v->item.token, 16),
           admin_hex(machine, v->item.machine, 8), admin_time(when, v->item.pushed_time_ms),
           command_text_state(state, v), admin_show(profile, sizeof(profile), v->claims.profile),
           v->claims.profile[0] ? " " : "", admin_show(what, sizeof(what), v->claims.what));
}

static int list_command(void *context, const struct queue_item *item)
{
    static struct command_view view;
    struct listing *l = context;
    l->failed = command_text_view(&view, l->admin, item) != 0;
    if (l->failed)
        return -1;
    if (l->json)
        return json_array_append_new(l->json, command_text_json(&view));
    print_row(&view);
    return 0;
}

static bool take_machine(void *context, int c, const char *value)
{
    if (c == 'm')
        *(const char **)context = value;
    return c == 'm';
}

static int list(struct admin *a, const char *name, bool json)
{
    struct listing l = {a, json ? json_array() : NULL, false};
    struct machine m;
    int status = name ? admin_find_machine(a, name, &m) : EXIT_DONE;
    if (status == EXIT_DONE) {
        if (!json)
            printf("%-32s  %-16s  %-20s  %-24s  %s\n", "TOKEN", "MACHINE", "PUSHED", "STATE",
                   "CLAIMED");
        if (queue_each(a->store, name ? m.id : NULL, list_command, &l) != 0 || l.failed ||
            fflush(stdout) != 0)
            status = EXIT_FAILED;
    }
    if (status == EXIT_DONE && l.json)
        return admin_print_json(l.json) ? EXIT_DONE : EXIT_FAILED;
    json_decref(l.json);
    return status;
}

int command_commands(int argc, char **argv)
{
    static const struct option extra[] = {{"machine", required_argument, NULL, 'm'}, {0}};
    struct admin_options options;
    struct admin a;
    const char *machine = NULL;
    int status = EXIT_FAILED;
    int operand = admin_parse(argc, argv, commands_help, extra, take_machine, &machine, &options);
    if (operand < 0)
        return -1 - operand;
    if (operand != argc) {
        fputs(commands_help, stderr);
        return EXIT_USAGE;
    }
    if (admin_open(&a, options.state))
        status = list(&a, machine, options.json);
    admin_close(&a);
    return status;
}

static const char forget_help[] =
    "Usage: cloister-console forget TOKEN [--machine MACHINE] [--state DIR]\n"
    "Delete a command: one that is still queued is never sent; of one that is over its output and\n"
    "receipt go too. One that an approved machine has at hand is refused. TOKEN is 8 or more "
    "digits\n"
    "of the token's id.\n"
    "\n"
    "  --machine MACHINE  which, when several machines have it\n";

static int forget(struct admin *a, const struct queue_item *item)
{
    int result = 0;
    /* The file first: a command without one has no output, a file without one would never go. What
     * is queued has none, and may be on its way just now. */
    int folder = output_folder_open(a->state, false);
    if (folder < 0)
        result = folder;
    if (!result && queue_finished(item->state))
        result = output_file_remove(folder, item->row);
    if (!result)
        result = queue_delete(a->store, item->row, true);
    if (!result)
        result = output_file_remove(folder, item->row);
    if (folder >= 0)
        close(folder);
    if (result > 0)
        fprintf(stderr, "cloister-console: the machine has this command at hand: not deleted\n");
    else if (result < 0)
        fprintf(stderr, "cloister-console: cannot delete: %s\n", strerror(-result));
    return result == 0 ? EXIT_DONE : result > 0 ? EXIT_REFUSED : EXIT_FAILED;
}

int command_forget(int argc, char **argv)
{
    static const struct option extra[] = {{"machine", required_argument, NULL, 'm'}, {0}};
    struct admin_options options;
    struct admin a;
    struct queue_item item;
    const char *machine = NULL;
    int status = EXIT_FAILED;
    int operand = admin_parse(argc, argv, forget_help, extra, take_machine, &machine, &options);
    if (operand < 0)
        return -1 - operand;
    if (operand + 1 != argc) {
        fputs(forget_help, stderr);
        return EXIT_USAGE;
    }
    if (admin_open(&a, options.state) &&
        !(status = command_text_find(&a, argv[operand], machine, &item))) {
        status = forget(&a, &item);
        admin_wake(&a);
    }
    admin_close(&a);
    return status;
}
