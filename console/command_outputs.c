#include "commands.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "admin.h"
#include "clocks.h"
#include "command_text.h"
#include "exit_status.h"
#include "output_reader.h"
#include "whole_io.h"

#define EXIT_NO_STATUS 255  /* with --wait: the command has none to pass on, as ssh(1) says it */
#define LOOK_MS        1000 /* should the kernel forget to tell */
#define BLIND_MS       50   /* if it never does */

static const char outputs_help[] =
    "Usage: cloister-console outputs TOKEN [OPTION]...\n"
    "Write what a command wrote: its standard output to standard output, its standard error to\n"
    "standard error. On a terminal everything but printable ASCII is escaped. Says on standard "
    "error\n"
    "what is missing, and exits with 1 then. TOKEN is 8 or more digits of the token's id.\n"
    "\n"
    "  --machine MACHINE  which, when several machines have it\n"
    "  --stdout           only its standard output\n"
    "  --stderr           only its standard error\n"
    "  --out DIR          into the files DIR/stdout and DIR/stderr instead, made with mode 0600\n"
    "  --force            overwrite these\n"
    "  --raw              escape nothing\n"
    "  --follow           go on until the command has ended and its receipt is here\n"
    "  --wait[=SECONDS]   the same, at most so long, and exit with the command's own status: 128 "
    "+\n"
    "                     the number of a signal; 255 when it has none, or output is missing\n";

struct outputs {
    const char *machine, *out;
    bool only[2], force, raw, follow, wait;
    uint64_t wait_ms; /* 0: without end */
    struct admin *admin;
    int fds[2];
    bool escape[2];
    bool incomplete;
};

static bool parse_seconds(const char *text, uint64_t *out_ms)
{
    char *end;
    if (strlen(text) < 1 || strlen(text) > 7 || strspn(text, "0123456789") != strlen(text))
        return false;
    *out_ms = strtoull(text, &end, 10) * 1000;
    return *out_ms > 0;
}

static bool take_option(void *context, int c, const char *value)
{
    struct outputs *o = context;
    switch (c) {
    case 'm':
        o->machine = value;
        return true;
    case 'd':
        o->out = value;
        return true;
    case '1':
    case '2':
        o->only[c - '1'] = true;
        return true;
    case 'F':
        o->force = true;
        return true;
    case 'r':
        o->raw = true;
        return true;
    case 'f':
        o->follow = true;
        return true;
    case 'w':
        o->wait = o->follow = true;
        return !value || parse_seconds(value, &o->wait_ms);
    default:
        return false;
    }
}

/* For a terminal: it is shown lines and tabs, and nothing that could move it. */
static int write_escaped(int fd, const uint8_t *data, size_t length)
{
    char text[4096];
    size_t used = 0;
    for (size_t i = 0; i < length; i++) {
        if ((data[i] >= 0x20 && data[i] < 0x7f) || data[i] == '\n' || data[i] == '\t')
            text[used++] = (char)data[i];
        else
            used += (size_t)snprintf(text + used, 5, "\\x%02x", data[i]);
        if (used > sizeof(text) - 5 || i + 1 == length) {
            int result = whole_write(fd, text, used);
            if (result)
                return result;
            used = 0;
        }
    }
    return 0;
}

static int put_chunk(void *context, unsigned stream, const uint8_t *data, size_t length)
{
    struct outputs *o = context;
    if (o->fds[stream] < 0)
        return 0;
    return o->escape[stream] ? write_escaped(o->fds[stream], data, length)
                             : whole_write(o->fds[stream], data, length);
}

static void say_gap(void *context, unsigned stream, uint32_t missing)
{
    struct outputs *o = context;
    o->incomplete = true;
    fprintf(stderr, "cloister-console: %" PRIu32 " chunks of standard %s are missing here\n",
            missing, stream ? "error" : "output");
}

