/*
 * The users' door: two sockets in <runtime>/door, `ticket` for the setgid ticket program and
 * `control` for the command line. A connection is looked at, never read: who it is comes from the
 * kernel (SO_PEERCRED). If it may come in, it is told the path of an endpoint made for it alone, as
 * one packet "ok PATH"; else "no REASON". Closing the connection ends the client.
 */
#include "broker.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "log.h"

#define HELLO_WAIT_MS 10000
/* Of CLIENTS_MAX: so that neither command lines nor tickets of many users shut root out. */
#define CONTROLS_MAX        12
#define TICKETS_AT_DOOR_MAX 12

static void say(int fd, const char *word, const char *rest)
{
    char text[192];
    int n = snprintf(text, sizeof(text), "%s %s", word, rest);
    if (n > 0 && send(fd, text, (size_t)n, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
        log_info("a client left the door before its answer");
}

static struct client *client_of(struct broker *b, const struct peer *peer)
{
    for (size_t i = 0; i < CLIENTS_MAX; i++)
        if (b->clients[i].used && b->clients[i].peer == peer)
            return &b->clients[i];
    return NULL;
}

void door_end(struct broker *b, struct peer *peer)
{
    struct client *client = client_of(b, peer);
    if (client) {
        event_loop_remove(b->loop, &client->source);
        close(client->fd);
        client->used = false;
    }
    peer_end(b, peer);
}

/* A client has no reason to write here; it has hung up, or it misuses the door. */
static void connection_ready(void *context, uint32_t events)
{
    struct client *client = context;
    (void)events;
    door_end(client->broker, client->peer);
}

static const char *may_enter(struct broker *b, enum ipc_peer kind, const struct ucred *who)
{
    size_t all = 0, own = 0, alike = 0;
    for (size_t i = 0; i < CLIENTS_MAX; i++) {
        all += b->clients[i].used;
        alike += b->clients[i].used && b->clients[i].peer->kind == kind;
        own += b->clients[i].used && b->clients[i].peer->uid == who->uid;
    }
    if (kind == IPC_PEER_TICKET && who->gid != b->config->ticket.gid)
        return "only cloister-ticket, installed setgid, may open tickets";
    if (own >= b->config->ticket.per_uid_connections)
        return "you have too many connections open";
    if ((kind == IPC_PEER_CONTROL && alike >= CONTROLS_MAX) ||
        (kind == IPC_PEER_TICKET && alike >= TICKETS_AT_DOOR_MAX) || all >= CLIENTS_MAX)
        return "too many connections are open";
    return NULL;
}

static const char *make_endpoint(struct broker *b, struct peer *peer, char *path, size_t capacity)
{
    uint8_t name[16];
    char hex[2 * sizeof(name) + 1];
    if (getrandom(name, sizeof(name), 0) != sizeof(name))
        return "no random numbers";
    for (size_t i = 0; i < sizeof(name); i++)
        snprintf(hex + 2 * i, 3, "%02x", name[i]);
    int n = snprintf(path, capacity, "%s/door/%s", b->config->runtime_dir, hex);
    if (n < 0 || (size_t)n >= capacity)
        return "the runtime folder's name is too long";
    int error = channel_listen(&peer->channel, path, peer->kind, b->wake_fd);
    if (error) {
        log_error("cannot make an endpoint: %s", strerror(-error));
        return "the agent cannot make an endpoint; see its log";
    }
    return NULL;
}

static const char *let_in(struct broker *b, enum ipc_peer kind, int fd, const struct ucred *who)
{
    const char *no = may_enter(b, kind, who);
    struct client *client = NULL;
    for (size_t i = 0; i < CLIENTS_MAX && !client; i++)
        client = b->clients[i].used ? NULL : &b->clients[i];
    struct peer *peer = no || !client ? NULL : peer_new(b, kind);
    if (!peer)
        return no ? no : "too many connections are open";
    peer->pid = who->pid;
    peer->uid = who->uid;
    peer->deadline_ms = monotonic_ms() + HELLO_WAIT_MS;
    char path[108];
    no = make_endpoint(b, peer, path, sizeof(path));
    if (no) {
        peer_end(b, peer);
        return no;
    }
    channel_expect(peer->channel, who->pid, who->uid);
    peer_watch(b, peer);
    *client = (struct client){.used = true, .fd = fd, .peer = peer, .broker = b};
    client->source = (struct event_source){.fd = fd, .ready = connection_ready, .context = client};
    if (event_loop_add(b->loop, &client->source)) {
        client->used = false;
        peer_end(b, peer);
        return "too many connections are open";
    }
    say(fd, "ok", path);
    return NULL;
}

static void accept_one(struct broker *b, int listener, bool tickets)
{
    int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0 && (errno == EMFILE || errno == ENFILE)) {
        /* Left alone it would wake the loop for ever. */
        close(b->spare_fd);
        fd = accept(listener, NULL, NULL);
        if (fd >= 0)
            close(fd);
        b->spare_fd = eventfd(0, EFD_CLOEXEC);
        return;
    }
    if (fd < 0)
        return;
    struct ucred who;
    socklen_t length = sizeof(who);
    const char *no = "the kernel does not say who you are";
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &length) == 0 && length == sizeof(who)) {
        enum ipc_peer kind = tickets        ? IPC_PEER_TICKET
                             : who.uid == 0 ? IPC_PEER_ADMIN
                                            : IPC_PEER_CONTROL;
        no = b->stop_at_ms ? "the agent is stopping" : let_in(b, kind, fd, &who);
        if (no && log_ration_take(&b->turned_away, "callers at the door"))
            log_warning("uid %u gid %u pid %d was turned away at the %s door: %s", who.uid, who.gid,
                        who.pid, tickets ? "ticket" : "control", no);
    }
    if (no) {
        say(fd, "no", no);
        close(fd);
    }
}

static void ticket_door_ready(void *context, uint32_t events)
{
    (void)events;
    struct broker *b = context;
    accept_one(b, b->door_ticket_fd, true);
}

static void control_door_ready(void *context, uint32_t events)
{
    (void)events;
    struct broker *b = context;
    accept_one(b, b->door_control_fd, false);
}

static int listen_at(const char *folder, const char *name)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int n = snprintf(address.sun_path, sizeof(address.sun_path), "%s/door/%s", folder, name);
    if (n < 0 || (size_t)n >= sizeof(address.sun_path))
        return -ENAMETOOLONG;
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -errno;
    unlink(address.sun_path); /* of an earlier broker */
    /* Anybody may knock; who may enter is decided by SO_PEERCRED. */
    if (bind(fd, (struct sockaddr *)&address, sizeof(address)) || chmod(address.sun_path, 0666) ||
        listen(fd, 16)) {
        int error = -errno;
        close(fd);
        return error;
    }
    return fd;
}

int door_open(struct broker *b)
{
    b->spare_fd = eventfd(0, EFD_CLOEXEC);
    b->door_ticket_fd = listen_at(b->config->runtime_dir, "ticket");
    b->door_control_fd = listen_at(b->config->runtime_dir, "control");
    if (b->door_ticket_fd < 0)
        return b->door_ticket_fd;
    if (b->door_control_fd < 0)
        return b->door_control_fd;
    b->door_ticket_source =
        (struct event_source){.fd = b->door_ticket_fd, .ready = ticket_door_ready, .context = b};
    b->door_control_source =
        (struct event_source){.fd = b->door_control_fd, .ready = control_door_ready, .context = b};
    int error = event_loop_add(b->loop, &b->door_ticket_source);
    return error ? error : event_loop_add(b->loop, &b->door_control_source);
}
