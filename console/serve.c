#include "serve.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <libwebsockets.h>
#include <openssl/ssl.h>

#include "certificate.h"
#include "clocks.h"
#include "exit_status.h"
#include "handshakes.h"
#include "housekeeping.h"
#include "log.h"
#include "output_file.h"
#include "peer.h"
#include "state_folder.h"
#include "store.h"
#include "wake.h"

#define TICK_MS         250
#define EXPIRE_MS       600000
#define SHUTDOWN_MS     3000
#define HANDSHAKE_S     10
#define STRANGERS_MAX   32 /* connections of one address by machines that are not enrolled */
#define ENROLL_BURST    10 /* refused tokens of one address, and one more each */
#define ENROLL_DRAIN_MS 6000

struct server {
    const struct config *config;
    struct state_folder folder;
    struct upload_env uploads;
    struct session_command_env commands;
    struct session_env env;
    struct rate enroll_rate;
    struct lws_context *context;
    lws_sorted_usec_list_t timer;
    struct handshakes handshakes;
    struct peer *peers;
    uint32_t version; /* of the database, as last seen */
    uint64_t expire_at_ms, stop_at_ms;
};

static volatile sig_atomic_t stop_requested;
static struct lws_context *signal_context;

static void on_signal(int number)
{
    (void)number;
    stop_requested = 1;
    if (signal_context)
        lws_cancel_service(signal_context);
}

static struct server *server_of(struct lws *wsi)
{
    return lws_context_user(lws_get_context(wsi));
}

/* A machine has one session: the newest. */
static void end_older(void *context, const void *session, const uint8_t id[32])
{
    struct server *server = context;
    uint8_t other[32];
    for (struct peer *p = server->peers; p; p = p->next) {
        if (p->session != session && session_machine(p->session, other) &&
            memcmp(other, id, sizeof(other)) == 0) {
            session_close(p->session, SESSION_CLOSE_REPLACED, "replaced");
            peer_settle(p, clocks_mono_ms());
        }
    }
}

/*
 * Strangers never take more than half of the connections, nor more than a few from one address. The
 * oldest goes: a machine that belongs here is no stranger for longer than one round trip, so it
 * gets past those who only hold on.
 */
static void limit_strangers(const struct server *server, const struct peer *newcomer)
{
    unsigned here = 0, everywhere = 0;
    struct peer *oldest_here = NULL, *oldest = NULL;
    for (struct peer *p = server->peers; p; p = p->next) {
        const char *reason;
        if (!session_stranger(p->session) || session_closing(p->session, &reason))
            continue;
        oldest = p;
        everywhere++;
        if (strcmp(p->network, newcomer->network) == 0) {
            oldest_here = p;
            here++;
        }
    }
    struct peer *victim = here > STRANGERS_MAX ? oldest_here : NULL;
    if (!victim && everywhere > server->config->connections / 2 + 1)
        victim = oldest;
    if (victim) {
        session_close(victim->session, SESSION_CLOSE_RATE, "rate_limited");
        peer_settle(victim, clocks_mono_ms());
    }
}

static int on_established(struct server *server, struct lws *wsi, struct peer *p)
{
    handshakes_end(wsi);
    if (peer_open(p, wsi, &server->env) != 0)
        return -1;
    p->next = server->peers;
    p->back = &server->peers;
    if (p->next)
        p->next->back = &p->next;
    server->peers = p;
    limit_strangers(server, p);
    if (server->stop_at_ms)
        session_close(p->session, SESSION_CLOSE_GOING_AWAY, "shutdown");
    peer_settle(p, clocks_mono_ms());
    return 0;
}

static void on_closed(struct peer *p)
{
    if (!p->session)
        return;
    *p->back = p->next;
    if (p->next)
        p->next->back = p->back;
    peer_close(p);
}

/* libwebsockets' own refusals are HTTP/1.0 at this point, which strict clients do not take. */
static int refuse_request(struct lws *wsi, const char *status)
{
    unsigned char answer[LWS_PRE + 128];
    int n = snprintf((char *)answer + LWS_PRE, sizeof(answer) - LWS_PRE,
                     "HTTP/1.1 %s\r\nConnection: close\r\nContent-Length: 0\r\n\r\n", status);
    lws_write(wsi, answer + LWS_PRE, (size_t)n, LWS_WRITE_HTTP_HEADERS);
    return -1;
}

/* What is asked for must be what docs/wire.md says; anything else gets an HTTP answer. */
static int check_request(struct lws *wsi)
{
    char path[16];
    int n = lws_hdr_copy(wsi, path, sizeof(path), WSI_TOKEN_GET_URI);
    if (n < 0 || strcmp(path, "/agent") != 0)
        return refuse_request(wsi, "404 Not Found");
    if (lws_hdr_total_length(wsi, WSI_TOKEN_ORIGIN) > 0)
        return refuse_request(wsi, "403 Forbidden");
    return 0;
}

