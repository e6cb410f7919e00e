#include "cli.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "complain.h"
#include "files.h"
#include "jwk.h"
#include "quantity.h"

int cli_parse(int argc, char **argv, const struct option *options, const char *help, bool stop,
              bool (*take)(void *context, int option, char *value), void *context)
{
    char where[64];
    snprintf(where, sizeof(where), "cloister-sign %.32s --help", argv[0]);
    opterr = 0;
    optind = 0; /* start anew: main has parsed with another list */
    for (int option; (option = getopt_long(argc, argv, stop ? "+:" : ":", options, NULL)) != -1;) {
        if (option == 'h') {
            fputs(help, stdout);
            return PROGRAM_EXIT_OK;
        }
        if (option == '?' || option == ':') {
            complain(where, "%s: %s: %s", argv[0], shown(argv[optind - 1]),
                     option == ':' ? "a value is missing" : "no such option here");
            return PROGRAM_EXIT_USAGE;
        }
        if (!take(context, option, optarg))
            return PROGRAM_EXIT_USAGE;
    }
    return CLI_GO_ON;
}

static bool take_provider(struct key_source *source, const char *name)
{
    if (source->providers_count == KEY_PROVIDERS_MAX) {
        complain(NULL, "--provider: no more than %d", KEY_PROVIDERS_MAX);
        return false;
    }
    source->providers[source->providers_count++] = name;
    return true;
}

static bool take_fd(struct passphrase_source *source, const char *value)
{
    uint64_t fd;
    if (!quantity_number(&fd, value, 0, 1023)) {
        complain(NULL, "--passphrase-fd: \"%s\" is no descriptor", shown(value));
        return false;
    }
    source->fd = (int)fd;
    return true;
}

bool cli_take_key(struct cli_key *key, int option, char *value)
{
    switch (option) {
    case 'K':
        key->source.name = value;
        return true;
    case 'I':
        key->kid = value;
        return jwk_kid(value);
    case 'P':
        return take_provider(&key->source, value);
    case 'F':
        key->source.passphrase.file = value;
        return true;
    case 'D':
        return take_fd(&key->source.passphrase, value);
    default:
        return false;
    }
}

bool cli_has_key(const struct cli_key *key, const char *command)
{
    if (!key->source.name || !key->kid)
        complain(NULL, "%s: --%s is missing", command, key->source.name ? "kid" : "key");
    return key->source.name && key->kid;
}

EVP_PKEY *cli_open_key(struct cli_key *key)
{
    struct passphrase_source *passphrase = &key->source.passphrase;
    bool ready = key_guard();
    /* A provider that got no answer might ask by itself, so what cannot be read is found before. */
    if (ready && passphrase->file)
        ready = passphrase_get(passphrase, "", false) != NULL;
    EVP_PKEY *opened = ready ? key_open(&key->source) : NULL;
    passphrase_forget(passphrase);
    return opened;
}

bool cli_operands(int argc, char **argv, int least, int most)
{
    char where[64];
    int count = argc - optind;
    snprintf(where, sizeof(where), "cloister-sign %.32s --help", argv[0]);
    if (count < least)
        complain(where, "%s: something is missing after it", argv[0]);
    else if (count > most)
        complain(where, "%s: \"%s\" is one word too many", argv[0], shown(argv[optind + most]));
    return count >= least && count <= most;
}

int cli_write_token(const char *path, const char *token)
{
    if (!path) {
        printf(isatty(STDOUT_FILENO) ? "%s\n" : "%s", token);
        return PROGRAM_EXIT_OK;
    }
    mode_t mask = umask(0);
    umask(mask);
    int error = file_replace(path, token, strlen(token), 0644 & ~mask);
    if (error)
        complain(NULL, "%s: %s", shown(path), strerror(-error));
    return error ? PROGRAM_EXIT_FAILED : PROGRAM_EXIT_OK;
}

int cli_confirm_word(const char *reason, const char *word, bool yes)
{
    char answer[32] = "";
    if (yes || !isatty(STDERR_FILENO))
        return CLI_GO_ON;
    FILE *terminal = fopen("/dev/tty", "re");
    fprintf(stderr, "%s Type \"%s\" to sign it: ", reason, word);
    bool agreed = terminal && fgets(answer, sizeof(answer), terminal) &&
                  strncmp(answer, word, strlen(word)) == 0 &&
                  strcmp(answer + strlen(word), "\n") == 0;
    if (terminal)
        fclose(terminal);
    if (agreed)
        return CLI_GO_ON;
    complain("--yes signs without asking", "cancelled, nothing was signed");
    return PROGRAM_EXIT_CANCELLED;
}

int cli_confirm(unsigned profile, bool yes)
{
    return cli_confirm_word(profile == 2 ? "This runs with the rights of the user of the desktop."
                                         : "This runs as root.",
                            "sign", yes || profile < 2);
}
