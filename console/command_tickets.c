#include "commands.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "admin.h"
#include "bundle_file.h"
#include "bundles.h"
#include "exit_status.h"

static const char tickets_help[] =
    "Usage: cloister-console tickets [--incomplete] [--state DIR] [--json]\n"
    "List the tickets that arrived: number, machine, size, times.\n"
    "\n"
    "  --incomplete   list those under way or interrupted instead\n";

struct listing {
    bool incomplete;
    json_t *json; /* NULL: a table */
};

static json_t *split_recipients(const char *text)
{
    json_t *list = json_array();
    for (text += strspn(text, " "); *text; text += strspn(text, " ")) {
        size_t length = strcspn(text, " ");
        json_array_append_new(list, json_stringn(text, length));
        text += length;
    }
    return list;
}

static json_t *bundle_json(const struct bundle *b)
{
    char ticket[33], machine[65], digest[65], number[BUNDLES_NUMBER_TEXT];
    json_t *o =
        json_pack("{s:s, s:s, s:s, s:s, s:I, s:I, s:I, s:o, s:I, s:I, s:I}", "ticket",
                  admin_hex(ticket, b->ticket, 16), "machine", admin_hex(machine, b->machine, 32),
                  "machine_name", b->machine_name, "digest", admin_hex(digest, b->digest, 32),
                  "size", (json_int_t)b->size, "chunks", (json_int_t)b->chunks, "have",
                  (json_int_t)b->have, "recipients", split_recipients(b->recipients),
                  "consent_time_ms", (json_int_t)b->consent_time_ms, "begun_time_ms",
                  (json_int_t)b->begun_time_ms, "touched_time_ms", (json_int_t)b->touched_time_ms);
    if (o && b->number) {
        bundles_number_text(number, b->number);
        json_object_set_new(o, "number", json_string(number));
        json_object_set_new(o, "received_time_ms", json_integer((json_int_t)b->received_time_ms));
    }
    return o;
}

static void print_row(const struct bundle *b)
{
    char number[BUNDLES_NUMBER_TEXT] = "", ticket[33], machine[17], name[65 * 4], consent[32];
    bundles_number_text(number, b->number);
    if (b->number)
        printf("%-10s", number);
    else
        printf("%s %5" PRIu32 "/%-5" PRIu32, admin_hex(ticket, b->ticket, 16), b->have, b->chunks);
    printf("  %12" PRIu64 "  %s  %s  %s\n", b->size, admin_time(consent, b->consent_time_ms),
           admin_hex(machine, b->machine, 8), admin_show(name, sizeof(name), b->machine_name));
}

static int list_bundle(void *context, const struct bundle *b)
{
    struct listing *l = context;
    if ((b->number == 0) != l->incomplete)
        return 0;
    if (l->json)
        return json_array_append_new(l->json, bundle_json(b));
    print_row(b);
    return 0;
}

static bool take_incomplete(void *context, int c, const char *value)
{
    (void)value;
    if (c == 'i')
        *(bool *)context = true;
    return c == 'i';
}

static void print_heading(bool incomplete)
{
    if (incomplete)
        printf("%-32s %-11s", "TICKET ID", "CHUNKS");
    else
        printf("%-10s", "TICKET");
    printf("  %12s  %-20s  %-16s  %s\n", "BYTES", "CONSENT", "MACHINE", "NAME");
}

int command_tickets(int argc, char **argv)
{
    static const struct option extra[] = {{"incomplete", no_argument, NULL, 'i'}, {0}};
    struct admin_options options;
    struct listing l = {false, NULL};
    struct admin a;
    int status = EXIT_FAILED;
    int operand =
        admin_parse(argc, argv, tickets_help, extra, take_incomplete, &l.incomplete, &options);
    if (operand < 0)
        return -1 - operand;
    if (operand != argc) {
        fputs(tickets_help, stderr);
        return EXIT_USAGE;
    }
    if (admin_open(&a, options.state)) {
        l.json = options.json ? json_array() : NULL;
        if (!l.json)
            print_heading(l.incomplete);
        if (bundles_each(a.store, list_bundle, &l) == 0 && fflush(stdout) == 0)
            status = EXIT_DONE;
        if (l.json && status == EXIT_DONE && !admin_print_json(l.json))
            status = EXIT_FAILED;
    }
    admin_close(&a);
    return status;
}

static const char ticket_help[] =
    "Usage: cloister-console ticket TICKET [--out FILE [--force]] [--state DIR] [--json]\n"
    "Show one ticket, or copy its sealed bundle out; every byte is checked on the way. TICKET is\n"
    "its number (T-000123) or its id. The bundle is opened with age, lz4 and tar:\n"
    "\n"
    "  age -d -i KEY FILE | lz4 -d | tar -x\n"
    "\n"
    "  --out FILE   write the bundle there, mode 0600; '-' is standard output\n"
    "  --force      overwrite FILE\n";

struct ticket_options {
    const char *out;
    bool force;
};

static bool take_ticket_option(void *context, int c, const char *value)
{
    struct ticket_options *t = context;
    if (c == 'o')
        t->out = value;
    else if (c == 'F')
        t->force = true;
    return c == 'o' || c == 'F';
}

