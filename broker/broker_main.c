#include "broker.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "broker_filter.h"
#include "exit_code.h"
#include "log.h"
#include "worker.h"

#define LIFE_FD 0

__attribute__((noreturn)) static void fail(const char *what, int error)
{
    log_error("%s: %s", what, strerror(error));
    _exit(WORKER_EXIT_FAILED);
}

/* The configuration, mapped for good: the monitor has sealed it. */
static const struct agent_config *map_config(void)
{
    const int seals = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;
    struct stat st;
    if (fcntl(MONITOR_FD_CONFIG, F_GET_SEALS) != seals || fstat(MONITOR_FD_CONFIG, &st) ||
        st.st_size != sizeof(struct agent_config))
        fail("the configuration is not what a monitor of this build hands over", EINVAL);
    const struct agent_config *config =
        mmap(NULL, sizeof(struct agent_config), PROT_READ, MAP_PRIVATE, MONITOR_FD_CONFIG, 0);
    if (config == MAP_FAILED)
        fail("cannot map the configuration", errno);
    if (config->magic != AGENT_CONFIG_MAGIC || config->size != sizeof(*config))
        fail("the configuration is of another build", EINVAL);
    close(MONITOR_FD_CONFIG);
    return config;
}

static void set_up_log(const struct agent_config *config)
{
    struct stat st;
    log_set_level((int)config->log_level);
    if (config->log_syslog && fstat(MONITOR_FD_SYSLOG, &st) == 0 && S_ISSOCK(st.st_mode))
        log_set_syslog(MONITOR_FD_SYSLOG);
}

static void life_ended(void *context, uint32_t events)
{
    (void)context;
    (void)events;
    _exit(WORKER_EXIT_DONE);
}

static void watch(struct broker *b, struct event_source *source, int fd,
                  void (*ready)(void *, uint32_t))
{
    *source = (struct event_source){.fd = fd, .ready = ready, .context = b};
    int error = event_loop_add(b->loop, source);
    if (error)
        fail("epoll", -error);
}

/* Everything that needs more than the filter leaves. */
static void prepare(struct broker *b)
{
    static struct sandbox_report report;
    log_setup("broker", 1);
    b->config = map_config();
    sandbox_variable("runtime", b->config->runtime_dir);
    int error = sandbox_files(&broker_filter, &report);
    if (error) {
        log_error("cannot lock: %s: %s", report.stage, strerror(-error));
        _exit(WORKER_EXIT_SANDBOX);
    }
    set_up_log(b->config);
    b->session = b->config->session;
    b->started_unix_ms = unix_ms();
    b->monitor_fd = MONITOR_FD_SOCKET;
    b->loop = event_loop_new();
    b->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (b->loop < 0 || b->wake_fd < 0)
        fail("cannot make the event loop", errno);
    watch(b, &b->life_source, LIFE_FD, life_ended);
    watch(b, &b->wake_source, b->wake_fd, router_wake);
    watch(b, &b->monitor_source, b->monitor_fd, monitor_ready);
    error = door_open(b);
    if (error)
        fail("cannot open the door", -error);
    error = channel_threads_start();
    if (error)
        fail("cannot start nng", -error);
    error = sandbox_lock(&broker_filter, &report);
    if (error) {
        log_error("cannot lock: %s: %s", report.stage, strerror(-error));
        _exit(WORKER_EXIT_SANDBOX);
    }
    worker_fill_report(&report, &b->lock);
    log_info("locked: seccomp 2 in %u threads, %u system calls, landlock %u%s", report.tasks,
             report.syscalls, report.landlock_abi, report.mdwe ? ", mdwe" : "");
    if (sandbox_overlay())
        log_warning("this build runs with the weaker \"%s\" policy overlay", sandbox_overlay());
}

/* Clients hear that it is over; the workers end with their channels when this process does. */
static void stop(struct broker *b)
{
    for (size_t i = 0; i < CLIENTS_MAX; i++)
        if (b->clients[i].used)
            door_end(b, b->clients[i].peer);
    log_notice("stopped");
    _exit(WORKER_EXIT_DONE);
}

int main(void)
{
    static struct broker b;
    if (sandbox_early())
        return WORKER_EXIT_SANDBOX;
    prepare(&b);
    supervisor_init(&b);
    connection_init(&b);
    monitor_send(&b, MONITOR_READY, 0, 0);
    while (!b.stop_at_ms) {
        int error = event_loop_run(b.loop, broker_tick(&b));
        if (error)
            fail("epoll_wait", -error);
    }
    stop(&b);
}
