#include "options.h"

#include <stdio.h>
#include <string.h>

#include "agent.h"
#include "edits.h"

const char options_help[] =
    "usage: cloister ticket [OPTION...]\n"
    "\n"
    "Opens a ticket for the help desk. Without options: shows the recent screenshots, lets you\n"
    "look at them, drop and blacken them, asks for a description, and sends nothing before you\n"
    "have typed \"yes\".\n"
    "\n"
    "  --description TEXT     what is wrong; \"-\" reads it from standard input\n"
    "  --drop LIST            leave frames out: \"2,5-7\", \"id:ID,id:ID\" or \"all\"\n"
    "  --keep LIST            leave all other frames out\n"
    "  --until ID             leave out what was captured after this frame\n"
    "  --redact N:X,Y,W,H     blacken a rectangle of frame N (or id:ID), in pixels; may be "
    "repeated\n"
    "  --no-title LIST        leave the window titles of these frames out\n"
    "  --yes                  consent: send without asking; see below\n"
    "  --wait-for-connection  wait for the help desk's console to be connected\n"
    "  --list                 list the frames and end; nothing is sent\n"
    "  --json                 with --list or --yes: print JSON\n"
    "  --runtime DIR          the agent's runtime folder (/run/cloister)\n"
    "  --help, --version\n"
    "\n"
    "Without a terminal one of --list and --yes is needed.\n"
    "\n"
    "--yes must say which frames go, so that none goes that nobody has looked at: by --until ID,\n"
    "the newest one that was looked at; by --keep id:ID,...; all that there are by --keep all; "
    "none\n"
    "by --drop all. IDs are those of --list --json. Numbers are not taken with --yes: they are\n"
    "places in a list, and another run may have another list.\n"
    "\n"
    "exit status:\n";

enum argument { FLAG, TEXT, EDIT };

struct option {
    const char *name;
    enum argument argument;
    size_t offset; /* of the flag or text in struct options; for EDIT its kind */
};

#define AT(member) offsetof(struct options, member)
static const struct option known[] = {
    {"--help", FLAG, AT(help)},
    {"--version", FLAG, AT(version)},
    {"--list", FLAG, AT(list)},
    {"--json", FLAG, AT(json)},
    {"--yes", FLAG, AT(yes)},
    {"--wait-for-connection", FLAG, AT(wait_for_connection)},
    {"--description", TEXT, AT(description)},
    {"--runtime", TEXT, AT(agent)},
    {"--until", TEXT, AT(until)},
    {"--drop", EDIT, OPTION_DROP},
    {"--keep", EDIT, OPTION_KEEP},
    {"--redact", EDIT, OPTION_REDACT},
    {"--no-title", EDIT, OPTION_NO_TITLE},
};

static const struct option *find(const char *text, size_t length)
{
    for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++)
        if (strlen(known[i].name) == length && memcmp(known[i].name, text, length) == 0)
            return &known[i];
    return NULL;
}

static int store(struct options *out, const struct option *option, const char *value)
{
    char *base = (char *)out;
    switch (option->argument) {
    case FLAG:
        *(bool *)(void *)(base + option->offset) = true;
        return 0;
    case TEXT:
        *(const char **)(void *)(base + option->offset) = value;
        return 0;
    case EDIT:
        if (out->edit_count == OPTIONS_EDITS_MAX)
            return 1;
        out->edits[out->edit_count++] =
            (struct option_edit){(enum option_edit_kind)option->offset, value};
        return 0;
    }
    return 1;
}

static bool is_all(const char *value)
{
    return strcmp(value, "all") == 0;
}

/* What a consent without a review lacks. */
static const char *unsaid(const struct options *options)
{
    bool said = options->until != NULL;
    for (size_t i = 0; i < options->edit_count; i++) {
        const struct option_edit *edit = &options->edits[i];
        if (!is_all(edit->value) && !edits_name_ids(edit->value))
            return "with --yes frames are named by id (\"id:...\" of --list --json), not by number";
        said |= edit->kind == OPTION_KEEP || (edit->kind == OPTION_DROP && is_all(edit->value));
    }
    return said ? NULL : "--yes must say which frames go: --until ID, --keep or --drop all";
}

/* What does not go together. */
static const char *contradiction(const struct options *options)
{
    if (options->list &&
        (options->yes || options->edit_count || options->description || options->until))
        return "--list sends nothing: it takes only --json and --runtime";
    if (options->json && !options->list && !options->yes)
        return "--json needs --list or --yes";
    return options->yes ? unsaid(options) : NULL;
}

int options_parse(struct options *out, int argc, char **argv, char *complaint, size_t capacity)
{
    *out = (struct options){.agent = AGENT_FOLDER};
    for (int i = 1; i < argc; i++) {
        /* Both "--name value" and "--name=value". */
        const char *equals = strchr(argv[i], '=');
        size_t length = equals ? (size_t)(equals - argv[i]) : strlen(argv[i]);
        const struct option *option = find(argv[i], length);
        if (!option || (equals && option->argument == FLAG)) {
            snprintf(complaint, capacity, "unknown argument \"%s\"", argv[i]);
            return 1;
        }
        const char *value = equals ? equals + 1 : NULL;
        if (option->argument != FLAG && !value) {
            if (++i == argc) {
                snprintf(complaint, capacity, "%s needs a value", option->name);
                return 1;
            }
            value = argv[i];
        }
        if (store(out, option, value)) {
            snprintf(complaint, capacity, "more than %d edits", OPTIONS_EDITS_MAX);
            return 1;
        }
    }
    const char *wrong = contradiction(out);
    if (wrong)
        snprintf(complaint, capacity, "%s", wrong);
    return wrong != NULL;
}
