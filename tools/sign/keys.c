/* cloister-sign keygen, jwk, keys. */
#include "cli.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>

#include "complain.h"
#include "jwk.h"

#define POWERS_OPTIONS                                                                             \
    {"profile", required_argument, NULL, 'p'}, {"countersigns", no_argument, NULL, 'c'},           \
    {                                                                                              \
        "revokes", no_argument, NULL, 'r'                                                          \
    }
#define POWERS_HELP                                                                                \
    "  --profile P            the highest that it may sign for: none (unless given), "             \
    "diagnostic,\n"                                                                                \
    "                         user, admin\n"                                                       \
    "  --countersigns         commands for admin need its signature too\n"                         \
    "  --revokes              it may revoke any key; without this only itself\n"

static const char keygen_help[] =
    "usage: cloister-sign keygen --kid ID [OPTIONS]\n"
    "\n"
    "Makes a P-256 key, writes it to a new file, and prints its public half as a JWK, which goes\n"
    "into the agent (cloister-sign keys, stamp).\n"
    "\n"
    "  --kid ID               the key's id: 1 to 32 of a-z, 0-9, '.', '_', '-'\n"
    "  --out FILE             where to (ID.pem unless given); never over a file that is there\n"
    "  --passphrase-file FILE its first line is the passphrase; without it the terminal asks "
    "twice\n"
    "  --passphrase-fd N      likewise, from a descriptor\n"
    "  --no-passphrase        write the key as it is: whoever reads the file has it\n" POWERS_HELP;

static const char jwk_help[] = "usage: cloister-sign jwk --key KEY --kid ID [OPTIONS]\n"
                               "\n"
                               "Prints the public half of a key as a JWK.\n"
                               "\n" CLI_KEY_HELP POWERS_HELP;

static const char keys_help[] =
    "usage: cloister-sign keys FILE...\n"
    "\n"
    "Prints the keys of JWKs and JWK sets as one set, for CLOISTER_COMMAND_KEYS and\n"
    "'cloister-sign stamp'. At most 8; no two of one id, none twice.\n";

struct making {
    struct cli_key key;
    struct command_key powers; /* without its point */
    const char *out;
    bool bare;
};

static bool take_power(struct command_key *powers, int option, const char *value)
{
    uint32_t flags = le32toh(powers->flags);
    if (option == 'c' || option == 'r') {
        flags |= option == 'c' ? COMMAND_KEY_COUNTERSIGNS : COMMAND_KEY_REVOKES;
        powers->flags = htole32(flags);
        return true;
    }
    int profile = jwk_profile(value);
    if (profile < 0)
        complain("allowed: none, diagnostic, user, admin", "--profile: \"%s\" is no profile",
                 shown(value));
    powers->profile = htole32((uint32_t)profile);
    return profile >= 0;
}

static bool take(void *context, int option, char *value)
{
    struct making *making = context;
    switch (option) {
    case 'p':
    case 'c':
    case 'r':
        return take_power(&making->powers, option, value);
    case 'o':
        making->out = value;
        return true;
    case 'n':
        making->bare = true;
        return true;
    default:
        return cli_take_key(&making->key, option, value);
    }
}

static int print_json(json_t *root)
{
    int failed = !root || json_dumpf(root, stdout, JSON_INDENT(2) | JSON_ENSURE_ASCII);
    putchar('\n');
    json_decref(root);
    return failed ? PROGRAM_EXIT_FAILED : PROGRAM_EXIT_OK;
}

static int print_jwk(struct making *making, EVP_PKEY *key)
{
    struct command_key *public_key = &making->powers;
    char fingerprint[KEY_FINGERPRINT_SIZE];
    if (!key_point(public_key->point, key) || !key_fingerprint(fingerprint, public_key->point))
        return PROGRAM_EXIT_FAILED;
    strcpy(public_key->kid, making->key.kid);
    fprintf(stderr, "%s %s\n", public_key->kid, fingerprint);
    return print_json(jwk_write(public_key));
}

/* ---- keygen ---- */

