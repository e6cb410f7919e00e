#include "commands.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "certificate.h"
#include "admin.h"
#include "config.h"
#include "exit_status.h"
#include "log.h"
#include "serve.h"

static const char serve_help[] =
    "Usage: cloister-console serve [OPTION]...\n"
    "Serve agents over WebSocket and TLS (docs/wire.md) until SIGTERM.\n"
    "\n"
    "  --config FILE         read settings from FILE first (docs/console.md)\n"
    "  --state DIR           state folder, made when missing (" CONFIG_STATE_DEFAULT ")\n"
    "  --listen ADDR:PORT    where to listen (:8443; [ADDR]:PORT for IPv6; port 0: any)\n"
    "  --name HOST           a host name or address that agents dial; repeat it for more\n"
    "  --certificate FILE    PEM chain to serve with, instead of one by the console's own CA\n"
    "  --key FILE            its private key\n"
    "  --help                show this\n";

static const struct option serve_options[] = {
    {"config", required_argument, NULL, 'C'},
    {"state", required_argument, NULL, 'S'},
    {"listen", required_argument, NULL, 'L'},
    {"name", required_argument, NULL, 'N'},
    {"certificate", required_argument, NULL, 'c'},
    {"key", required_argument, NULL, 'k'},
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

static bool copy_path(char out[PATH_MAX], const char *value)
{
    return (size_t)snprintf(out, PATH_MAX, "%s", value) < PATH_MAX;
}

/* The names of the command line take the place of those of the file. */
static bool take_name(struct config *c, bool *first, const char *value)
{
    if (*first)
        c->host_count = 0;
    *first = false;
    return config_add_hosts(c, value);
}

static bool take_option(struct config *c, int option, const char *value, bool *first_name)
{
    switch (option) {
    case 'S':
        return copy_path(c->state, value);
    case 'L':
        return config_set_listen(c, value);
    case 'N':
        return take_name(c, first_name, value);
    case 'c':
        return copy_path(c->certificate, value);
    case 'k':
        return copy_path(c->key, value);
    default:
        return true;
    }
}

/* The file first, wherever it stands, so that the command line has the last word. */
static bool read_file_option(struct config *c, int argc, char **argv)
{
    int option;
    optind = 1;
    while ((option = getopt_long(argc, argv, "h", serve_options, NULL)) != -1) {
        if (option == '?' || (option == 'C' && !config_read(c, optarg)))
            return false;
    }
    if (optind != argc)
        fprintf(stderr, "cloister-console: unexpected argument: %s\n", argv[optind]);
    return optind == argc;
}

static bool check(const struct config *c)
{
    const char *wrong = NULL;
    if (c->host_count == 0)
        wrong = "give at least one --name HOST that agents dial";
    else if (!c->certificate[0] != !c->key[0])
        wrong = "--certificate and --key belong together";
    if (wrong)
        fprintf(stderr, "cloister-console: %s\n", wrong);
    return !wrong;
}

int command_serve(int argc, char **argv)
{
    static struct config config; /* larger than a stack should carry */
    bool first_name = true;
    int option;
    config_default(&config);
    if (!read_file_option(&config, argc, argv))
        return EXIT_USAGE;
    optind = 1;
    while ((option = getopt_long(argc, argv, "h", serve_options, NULL)) != -1) {
        if (option == 'h') {
            fputs(serve_help, stdout);
            return EXIT_DONE;
        }
        if (!take_option(&config, option, optarg, &first_name)) {
            fprintf(stderr, "cloister-console: not a valid value: %s\n", optarg);
            return EXIT_USAGE;
        }
    }
    if (!check(&config))
        return EXIT_USAGE;
    /* The server holds private keys: no core file, and nobody of the same user reads its memory. */
    prctl(PR_SET_DUMPABLE, 0);
    umask(077);
    log_setup("cloister-console", !isatty(STDERR_FILENO) && getenv("JOURNAL_STREAM") != NULL);
    return serve(&config);
}

static const char ca_help[] =
    "Usage: cloister-console ca [--state DIR] [--json]\n"
    "Print the certificate of the console's own CA, which agents must trust, in PEM.\n"
    "With --json also the path of the file and the pin of the server's key (SHA-256 of its\n"
    "SubjectPublicKeyInfo, base64).\n";

static int print_ca_json(const char *file, const char *server)
{
    char pin[CERTIFICATE_PIN_TEXT];
    int result = certificate_pin(server, pin);
    if (result) {
        fprintf(stderr, "cloister-console: %s: %s\n", server, strerror(-result));
        return EXIT_FAILED;
    }
    json_t *o = json_pack("{s:s, s:s}", "file", file, "spki_sha256", pin);
    return admin_print_json(o) ? EXIT_DONE : EXIT_FAILED;
}

int command_ca(int argc, char **argv)
{
    struct admin_options options;
    char file[PATH_MAX], server[PATH_MAX], line[128];
    int operand = admin_parse(argc, argv, ca_help, NULL, NULL, NULL, &options);
    if (operand < 0)
        return -1 - operand;
    if (operand != argc) {
        fputs(ca_help, stderr);
        return EXIT_USAGE;
    }
    snprintf(file, sizeof(file), "%s/ca.pem", options.state);
    snprintf(server, sizeof(server), "%s/server.pem", options.state);
    if (options.json)
        return print_ca_json(file, server);
    FILE *f = fopen(file, "re");
    if (!f) {
        perror(file);
        return EXIT_FAILED;
    }
    while (fgets(line, sizeof(line), f))
        fputs(line, stdout);
    fclose(f);
    return fflush(stdout) == 0 ? EXIT_DONE : EXIT_FAILED;
}
