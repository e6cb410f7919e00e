#include "commands.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "admin.h"
#include "command_text.h"
#include "exit_status.h"

static const char receipts_help[] =
    "Usage: cloister-console receipts [TOKEN] [--machine MACHINE] [--raw] [--state DIR] [--json]\n"
    "Show what machines signed about commands. Each signature was checked when it arrived, and is\n"
    "now. TOKEN is 8 or more digits of a token's id; without it all receipts are listed.\n"
    "\n"
    "  --machine MACHINE  only of this machine\n"
    "  --raw              print the receipts themselves, one per line, for cloister-sign\n"
    "                     verify-receipt or any JOSE library\n";

struct receipts {
    struct admin *admin;
    const char *machine;
    bool raw, damaged, failed;
    json_t *json; /* NULL: text */
};

static void print_row(const struct command_view *v)
{
    char token[33], machine[17], when[32], text[COMMAND_TEXT_STATE];
    const char *what = "signature does not hold";
    if (v->has_receipt)
        what = v->item.state == QUEUE_REFUSED ? command_text_state(text, v)
                                              : receipt_describe(text, sizeof(text), &v->receipt);
    printf("%s  %s  %s  %s\n", admin_hex(token, v->item.token, 16),
           admin_hex(machine, v->item.machine, 8), admin_time(when, v->item.ended_time_ms), what);
}

static json_t *row_json(const struct command_view *v)
{
    json_t *o = command_text_json(v);
    if (o) {
        json_object_set_new(o, "jws", json_string(v->receipt_text));
        json_object_set_new(o, "verified", json_boolean(v->has_receipt));
    }
    return o;
}

static int show(void *context, const struct queue_item *item)
{
    static struct command_view view;
    struct receipts *r = context;
    if (!item->has_receipt)
        return 0;
    if (command_text_view(&view, r->admin, item) != 0) {
        r->failed = true;
        return -1;
    }
    r->damaged |= !view.has_receipt;
    if (r->raw)
        puts(view.receipt_text);
    else if (r->json)
        return json_array_append_new(r->json, row_json(&view));
    else
        print_row(&view);
    return 0;
}

static int show_one(struct receipts *r, const char *token)
{
    struct queue_item item;
    int status = command_text_find(r->admin, token, r->machine, &item);
    if (status)
        return status;
    if (!item.has_receipt)
        fprintf(stderr, "cloister-console: there is no receipt of this command\n");
    return show(r, &item) == 0 ? EXIT_DONE : EXIT_FAILED;
}

static int show_all(struct receipts *r)
{
    struct machine m;
    int status = r->machine ? admin_find_machine(r->admin, r->machine, &m) : EXIT_DONE;
    if (status)
        return status;
    if (!r->raw && !r->json)
        printf("%-32s  %-16s  %-20s  %s\n", "TOKEN", "MACHINE", "RECEIVED", "RECEIPT");
    int result = queue_each(r->admin->store, r->machine ? m.id : NULL, show, r);
    return result || r->failed ? EXIT_FAILED : EXIT_DONE;
}

static bool take_option(void *context, int c, const char *value)
{
    struct receipts *r = context;
    if (c == 'm')
        r->machine = value;
    else if (c == 'r')
        r->raw = true;
    return c == 'm' || c == 'r';
}

int command_receipts(int argc, char **argv)
{
    static const struct option extra[] = {
        {"machine", required_argument, NULL, 'm'}, {"raw", no_argument, NULL, 'r'}, {0}};
    struct admin_options options;
    struct admin a;
    struct receipts r = {.admin = &a};
    int status = EXIT_FAILED;
    int operand = admin_parse(argc, argv, receipts_help, extra, take_option, &r, &options);
    if (operand < 0)
        return -1 - operand;
    if (operand + 1 < argc || (r.raw && options.json)) {
        fputs(receipts_help, stderr);
        return EXIT_USAGE;
    }
    r.json = options.json ? json_array() : NULL;
    if (admin_open(&a, options.state)) {
        status = operand < argc ? show_one(&r, argv[operand]) : show_all(&r);
        if (status == EXIT_DONE && r.json && !admin_print_json(json_incref(r.json)))
            status = EXIT_FAILED;
        if (status == EXIT_DONE && (r.damaged || fflush(stdout) != 0))
            status = EXIT_FAILED;
    }
    json_decref(r.json);
    admin_close(&a);
    return status;
}
