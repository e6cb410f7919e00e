#include "monitor.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "launch.h"
#include "log.h"

#define BACKOFF_FIRST_MS 250u
#define BACKOFF_LAST_MS  30000u
#define HEALTHY_MS       60000u /* a broker that lived this long begins the back-off anew */
#define GRACE_MS         500u   /* for the workers, between the broker's orderly end and SIGKILL */

/* What an epoll event is about: its kind, and for children the place. */
enum {
    ON_SIGNAL = 1 << 16,
    ON_SESSION = 2 << 16,
    ON_LINK = 3 << 16,
    ON_LOG = 4 << 16,
    ON_PIDFD = 5 << 16,
    ON_STATUS = 6 << 16
};

static uint64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void watch(const struct monitor *monitor, int fd, uint32_t what)
{
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = what};
    if (fd >= 0 && epoll_ctl(monitor->epoll, EPOLL_CTL_ADD, fd, &event) != 0) {
        log_error("epoll: %m");
        abort(); /* a process that is not watched would be one that is not reaped */
    }
}

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

static const char *name_of(const struct monitor *monitor, uint32_t place)
{
    return place == MONITOR_BROKER_CHILD        ? MONITOR_BROKER_KIND
           : monitor->table.slots[place].policy ? monitor->table.slots[place].policy->kind
                                                : "worker";
}

static void end_all(struct monitor *monitor, uint64_t grace_ms)
{
    for (uint32_t i = 0; i <= MONITOR_SLOTS; i++) {
        close_fd(&monitor->children[i].gate);
        close_fd(&monitor->children[i].life);
        if (grace_ms == 0)
            monitor_child_kill(&monitor->children[i]);
    }
    close_fd(&monitor->link);
    monitor->phase = MONITOR_PHASE_ENDING;
    monitor->deadline_ms = now_ms() + grace_ms;
}

static void end_broker(struct monitor *monitor, const char *why)
{
    log_error("broker killed with all workers: %s", why);
    end_all(monitor, 0);
}

/* Sends to the broker. One that does not read is not trusted to come back. */
static void tell(struct monitor *monitor, const struct monitor_message *message, int passed)
{
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(sizeof(int))];
    } control = {0};
    struct iovec part = {.iov_base = (void *)(uintptr_t)message, .iov_len = sizeof *message};
    struct msghdr packet = {.msg_iov = &part, .msg_iovlen = 1};
    if (monitor->link < 0)
        return;
    if (passed >= 0) {
        packet.msg_control = control.space;
        packet.msg_controllen = sizeof control.space;
        control.header = (struct cmsghdr){
            .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(sizeof(int))};
        memcpy(CMSG_DATA(&control.header), &passed, sizeof passed);
    }
    if (sendmsg(monitor->link, &packet, MSG_NOSIGNAL | MSG_DONTWAIT) < 0) {
        if (errno == EPIPE || errno == ECONNRESET) {
            close_fd(&monitor->link); /* its pidfd will say so too */
        } else {
            end_broker(monitor,
                       errno == EAGAIN ? "it does not read its messages" : strerror(errno));
        }
    }
}

static struct monitor_message about(const struct monitor *monitor, uint32_t slot, uint32_t op)
{
    return (struct monitor_message){
        .op = op, .slot = slot, .generation = monitor->table.slots[slot].generation};
}

static void copy_kind(struct monitor_message *message, const char *kind)
{
    memcpy(message->kind, kind, strnlen(kind, sizeof message->kind - 1));
}

static void refuse(struct monitor *monitor, uint32_t slot, const char *kind,
                   enum monitor_reason reason, int error)
{
    struct monitor_message message = about(monitor, slot, MONITOR_REFUSED);
    copy_kind(&message, kind);
    message.reason = reason;
    message.code = error;
    log_notice("%s not started: %s", kind, monitor_reason_text(reason));
    tell(monitor, &message, -1);
}

/*
 * The certificates that uplink trusts, for a policy whose first descriptor is "ca": -1 for all
 * others, and when the file is not to be had, which uplink reports as what it is.
 */
static int open_ca(const struct monitor *monitor, const struct policy *policy)
{
    const char *path = monitor->host.config.agent.console.ca;
    if (policy->descriptor_count == 0 || strcmp(policy->descriptors[0].name, "ca") != 0)
        return -1;
    if (!path[0])
        path = "/etc/ssl/certs/ca-certificates.crt";
    int fd = config_open_trusted(AT_FDCWD, path, O_RDONLY, S_IFREG);
    if (fd < 0)
        log_error("%s: %s", path, strerror(-fd));
    return fd < 0 ? -1 : fd;
}

