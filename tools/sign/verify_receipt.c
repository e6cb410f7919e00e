/* cloister-sign verify-receipt. */
#include "cli.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "base64url.h"
#include "complain.h"
#include "files.h"
#include "receipt.h"
#include "show.h"

static const char help[] =
    "usage: cloister-sign verify-receipt --public-key KEY|--identity FILE [OPTIONS] FILE\n"
    "\n"
    "Checks a machine's receipt (-: standard input) and shows it: that it is signed with the\n"
    "machine's key, that this key is the one whose hash the machine id is, and that token and "
    "output\n"
    "are those that it speaks of.\n"
    "\n"
    "  --public-key KEY       the machine's Ed25519 public key: 64 hexadecimal digits, or "
    "base64url\n"
    "  --identity FILE        likewise, out of what 'cloister identity --json' printed\n"
    "  --machine ID           it must be of this machine\n"
    "  --token FILE           it must be about this token\n"
    "  --stdout FILE          this must be the command's standard output\n"
    "  --stderr FILE          and this its standard error\n"
    "\n"
    "exit status: 0 it holds, 1 it does not, 2 wrong usage.\n";

struct checking {
    uint8_t public_key[32];
    bool has_key;
    const char *machine, *token, *out, *err;
    unsigned faults;
};

static void fault(struct checking *c, const char *text)
{
    printf(SHOW_LABEL "%s\n", "WRONG", text);
    c->faults++;
}

/* ---- options ---- */

static bool take_key(struct checking *c, const char *text)
{
    size_t length = strlen(text);
    while (length && text[length - 1] == '=')
        length--;
    c->has_key = digest_read_hex(c->public_key, 32, text) ||
                 base64url_decode_exactly(c->public_key, 32, text, length);
    if (!c->has_key)
        complain("'cloister identity --json' on the machine shows its public_key",
                 "verify-receipt: \"%s\" is no public key", shown(text));
    return c->has_key;
}

static bool take_identity(struct checking *c, const char *path)
{
    struct file file;
    int error = file_read(&file, path, 65536);
    if (error) {
        complain(NULL, "%s: %s", shown(path), strerror(-error));
        return false;
    }
    json_t *root = json_loadb((const char *)file.bytes, file.length, JSON_REJECT_DUPLICATES, NULL);
    const char *key = json_string_value(json_object_get(root, "public_key"));
    bool right = key && take_key(c, key);
    if (!key)
        complain(NULL, "%s: there is no \"public_key\" in it", shown(path));
    json_decref(root);
    file_free(&file);
    return right;
}

static bool take(void *context, int option, char *value)
{
    struct checking *c = context;
    uint8_t id[DIGEST_SIZE];
    switch (option) {
    case 'k':
        return take_key(c, value);
    case 'i':
        return take_identity(c, value);
    case 'm':
        c->machine = value;
        if (!digest_read_hex(id, sizeof(id), value))
            complain("64 lower-case hexadecimal digits", "--machine: \"%s\"", shown(value));
        return digest_read_hex(id, sizeof(id), value);
    case 't':
        c->token = value;
        return true;
    case 'o':
        c->out = value;
        return true;
    default:
        c->err = value;
        return true;
    }
}

/* ---- checks ---- */

static void check_machine(struct checking *c, const struct jws *jws)
{
    uint8_t digest[DIGEST_SIZE];
    char id[DIGEST_HEX_SIZE];
    digest_of(digest, c->public_key, sizeof(c->public_key));
    digest_hex(id, digest, sizeof(digest));
    if (strcmp(id, jws->kid) != 0)
        fault(c, "the public key is not that of the machine which the receipt names");
    else if (!key_verify_ed25519(c->public_key, jws->signature, jws->input, jws->input_length))
        fault(c, "the signature does not hold");
    if (c->machine && strcmp(c->machine, jws->kid) != 0)
        fault(c, "it is another machine's");
}

static void check_names(struct checking *c, const struct receipt *receipt, const struct jws *jws)
{
    struct jws inner;
    struct payload_command command;
    bool twice = jws_read(&inner, jws->payload, jws->payload_length) == NULL;
    const struct jws *said = twice ? &inner : jws;
    if (payload_read_command(&command, said->payload, said->payload_length) == NULL) {
        /* Of a token whose payload it refused the machine may have named nothing. */
        bool named = receipt->jti && receipt->kid && receipt->profile;
        if (named ? strcmp(receipt->jti, command.jti) || strcmp(receipt->kid, said->kid) ||
                        receipt->seq != command.seq ||
                        strcmp(receipt->profile, jwk_profile_name(command.profile))
                  : strcmp(receipt->decision, "refused"))
            fault(c, "jti, kid, seq or profile are not the token's");
        payload_free_command(&command);
    }
    jws_free(&inner);
}

