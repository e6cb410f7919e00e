#include "x11_wipe.h"

#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Deeper than libxcb's functions reach. */
#define STACK_BYTES 4096

static int watched_fd = -1;

void x11_wipe_reads(int fd)
{
    watched_fd = fd;
}

/* What lies behind the first `filled` bytes of a message's buffers. */
static void wipe_rest(const struct msghdr *message, size_t filled)
{
    for (size_t i = 0; i < message->msg_iovlen; i++) {
        struct iovec part = message->msg_iov[i];
        size_t skip = filled < part.iov_len ? filled : part.iov_len;
        explicit_bzero((uint8_t *)part.iov_base + skip, part.iov_len - skip);
        filled -= skip;
    }
}

__attribute__((visibility("default"))) ssize_t recvmsg(int fd, struct msghdr *message, int flags)
{
    ssize_t length = syscall(SYS_recvmsg, fd, message, flags);
    if (fd == watched_fd && fd >= 0)
        wipe_rest(message, length > 0 ? (size_t)length : 0);
    return length;
}

__attribute__((noinline)) void x11_wipe_stack(void)
{
    uint8_t below[STACK_BYTES];
    explicit_bzero(below, sizeof(below));
}
