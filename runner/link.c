#include "link.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Room for one control message with this many descriptors; aligned as the kernel wants it. */
#define CONTROL_SIZE CMSG_SPACE(LINK_DESCRIPTORS * sizeof(int))

static struct link_message message_of(enum link_word word, uint32_t value, uint32_t more)
{
    return (struct link_message){LINK_MAGIC, word, value, more};
}

int link_send(int fd, enum link_word word, uint32_t value, uint32_t more)
{
    struct link_message message = message_of(word, value, more);
    ssize_t n;
    do
        n = send(fd, &message, sizeof message, MSG_NOSIGNAL | MSG_DONTWAIT);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return -errno;
    return n == sizeof message ? 0 : -EIO;
}

int link_send_order(int fd, uint32_t length, const int descriptors[LINK_DESCRIPTORS])
{
    struct link_message message = message_of(LINK_ORDER, length, 0);
    struct iovec bytes = {&message, sizeof message};
    union {
        struct cmsghdr head;
        uint8_t bytes[CONTROL_SIZE];
    } control = {0};
    struct msghdr packet = {.msg_iov = &bytes,
                            .msg_iovlen = 1,
                            .msg_control = control.bytes,
                            .msg_controllen = sizeof control.bytes};
    struct cmsghdr *head = CMSG_FIRSTHDR(&packet);
    head->cmsg_level = SOL_SOCKET;
    head->cmsg_type = SCM_RIGHTS;
    head->cmsg_len = CMSG_LEN(LINK_DESCRIPTORS * sizeof(int));
    memcpy(CMSG_DATA(head), descriptors, LINK_DESCRIPTORS * sizeof(int));
    ssize_t n;
    do
        n = sendmsg(fd, &packet, MSG_NOSIGNAL | MSG_DONTWAIT);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return -errno;
    return n == sizeof message ? 0 : -EIO;
}

int link_receive_bytes(int fd, void *out, uint32_t length)
{
    uint8_t *at = out;
    while (length > 0) {
        ssize_t n = recv(fd, at, length, MSG_WAITALL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? -errno : -EPIPE;
        at += n;
        length -= (uint32_t)n;
    }
    return 0;
}

int link_receive(int fd, struct link_message *out)
{
    int error = link_receive_bytes(fd, out, sizeof *out);
    if (error)
        return error;
    return out->magic == LINK_MAGIC ? 0 : -EPROTO;
}

static void close_all(const int *descriptors, size_t count)
{
    for (size_t i = 0; i < count; i++)
        close(descriptors[i]);
}

/* Takes the descriptors out of a received packet. Returns 0 if it has exactly three. */
static int take_descriptors(struct msghdr *packet, int descriptors[LINK_DESCRIPTORS])
{
    struct cmsghdr *head = CMSG_FIRSTHDR(packet);
    if (!head || head->cmsg_level != SOL_SOCKET || head->cmsg_type != SCM_RIGHTS)
        return -EPROTO;
    size_t count = (head->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    memcpy(descriptors, CMSG_DATA(head),
           (count < LINK_DESCRIPTORS ? count : LINK_DESCRIPTORS) * sizeof(int));
    if (count == LINK_DESCRIPTORS && !(packet->msg_flags & MSG_CTRUNC))
        return 0;
    close_all(descriptors, count < LINK_DESCRIPTORS ? count : LINK_DESCRIPTORS);
    return -EPROTO;
}

static bool is_order(const struct link_message *message)
{
    return message->magic == LINK_MAGIC && message->word == LINK_ORDER && message->more == 0;
}

int link_receive_order(int fd, uint32_t *length, int descriptors[LINK_DESCRIPTORS])
{
    struct link_message message;
    struct iovec bytes = {&message, sizeof message};
    union {
        struct cmsghdr head;
        uint8_t bytes[CONTROL_SIZE];
    } control;
    struct msghdr packet = {.msg_iov = &bytes,
                            .msg_iovlen = 1,
                            .msg_control = control.bytes,
                            .msg_controllen = sizeof control.bytes};
    ssize_t n;
    do
        n = recvmsg(fd, &packet, MSG_CMSG_CLOEXEC | MSG_WAITALL);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return -errno;
    int error = n == 0 ? -EPIPE : take_descriptors(&packet, descriptors);
    if (error)
        return error;
    if (n != sizeof message || !is_order(&message)) {
        close_all(descriptors, LINK_DESCRIPTORS);
        return -EPROTO;
    }
    *length = message.value;
    return 0;
}
