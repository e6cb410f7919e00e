#include "client.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "http.h"
#include "upgrade.h"
#include "websocket.h"

#define HOST_MAX 253

enum phase {
    PHASE_PROXY,
    PHASE_TLS,
    PHASE_UPGRADE,
    PHASE_SESSION,
};

static const char *const phase_names[] = {
    [PHASE_PROXY] = "the proxy's answer",
    [PHASE_TLS] = "the TLS handshake",
    [PHASE_UPGRADE] = "the answer to the WebSocket upgrade",
    [PHASE_SESSION] = "the session",
};

struct client {
    struct client_config config;
    const struct client_callbacks *callbacks;
    void *user;
    int fd;
    char host[HOST_MAX + 1]; /* in the wire's form */
    enum phase phase;
    int64_t now_ms, phase_deadline_ms;
    bool tls_wants_write; /* during the handshake */
    struct tls *tls;
    struct websocket *websocket;
    struct session *session;
    struct fault session_fault; /* what the session found while it was handed a message */
    struct upgrade upgrade;
    char request[UPGRADE_REQUEST_MAX];
    size_t request_length, request_sent;
    struct http_head head;
};

static ssize_t read_some(struct client *client, void *out, size_t length)
{
    ssize_t count;

    if (client->phase != PHASE_PROXY)
        return tls_read(client->tls, out, length);
    count = read(client->fd, out, length);
    if (count < 0)
        return errno == EINTR || errno == EWOULDBLOCK ? -EAGAIN : -errno;
    return count;
}

static ssize_t write_some(struct client *client, const void *bytes, size_t length)
{
    ssize_t count;

    if (client->phase != PHASE_PROXY)
        return tls_write(client->tls, bytes, length);
    count = write(client->fd, bytes, length);
    if (count < 0)
        return errno == EINTR || errno == EWOULDBLOCK ? -EAGAIN : -errno;
    return count;
}

static void enter(struct client *client, enum phase phase)
{
    client->phase = phase;
    client->phase_deadline_ms =
        phase == PHASE_SESSION ? INT64_MAX : client->now_ms + CLIENT_PHASE_MS;
    client->request_length = client->request_sent = 0;
    http_head_init(&client->head);
}

/* ---- what the session asks for ---- */

static int on_send_text(void *user, const char *text, size_t length)
{
    struct client *client = user;

    return websocket_send_text(client->websocket, text, length);
}

static int on_send_binary(void *user, const void *bytes, size_t length)
{
    struct client *client = user;

    return websocket_send_binary(client->websocket, bytes, length);
}

static size_t on_queued(void *user)
{
    struct client *client = user;

    return websocket_queued(client->websocket);
}

static void on_news(void *user, const struct upload_news *news)
{
    struct client *client = user;

    client->callbacks->news(client->user, news);
}

static void on_close(void *user, uint16_t status, const char *word)
{
    struct client *client = user;

    websocket_close(client->websocket, status, word);
}

static void on_sign(void *user, const uint8_t *challenge)
{
    struct client *client = user;
    uint8_t binding[TLS_BINDING_SIZE];

    if (tls_binding(client->tls, binding) < 0) {
        fault_set(&client->session_fault, FAULT_LOCAL, "TLS gives no channel binding");
        return;
    }
    client->callbacks->sign(client->user, challenge, binding);
}

static void on_state(void *user, enum wire_state state, const struct wire_message *welcome)
{
    struct client *client = user;

    if (welcome)
        websocket_heartbeat(client->websocket, welcome->heartbeat_ms);
    if (welcome && session_commands(client->session))
        websocket_take_binary(client->websocket, WIRE_BINARY_MAX);
    client->callbacks->state(client->user, state, welcome);
}

static void on_enrolled(void *user, bool accepted, const char *detail)
{
    struct client *client = user;

    client->callbacks->enrolled(client->user, accepted, detail);
}

static const struct session_callbacks session_hooks = {
    .upload = {on_send_text, on_send_binary, on_queued, on_news},
    .close = on_close,
    .sign = on_sign,
    .state = on_state,
    .enrolled = on_enrolled,
};

/* ---- what the WebSocket asks for ---- */

static ssize_t on_read(void *user, void *out, size_t length)
{
    return read_some(user, out, length);
}

static ssize_t on_write(void *user, const void *bytes, size_t length)
{
    return write_some(user, bytes, length);
}

static void leave_if_faulty(struct client *client)
{
    if (client->session_fault.reason != FAULT_NONE)
        websocket_close(client->websocket, 1001, "going away");
}

static void on_text(void *user, const char *text, size_t length)
{
    struct client *client = user;

    if (client->session_fault.reason == FAULT_NONE)
        session_receive(client->session, text, length, client->now_ms, &client->session_fault);
    leave_if_faulty(client);
}

static void on_binary(void *user, const void *bytes, size_t length)
{
    struct client *client = user;

    if (client->session_fault.reason == FAULT_NONE)
        session_receive_binary(client->session, bytes, length, client->now_ms,
                               &client->session_fault);
    leave_if_faulty(client);
}

