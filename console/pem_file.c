#include "pem_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <openssl/pem.h>

static int open_to_read(const char *file, FILE **out)
{
    *out = fopen(file, "re");
    return *out ? 0 : -errno;
}

int pem_file_read_key(const char *file, EVP_PKEY **out)
{
    FILE *f;
    int result = open_to_read(file, &f);
    if (result)
        return result;
    *out = PEM_read_PrivateKey(f, NULL, NULL, NULL);
    fclose(f);
    return *out ? 0 : -EINVAL;
}

int pem_file_read_certificate(const char *file, X509 **out)
{
    FILE *f;
    int result = open_to_read(file, &f);
    if (result)
        return result;
    *out = PEM_read_X509(f, NULL, NULL, NULL);
    fclose(f);
    return *out ? 0 : -EINVAL;
}

static int open_to_write(const char *file, char temporary[PATH_MAX], FILE **out)
{
    if ((size_t)snprintf(temporary, PATH_MAX, "%s.new", file) >= PATH_MAX)
        return -ENAMETOOLONG;
    int fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return -errno;
    *out = fdopen(fd, "w");
    if (!*out) {
        close(fd);
        return -ENOMEM;
    }
    return 0;
}

static int sync_folder_of(const char *file)
{
    char folder[PATH_MAX];
    const char *slash = strrchr(file, '/');
    if (!slash)
        return 0;
    snprintf(folder, sizeof(folder), "%.*s/", (int)(slash - file), file);
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    int result = fsync(fd) != 0 ? -errno : 0;
    close(fd);
    return result;
}

static int finish_write(FILE *f, int written, const char *temporary, const char *file)
{
    int result = written == 1 ? 0 : -EIO;
    if (!result && (fflush(f) != 0 || fsync(fileno(f)) != 0))
        result = -errno;
    if (fclose(f) != 0 && !result)
        result = -errno;
    if (!result && rename(temporary, file) != 0)
        result = -errno;
    return result ? result : sync_folder_of(file);
}

int pem_file_write_key(const char *file, const EVP_PKEY *key)
{
    FILE *f;
    char temporary[PATH_MAX];
    int result = open_to_write(file, temporary, &f);
    if (result)
        return result;
    int written = PEM_write_PKCS8PrivateKey(f, key, NULL, NULL, 0, NULL, NULL);
    return finish_write(f, written, temporary, file);
}

int pem_file_write_certificate(const char *file, const X509 *certificate)
{
    FILE *f;
    char temporary[PATH_MAX];
    int result = open_to_write(file, temporary, &f);
    if (result)
        return result;
    return finish_write(f, PEM_write_X509(f, certificate), temporary, file);
}
