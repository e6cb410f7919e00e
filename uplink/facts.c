#include "facts.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "whole_io.h"

static int read_ca(struct facts *facts, int fd, struct fault *fault)
{
    char *text = malloc(FACTS_CA_MAX);
    ssize_t length;

    if (!text)
        return fault_set(fault, FAULT_LOCAL, "out of memory");
    length = whole_read(fd, text, FACTS_CA_MAX);
    close(fd);
    if (length <= 0 || length == FACTS_CA_MAX) {
        free(text);
        return fault_set(fault, FAULT_CONFIGURATION, "the CA file %s",
                         length == -EBADF ? "cannot be opened, or is not root's alone"
                         : length < 0     ? strerror((int)-length)
                         : length == 0    ? "is empty"
                                          : "is larger than 4 MiB");
    }
    facts->ca = text;
    facts->ca_length = (size_t)length;
    return 0;
}

/* Reads a small file of `folder` as a terminated string; "" when that cannot be done. */
static void read_text(char *out, size_t capacity, const char *folder, const char *name)
{
    char path[PATH_MAX];
    ssize_t length = -1;
    int fd;

    snprintf(path, sizeof path, "%s/%s", folder, name);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd >= 0) {
        length = whole_read(fd, out, capacity - 1);
        close(fd);
    }
    out[length > 0 ? length : 0] = '\0';
}

/* Copies `length` bytes if they are printable ASCII and fit; otherwise `out` becomes "". */
static void take(char *out, size_t capacity, const char *text, size_t length)
{
    out[0] = '\0';
    if (length >= capacity)
        return;
    for (size_t i = 0; i < length; i++)
        if (text[i] < 0x20 || text[i] > 0x7e)
            return;
    memcpy(out, text, length);
    out[length] = '\0';
}

static void read_os(struct facts *facts, const char *folder)
{
    static const char key[] = "\nPRETTY_NAME=";
    char text[4096] = "\n";
    const char *at;
    size_t length;

    read_text(text + 1, sizeof text - 1, folder, "os-release");
    at = strstr(text, key);
    if (!at)
        return;
    at += sizeof key - 1;
    length = strcspn(at, "\n");
    if (length >= 2 && (at[0] == '"' || at[0] == '\'') && at[length - 1] == at[0]) {
        at++;
        length -= 2;
    }
    take(facts->os, sizeof facts->os, at, length);
}

int facts_read(struct facts *facts, int ca_fd, const char *folder, struct fault *fault)
{
    char text[512];

    memset(facts, 0, sizeof *facts);
    read_text(text, sizeof text, folder, "hostname");
    take(facts->name, sizeof facts->name, text, strcspn(text, "\n"));
    if (facts->name[0] == '\0')
        strcpy(facts->name, "unnamed");
    read_os(facts, folder);
    read_text(text, sizeof text, folder, "boot_id");
    take(facts->boot_id, sizeof facts->boot_id, text, strcspn(text, "\n"));
    if (strlen(facts->boot_id) != sizeof facts->boot_id - 1) {
        close(ca_fd);
        return fault_set(fault, FAULT_LOCAL, "the kernel's boot id cannot be read");
    }
    return read_ca(facts, ca_fd, fault);
}

void facts_clear(struct facts *facts)
{
    free(facts->ca);
    facts->ca = NULL;
    facts->ca_length = 0;
}