static const struct websocket_callbacks websocket_hooks = {on_read, on_write, on_text, on_binary};

/* ---- the phases ---- */

static void lost(struct client *client, ssize_t error, struct fault *fault)
{
    enum fault_reason reason =
        client->phase == PHASE_PROXY ? FAULT_PROXY_PROTOCOL : FAULT_HTTP_PROTOCOL;

    if (error == 0)
        fault_set(fault, reason, "closed before %s was complete", phase_names[client->phase]);
    else
        fault_set(fault, reason, "cut off before %s was complete: %s", phase_names[client->phase],
                  strerror((int)-error));
}

/* Sends the rest of the request. Returns true when all of it is out. */
static bool send_request(struct client *client, struct fault *fault)
{
    while (client->request_sent < client->request_length) {
        ssize_t count = write_some(client, client->request + client->request_sent,
                                   client->request_length - client->request_sent);

        if (count <= 0) {
            if (count != -EAGAIN)
                lost(client, count ? count : -ECONNRESET, fault);
            return false;
        }
        client->request_sent += (size_t)count;
    }
    return true;
}

/*
 * Reads on until the head is complete. Returns true when it is; `early` then holds the
 * `*early_length` bytes behind it. `early` has HTTP_HEAD_MAX bytes.
 */
static bool read_head(struct client *client, uint8_t *early, size_t *early_length,
                      struct fault *fault)
{
    enum fault_reason reason =
        client->phase == PHASE_PROXY ? FAULT_PROXY_PROTOCOL : FAULT_HTTP_PROTOCOL;

    for (;;) {
        ssize_t count = read_some(client, early, HTTP_HEAD_MAX);
        size_t consumed = 0;

        if (count <= 0) {
            if (count != -EAGAIN)
                lost(client, count, fault);
            return false;
        }
        switch (http_head_feed(&client->head, early, (size_t)count, &consumed)) {
        case 0:
            *early_length = (size_t)count - consumed;
            memmove(early, early + consumed, *early_length);
            return true;
        case HTTP_MORE:
            break;
        case HTTP_TOO_LARGE:
            fault_set(fault, reason, "%s does not end", phase_names[client->phase]);
            return false;
        default:
            fault_set(fault, reason, "%s is not valid HTTP", phase_names[client->phase]);
            return false;
        }
    }
}

static bool begin_request(struct client *client, int length, struct fault *fault)
{
    if (length < 0) {
        fault_set(fault, FAULT_LOCAL, "cannot ask for %s: %s", phase_names[client->phase],
                  strerror(-length));
        return false;
    }
    client->request_length = (size_t)length;
    return true;
}

/* Each step returns true when the next phase may begin. */
static bool step_proxy(struct client *client, struct fault *fault)
{
    uint8_t early[HTTP_HEAD_MAX];
    size_t early_length = 0;

    if (client->request_length == 0 &&
        !begin_request(
            client,
            upgrade_connect_request(client->request, client->config.host, client->config.port),
            fault))
        return false;
    if (!send_request(client, fault) || !read_head(client, early, &early_length, fault) ||
        !upgrade_connect_check(&client->head, early_length, fault))
        return false;
    enter(client, PHASE_TLS);
    return true;
}

static bool step_tls(struct client *client, struct fault *fault)
{
    int rc = tls_handshake(client->tls, fault);

    client->tls_wants_write = rc == TLS_WANT_WRITE;
    if (rc != 0)
        return false;
    enter(client, PHASE_UPGRADE);
    return true;
}

static bool begin_session(struct client *client, const uint8_t *early, size_t early_length,
                          struct fault *fault)
{
    if (websocket_new(&client->websocket, &websocket_hooks, client, early, early_length,
                      client->now_ms) < 0 ||
        session_new(&client->session, &client->config.session, &session_hooks, client,
                    client->now_ms) < 0) {
        fault_set(fault, FAULT_LOCAL, "out of memory");
        return false;
    }
    enter(client, PHASE_SESSION);
    return true;
}

static bool step_upgrade(struct client *client, struct fault *fault)
{
    uint8_t early[HTTP_HEAD_MAX];
    size_t early_length = 0;

    if (client->request_length == 0 &&
        !begin_request(client,
                       upgrade_request(&client->upgrade, client->request, client->config.host,
                                       client->config.port, client->config.path),
                       fault))
        return false;
    if (!send_request(client, fault) || !read_head(client, early, &early_length, fault) ||
        !upgrade_check(&client->upgrade, &client->head, fault))
        return false;
    return begin_session(client, early, early_length, fault);
}

/* What the close frame said is worth more than that the connection ended. */
static void session_ended(struct client *client, struct fault *ended, struct fault *fault)
{
    const char *reason;
    uint16_t status = websocket_peer_close(client->websocket, &reason);

    if (client->session_fault.reason != FAULT_NONE)
        fault_set(fault, client->session_fault.reason, "%s", client->session_fault.detail);
    else if (ended->reason == FAULT_CLOSED && status != 0)
        session_judge_close(status, reason, fault);
    else if (ended->reason != FAULT_NONE)
        fault_set(fault, ended->reason, "%s", ended->detail);
}

