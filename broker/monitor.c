#include "monitor.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "log.h"

#define BACKOFF_FIRST_MS 250u
#define BACKOFF_LAST_MS  30000u
#define HEALTHY_MS       60000u /* a broker that lived this long begins the back-off anew */
#define GRACE_MS         500u   /* for the workers, between the broker's orderly end and SIGKILL */

/* What an epoll event is about; for children with their place. */
enum { ON_SIGNAL, ON_SESSION, ON_LINK, ON_LOG, ON_PIDFD, ON_LAUNCHER };
#define EVENT(what, place) ((uint32_t)(what) << 16 | (place))

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

static void watch_child(const struct monitor *monitor, uint32_t place)
{
    watch(monitor, monitor->children[place].fd[MONITOR_PIDFD], EVENT(ON_PIDFD, place));
    watch(monitor, monitor->children[place].fd[MONITOR_LAUNCHER], EVENT(ON_LAUNCHER, place));
}

static void end_all(struct monitor *monitor, uint64_t grace_ms)
{
    for (uint32_t i = 0; i <= MONITOR_SLOTS; i++) {
        monitor_close(&monitor->children[i].fd[MONITOR_LAUNCHER]);
        monitor_close(&monitor->children[i].fd[MONITOR_LIFE]);
        if (grace_ms == 0)
            monitor_child_kill(&monitor->children[i]);
    }
    monitor_close(&monitor->link);
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
    if (sendmsg(monitor->link, &packet, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0)
        return;
    if (errno == EPIPE || errno == ECONNRESET)
        monitor_close(&monitor->link); /* its pidfd will say so too */
    else
        end_broker(monitor, errno == EAGAIN ? "it does not read its messages" : strerror(errno));
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
    tell(monitor, &message, -1);
}

static void start_worker(struct monitor *monitor, uint32_t slot)
{
    const struct monitor_slot *row = &monitor->table.slots[slot];
    const struct policy *policy = row->policy;
    struct monitor_child *child = &monitor->children[slot];
    struct monitor_start start = {.row = monitor_table_row(monitor->policies, policy->kind),
                                  .slot = slot,
                                  .generation = row->generation,
                                  .instance = row->instance,
                                  .passed = {-1, -1, -1}};
    monitor_descriptors(monitor, slot, start.passed);
    enum monitor_reason reason = monitor_spawn(child, &monitor->host, policy, &start);
    int error = errno;
    for (int i = 0; i < POLICY_DESCRIPTORS_MAX; i++)
        monitor_close(&start.passed[i]);
    if (reason) {
        monitor_close(&child->fd[MONITOR_COMMAND]);
        monitor_table_free(&monitor->table, slot);
        refuse(monitor, slot, policy->kind, reason, error);
        return;
    }
    watch_child(monitor, slot);
    struct monitor_message message = about(monitor, slot, MONITOR_STARTED);
    copy_kind(&message, policy->kind);
    message.pid = child->pid;
    message.uid = child->order.uid;
    message.gid = child->order.gid;
    tell(monitor, &message, child->fd[MONITOR_LOG]);
    monitor_close(&child->fd[MONITOR_LOG]);
}

static void on_link(struct monitor *monitor, uint32_t place)
{
    (void)place;
    struct monitor_message message; /* one byte more tells a packet that is too long */
    uint8_t bytes[sizeof message + 1];
    ssize_t got = recv(monitor->link, bytes, sizeof bytes, MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR || errno == EBADF))
        return;
    if (got <= 0) { /* closed; an empty packet looks the same, and is no better */
        monitor_close(&monitor->link);
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
        monitor_log_refusal(&message, decision.why);
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
        end_broker(monitor, decision.why);
        break;
    }
}

/* The launcher's word that it failed, or its end: then the worker runs. */
static void on_launcher(struct monitor *monitor, uint32_t place)
{
    struct monitor_child *child = &monitor->children[place];
    struct launch_failure failure;
    if (child->fd[MONITOR_LAUNCHER] < 0)
        return;
    ssize_t got = recv(child->fd[MONITOR_LAUNCHER], &failure, sizeof failure, MSG_DONTWAIT);
    if (got < 0 && errno == EAGAIN)
        return;
    monitor_close(&child->fd[MONITOR_LAUNCHER]);
    if (got != sizeof failure)
        return;
    log_error("%s not launched: %s: %s", child->order.kind, failure.stage, strerror(failure.error));
    if (place != MONITOR_BROKER_CHILD) {
        struct monitor_message message = about(monitor, place, MONITOR_LAUNCH_FAILED);
        copy_kind(&message, failure.stage);
        message.code = failure.error;
        tell(monitor, &message, -1);
    }
}

static void on_log(struct monitor *monitor, uint32_t place)
{
    int *log = &monitor->children[place].fd[MONITOR_LOG];
    if (*log >= 0 && !monitor_relay_log(*log))
        monitor_close(log);
}

static void on_exit_of(struct monitor *monitor, uint32_t place)
{
    struct monitor_child *child = &monitor->children[place];
    siginfo_t info = {0};
    if (child->pid == 0 ||
        waitid(P_PIDFD, (id_t)child->fd[MONITOR_PIDFD], &info, WEXITED | WNOHANG) != 0 ||
        info.si_pid == 0)
        return;
    on_launcher(monitor, place);
    for (int i = 0; i < 64; i++) /* the broker's last words: as much as a pipe holds at most */
        on_log(monitor, place);
    log_info("%s (pid %d) %s %d", child->order.kind, info.si_pid,
             info.si_code == CLD_EXITED ? "exited with status" : "was ended by signal",
             info.si_status);
    monitor_child_forget(child);
    (void)cgroup_remove(&monitor->host.reading.cgroup, child->leaf);
    if (place == MONITOR_BROKER_CHILD) {
        if (monitor->phase == MONITOR_PHASE_UP || monitor->phase == MONITOR_PHASE_STOPPING)
            end_all(monitor, monitor->phase == MONITOR_PHASE_STOPPING ? GRACE_MS : 0);
        return;
    }
    uint32_t command = monitor_table_command(&monitor->table, place);
    if (command < MONITOR_SLOTS) /* nothing outlives its runner */
        monitor_child_kill(&monitor->children[command]);
    struct monitor_message message = about(monitor, place, MONITOR_EXITED);
    message.pid = info.si_pid;
    message.code = info.si_code;
    message.value = info.si_status;
    monitor_table_free(&monitor->table, place);
    tell(monitor, &message, -1);
}

