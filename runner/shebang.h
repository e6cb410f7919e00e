/*
 * The first line of a script, read as Linux reads it (fs/binfmt_script.c; execve(2)): so a script
 * runs under Cloister as it would from a file.
 */
#ifndef CLOISTER_SHEBANG_H
#define CLOISTER_SHEBANG_H

#include <stddef.h>
#include <stdint.h>

#define SHEBANG_MAX 256 /* bytes of a file that the kernel looks at, BINPRM_BUF_SIZE */

struct shebang {
    char interpreter[SHEBANG_MAX];
    char argument[SHEBANG_MAX]; /* all behind the interpreter, one argument; "" if there is none */
};

/*
 * Reads "#!", blanks, the interpreter, blanks, the argument. The line ends with a newline, a NUL,
 * the script, or SHEBANG_MAX bytes, which may cut the argument but not the interpreter. Returns 0,
 * or -ENOEXEC as execve(2) would. Pure; any thread.
 */
int shebang_read(struct shebang *out, const uint8_t *script, size_t length);

#endif