static void tick(struct client *client)
{
    if (client->session_fault.reason == FAULT_NONE)
        session_tick(client->session, client->now_ms, &client->session_fault);
    leave_if_faulty(client);
}

/* The second tick is for what has become possible by what was written: there may be no other event.
 */
static bool serve_session(struct client *client, struct fault *fault)
{
    struct fault ended;

    fault_clear(&ended);
    tick(client);
    if (websocket_service(client->websocket, client->now_ms, &ended)) {
        tick(client);
        return true;
    }
    session_ended(client, &ended, fault);
    return false;
}

bool client_service(struct client *client, int64_t now_ms, struct fault *fault)
{
    client->now_ms = now_ms;
    if (client->phase == PHASE_PROXY)
        step_proxy(client, fault);
    if (fault->reason == FAULT_NONE && client->phase == PHASE_TLS)
        step_tls(client, fault);
    if (fault->reason == FAULT_NONE && client->phase == PHASE_UPGRADE)
        step_upgrade(client, fault);
    if (fault->reason == FAULT_NONE && client->phase == PHASE_SESSION)
        return serve_session(client, fault);
    if (fault->reason == FAULT_NONE && now_ms >= client->phase_deadline_ms)
        fault_set(fault, FAULT_PHASE_TIMEOUT, "%s did not come within %d s",
                  phase_names[client->phase], CLIENT_PHASE_MS / 1000);
    return fault->reason == FAULT_NONE;
}

/* The form that docs/wire.md signs and that certificates hold: lower case, no final dot. */
static bool take_host(struct client *client, const char *host)
{
    size_t length = strlen(host);

    if (length > 0 && host[length - 1] == '.')
        length--;
    if (length == 0 || length > HOST_MAX)
        return false;
    for (size_t i = 0; i < length; i++)
        client->host[i] = (char)(host[i] >= 'A' && host[i] <= 'Z' ? host[i] + 32 : host[i]);
    client->config.host = client->config.session.host = client->host;
    return true;
}

int client_new(struct client **out, const struct client_config *config, int fd,
               const struct client_callbacks *callbacks, void *user, int64_t now_ms,
               struct fault *fault)
{
    struct client *client = calloc(1, sizeof *client);

    if (!client) {
        close(fd);
        return fault_set(fault, FAULT_LOCAL, "out of memory");
    }
    client->config = *config;
    client->callbacks = callbacks;
    client->user = user;
    client->fd = fd;
    client->now_ms = now_ms;
    if (!take_host(client, config->host))
        fault_set(fault, FAULT_CONFIGURATION, "the console's host is empty or too long");
    if (fault->reason != FAULT_NONE ||
        tls_new(&client->tls, config->tls, fd, client->host, fault) != 0) {
        client_free(client);
        return fault->reason;
    }
    enter(client, config->proxied ? PHASE_PROXY : PHASE_TLS);
    *out = client;
    return 0;
}

struct client *client_free(struct client *client)
{
    if (client) {
        if (client->phase == PHASE_SESSION)
            tls_shut(client->tls);
        session_free(client->session);
        websocket_free(client->websocket);
        tls_free(client->tls);
        close(client->fd);
        free(client);
    }
    return NULL;
}

int client_fd(const struct client *client)
{
    return client->fd;
}

short client_events(const struct client *client)
{
    bool in = true;
    bool out = client->request_sent < client->request_length;

    if (client->phase == PHASE_TLS) {
        in = !client->tls_wants_write;
        out = client->tls_wants_write;
    } else if (client->phase == PHASE_SESSION) {
        in = websocket_wants_read(client->websocket);
        out = websocket_wants_write(client->websocket);
        if (out && tls_write_wants_read(client->tls)) {
            in = true;
            out = false;
        }
        out = out || (in && tls_read_wants_write(client->tls));
    }
    return (short)((in ? POLLIN : 0) | (out ? POLLOUT : 0));
}

int64_t client_deadline_ms(const struct client *client)
{
    int64_t socket_ms, session_ms;

    if (client->phase != PHASE_SESSION)
        return client->phase_deadline_ms;
    if (tls_pending(client->tls) && websocket_wants_read(client->websocket))
        return client->now_ms;
    socket_ms = websocket_deadline_ms(client->websocket);
    session_ms = client->session_fault.reason ? INT64_MAX : session_deadline_ms(client->session);
    return socket_ms < session_ms ? socket_ms : session_ms;
}

void client_close(struct client *client)
{
    if (client->phase == PHASE_SESSION)
        websocket_close(client->websocket, 1000, "");
}

struct session *client_session(struct client *client)
{
    return client->session;
}

const char *client_describe(struct client *client)
{
    return client->phase >= PHASE_UPGRADE ? tls_describe(client->tls) : "";
}