/* What was started for the user who has gone, with that user's X cookie or rights, goes too. */
static void end_session(struct monitor *monitor)
{
    for (uint32_t i = 0; i < MONITOR_SLOTS; i++) {
        const struct policy *policy = monitor->table.slots[i].policy;
        if (policy &&
            (policy->variables & POLICY_VARIABLE_X11 || policy->identity == POLICY_SESSION))
            monitor_child_kill(&monitor->children[i]);
    }
}

static void on_session(struct monitor *monitor, uint32_t place)
{
    (void)place;
    static const struct reader_task task = {.config = -1, .sysfs = -1, .board = -1};
    struct reading *reading = &monitor->host.reading;
    const struct agent_session *session = &reading->config.agent.session;
    char events[4096];
    while (read(monitor->session_watch, events, sizeof events) > 0)
        ;
    const struct agent_session before = *session;
    if (reader_run(reading, &task, monitor->policies) != 0 ||
        memcmp(&before, session, sizeof before) == 0)
        return;
    if (before.uid != session->uid || before.type != session->type ||
        strcmp(before.display, session->display) != 0)
        end_session(monitor);
    struct monitor_message message = {.op = MONITOR_SESSION,
                                      .reason = session->type,
                                      .uid = session->uid,
                                      .value = (int32_t)session->active};
    copy_kind(&message, session->display);
    tell(monitor, &message, -1);
}

static void on_signal(struct monitor *monitor, uint32_t place)
{
    (void)place;
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

/* Starts a broker, which need not wait for a RELEASE. Returns 0, or -1 if none could be started. */
static int start_broker(struct monitor *monitor)
{
    const struct agent_config *agent = &monitor->host.reading.config.agent;
    struct monitor_child *child = &monitor->children[MONITOR_BROKER_CHILD];
    struct monitor_start start = {.row = monitor_table_row(monitor->policies, MONITOR_BROKER_KIND),
                                  .generation = ++monitor->broker_starts,
                                  .passed = {-1,
                                             monitor_seal("cloister-config", agent, sizeof *agent),
                                             agent->log_syslog ? monitor_connect("/dev/log") : -1}};
    int pair[2] = {-1, -1}, result = -1;
    monitor_table_reset(&monitor->table, monitor->policies, agent, now_ms());
    if (start.passed[1] >= 0 && monitor_key_make(monitor) == 0 &&
        socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == 0) {
        start.passed[0] = pair[1];
        result =
            monitor_spawn(child, &monitor->host, monitor->policies[start.row], &start) ? -1 : 0;
    }
    for (int i = 0; i < POLICY_DESCRIPTORS_MAX; i++)
        monitor_close(&start.passed[i]);
    monitor->link = pair[0];
    if (result != 0) {
        monitor_close(&monitor->link);
        return result;
    }
    watch(monitor, monitor->link, EVENT(ON_LINK, 0));
    watch(monitor, child->fd[MONITOR_LOG], EVENT(ON_LOG, MONITOR_BROKER_CHILD));
    watch_child(monitor, MONITOR_BROKER_CHILD);
    monitor_child_release(child);
    return 0;
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
    monitor_key_wipe(monitor);
    monitor_clean_runtime(&monitor->host, false);
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
    if (monitor->phase == MONITOR_PHASE_STOPPING)
        log_warning("the broker did not stop in %u ms", MONITOR_STOP_MS);
    if (monitor->phase != MONITOR_PHASE_WAITING) {
        end_all(monitor, 0);
        monitor->deadline_ms = now_ms() + 1000; /* then those that cannot be killed yet, again */
        return;
    }
    monitor->phase = MONITOR_PHASE_UP;
    monitor->started_ms = now_ms();
    if (start_broker(monitor) != 0)
        ended(monitor);
}

static void (*const handlers[])(struct monitor *, uint32_t) = {
    [ON_SIGNAL] = on_signal, [ON_SESSION] = on_session, [ON_LINK] = on_link,
    [ON_LOG] = on_log,       [ON_PIDFD] = on_exit_of,   [ON_LAUNCHER] = on_launcher};

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
    for (uint32_t i = 0; i <= MONITOR_SLOTS; i++)
        memset(monitor->children[i].fd, 0xff, sizeof monitor->children[i].fd); /* -1 */
    monitor->link = -1;
    monitor->signals = open_signals();
    monitor->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (monitor->signals < 0 || monitor->epoll < 0)
        return -errno;
    watch(monitor, monitor->signals, EVENT(ON_SIGNAL, 0));
    watch(monitor, monitor->session_watch, EVENT(ON_SESSION, 0));
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
            handlers[event.data.u32 >> 16](monitor, event.data.u32 & 0xffff);
        if (monitor->phase != MONITOR_PHASE_UP && wait_ms(monitor) == 0)
            on_deadline(monitor);
        if (monitor->phase == MONITOR_PHASE_ENDING && !anything_runs(monitor))
            ended(monitor);
    }
    monitor_clean_runtime(&monitor->host, true);
    return 0;
}
