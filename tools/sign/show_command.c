/* cloister-sign show. */
#include "cli.h"

#include <string.h>

#include "complain.h"
#include "files.h"
#include "moment.h"
#include "show.h"

static const char help[] =
    "usage: cloister-sign show [--keys SET] FILE\n"
    "\n"
    "Shows everything that the token in FILE (-: standard input) would do: a command, once or "
    "twice\n"
    "signed, or a revocation; or what a receipt says. What is not printable ASCII appears as "
    "\\xHH, a\n"
    "backslash as \\\\.\n"
    "\n"
    "  --keys SET             check signatures against these public keys (a JWK or JWK set); a\n"
    "                         receipt's is checked by verify-receipt\n"
    "\n"
    "exit status: 0, or 1 if a machine would refuse its form or a signature does not hold.\n";

static bool take(void *context, int option, char *value)
{
    (void)option;
    *(const char **)context = value;
    return true;
}

static int show(const char *path, const char *set)
{
    struct command_keys table;
    struct file file;
    jwk_table(&table);
    if (set && !jwk_read_file(&table, set))
        return PROGRAM_EXIT_FAILED;
    int error = file_read(&file, path, 2 * JWS_BYTES_MAX);
    if (error) {
        complain(NULL, "%s: %s", shown(path), strerror(-error));
        return PROGRAM_EXIT_FAILED;
    }
    file_trim(&file);
    bool right = show_token(stdout, (const char *)file.bytes, file.length, set ? &table : NULL,
                            moment_now_ms() / 1000);
    file_free(&file);
    return right ? PROGRAM_EXIT_OK : PROGRAM_EXIT_FAILED;
}

int show_command(int argc, char **argv)
{
    static const struct option options[] = {{"keys", required_argument, NULL, 'k'}, CLI_OPTIONS};
    const char *set = NULL;
    int result = cli_parse(argc, argv, options, help, false, take, &set);
    if (result != CLI_GO_ON)
        return result;
    return cli_operands(argc, argv, 1, 1) ? show(argv[optind], set) : PROGRAM_EXIT_USAGE;
}