static int agent_callback(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in,
                          size_t length)
{
    struct peer *p = user;
    switch (reason) {
    case LWS_CALLBACK_FILTER_PROTOCOL_CONNECTION:
        return check_request(wsi);
    case LWS_CALLBACK_ESTABLISHED:
        return on_established(server_of(wsi), wsi, p);
    case LWS_CALLBACK_RECEIVE:
        peer_receive(p, in, length);
        return 0;
    case LWS_CALLBACK_SERVER_WRITEABLE:
        return peer_write(p);
    case LWS_CALLBACK_CLOSED:
        on_closed(p);
        return 0;
    default:
        return 0;
    }
}

static int configure_tls(const struct server *server, SSL_CTX *tls)
{
    SSL_CTX_set_session_cache_mode(tls, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_options(tls, SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
    SSL_CTX_set_num_tickets(tls, 0);
    SSL_CTX_set_max_early_data(tls, 0);
    int lowest = server->config->tls12 ? TLS1_2_VERSION : TLS1_3_VERSION;
    return SSL_CTX_set_min_proto_version(tls, lowest) == 1 ? 0 : -1;
}

static void on_accepted(struct server *server, struct lws *wsi)
{
    char address[RATE_ADDRESS_MAX];
    peer_address(wsi, address);
    handshakes_begin(&server->handshakes, wsi, address, clocks_mono_ms());
}

/* What is no WebSocket of ours yet. Requests without our subprotocol end up here: a WebSocket
 * without it, or plain HTTP. */
static int http_callback(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in,
                         size_t length)
{
    (void)in;
    (void)length;
    switch (reason) {
    case LWS_CALLBACK_SERVER_NEW_CLIENT_INSTANTIATED:
        on_accepted(server_of(wsi), wsi);
        return 0;
    case LWS_CALLBACK_WSI_DESTROY:
        handshakes_end(wsi);
        return 0;
    case LWS_CALLBACK_OPENSSL_LOAD_EXTRA_SERVER_VERIFY_CERTS:
        return configure_tls(server_of(wsi), user);
    case LWS_CALLBACK_FILTER_PROTOCOL_CONNECTION:
        return refuse_request(wsi, "400 Bad Request");
    case LWS_CALLBACK_HTTP:
        return refuse_request(wsi, "404 Not Found");
    default:
        return 0;
    }
}

static void refresh_all(struct server *server, uint64_t mono_ms)
{
    uint32_t version = store_version(server->uploads.store);
    if (version == server->version)
        return;
    server->version = version;
    for (struct peer *p = server->peers; p; p = p->next) {
        session_refresh(p->session);
        peer_settle(p, mono_ms);
    }
}

/* An administrator's command changed something. */
static int wake_callback(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in,
                         size_t length)
{
    (void)user;
    (void)in;
    (void)length;
    if (reason == LWS_CALLBACK_RAW_RX_FILE) {
        wake_drain(lws_get_socket_fd(wsi));
        refresh_all(server_of(wsi), clocks_mono_ms());
    }
    return 0;
}

static const struct lws_protocols protocols[] = {
    {.name = "http-only", .callback = http_callback},
    {.name = "cloister.v1",
     .callback = agent_callback,
     .per_session_data_size = sizeof(struct peer),
     .rx_buffer_size = 65536},
    {.name = "wake", .callback = wake_callback},
    {.name = NULL},
};

static void keep_house(struct server *server, uint64_t mono_ms)
{
    if (mono_ms < server->expire_at_ms)
        return;
    server->expire_at_ms = mono_ms + EXPIRE_MS;
    housekeeping(server->config, &server->uploads, server->commands.folder);
}

static void begin_stop(struct server *server, uint64_t mono_ms)
{
    log_notice("stopping");
    server->stop_at_ms = mono_ms + SHUTDOWN_MS;
    for (struct peer *p = server->peers; p; p = p->next) {
        session_close(p->session, SESSION_CLOSE_GOING_AWAY, "shutdown");
        peer_settle(p, mono_ms);
    }
}

static void on_timer(lws_sorted_usec_list_t *timer)
{
    struct server *server = lws_container_of(timer, struct server, timer);
    uint64_t mono_ms = clocks_mono_ms();
    refresh_all(server, mono_ms);
    for (struct peer *p = server->peers, *next; p; p = next) {
        next = p->next;
        peer_tick(p, mono_ms);
    }
    handshakes_tick(&server->handshakes, mono_ms);
    keep_house(server, mono_ms);
    lws_sul_schedule(server->context, 0, &server->timer, on_timer, TICK_MS * LWS_US_PER_MS);
}

static void on_lws_log(int level, const char *line)
{
    size_t length = strcspn(line, "\n");
    log_line(level & LLL_ERR ? LOG_ERR : LOG_WARNING, "libwebsockets: %.*s", (int)length, line);
}

static void fill_info(struct lws_context_creation_info *info, struct server *server,
                      const char *certificate, const char *key)
{
    memset(info, 0, sizeof(*info));
    info->port = server->config->port;
    info->iface = server->config->address[0] ? server->config->address : NULL;
    info->protocols = protocols;
    info->alpn = "http/1.1";
    info->ssl_cert_filepath = certificate;
    info->ssl_private_key_filepath = key;
    info->timeout_secs = HANDSHAKE_S;
    info->keepalive_timeout = HANDSHAKE_S;
    info->fd_limit_per_thread = server->config->connections + 16;
    info->gid = (gid_t)-1;
    info->uid = (uid_t)-1;
    info->user = server;
    info->server_string = "cloister-console";
    info->options = LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT | LWS_SERVER_OPTION_VALIDATE_UTF8 |
                    LWS_SERVER_OPTION_FAIL_UPON_UNABLE_TO_BIND;
    if (strchr(server->config->address, '.'))
        info->options |= LWS_SERVER_OPTION_DISABLE_IPV6;
}

static int listen_to_commands(struct server *server, struct lws_vhost *vhost)
{
    lws_sock_file_fd_type fd = {.filefd = wake_listen(server->folder.fd)};
    if (fd.filefd < 0)
        return fd.filefd;
    /* From here on the descriptor is libwebsockets'. */
    if (lws_adopt_descriptor_vhost(vhost, LWS_ADOPT_RAW_FILE_DESC, fd, "wake", NULL))
        return 0;
    return -EIO;
}

static int start_listening(struct server *server)
{
    char certificate[PATH_MAX + 16], key[PATH_MAX + 16];
    const struct config *c = server->config;
    struct lws_context_creation_info info;
    lws_set_log_level(LLL_ERR | LLL_WARN, on_lws_log);
    if (c->certificate[0]) {
        snprintf(certificate, sizeof(certificate), "%s", c->certificate);
        snprintf(key, sizeof(key), "%s", c->key);
    } else {
        int result = certificate_ensure(c->state, c->hosts, c->host_count);
        if (result)
            return result;
        snprintf(certificate, sizeof(certificate), "%s/server.pem", c->state);
        snprintf(key, sizeof(key), "%s/server.key", c->state);
    }
    fill_info(&info, server, certificate, key);
    server->context = lws_create_context(&info);
    if (!server->context) {
        log_error("cannot listen on %s:%d", c->address, c->port);
        return -EADDRINUSE;
    }
    signal_context = server->context;
    struct lws_vhost *vhost = lws_get_vhost_by_name(server->context, "default");
    bool v6 = strchr(c->address, ':') != NULL;
    log_notice("listening on %s%s%s:%d", v6 ? "[" : "", c->address[0] ? c->address : "*",
               v6 ? "]" : "", vhost ? lws_get_vhost_listen_port(vhost) : c->port);
    return vhost ? listen_to_commands(server, vhost) : -EIO;
}

static int prepare(struct server *server)
{
    const struct config *c = server->config;
    int result = state_folder_take(&server->folder, c->state);
    if (!result)
        result = store_open(&server->uploads.store, c->state, true);
    if (!result)
        result = bundle_folders_open(&server->uploads.folders, server->folder.fd, true);
    if (!result)
        result = server->commands.folder = output_folder_open(server->folder.fd, true);
    if (result >= 0)
        result = machines_all_gone(server->uploads.store);
    if (result)
        return result;
    server->commands.output_bytes = c->command_output_bytes;
    server->commands.quota_bytes = c->commands_quota_bytes;
    server->uploads.max_bundle_bytes = c->max_bundle_bytes;
    server->uploads.quota_bytes = c->quota_bytes;
    rate_init(&server->enroll_rate, ENROLL_BURST, ENROLL_DRAIN_MS);
    server->handshakes.connections = c->connections;
    server->env = (struct session_env){
        .uploads = &server->uploads,
        .console_name = c->title[0] ? c->title : c->hosts[0],
        .hosts = c->hosts,
        .host_count = c->host_count,
        .heartbeat_ms = c->heartbeat_ms,
        .enroll_rate = &server->enroll_rate,
        .authenticated = end_older,
        .context = server,
        .commands = &server->commands,
    };
    return start_listening(server);
}

static void loop(struct server *server)
{
    struct sigaction action = {.sa_handler = on_signal};
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); /* a file that may not grow is an error like a full disk */
    server->version = store_version(server->uploads.store);
    lws_sul_schedule(server->context, 0, &server->timer, on_timer, 1);
    while (lws_service(server->context, 0) >= 0) {
        uint64_t mono_ms = clocks_mono_ms();
        if (stop_requested && !server->stop_at_ms)
            begin_stop(server, mono_ms);
        if (server->stop_at_ms && (!server->peers || mono_ms > server->stop_at_ms))
            return;
    }
}

int serve(const struct config *config)
{
    struct server server = {
        .config = config,
        .folder = {-1, -1},
        .uploads.folders = {-1, -1},
        .commands.folder = -1,
    };
    int result = prepare(&server);
    if (result)
        log_error("%s: cannot serve: %s", config->state, strerror(-result));
    else
        loop(&server);
    signal_context = NULL;
    if (server.context)
        lws_context_destroy(server.context);
    store_close(server.uploads.store);
    bundle_folders_close(&server.uploads.folders);
    if (server.commands.folder >= 0)
        close(server.commands.folder);
    state_folder_leave(&server.folder);
    return result ? EXIT_FAILED : EXIT_DONE;
}
