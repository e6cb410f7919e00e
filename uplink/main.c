/*
 * cloister-uplink: one connection to the console, from connect(2) to its end.
 *
 * It dials, then locks, and only then reads the first byte that somebody else sent, a proxy's
 * answer included. It never dials twice: when the connection ends it says why and exits, and the
 * broker decides when to try again.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "dial.h"
#include "log.h"
#include "relay.h"
#include "report.h"
#include "uplink_filter.h"

#define CA_FD       3     /* the policy's descriptor "ca" */
#define DIAL_MS     12000 /* the broker waits 15 s for a worker to be ready */
#define FAREWELL_MS 2000

static int64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/*
 * The last word. The broker ends this process when it has heard it; leaving at once could take the
 * message along.
 */
static __attribute__((noreturn)) void leave(struct worker *worker, const struct fault *fault)
{
    int64_t until_ms = now_ms() + FAREWELL_MS;
    struct message message;
    ipc_UplinkState state;

    log_warning("%s: %s", fault_name(fault->reason), fault->detail);
    report_fault(&state, fault);
    worker_notify(worker, IPC_UPLINK_STATE, &state);
    while (now_ms() < until_ms) {
        worker_wait(worker, NULL, 0, (int)(until_ms - now_ms() + 1));
        while (worker_next(worker, &message))
            message_free(&message);
    }
    _exit(WORKER_EXIT_DONE);
}

static size_t addresses_of(struct dial_address *out, const ipc_UplinkConfig *config)
{
    uint32_t port = config->proxy_host[0] ? config->proxy_port : config->port;
    size_t count = 0;

    for (pb_size_t i = 0; i < config->addresses_count && count < DIAL_ADDRESSES_MAX; i++) {
        const ipc_Address *from = &config->addresses[i];
        int family = from->address.size == 4 ? AF_INET : AF_INET6;
        char text[INET6_ADDRSTRLEN];

        if (from->address.size != 4 && from->address.size != 16)
            continue;
        if (!inet_ntop(family, from->address.bytes, text, sizeof text) ||
            dial_address_read(&out[count], text, (uint16_t)port) < 0)
            continue;
        if (family == AF_INET6)
            ((struct sockaddr_in6 *)&out[count].storage)->sin6_scope_id = from->scope;
        count++;
    }
    return count;
}

static const ipc_UplinkConfig *config_of(struct worker *worker)
{
    const ipc_UplinkConfig *config = &worker->welcome.config.uplink;

    if (worker->welcome.which_config != ipc_Welcome_uplink_tag || config->port == 0 ||
        config->port > UINT16_MAX || config->proxy_port > UINT16_MAX ||
        (config->pin.size != 0 && config->pin.size != TLS_PIN_SIZE))
        worker_fail(WORKER_EXIT_PROTOCOL, "the welcome is not uplink's");
    return config;
}

/* All that must be done before the lock: the trusted certificates, and the connection itself. */
static int connect_console(struct client_config *out, struct worker *worker,
                           const struct facts *facts, struct fault *fault)
{
    const ipc_UplinkConfig *config = config_of(worker);
    struct dial_address addresses[DIAL_ADDRESSES_MAX];
    struct tls_config tls = {
        .ca = facts->ca,
        .ca_length = facts->ca_length,
        .pin = config->pin.size ? config->pin.bytes : NULL,
        .allow_tls12 = config->tls12,
    };
    size_t count = addresses_of(addresses, config);
    size_t used = 0;
    char text[DIAL_TEXT_MAX];
    int fd = -1;

    if (tls_context_new(&out->tls, &tls, fault) != 0 ||
        dial(&fd, addresses, count, DIAL_MS, &used, fault) != 0)
        return -1;
    dial_address_write(text, &addresses[used]);
    log_info("connected to %s%s", text, config->proxy_host[0] ? " (the proxy)" : "");
    out->host = config->host;
    out->port = (uint16_t)config->port;
    out->path = config->path[0] ? config->path : "/agent";
    out->proxied = config->proxy_host[0] != '\0';
    out->session.agent_version = CLOISTER_VERSION;
    out->session.boot_id = facts->boot_id;
    return fd;
}

static void take_messages(struct worker *worker, struct relay *relay)
{
    struct message message;

    while (worker_next(worker, &message)) {
        relay_message(relay, &message, now_ms());
        message_free(&message);
    }
}

/* Until the connection ends; `fault` says why. */
static void serve(struct worker *worker, struct relay *relay, struct fault *fault)
{
    struct client *client = relay->client;

    while (client_service(client, now_ms(), fault)) {
        struct pollfd console = {client_fd(client), client_events(client), 0};
        int64_t left = client_deadline_ms(client);

        if (left != INT64_MAX)
            left = left > now_ms() ? left - now_ms() : 0;
        worker_wait(worker, &console, 1, left > 600000 ? 600000 : (int)left);
        take_messages(worker, relay);
        if (relay->fault.reason != FAULT_NONE) {
            *fault = relay->fault;
            return;
        }
    }
}

int main(void)
{
    static struct worker worker;
    static struct relay relay;
    static struct facts facts;
    struct client_config config = {0};
    struct fault fault;
    int fd = -1;

    if (sandbox_early())
        return WORKER_EXIT_SANDBOX;
    log_setup("uplink", 1);
    signal(SIGPIPE, SIG_IGN);
    fault_clear(&fault);
    if (wire_setup() < 0 || tls_setup(&fault) != 0)
        worker_fail(WORKER_EXIT_FAILED, "the libraries cannot be set up: %s", fault.detail);
    facts_read(&facts, CA_FD, "", &fault);
    worker_start(&worker, "uplink", IPC_PEER_UPLINK, &uplink_filter);
    if (fault.reason == FAULT_NONE)
        fd = connect_console(&config, &worker, &facts, &fault);
    facts_clear(&facts);
    worker_lock(&worker);
    if (fault.reason != FAULT_NONE)
        leave(&worker, &fault);
    relay.worker = &worker;
    relay.facts = &facts;
    relay.host = config.host;
    config.session.agent = &relay_agent;
    config.session.agent_user = &relay;
    if (client_new(&relay.client, &config, fd, &relay_callbacks, &relay, now_ms(), &fault) == 0)
        serve(&worker, &relay, &fault);
    relay.client = client_free(relay.client);
    leave(&worker, &fault);
}
