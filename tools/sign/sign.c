/* cloister-sign sign. */
#include "cli.h"

#include <inttypes.h>
#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>

#include "command_build.h"
#include "complain.h"
#include "files.h"
#include "jwk.h"
#include "jws.h"
#include "moment.h"
#include "quantity.h"
#include "sequence.h"
#include "show.h"

static const char help[] =
    "usage: cloister-sign sign --key KEY --kid ID --machine ID|--group NAME [OPTIONS] -- PROGRAM\n"
    "                          [ARGS...]\n"
    "       cloister-sign sign ... --script FILE [-- ARGS...]\n"
    "\n"
    "Signs a command and prints it as a compact JWS (docs/commands.md), having shown what it "
    "does.\n"
    "\n" CLI_KEY_HELP
    "  --machine ID           for this machine, 64 hexadecimal digits; up to 64 of both\n"
    "  --group NAME           for the machines of this group\n"
    "  --argv                 what follows -- is a program and its arguments, as without it\n"
    "  --script FILE          run this script, which begins with #! and an absolute path\n"
    "  --profile P            diagnostic (unless given), user or admin\n"
    "  --not-before TIME      now, +15m, 2026-11-22T12:30, 2026-11-22T12:30:00Z, @UNIX (now)\n"
    "  --expires TIME         likewise\n"
    "  --valid SPAN           instead of --expires: 90s, 30m, 1h, 7d (1h)\n"
    "  --seq N                instead of the next number of this key\n"
    "  --state FOLDER         where the last number of each key is kept\n"
    "                         (~/.local/state/cloister-sign)\n"
    "  --stdin FILE           standard input of the command\n"
    "  --env NAME=VALUE       added to its environment; up to 64\n"
    "  --time SPAN            it is ended after so long (60s; up to 1h)\n"
    "  --output SIZE          of standard output and error together (1M; up to 1G)\n"
    "  --id HEX               its id, 32 hexadecimal digits (random)\n"
    "  --out FILE             write the token there\n"
    "  --yes                  do not ask, where the profile is user or admin\n";

struct signing {
    struct cli_key key;
    struct command_build build;
    const char *state, *out;
    uint64_t seq, now;
    uint64_t valid_ms; /* 0: --expires was given */
    bool yes;
};

enum { VALID_DEFAULT_MS = 3600000 };

static bool wrong(const char *option, const char *value, const char *allowed)
{
    char advice[160];
    snprintf(advice, sizeof(advice), "allowed: %s", allowed);
    complain(advice, "sign: %s: \"%s\"", option, shown(value));
    return false;
}

static bool take_time(struct signing *s, int option, const char *value)
{
    static const char moments[] =
        "now, +15m, 2026-11-22, 2026-11-22T12:30[:00][Z], @ and seconds since 1970";
    struct command_build *b = &s->build;
    switch (option) {
    case 'b':
        return quantity_moment(&b->nbf, value, s->now) || wrong("--not-before", value, moments);
    case 'x':
        s->valid_ms = 0;
        return quantity_moment(&b->exp, value, s->now) || wrong("--expires", value, moments);
    case 'v':
        return (quantity_span_ms(&s->valid_ms, value, PAYLOAD_VALIDITY_MAX_S * 1000ull) &&
                s->valid_ms >= 1000) ||
               wrong("--valid", value, "1s to 7d");
    default:
        return (quantity_span_ms(&b->time_ms, value, PAYLOAD_TIME_MS_MAX) &&
                b->time_ms >= PAYLOAD_TIME_MS_MIN) ||
               wrong("--time", value, "100ms to 1h");
    }
}

static bool take_profile(struct command_build *b, const char *value)
{
    b->profile = jwk_profile(value) > 0 ? value : NULL;
    return b->profile || wrong("--profile", value, "diagnostic, user, admin");
}

static bool take_number(struct signing *s, int option, const char *value)
{
    if (option == 'q')
        return quantity_number(&s->seq, value, 1, PAYLOAD_SEQ_MAX) ||
               wrong("--seq", value, "1 to 2^53-1");
    return quantity_size(&s->build.output_bytes, value, PAYLOAD_OUTPUT_BYTES_MAX) ||
           wrong("--output", value, "bytes, or a number and K, M or G; up to 1G");
}

