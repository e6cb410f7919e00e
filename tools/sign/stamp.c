/* cloister-sign stamp. */
#include "cli.h"

#include <errno.h>
#include <string.h>

#include "complain.h"
#include "digest.h"
#include "elf_section.h"
#include "files.h"
#include "jwk.h"

#define BINARY_MAX (256u << 20)

static const char help[] =
    "usage: cloister-sign stamp --keys SET [--out FILE] BINARY\n"
    "       cloister-sign stamp --zero --out FILE BINARY\n"
    "       cloister-sign stamp --show BINARY\n"
    "\n"
    "Writes verification keys into a finished cloister-vault, in place of those that it has, and\n"
    "prints its SHA-256 with the section of keys zeroed, which is the same for every set of keys, "
    "and\n"
    "as stamped.\n"
    "\n"
    "  --keys SET             a JWK set, as 'cloister-sign keys' prints it; an empty one for no "
    "keys\n"
    "  --out FILE             write there instead of over BINARY; the mode is kept\n"
    "  --zero                 zero the section, to compare with a published file; such a vault "
    "does\n"
    "                         not serve\n"
    "  --show                 print the keys of BINARY and its hashes, change nothing\n";

struct stamping {
    const char *set, *out;
    bool zero, show;
};

static bool take(void *context, int option, char *value)
{
    struct stamping *s = context;
    switch (option) {
    case 'k':
        s->set = value;
        return true;
    case 'o':
        s->out = value;
        return true;
    case 'z':
        s->zero = true;
        return true;
    default:
        s->show = true;
        return true;
    }
}

static void print_hash(const char *label, const struct file *binary)
{
    uint8_t digest[DIGEST_SIZE];
    char hex[DIGEST_HEX_SIZE];
    digest_of(digest, binary->bytes, binary->length);
    digest_hex(hex, digest, sizeof(digest));
    printf("%s  %s\n", hex, label);
}

static void print_keys(const struct command_keys *table)
{
    static const struct command_keys zeros;
    const char *fault = jwk_table_fault(table);
    if (memcmp(table, &zeros, sizeof(zeros)) == 0)
        puts("the section of keys is zeroed");
    else if (fault)
        printf("the section of keys is damaged: %s\n", fault);
    else
        jwk_table_print(table);
}

/* Prints the hash with the section zeroed, then puts `table` there and prints the other. */
static void stamp(struct file *binary, size_t offset, const struct command_keys *table)
{
    memset(binary->bytes + offset, 0, sizeof(*table));
    print_hash("with the section of keys zeroed", binary);
    memcpy(binary->bytes + offset, table, sizeof(*table));
    print_hash("as it is", binary);
}

static int write_binary(const struct stamping *s, const struct file *binary, const char *path)
{
    const char *to = s->out ? s->out : path;
    int error = file_replace(to, binary->bytes, binary->length, binary->mode & 07777);
    if (error)
        complain(NULL, "%s: %s", shown(to), strerror(-error));
    return error ? PROGRAM_EXIT_FAILED : PROGRAM_EXIT_OK;
}

static int work(const struct stamping *s, struct file *binary, const char *path)
{
    struct command_keys table;
    size_t offset;
    const char *fault = elf_section_find(&offset, binary->bytes, binary->length,
                                         COMMAND_KEYS_SECTION, sizeof(table));
    if (fault) {
        complain("a cloister-vault is expected", "%s: %s", shown(path), fault);
        return PROGRAM_EXIT_FAILED;
    }
    if (s->show)
        memcpy(&table, binary->bytes + offset, sizeof(table));
    else if (s->zero)
        memset(&table, 0, sizeof(table));
    else
        jwk_table(&table);
    if (s->set && !jwk_read_file(&table, s->set))
        return PROGRAM_EXIT_FAILED;
    print_keys(&table);
    stamp(binary, offset, &table);
    return s->show ? PROGRAM_EXIT_OK : write_binary(s, binary, path);
}

int stamp_command(int argc, char **argv)
{
    static const struct option options[] = {{"keys", required_argument, NULL, 'k'},
                                            {"out", required_argument, NULL, 'o'},
                                            {"zero", no_argument, NULL, 'z'},
                                            {"show", no_argument, NULL, 's'},
                                            CLI_OPTIONS};
    struct stamping s = {0};
    struct file binary;
    int result = cli_parse(argc, argv, options, help, false, take, &s);
    if (result != CLI_GO_ON)
        return result;
    if (!cli_operands(argc, argv, 1, 1))
        return PROGRAM_EXIT_USAGE;
    if ((s.set != NULL) + s.zero + s.show != 1 || (s.zero && !s.out) || (s.show && s.out)) {
        complain("cloister-sign stamp --help",
                 "stamp: either --keys SET, or --zero --out FILE, or --show");
        return PROGRAM_EXIT_USAGE;
    }
    int error = file_read(&binary, argv[optind], BINARY_MAX);
    if (!error && !binary.mode)
        error = -EINVAL; /* a pipe: nothing to keep the mode of */
    if (error)
        complain(NULL, "%s: %s", shown(argv[optind]), strerror(-error));
    result = error ? PROGRAM_EXIT_FAILED : work(&s, &binary, argv[optind]);
    file_free(&binary);
    return result;
}
