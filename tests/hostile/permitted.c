#include "permitted.h"

#include <stddef.h>
#include <string.h>

static const struct {
    const char *kind;
    const char *attack;
    const char *why;
} permitted[] = {
    {"*", "newfstatat", "an errno and no kill: C libraries ask for stdout's kind in passing"},
    {"capture", "fcntl F_SETFL", "xcb sets O_NONBLOCK; the filter's mask leaves no other flag"},
    {"broker", "socket AF_UNIX", "nng listens for workers that are started again"},
    {"resolver", "socket AF_INET", "DNS over TCP, for long answers"},
    {"resolver", "socket AF_INET6", "likewise"},
    {"resolver", "socket AF_INET datagram", "DNS over UDP is its job, behind the lock"},
    {"resolver", "ioctl", "FIONREAD alone: how long an answer is"},
#ifdef CLOISTER_SANITIZE
    {"*", "readlinkat", "sandbox/sanitizer.policy"},
    {"*", "sched_getaffinity", "sandbox/sanitizer.policy"},
#endif
};

bool is_permitted(const char *kind, const char *attack)
{
    for (size_t i = 0; i < sizeof(permitted) / sizeof(permitted[0]); i++)
        if ((strcmp(permitted[i].kind, kind) == 0 || permitted[i].kind[0] == '*') &&
            strcmp(permitted[i].attack, attack) == 0)
            return true;
    return false;
}