/* Standard output and error, or files. EXIT_DONE, or another exit status after saying why. */
static int open_outputs(struct outputs *o)
{
    static const char *const names[] = {"stdout", "stderr"};
    bool both = o->only[0] == o->only[1];
    if (o->out && mkdir(o->out, 0700) != 0 && errno != EEXIST) {
        fprintf(stderr, "cloister-console: %s: %s\n", o->out, strerror(errno));
        return EXIT_FAILED;
    }
    for (int i = 0; i < 2; i++) {
        char path[PATH_MAX];
        if (!both && !o->only[i])
            continue;
        o->fds[i] = i ? STDERR_FILENO : STDOUT_FILENO;
        if (o->out) {
            int mode = o->force ? O_TRUNC : O_EXCL;
            snprintf(path, sizeof(path), "%s/%s", o->out, names[i]);
            o->fds[i] = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | mode, 0600);
        }
        if (o->fds[i] < 0) {
            fprintf(stderr, "cloister-console: %s: %s\n", path, strerror(errno));
            return errno == EEXIST ? EXIT_REFUSED : EXIT_FAILED;
        }
        o->escape[i] = !o->raw && isatty(o->fds[i]);
    }
    return EXIT_DONE;
}

static int close_outputs(struct outputs *o)
{
    int status = EXIT_DONE;
    for (int i = 0; o->out && i < 2; i++) {
        if (o->fds[i] >= 0 && (fsync(o->fds[i]) != 0 || close(o->fds[i]) != 0))
            status = EXIT_FAILED;
    }
    return status;
}

/*
 * A descriptor that is readable when output was written or a command ended; -1 if the kernel cannot
 * tell. Not by inotify: closing that, or exiting with it, waits 15 ms for a grace period.
 */
static int watch(int folder)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGIO);
    if (sigprocmask(SIG_BLOCK, &set, NULL) != 0)
        return -1;
    int fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (fd >= 0 && fcntl(folder, F_NOTIFY, DN_MODIFY | DN_CREATE | DN_ATTRIB | DN_MULTISHOT) != 0) {
        close(fd);
        fd = -1;
    }
    return fd;
}

/* Waits until something changed, but for a while at most. */
static void wait_for_change(int watched, uint64_t left_ms)
{
    struct signalfd_siginfo told;
    struct pollfd p = {.fd = watched, .events = POLLIN};
    uint64_t look_ms = watched >= 0 ? LOOK_MS : BLIND_MS;
    poll(&p, 1, (int)(left_ms < look_ms ? left_ms : look_ms));
    while (watched >= 0 && read(watched, &told, sizeof(told)) > 0)
        ;
}

/*
 * Reads until the command has ended, or once. The state is read before the output, so that what is
 * read after the end is all there is. 0 with the last state in `item`, or what output_reader_go_on
 * returned.
 */
static int read_outputs(struct outputs *o, struct output_reader *r, struct queue_item *item,
                        int folder)
{
    const struct output_sink sink = {put_chunk, say_gap, o};
    int watched = o->follow ? watch(folder) : -1;
    uint64_t end_ms = o->wait_ms ? clocks_mono_ms() + o->wait_ms : UINT64_MAX;
    int result;
    for (;;) {
        result = queue_get(o->admin->store, item->row, item);
        if (result)
            break;
        bool ended = queue_finished(item->state);
        result = output_reader_go_on(r, &sink);
        if (result == OUTPUT_DAMAGED && !ended)
            result = 0;
        uint64_t now_ms = clocks_mono_ms();
        if (result || ended || !o->follow || now_ms >= end_ms)
            break;
        wait_for_change(watched, end_ms - now_ms);
    }
    if (watched >= 0)
        close(watched);
    return result;
}

static void say_dropped(const struct receipt *receipt)
{
    for (int i = 0; i < 2; i++) {
        if (receipt->stream[i].dropped)
            fprintf(stderr,
                    "cloister-console: the limit cut standard %s: %" PRIu64 " more bytes were"
                    " thrown away on the machine\n",
                    i ? "error" : "output", receipt->stream[i].dropped);
    }
}