static bool take(void *context, int option, char *value)
{
    struct signing *s = context;
    switch (option) {
    case 'm':
        return command_build_audience(&s->build, "", value);
    case 'g':
        return command_build_audience(&s->build, "group:", value);
    case 'e':
        return command_build_env(&s->build, value);
    case 's':
        return command_build_file(&s->build.script, "--script", value);
    case 'i':
        return command_build_file(&s->build.input, "--stdin", value);
    case 'p':
        return take_profile(&s->build, value);
    case 'q':
    case 'z':
        return take_number(s, option, value);
    case 'b':
    case 'x':
    case 'v':
    case 't':
        return take_time(s, option, value);
    case 'j':
        s->build.jti = value;
        return true;
    case 'S':
        s->state = value;
        return true;
    case 'o':
        s->out = value;
        return true;
    case 'a':
        return true;
    case 'y':
        s->yes = true;
        return true;
    default:
        return cli_take_key(&s->key, option, value);
    }
}

/* What the options say together. */
static bool complete(struct signing *s, int argc, char **argv)
{
    static char jti[33];
    uint8_t random[16];
    struct command_build *b = &s->build;
    if (s->valid_ms)
        b->exp = b->nbf + s->valid_ms / 1000;
    if (!b->jti) {
        if (RAND_bytes(random, sizeof(random)) != 1)
            return false;
        digest_hex(jti, random, sizeof(random));
        b->jti = jti;
    }
    b->words = argv + optind;
    b->word_count = (size_t)(argc - optind);
    if (!b->script.bytes && !b->word_count)
        complain("cloister-sign sign --help", "sign: neither a program nor --script is given");
    else if (!json_array_size(b->aud))
        complain("it says which machines may run it", "sign: --machine or --group is missing");
    else if (b->exp <= b->nbf || b->exp - b->nbf > PAYLOAD_VALIDITY_MAX_S)
        complain("at most 7 days are allowed", "sign: it would never be valid: see --expires");
    else
        return true;
    return false;
}

/* Shows it, asks, signs. */
static int sign_payload(struct signing *s, EVP_PKEY *key, const char *payload)
{
    struct payload_command command;
    const char *fault = payload_read_command(&command, payload, strlen(payload));
    if (fault) {
        complain(NULL, "sign: no machine would take this: %s", fault);
        return PROGRAM_EXIT_USAGE;
    }
    fprintf(stderr, SHOW_LABEL "%s\n", "Signed by", s->key.kid);
    show_payload_command(stderr, &command, s->now);
    int result = cli_confirm(command.profile, s->yes);
    payload_free_command(&command);
    if (result != CLI_GO_ON)
        return result;
    char *token = jws_make(key, s->key.kid, payload, strlen(payload));
    result = token ? cli_write_token(s->out, token) : PROGRAM_EXIT_FAILED;
    free(token);
    return result;
}

static int sign(struct signing *s)
{
    uint8_t point[KEY_POINT_SIZE];
    EVP_PKEY *key = cli_open_key(&s->key);
    int result = PROGRAM_EXIT_FAILED;
    if (key && key_point(point, key))
        s->build.seq = sequence_take(s->state, point, s->seq);
    char *payload = s->build.seq ? command_build_payload(&s->build) : NULL;
    if (payload)
        result = sign_payload(s, key, payload);
    free(payload);
    EVP_PKEY_free(key);
    return result;
}

int sign_command(int argc, char **argv)
{
    static const struct option options[] = {CLI_KEY_OPTIONS,
                                            {"machine", required_argument, NULL, 'm'},
                                            {"group", required_argument, NULL, 'g'},
                                            {"argv", no_argument, NULL, 'a'},
                                            {"script", required_argument, NULL, 's'},
                                            {"profile", required_argument, NULL, 'p'},
                                            {"not-before", required_argument, NULL, 'b'},
                                            {"expires", required_argument, NULL, 'x'},
                                            {"valid", required_argument, NULL, 'v'},
                                            {"seq", required_argument, NULL, 'q'},
                                            {"state", required_argument, NULL, 'S'},
                                            {"stdin", required_argument, NULL, 'i'},
                                            {"env", required_argument, NULL, 'e'},
                                            {"time", required_argument, NULL, 't'},
                                            {"output", required_argument, NULL, 'z'},
                                            {"id", required_argument, NULL, 'j'},
                                            {"out", required_argument, NULL, 'o'},
                                            {"yes", no_argument, NULL, 'y'},
                                            CLI_OPTIONS};
    uint64_t now = moment_now_ms() / 1000;
    struct signing s = {.key.source.passphrase = PASSPHRASE_TERMINAL,
                        .now = now,
                        .valid_ms = VALID_DEFAULT_MS,
                        .build = {.nbf = now, .profile = "diagnostic"}};
    int result = command_build_start(&s.build)
                     ? cli_parse(argc, argv, options, help, true, take, &s)
                     : PROGRAM_EXIT_FAILED;
    if (result == CLI_GO_ON)
        result =
            cli_has_key(&s.key, "sign") && complete(&s, argc, argv) ? sign(&s) : PROGRAM_EXIT_USAGE;
    command_build_free(&s.build);
    return result;
}