static int copy_checked(struct admin *a, const struct bundle *b, int out)
{
    struct bundle_folders folders;
    uint8_t *digests = malloc((size_t)b->chunks * 32);
    int result = digests ? bundle_folders_open(&folders, a->state, false) : -ENOMEM;
    if (!digests)
        return result;
    int in = result ? -1 : bundle_file_open(&folders, b->row);
    if (!result && in < 0)
        result = in;
    if (!result)
        result = bundles_get_digests(a->store, b->row, digests, b->chunks);
    if (!result)
        result = bundle_file_copy(in, out, digests, b->size);
    if (in >= 0)
        close(in);
    bundle_folders_close(&folders);
    free(digests);
    return result;
}

/* Whole or not at all: a temporary file beside it, then one rename. */
static int write_out(struct admin *a, const struct bundle *b, const struct ticket_options *t)
{
    char temporary[PATH_MAX];
    if (strcmp(t->out, "-") == 0)
        return copy_checked(a, b, STDOUT_FILENO);
    if ((size_t)snprintf(temporary, sizeof(temporary), "%s.XXXXXX", t->out) >= sizeof(temporary))
        return -ENAMETOOLONG;
    int fd = mkostemp(temporary, O_CLOEXEC);
    if (fd < 0)
        return -errno;
    int result = copy_checked(a, b, fd);
    if (!result && fsync(fd) != 0)
        result = -errno;
    close(fd);
    if (!result &&
        renameat2(AT_FDCWD, temporary, AT_FDCWD, t->out, t->force ? 0 : RENAME_NOREPLACE) != 0)
        result = -errno;
    if (result)
        unlink(temporary);
    return result;
}

static int report_out(int result, const char *out)
{
    if (result == 0)
        return EXIT_DONE;
    if (result == -EEXIST)
        fprintf(stderr, "cloister-console: %s exists; --force overwrites it\n", out);
    else if (result > 0)
        fprintf(stderr, "cloister-console: the stored bundle is damaged: nothing more written\n");
    else
        fprintf(stderr, "cloister-console: %s: %s\n", out, strerror(-result));
    return result == -EEXIST ? EXIT_REFUSED : EXIT_FAILED;
}

static int show_ticket(const struct bundle *b, bool json)
{
    char number[BUNDLES_NUMBER_TEXT], text[BUNDLES_RECIPIENTS_TEXT], when[32], hex[65];
    if (json)
        return admin_print_json(bundle_json(b)) ? EXIT_DONE : EXIT_FAILED;
    bundles_number_text(number, b->number);
    printf("ticket      %s\n", b->number ? number : "(incomplete)");
    printf("id          %s\n", admin_hex(hex, b->ticket, 16));
    printf("machine     %s %s\n", admin_hex(hex, b->machine, 32),
           admin_show(text, sizeof(text), b->machine_name));
    printf("size        %" PRIu64 " bytes, %" PRIu32 " of %" PRIu32 " chunks\n", b->size, b->have,
           b->chunks);
    printf("digest      %s\n", admin_hex(hex, b->digest, 32));
    printf("recipients  %s\n", admin_show(text, sizeof(text), b->recipients));
    printf("consent     %s (signed by the machine)\n", admin_time(when, b->consent_time_ms));
    printf("received    %s\n", admin_time(when, b->received_time_ms));
    return fflush(stdout) == 0 ? EXIT_DONE : EXIT_FAILED;
}

static int ticket(struct admin *a, const char *name, const struct ticket_options *t, bool json)
{
    static struct bundle b;
    int result = bundles_find(a->store, name, &b);
    if (result < 0)
        return EXIT_FAILED;
    if (result) {
        fprintf(stderr, "cloister-console: %s\n",
                result == BUNDLES_AMBIGUOUS
                    ? "two machines have a ticket of this id: use the number"
                    : "no such ticket");
        return EXIT_NOT_FOUND;
    }
    if (!t->out)
        return show_ticket(&b, json);
    if (!b.number) {
        fprintf(stderr, "cloister-console: this ticket is incomplete: nothing written\n");
        return EXIT_REFUSED;
    }
    result = report_out(write_out(a, &b, t), t->out);
    return result || !json ? result : show_ticket(&b, true);
}

int command_ticket(int argc, char **argv)
{
    static const struct option extra[] = {
        {"out", required_argument, NULL, 'o'}, {"force", no_argument, NULL, 'F'}, {0}};
    struct admin_options options;
    struct ticket_options t = {NULL, false};
    struct admin a;
    int status = EXIT_FAILED;
    int operand = admin_parse(argc, argv, ticket_help, extra, take_ticket_option, &t, &options);
    if (operand < 0)
        return -1 - operand;
    if (operand + 1 != argc || (t.force && !t.out)) {
        fputs(ticket_help, stderr);
        return EXIT_USAGE;
    }
    if (admin_open(&a, options.state))
        status = ticket(&a, argv[operand], &t, options.json && !(t.out && !strcmp(t.out, "-")));
    admin_close(&a);
    return status;
}
