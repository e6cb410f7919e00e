/* cloister-sign countersign, revoke. */
#include "cli.h"

#include <stdlib.h>
#include <string.h>

#include "complain.h"
#include "files.h"
#include "jwk.h"
#include "jws.h"
#include "moment.h"
#include "payload.h"
#include "show.h"

static const char countersign_help[] =
    "usage: cloister-sign countersign --key KEY --kid ID [--out FILE] [--yes] FILE\n"
    "\n"
    "Signs the signed command in FILE (-: standard input) again, having shown it, and prints the\n"
    "result: its payload is the token as it stands.\n"
    "\n" CLI_KEY_HELP "  --out FILE             write the token there\n"
    "  --yes                  do not ask\n";

static const char revoke_help[] =
    "usage: cloister-sign revoke --key KEY --kid ID [--out FILE] [--yes] KID...\n"
    "\n"
    "Prints a token that retires the keys of these ids (1 to 8) for good on every machine that it\n"
    "reaches. Any key may retire itself; one that was built in with 'revokes' any.\n"
    "\n" CLI_KEY_HELP "  --out FILE             write the token there\n"
    "  --yes                  do not ask\n";

struct again {
    struct cli_key key;
    const char *out;
    bool yes;
};

static const struct option options[] = {CLI_KEY_OPTIONS,
                                        {"out", required_argument, NULL, 'o'},
                                        {"yes", no_argument, NULL, 'y'},
                                        CLI_OPTIONS};

static bool take(void *context, int option, char *value)
{
    struct again *again = context;
    if (option == 'o')
        again->out = value;
    else if (option == 'y')
        again->yes = true;
    else
        return cli_take_key(&again->key, option, value);
    return true;
}

/* Signs and writes. */
static int finish(struct again *again, const char *payload, size_t length)
{
    EVP_PKEY *key = cli_open_key(&again->key);
    char *token = key ? jws_make(key, again->key.kid, payload, length) : NULL;
    int result = token ? cli_write_token(again->out, token) : PROGRAM_EXIT_FAILED;
    free(token);
    EVP_PKEY_free(key);
    return result;
}

/* ---- countersign ---- */

/* The profile of the command in a token; 0, having complained: it is none. */
static uint32_t profile_of(const struct file *file, const char *path)
{
    struct jws jws;
    struct payload_command command;
    const char *fault = jws_read(&jws, (const char *)file->bytes, file->length);
    if (!fault && jws.kind != JWS_COMMAND)
        fault = "it is a receipt";
    if (!fault)
        fault = payload_read_command(&command, jws.payload, jws.payload_length);
    uint32_t profile = fault ? 0 : command.profile;
    if (fault)
        complain("'cloister-sign show' says more", "%s: not a command that is signed once: %s",
                 shown(path), fault);
    else
        payload_free_command(&command);
    jws_free(&jws);
    return profile;
}

static int countersign(struct again *again, const struct file *file, const char *path)
{
    uint32_t profile = profile_of(file, path);
    if (!profile)
        return PROGRAM_EXIT_FAILED;
    fprintf(stderr, SHOW_LABEL "%s\n", "Countersigned by", again->key.kid);
    if (!show_token(stderr, (const char *)file->bytes, file->length, NULL, moment_now_ms() / 1000))
        return PROGRAM_EXIT_FAILED;
    if (profile < 3)
        fputs("warning: only commands for admin need a second signature\n", stderr);
    int result = cli_confirm(profile, again->yes);
    return result == CLI_GO_ON ? finish(again, (const char *)file->bytes, file->length) : result;
}

int countersign_command(int argc, char **argv)
{
    struct again again = {.key.source.passphrase = PASSPHRASE_TERMINAL};
    struct file file;
    int result = cli_parse(argc, argv, options, countersign_help, false, take, &again);
    if (result != CLI_GO_ON)
        return result;
    if (!cli_operands(argc, argv, 1, 1) || !cli_has_key(&again.key, "countersign"))
        return PROGRAM_EXIT_USAGE;
    int error = file_read(&file, argv[optind], JWS_BYTES_MAX);
    if (error) {
        complain(NULL, "%s: %s", shown(argv[optind]), strerror(-error));
        return PROGRAM_EXIT_FAILED;
    }
    file_trim(&file);
    result = countersign(&again, &file, argv[optind]);
    file_free(&file);
    return result;
}

/* ---- revoke ---- */

/* The payload, for the caller to free; NULL: has complained. */
static char *revocation(char **kids, int count)
{
    json_t *list = json_array(), *shown_list;
    for (int i = 0; i < count; i++)
        json_array_append_new(list, json_string(kids[i]));
    json_t *root =
        json_pack("{s:s, s:i, s:o}", "typ", "cloister-revocation", "ver", 1, "revoked", list);
    char *payload = root ? json_dumps(root, JSON_COMPACT) : NULL;
    json_decref(root);
    const char *fault =
        payload ? payload_read_revocation(&shown_list, payload, strlen(payload)) : "out of memory";
    if (fault) {
        complain(NULL, "revoke: %s", fault);
        free(payload);
        return NULL;
    }
    show_revocation(stderr, shown_list);
    json_decref(shown_list);
    return payload;
}

int revoke_command(int argc, char **argv)
{
    struct again again = {.key.source.passphrase = PASSPHRASE_TERMINAL};
    int result = cli_parse(argc, argv, options, revoke_help, false, take, &again);
    if (result != CLI_GO_ON)
        return result;
    if (!cli_operands(argc, argv, 1, PAYLOAD_REVOKED_MAX) || !cli_has_key(&again.key, "revoke"))
        return PROGRAM_EXIT_USAGE;
    for (int i = optind; i < argc; i++)
        if (!jwk_kid(argv[i]))
            return PROGRAM_EXIT_USAGE;
    char *payload = revocation(argv + optind, argc - optind);
    if (!payload)
        return PROGRAM_EXIT_USAGE;
    result = cli_confirm_word("This cannot be taken back.", "revoke", again.yes);
    result = result == CLI_GO_ON ? finish(&again, payload, strlen(payload)) : result;
    free(payload);
    return result;
}
