/*
 * cloister-ticket: the desktop user's program for filing a ticket. Installed setgid to the group
 * cloister-ticket (mode 2755), with the file capability cap_ipc_lock, and started by
 * `cloister ticket`.
 */
#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "display.h"
#include "face.h"
#include "harden.h"
#include "interrupt.h"
#include "log.h"
#include "secret_memory.h"
#include "show.h"
#include "ticket_exit.h"

static const char version[] = "cloister-ticket " CLOISTER_VERSION
#ifdef CLOISTER_SANITIZE
                              " (overlay: sanitizer)"
#endif
                              "\n";

static int cannot(const char *step, int error)
{
    fprintf(stderr, "cloister-ticket: cannot protect itself: %s: %s\n", step, strerror(-error));
    return TICKET_EXIT_ERROR;
}

/* The X cookie file is named by the environment: its bytes are read with the user's own group. */
static int read_cookie(struct display *display)
{
    gid_t saved;
    const char *step;
    int error = harden_lower_group(&saved, &step);
    if (error)
        return cannot(step, error);
    display_read_cookie(display);
    error = harden_raise_group(saved, &step);
    return error ? cannot(step, error) : 0;
}

static void say_no_display(const char *why)
{
    fprintf(stderr, "cloister-ticket: %s; frames are shown in the terminal\n", why);
}

/* A display that may be used, or none. */
static int find_display(struct display *display, bool *found)
{
    int outcome = display_find(display, getenv("DISPLAY"));
    *found = outcome == 0;
    if (outcome == DISPLAY_FOREIGN)
        say_no_display("DISPLAY is not a display of this machine (no frame goes to another)");
    return *found ? read_cookie(display) : 0;
}

/* The display's socket, of which nothing is read yet; -1: none. */
static int dial_display(const struct display *display)
{
    int fd;
    int outcome = display_dial(display, DISPLAY_FOLDER, &fd);
    if (outcome == 0)
        return fd;
    say_no_display(outcome < 0 ? "the display does not answer"
                               : "the display belongs to another user");
    return -1;
}

static struct viewer *open_viewer(struct display *display, int fd)
{
    struct viewer *viewer = NULL;
    struct xauth_cookie cookie;
    bool has_cookie = display_cookie(display, &cookie);
    if (viewer_new(&viewer, fd, has_cookie ? &cookie : NULL)) {
        say_no_display("the display cannot be used");
        viewer = NULL;
    }
    explicit_bzero(&cookie, sizeof(cookie));
    return viewer;
}

/* Through the door; then the group that it opens to is given up, before anything else is met. */
static int pass_door(struct ticket **ticket, const struct options *options)
{
    struct agent_no no;
    const char *step;
    int result = harden_files(&step);
    if (result)
        return cannot(step, result);
    result = ticket_connect(ticket, options->agent, &no);
    if (result)
        return show_no_agent(result, &no);
    result = harden_leave_group(&step);
    return result ? cannot(step, result) : 0;
}

/* Threads, and the filter; after it the display may speak and the first frame may come. */
static int lock(struct ticket *ticket)
{
    const char *step;
    int result = ticket_start(ticket);
    if (result) {
        fprintf(stderr, "cloister-ticket: cannot start: %s\n",
                result < 0 ? strerror(-result) : "the agent ended the ticket");
        return TICKET_EXIT_ERROR;
    }
    result = harden_calls(&step);
    return result ? cannot(step, result) : 0;
}

/* What happens in this order, and no other, is said in harden.h. */
static int open_ticket(struct ticket **ticket, struct viewer **viewer,
                       const struct options *options, bool by_hand)
{
    static struct display display;
    bool has_display = false;
    int fd = -1;
    int result = by_hand ? find_display(&display, &has_display) : 0;
    if (!result)
        result = pass_door(ticket, options);
    if (!result && has_display)
        fd = dial_display(&display);
    if (!result)
        result = lock(*ticket);
    if (!result && fd >= 0)
        *viewer = open_viewer(&display, fd);
    return result;
}

static int run(const struct options *options, bool by_hand)
{
    struct ticket *ticket = NULL;
    struct viewer *viewer = NULL;
    struct locked_bytes text = {0};
    if (face_read_description(options, &text))
        return TICKET_EXIT_ERROR;
    int result = open_ticket(&ticket, &viewer, options, by_hand);
    if (!result && review_describe(ticket_review(ticket), (char *)text.data, text.length))
        result = TICKET_EXIT_ERROR;
    locked_bytes_clear(&text);
    if (!result)
        result = by_hand ? terminal_run(ticket, options, viewer) : script_run(ticket, options);
    ticket_free(ticket);
    viewer_free(viewer);
    return result;
}

static int complain_usage(const char *complaint)
{
    char plain[1024];
    log_escape(plain, sizeof(plain), complaint, strlen(complaint));
    fprintf(stderr, "cloister-ticket: %s\nTry --help.\n", plain);
    return TICKET_EXIT_USAGE;
}

int main(int argc, char **argv)
{
    const char *step;
    struct options options;
    char complaint[256];
    int error = harden_early(&step);
    if (error)
        return cannot(step, error);
    if (options_parse(&options, argc, argv, complaint, sizeof(complaint)))
        return complain_usage(complaint);
    if (options.help || options.version) {
        fputs(options.help ? options_help : version, stdout);
        if (options.help)
            program_exit_print(stdout);
        return TICKET_EXIT_SENT;
    }
    bool by_script = options.list || options.yes;
    if (!by_script && !(isatty(STDIN_FILENO) && isatty(STDOUT_FILENO)))
        return complain_usage("without a terminal, consent must be given by --yes");
    error = interrupt_setup();
    if (error)
        return cannot("signals", error);
    error = harden_memory(&step);
    if (error)
        return cannot(step, error);
    if (sodium_init() < 0 || secret_kind() == SECRET_NONE)
        return cannot("secret memory", -ENOMEM);
    tzset(); /* reads its file now */
    setvbuf(stdout, NULL, _IOLBF, 4096);
    log_setup("cloister-ticket", 0);
    int result = run(&options, !by_script);
    if (fflush(stdout))
        result = TICKET_EXIT_ERROR;
    return result;
}
