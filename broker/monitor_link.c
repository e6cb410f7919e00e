#include "broker.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "log.h"

static void send_message(struct broker *b, const struct monitor_message *m)
{
    if (send(b->monitor_fd, m, sizeof(*m), MSG_NOSIGNAL) != sizeof(*m)) {
        log_error("the monitor does not take messages: %s", strerror(errno));
        _exit(1);
    }
}

void monitor_send(struct broker *b, enum monitor_op op, uint32_t slot, uint32_t generation)
{
    struct monitor_message m = {.op = op, .slot = slot, .generation = generation};
    send_message(b, &m);
}

void monitor_start(struct broker *b, uint32_t slot, uint32_t generation, const char *kind,
                   const ipc_RunnerWanted *command)
{
    struct monitor_message m = {.op = MONITOR_START, .slot = slot, .generation = generation};
    strncpy(m.kind, kind, sizeof(m.kind) - 1);
    if (command) {
        m.profile = (uint32_t)command->profile;
        memcpy(m.digest, command->digest, sizeof(m.digest));
    }
    send_message(b, &m);
}

/* Takes the one descriptor that may come along; more than one cannot fit the buffer. */
static int descriptor_of(struct msghdr *header)
{
    int fd = -1;
    struct cmsghdr *c = CMSG_FIRSTHDR(header);
    if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS &&
        c->cmsg_len == CMSG_LEN(sizeof(int)))
        memcpy(&fd, CMSG_DATA(c), sizeof(int));
    return fd;
}

static void dispatch(struct broker *b, const struct monitor_message *m, int fd)
{
    if (commands_monitor(b, m, &fd)) {
        if (fd >= 0)
            close(fd);
        return;
    }
    switch (m->op) {
    case MONITOR_STARTED:
        supervisor_started(b, m, fd);
        return; /* owns fd now */
    case MONITOR_REFUSED:
        supervisor_refused(b, m);
        break;
    case MONITOR_LAUNCH_FAILED:
        supervisor_launch_failed(b, m);
        break;
    case MONITOR_EXITED:
        supervisor_exited(b, m);
        break;
    case MONITOR_SESSION: {
        bool active = m->value == 1;
        b->session.type = m->reason;
        b->session.uid = m->uid;
        b->session.active = active;
        struct peer *capture = supervisor_serving(b, IPC_PEER_CAPTURE);
        if (capture) {
            ipc_SessionChanged changed = {.active = active};
            router_notify(b, capture, IPC_SESSION_CHANGED, &changed, NULL, 0);
        } else {
            supervisor_want(b, IPC_PEER_CAPTURE);
        }
        break;
    }
    case MONITOR_STOP:
        log_notice("stopping");
        b->stop_at_ms = monotonic_ms();
        break;
    default:
        log_error("the monitor sent an unknown message %u", m->op);
    }
    if (fd >= 0)
        close(fd);
}

void monitor_ready(void *broker, uint32_t events)
{
    struct broker *b = broker;
    (void)events;
    for (;;) {
        struct monitor_message m;
        union {
            struct cmsghdr align;
            char bytes[CMSG_SPACE(sizeof(int))];
        } control;
        struct iovec part = {.iov_base = &m, .iov_len = sizeof(m)};
        struct msghdr header = {
            .msg_iov = &part,
            .msg_iovlen = 1,
            .msg_control = &control,
            .msg_controllen = sizeof(control),
        };
        ssize_t n = recvmsg(b->monitor_fd, &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (n != sizeof(m)) {
            log_error("the monitor is gone");
            _exit(n == 0 ? 0 : 1);
        }
        dispatch(b, &m, descriptor_of(&header));
    }
}
