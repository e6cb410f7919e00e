#include "display.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

int display_find(struct display *out, const char *name)
{
    out->length = 0;
    out->host[0] = '\0';
    if (!name || !*name)
        return DISPLAY_NONE;
    if (strncmp(name, "unix:", 5) == 0)
        name += 4;
    size_t digits = *name == ':' ? strspn(name + 1, "0123456789") : 0;
    if (digits == 0 || digits >= sizeof(out->number))
        return DISPLAY_FOREIGN;
    const char *screen = name + 1 + digits;
    if (*screen && (*screen != '.' || strspn(screen + 1, "0123456789") != strlen(screen + 1)))
        return DISPLAY_FOREIGN;
    memcpy(out->number, name + 1, digits);
    out->number[digits] = '\0';
    return 0;
}

static int open_cookie_file(void)
{
    char path[300];
    const char *named = getenv("XAUTHORITY"), *home = getenv("HOME");
    if (named)
        snprintf(path, sizeof(path), "%s", named);
    else
        snprintf(path, sizeof(path), "%s/.Xauthority", home ? home : "");
    /* A pipe or a device must not hold the program up, nor become its terminal. */
    return open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
}

void display_read_cookie(struct display *display)
{
    struct stat status;
    ssize_t length = 0;
    int fd = open_cookie_file();
    if (fd < 0)
        return;
    if (fstat(fd, &status) == 0 && S_ISREG(status.st_mode))
        while (display->length < sizeof(display->file) &&
               (length = read(fd, display->file + display->length,
                              sizeof(display->file) - display->length)) > 0)
            display->length += (size_t)length;
    close(fd);
    if (gethostname(display->host, sizeof(display->host) - 1))
        display->host[0] = '\0';
}

/* Frames are for the user's eyes: any other user could have made a socket of that name. */
static bool is_ours(int fd)
{
    struct ucred server;
    socklen_t length = sizeof(server);
    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &server, &length) == 0 &&
           (server.uid == 0 || server.uid == getuid());
}

int display_dial(const struct display *display, const char *folder, int *fd)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int n = snprintf(address.sun_path, sizeof(address.sun_path), "%s/X%s", folder, display->number);
    if (n < 0 || (size_t)n >= sizeof(address.sun_path))
        return -ENAMETOOLONG;
    *fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (*fd < 0)
        return -errno;
    int result = 0;
    if (connect(*fd, (const struct sockaddr *)&address, sizeof(address)))
        result = -errno;
    else if (!is_ours(*fd))
        result = DISPLAY_NOT_OURS;
    if (result)
        close(*fd);
    return result;
}

bool display_cookie(struct display *display, struct xauth_cookie *out)
{
    int outcome = xauth_find(out, display->file, display->length, display->host, display->number);
    explicit_bzero(display->file, display->length);
    display->length = 0;
    return outcome == XAUTH_OK;
}