/* The passphrase to encrypt with; *right is false if it should be there and is not. */
static const char *new_passphrase(struct making *making, bool *right)
{
    struct passphrase_source *source = &making->key.source.passphrase;
    *right = true;
    if (making->bare)
        return NULL;
    const char *passphrase = passphrase_get(source, "Passphrase of the new key: ", true);
    *right = passphrase && strlen(passphrase) >= PASSPHRASE_LEAST;
    if (passphrase && !*right)
        complain("--no-passphrase makes a key without one",
                 "a passphrase has at least %d characters", PASSPHRASE_LEAST);
    return passphrase;
}

static int keygen(struct making *making, const char *path)
{
    bool right;
    const char *passphrase = new_passphrase(making, &right);
    EVP_PKEY *key = right ? key_make() : NULL;
    int result = PROGRAM_EXIT_FAILED;
    if (key && key_write(path, key, passphrase)) {
        result = print_jwk(making, key);
        fprintf(stderr, "The private key is in %s%s.\n", shown(path),
                passphrase ? "" : ", NOT protected by a passphrase");
    }
    EVP_PKEY_free(key);
    passphrase_forget(&making->key.source.passphrase);
    return result;
}

int keygen_command(int argc, char **argv)
{
    static const struct option options[] = {{"kid", required_argument, NULL, 'I'},
                                            {"out", required_argument, NULL, 'o'},
                                            {"passphrase-file", required_argument, NULL, 'F'},
                                            {"passphrase-fd", required_argument, NULL, 'D'},
                                            {"no-passphrase", no_argument, NULL, 'n'},
                                            POWERS_OPTIONS,
                                            CLI_OPTIONS};
    struct making making = {.key.source.passphrase = PASSPHRASE_TERMINAL};
    char path[COMMAND_KID_MAX + 5];
    int result = cli_parse(argc, argv, options, keygen_help, false, take, &making);
    if (result != CLI_GO_ON)
        return result;
    if (!cli_operands(argc, argv, 0, 0))
        return PROGRAM_EXIT_USAGE;
    if (!making.key.kid) {
        complain(NULL, "keygen: --kid is missing");
        return PROGRAM_EXIT_USAGE;
    }
    snprintf(path, sizeof(path), "%s.pem", making.key.kid);
    return key_guard() ? keygen(&making, making.out ? making.out : path) : PROGRAM_EXIT_FAILED;
}

/* ---- jwk, keys ---- */

int jwk_command(int argc, char **argv)
{
    static const struct option options[] = {CLI_KEY_OPTIONS, POWERS_OPTIONS, CLI_OPTIONS};
    struct making making = {.key.source.passphrase = PASSPHRASE_TERMINAL};
    int result = cli_parse(argc, argv, options, jwk_help, false, take, &making);
    if (result != CLI_GO_ON)
        return result;
    if (!cli_operands(argc, argv, 0, 0) || !cli_has_key(&making.key, "jwk"))
        return PROGRAM_EXIT_USAGE;
    EVP_PKEY *key = cli_open_key(&making.key);
    result = key ? print_jwk(&making, key) : PROGRAM_EXIT_FAILED;
    EVP_PKEY_free(key);
    return result;
}

static bool take_nothing(void *context, int option, char *value)
{
    (void)context;
    (void)option;
    (void)value;
    return false;
}

int keys_command(int argc, char **argv)
{
    static const struct option options[] = {CLI_OPTIONS};
    struct command_keys table;
    int result = cli_parse(argc, argv, options, keys_help, false, take_nothing, NULL);
    if (result != CLI_GO_ON)
        return result;
    if (!cli_operands(argc, argv, 1, 1000))
        return PROGRAM_EXIT_USAGE;
    jwk_table(&table);
    for (int i = optind; i < argc; i++)
        if (!jwk_read_file(&table, argv[i]))
            return PROGRAM_EXIT_FAILED;
    json_t *set = json_array();
    for (uint32_t i = 0; i < le32toh(table.count); i++)
        json_array_append_new(set, jwk_write(&table.keys[i]));
    return print_json(json_pack("{s:o}", "keys", set));
}
