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

#include "face.h"
#include "harden.h"
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

/* The X cookie file is named by the environment: it is read with the user's own group. */
static int open_viewer(struct viewer **viewer)
{
    gid_t saved;
    const char *step;
    *viewer = NULL;
    if (!getenv("DISPLAY"))
        return 0;
    int error = harden_lower_group(&saved, &step);
    if (error)
        return cannot(step, error);
    /* Without a display frames are shown in the terminal. */
    if (viewer_new(viewer))
        *viewer = NULL;
    error = harden_raise_group(saved, &step);
    return error ? cannot(step, error) : 0;
}

/* From the door to the filter; after it the first frame may come. */
static int open_ticket(struct ticket **ticket, const struct options *options)
{
    struct agent_no no;
    const char *step;
    int result = harden_files(&step);
    if (result)
        return cannot(step, result);
    result = ticket_connect(ticket, options->agent, &no);
    if (result)
        return show_no_agent(result, &no);
    result = ticket_start(*ticket);
    if (result) {
        fprintf(stderr, "cloister-ticket: cannot start: %s\n",
                result < 0 ? strerror(-result) : "the agent ended the ticket");
        return TICKET_EXIT_ERROR;
    }
    result = harden_calls(&step);
    return result ? cannot(step, result) : 0;
}

static int run(const struct options *options, bool by_hand)
{
    struct ticket *ticket = NULL;
    struct viewer *viewer = NULL;
    struct locked_bytes text = {0};
    if (face_read_description(options, &text))
        return TICKET_EXIT_ERROR;
    int result = by_hand ? open_viewer(&viewer) : 0;
    if (!result)
        result = open_ticket(&ticket, options);
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
