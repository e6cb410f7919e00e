#include "passphrase.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <string.h>
#include <unistd.h>

#include "complain.h"

#define SIZE (PASSPHRASE_MAX + 2) /* a line end and the NUL */

static bool from_terminal(char *out, const char *prompt, bool again)
{
    /* OpenSSL would read standard input where there is no terminal: that may be anything. */
    int terminal = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
    if (terminal < 0) {
        complain("give --passphrase-file or --passphrase-fd",
                 "there is no terminal to ask for a passphrase at");
        return false;
    }
    close(terminal);
    int failed = EVP_read_pw_string_min(out, 0, PASSPHRASE_MAX, prompt, again);
    if (failed)
        complain(NULL, again ? "the two are not the same, or nothing was read"
                             : "no passphrase was read");
    return !failed;
}

static bool from_descriptor(char *out, int fd, const char *name)
{
    size_t used = 0;
    ssize_t got = 1;
    while (got > 0 && used < SIZE - 1 && !memchr(out, '\n', used)) {
        got = read(fd, out + used, 1);
        used += got > 0 ? 1 : 0;
        if (got < 0 && errno == EINTR)
            got = 1;
    }
    char *end = memchr(out, '\n', used);
    if (end)
        *end = '\0';
    if (got >= 0 && (end || used < SIZE - 1) &&
        !memchr(out, '\0', end ? (size_t)(end - out) : used))
        return true;
    complain("its first line, of at most 1024 bytes, is taken", "%s: no passphrase can be read: %s",
             shown(name), got < 0 ? strerror(errno) : "the line is too long or has a NUL in it");
    return false;
}

static bool from_file(char *out, const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0) {
        complain(NULL, "%s: %s", shown(path), strerror(errno));
        return false;
    }
    bool right = from_descriptor(out, fd, path);
    close(fd);
    return right;
}

const char *passphrase_get(struct passphrase_source *source, const char *prompt, bool again)
{
    if (source->kept)
        return source->kept;
    source->kept = OPENSSL_secure_zalloc(SIZE);
    if (!source->kept) {
        complain(NULL, "out of memory");
        return NULL;
    }
    bool right = source->file      ? from_file(source->kept, source->file)
                 : source->fd >= 0 ? from_descriptor(source->kept, source->fd, "passphrase")
                                   : from_terminal(source->kept, prompt, again);
    if (!right)
        passphrase_forget(source);
    return source->kept;
}

void passphrase_forget(struct passphrase_source *source)
{
    OPENSSL_secure_clear_free(source->kept, SIZE);
    source->kept = NULL;
}