static void start_worker(struct monitor *monitor, uint32_t slot)
{
    const struct monitor_slot *row = &monitor->table.slots[slot];
    struct monitor_child *child = &monitor->children[slot];
    int ca = open_ca(monitor, row->policy);
    struct monitor_start start = {.policy = row->policy,
                                  .slot = slot,
                                  .generation = row->generation,
                                  .instance = row->instance,
                                  .passed = &ca,
                                  .passed_count = ca >= 0};
    enum monitor_reason reason = monitor_spawn(child, &monitor->host, &start);
    int error = errno;
    close_fd(&ca);
    if (reason) {
        monitor_table_free(&monitor->table, slot);
        refuse(monitor, slot, start.policy->kind, reason, error);
        return;
    }
    watch(monitor, child->pidfd, ON_PIDFD | slot);
    watch(monitor, child->status, ON_STATUS | slot);
    struct monitor_message message = about(monitor, slot, MONITOR_STARTED);
    copy_kind(&message, start.policy->kind);
    message.pid = child->pid;
    message.uid = child->uid;
    message.gid = child->gid;
    tell(monitor, &message, child->log);
    close_fd(&child->log);
}

static void on_link(struct monitor *monitor)
{
    struct monitor_message message; /* one byte more tells a packet that is too long */
    uint8_t bytes[sizeof message + 1];
    ssize_t got = recv(monitor->link, bytes, sizeof bytes, MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (got <= 0) { /* closed; an empty packet looks the same, and is no better */
        close_fd(&monitor->link);
        if (monitor->phase == MONITOR_PHASE_UP)
            monitor_child_kill(&monitor->children[MONITOR_BROKER_CHILD]); /* if it still lives */
        return;
    }
    struct monitor_decision decision =
        monitor_table_decide(&monitor->table, bytes, (size_t)got, now_ms());
    switch (decision.action) {
    case MONITOR_DO_NOTHING:
        break;
    case MONITOR_DO_START:
        start_worker(monitor, decision.slot);
        break;
    case MONITOR_DO_REFUSE:
        memcpy(&message, bytes, sizeof message);
        refuse(monitor, decision.slot, message.kind, decision.reason, 0);
        break;
    case MONITOR_DO_RELEASE:
        monitor_child_release(&monitor->children[decision.slot]);
        break;
    case MONITOR_DO_KILL:
        monitor_child_kill(&monitor->children[decision.slot]);
        break;
    case MONITOR_DO_READY:
        log_info("ready");
        monitor_notify(monitor->notify, "READY=1");
        break;
    case MONITOR_DO_END_BROKER:
        end_broker(monitor, decision.violation);
        break;
    }
}

/* The launcher's word that it failed, or its end: then the worker runs. */
static void on_status(struct monitor *monitor, uint32_t place)
{
    struct monitor_child *child = &monitor->children[place];
    struct launch_failure failure;
    if (child->status < 0)
        return;
    ssize_t got = read(child->status, &failure, sizeof failure);
    if (got < 0 && errno == EAGAIN)
        return;
    close_fd(&child->status);
    if (got != sizeof failure)
        return;
    log_error("%s not launched: %s: %s", name_of(monitor, place), launch_stage_name(failure.stage),
              strerror(failure.error));
    if (place != MONITOR_BROKER_CHILD) {
        struct monitor_message message = about(monitor, place, MONITOR_LAUNCH_FAILED);
        message.reason = failure.stage;
        message.code = failure.error;
        tell(monitor, &message, -1);
    }
}

static void on_exit_of(struct monitor *monitor, uint32_t place)
{
    struct monitor_child *child = &monitor->children[place];
    siginfo_t info = {0};
    if (child->pid == 0 || waitid(P_PIDFD, (id_t)child->pidfd, &info, WEXITED | WNOHANG) != 0 ||
        info.si_pid == 0)
        return;
    on_status(monitor, place);
    log_info("%s (pid %d) %s %d", name_of(monitor, place), info.si_pid,
             info.si_code == CLD_EXITED ? "exited with status" : "was ended by signal",
             info.si_status);
    struct monitor_message message = {.pid = info.si_pid};
    monitor_child_forget(child);
    (void)cgroup_remove(&monitor->host.cgroup, child->leaf);
    if (place == MONITOR_BROKER_CHILD) {
        if (monitor->phase == MONITOR_PHASE_UP || monitor->phase == MONITOR_PHASE_STOPPING)
            end_all(monitor, monitor->phase == MONITOR_PHASE_STOPPING ? GRACE_MS : 0);
        return;
    }
    message = about(monitor, place, MONITOR_EXITED);
    message.pid = info.si_pid;
    message.code = info.si_code;
    message.value = info.si_status;
    monitor_table_free(&monitor->table, place);
    tell(monitor, &message, -1);
}

static void on_session(struct monitor *monitor)
{
    char events[4096] __attribute__((aligned(__alignof__(struct inotify_event))));
    struct agent_session session;
    while (read(monitor->session_watch, events, sizeof events) > 0) {
    }
    session_find(&session, &monitor->host.config, &monitor->host.roots);
    if (memcmp(&session, &monitor->host.session, sizeof session) == 0)
        return;
    monitor->host.session = session;
    monitor->table.facts.session = session.type;
    struct monitor_message message = {.op = MONITOR_SESSION,
                                      .reason = session.type,
                                      .uid = session.uid,
                                      .value = (int32_t)session.active};
    copy_kind(&message, session.display);
    tell(monitor, &message, -1);
}

static void on_signal(struct monitor *monitor)
{
    struct signalfd_siginfo info;
    if (read(monitor->signals, &info, sizeof info) != sizeof info)
        return;
    if (info.ssi_signo == SIGHUP) {
        log_notice("SIGHUP ignored: the configuration is read at start only, restart to change it");
        return;
    }
    monitor->last = true;
    if (monitor->phase == MONITOR_PHASE_UP) {
        log_notice("stopping");
        monitor_notify(monitor->notify, "STOPPING=1");
        monitor->phase = MONITOR_PHASE_STOPPING;
        monitor->table.stopping = true;
        monitor->deadline_ms = now_ms() + MONITOR_STOP_MS;
        struct monitor_message message = {.op = MONITOR_STOP, .value = MONITOR_STOP_MS};
        tell(monitor, &message, -1);
    } else if (monitor->phase == MONITOR_PHASE_STOPPING) { /* asked twice: at once */
        end_all(monitor, 0);
    }
}

/* A datagram socket to syslog for the broker, which cannot open one; -1 if there is none. */
static int open_syslog(const struct monitor *monitor)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "/dev/log"};
    int fd = -1;
    if (monitor->host.config.agent.log_syslog) {
        fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        if (fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof address) != 0)
            close_fd(&fd);
    }
    return fd;
}