static bool check_token(struct checking *c, const struct receipt *receipt)
{
    struct file file;
    struct jws jws;
    char id[33];
    int error = c->token ? file_read(&file, c->token, 2 * JWS_BYTES_MAX) : -ENOENT;
    if (c->token && error)
        complain(NULL, "%s: %s", shown(c->token), strerror(-error));
    if (error)
        return !c->token;
    file_trim(&file);
    jws_token_id(id, (const char *)file.bytes, file.length);
    if (strcmp(id, receipt->token) != 0)
        fault(c, "it is about another token");
    else if (jws_read(&jws, (const char *)file.bytes, file.length) == NULL) {
        check_names(c, receipt, &jws);
        jws_free(&jws);
    }
    file_free(&file);
    return true;
}

/* Hashes a file of any length. Returns 0 or -errno. */
static int hash_file(uint8_t out[DIGEST_SIZE], uint64_t *length, const char *path)
{
    uint8_t block[16384];
    ssize_t got;
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    int error = fd < 0 ? -errno : 0;
    bool right = !error && context && EVP_DigestInit(context, EVP_sha256()) == 1;
    *length = 0;
    while (right && (got = read(fd, block, sizeof(block))) != 0) {
        if (got < 0 && errno != EINTR)
            error = -errno, right = false;
        else if (got > 0)
            right = EVP_DigestUpdate(context, block, (size_t)got) == 1, *length += (uint64_t)got;
    }
    right = right && EVP_DigestFinal(context, out, NULL) == 1;
    EVP_MD_CTX_free(context);
    if (fd >= 0)
        close(fd);
    return error ? error : right ? 0 : -EIO;
}

static bool check_stream(struct checking *c, const struct receipt *receipt, const char *path,
                         const struct receipt_stream *stream, const char *wrong)
{
    uint8_t digest[DIGEST_SIZE];
    uint64_t length;
    if (!path)
        return true;
    int error = hash_file(digest, &length, path);
    if (error) {
        complain(NULL, "%s: %s", shown(path), strerror(-error));
        return false;
    }
    if (!receipt->end)
        fault(c, "the command did not run, so it has no output");
    else if (length != stream->bytes || memcmp(digest, stream->sha256, sizeof(digest)) != 0)
        fault(c, wrong);
    return true;
}

static int check(struct checking *c, const struct jws *jws)
{
    struct receipt receipt;
    const char *why = receipt_read(&receipt, jws);
    if (why) {
        fault(c, why);
        return PROGRAM_EXIT_FAILED;
    }
    show_receipt(stdout, jws);
    check_machine(c, jws);
    bool read =
        check_token(c, &receipt) &&
        check_stream(c, &receipt, c->out, &receipt.out,
                     "that is not the command's standard output") &&
        check_stream(c, &receipt, c->err, &receipt.err, "that is not the command's standard error");
    if (read && !c->faults)
        printf(SHOW_LABEL "signature, machine%s%s\n", "Holds", c->token ? ", token" : "",
               c->out || c->err ? ", output" : "");
    receipt_free(&receipt);
    return read && !c->faults ? PROGRAM_EXIT_OK : PROGRAM_EXIT_FAILED;
}

static int check_file(struct checking *c, const char *path)
{
    struct file file;
    struct jws jws;
    int result = PROGRAM_EXIT_FAILED;
    int error = file_read(&file, path, 2 * JWS_BYTES_MAX);
    if (error) {
        complain(NULL, "%s: %s", shown(path), strerror(-error));
        return PROGRAM_EXIT_FAILED;
    }
    file_trim(&file);
    const char *why = jws_read(&jws, (const char *)file.bytes, file.length);
    if (why)
        fault(c, why);
    else
        result = check(c, &jws);
    jws_free(&jws);
    file_free(&file);
    return result;
}

int verify_receipt_command(int argc, char **argv)
{
    static const struct option options[] = {{"public-key", required_argument, NULL, 'k'},
                                            {"identity", required_argument, NULL, 'i'},
                                            {"machine", required_argument, NULL, 'm'},
                                            {"token", required_argument, NULL, 't'},
                                            {"stdout", required_argument, NULL, 'o'},
                                            {"stderr", required_argument, NULL, 'e'},
                                            CLI_OPTIONS};
    struct checking c = {0};
    int result = cli_parse(argc, argv, options, help, false, take, &c);
    if (result != CLI_GO_ON)
        return result;
    if (!cli_operands(argc, argv, 1, 1))
        return PROGRAM_EXIT_USAGE;
    if (!c.has_key) {
        complain(
            "the machine id is only a hash of the key: 'cloister identity --json' shows the key",
            "verify-receipt: --public-key or --identity is missing");
        return PROGRAM_EXIT_USAGE;
    }
    return check_file(&c, argv[optind]);
}