/* Says how the stored output compares with what the machine signed, if it ran. */
static void compare(struct outputs *o, struct output_reader *r, const struct command_view *view)
{
    char state[COMMAND_TEXT_STATE];
    const struct receipt *receipt = &view->receipt;
    if (view->has_receipt && receipt->decision == RECEIPT_RUN) {
        say_dropped(receipt);
        if (output_reader_matches(r, receipt))
            return;
        o->incomplete = true;
        fprintf(stderr,
                "cloister-console: this is not all: the receipt says %" PRIu64 " bytes of standard"
                " output and %" PRIu64 " of standard error, and their hashes\n",
                receipt->stream[0].bytes, receipt->stream[1].bytes);
    } else if (!queue_finished(view->item.state) || !o->wait) {
        fprintf(stderr, "cloister-console: %s\n", command_text_state(state, view));
    }
}

/* The status that --wait passes on. */
static int own_status(const struct outputs *o, const struct command_view *view)
{
    char state[COMMAND_TEXT_STATE];
    const struct receipt *receipt = &view->receipt;
    if (view->has_receipt && receipt->decision == RECEIPT_RUN && !o->incomplete) {
        if (receipt->end == RECEIPT_EXIT)
            return receipt->value;
        if (receipt->end == RECEIPT_SIGNAL)
            return 128 + receipt->value;
    }
    if (queue_finished(view->item.state))
        fprintf(stderr, "cloister-console: %s\n", command_text_state(state, view));
    return EXIT_NO_STATUS;
}

static int say_failure(int result)
{
    if (result == -EPIPE)
        return EXIT_FAILED;
    fprintf(stderr, "cloister-console: %s\n",
            result == OUTPUT_DAMAGED ? "the stored output is damaged: nothing more written"
            : result > 0             ? "the command was deleted"
                                     : strerror(-result));
    return EXIT_FAILED;
}

static int outputs(struct outputs *o, struct queue_item *item)
{
    static struct command_view view;
    struct output_reader *reader = NULL;
    int folder = output_folder_open(o->admin->state, false);
    int result = folder < 0 ? folder : output_reader_new(&reader, folder, item->row);
    if (!result)
        result = read_outputs(o, reader, item, folder);
    if (!result)
        result = command_text_view(&view, o->admin, item);
    if (!result)
        compare(o, reader, &view);
    output_reader_free(reader);
    if (folder >= 0)
        close(folder);
    if (result) {
        int status = say_failure(result);
        return o->wait ? EXIT_NO_STATUS : status;
    }
    if (o->wait)
        return own_status(o, &view);
    return o->incomplete ? EXIT_FAILED : EXIT_DONE;
}

int command_outputs(int argc, char **argv)
{
    static const struct option extra[] = {{"machine", required_argument, NULL, 'm'},
                                          {"stdout", no_argument, NULL, '1'},
                                          {"stderr", no_argument, NULL, '2'},
                                          {"out", required_argument, NULL, 'd'},
                                          {"force", no_argument, NULL, 'F'},
                                          {"raw", no_argument, NULL, 'r'},
                                          {"follow", no_argument, NULL, 'f'},
                                          {"wait", optional_argument, NULL, 'w'},
                                          {0}};
    struct admin_options options;
    struct admin a;
    struct queue_item item;
    struct outputs o = {.admin = &a, .fds = {-1, -1}};
    int status = EXIT_FAILED;
    int operand = admin_parse(argc, argv, outputs_help, extra, take_option, &o, &options);
    if (operand < 0)
        return -1 - operand;
    if (operand + 1 != argc || options.json || (o.force && !o.out)) {
        fputs(outputs_help, stderr);
        return EXIT_USAGE;
    }
    if (admin_open(&a, options.state) &&
        !(status = command_text_find(&a, argv[operand], o.machine, &item)) &&
        !(status = open_outputs(&o))) {
        status = outputs(&o, &item);
        if (close_outputs(&o) != EXIT_DONE && status == EXIT_DONE)
            status = EXIT_FAILED;
    }
    admin_close(&a);
    return status;
}