/* Starts a broker, and opens its gate at once. Returns 0, or -1 if none could be started. */
static int start_broker(struct monitor *monitor)
{
    struct monitor_child *child = &monitor->children[MONITOR_BROKER_CHILD];
    int pair[2] = {-1, -1}, result = -1;
    int config = monitor_seal_config(&monitor->host), syslog = open_syslog(monitor);
    if (config >= 0 && socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == 0) {
        int passed[] = {pair[1], config, syslog};
        struct monitor_start start = {
            .policy = monitor_table_policy(monitor->policies, MONITOR_BROKER_KIND),
            .generation = ++monitor->broker_starts,
            .passed = passed,
            .passed_count = 3};
        struct monitor_facts facts = {.session = monitor->host.session.type,
                                      .screenshots = monitor->host.config.agent.capture.screenshots,
                                      .console = monitor->host.config.agent.console.host[0] != 0};
        monitor_table_reset(&monitor->table, monitor->policies, &facts, now_ms());
        result = monitor_spawn(child, &monitor->host, &start) ? -1 : 0;
    }
    if (result == 0) {
        monitor->link = pair[0];
        monitor->log = child->log;
        child->log = -1;
        pair[0] = -1;
        watch(monitor, monitor->link, ON_LINK);
        watch(monitor, monitor->log, ON_LOG);
        watch(monitor, child->pidfd, ON_PIDFD | MONITOR_BROKER_CHILD);
        watch(monitor, child->status, ON_STATUS | MONITOR_BROKER_CHILD);
        monitor_child_release(child);
        monitor->started_ms = now_ms();
    }
    close_fd(&pair[0]);
    close_fd(&pair[1]);
    close_fd(&config);
    close_fd(&syslog);
    return result;
}

static bool anything_runs(const struct monitor *monitor)
{
    for (uint32_t i = 0; i <= MONITOR_SLOTS; i++)
        if (monitor->children[i].pid != 0)
            return true;
    return false;
}

/* Everything has ended: clean up, and wait before the next broker. */
static void ended(struct monitor *monitor)
{
    while (monitor->log >= 0 && monitor_relay_log(monitor)) {
    }
    close_fd(&monitor->log);
    monitor_clean_runtime(&monitor->host, monitor->last);
    uint64_t now = now_ms();
    if (now - monitor->started_ms >= HEALTHY_MS)
        monitor->failures = 0;
    uint64_t pause = (uint64_t)BACKOFF_FIRST_MS << (monitor->failures < 7 ? monitor->failures : 7);
    monitor->failures++;
    monitor->phase = MONITOR_PHASE_WAITING;
    monitor->deadline_ms = now + (pause < BACKOFF_LAST_MS ? pause : BACKOFF_LAST_MS);
    if (!monitor->last)
        log_warning("the broker is started again in %u ms", (unsigned)(monitor->deadline_ms - now));
}

/* What is due when the deadline has passed. */
static void on_deadline(struct monitor *monitor)
{
    switch (monitor->phase) {
    case MONITOR_PHASE_UP:
        break;
    case MONITOR_PHASE_STOPPING:
        log_warning("the broker did not stop in %u ms", MONITOR_STOP_MS);
        end_all(monitor, 0);
        break;
    case MONITOR_PHASE_ENDING:
        end_all(monitor, 0);
        monitor->deadline_ms = now_ms() + 1000; /* uninterruptible ones are asked again */
        break;
    case MONITOR_PHASE_WAITING:
        monitor->phase = MONITOR_PHASE_UP;
        if (start_broker(monitor) != 0) {
            monitor->started_ms = now_ms();
            ended(monitor);
        }
        break;
    }
}

static void on_event(struct monitor *monitor, uint32_t what)
{
    uint32_t place = what & 0xffff;
    switch (what & ~0xffffU) {
    case ON_SIGNAL:
        on_signal(monitor);
        break;
    case ON_SESSION:
        on_session(monitor);
        break;
    case ON_LINK:
        if (monitor->link >= 0)
            on_link(monitor);
        break;
    case ON_LOG:
        if (monitor->log >= 0 && !monitor_relay_log(monitor))
            close_fd(&monitor->log);
        break;
    case ON_PIDFD:
        on_exit_of(monitor, place);
        break;
    case ON_STATUS:
        on_status(monitor, place);
        break;
    }
}

static int wait_ms(const struct monitor *monitor)
{
    uint64_t now = now_ms();
    return monitor->phase == MONITOR_PHASE_UP ? -1
           : monitor->deadline_ms <= now      ? 0
                                              : (int)(monitor->deadline_ms - now);
}

static int open_signals(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    signal(SIGPIPE, SIG_IGN);
    return sigprocmask(SIG_BLOCK, &set, NULL) == 0 ? signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK)
                                                   : -1;
}

int monitor_run(struct monitor *monitor)
{
    for (uint32_t i = 0; i <= MONITOR_SLOTS; i++) {
        monitor->children[i] =
            (struct monitor_child){.pidfd = -1, .gate = -1, .life = -1, .status = -1, .log = -1};
    }
    monitor->link = monitor->log = -1;
    monitor->signals = open_signals();
    monitor->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (monitor->signals < 0 || monitor->epoll < 0)
        return -errno;
    monitor->session_watch = session_watch(&monitor->host.config, &monitor->host.roots);
    watch(monitor, monitor->signals, ON_SIGNAL);
    watch(monitor, monitor->session_watch, ON_SESSION);
    monitor->phase = MONITOR_PHASE_WAITING;
    monitor->deadline_ms = 0;
    while (!(monitor->phase == MONITOR_PHASE_WAITING && monitor->last)) {
        struct epoll_event event;
        int count = epoll_wait(monitor->epoll, &event, 1, wait_ms(monitor));
        if (count < 0 && errno != EINTR) {
            log_error("epoll: %m");
            abort();
        }
        if (count == 1)
            on_event(monitor, event.data.u32);
        if (monitor->phase != MONITOR_PHASE_UP && wait_ms(monitor) == 0)
            on_deadline(monitor);
        if (monitor->phase == MONITOR_PHASE_ENDING && !anything_runs(monitor))
            ended(monitor);
    }
    monitor_clean_runtime(&monitor->host, true);
    return 0;
}
