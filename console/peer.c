#include "peer.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/ssl.h>

#include "clocks.h"
#include "log.h"
#include "frame.h"
#include "message.h"

/* RFC 9266: the binding of a channel exists only where the handshake makes it unique. */
static int read_exporter(struct lws *wsi, uint8_t out[PROOF_EXPORTER_BYTES])
{
    SSL *ssl = lws_get_ssl(wsi);
    if (!ssl)
        return -ENOTCONN;
    if (SSL_version(ssl) < TLS1_3_VERSION && SSL_get_extms_support(ssl) != 1)
        return -EPROTO;
    return SSL_export_keying_material(ssl, out, PROOF_EXPORTER_BYTES, PROOF_EXPORTER_LABEL,
                                      sizeof(PROOF_EXPORTER_LABEL) - 1, (const uint8_t *)"", 0,
                                      1) == 1
               ? 0
               : -EPROTO;
}

void peer_address(struct lws *wsi, char out[RATE_ADDRESS_MAX])
{
    static const char mapped[] = "::ffff:";
    char text[RATE_ADDRESS_MAX] = "";
    lws_get_peer_simple(wsi, text, sizeof(text));
    bool is_mapped = strncmp(text, mapped, sizeof(mapped) - 1) == 0 && strchr(text, '.');
    snprintf(out, RATE_ADDRESS_MAX, "%s", is_mapped ? text + sizeof(mapped) - 1 : text);
}

int peer_open(struct peer *p, struct lws *wsi, const struct session_env *env)
{
    uint8_t exporter[PROOF_EXPORTER_BYTES];
    p->wsi = wsi;
    peer_address(wsi, p->address);
    rate_network(p->network, p->address);
    int result = read_exporter(wsi, exporter);
    if (result) {
        log_warning("%s: no channel binding", p->address);
        return result;
    }
    return session_new(&p->session, env, p->address, exporter, clocks_mono_ms());
}

void peer_close(struct peer *p)
{
    p->session = session_free(p->session);
    free(p->data);
    p->data = NULL;
}

/* Grows by doubling, so that a peer has to send bytes to make the console hold them. */
static bool reserve(struct peer *p, size_t need, size_t limit)
{
    if (need <= p->capacity)
        return true;
    size_t capacity = p->capacity ? p->capacity : 1024;
    while (capacity < need)
        capacity *= 2;
    if (capacity > limit)
        capacity = limit;
    uint8_t *data = realloc(p->data, capacity);
    if (!data)
        return false;
    p->data = data;
    p->capacity = capacity;
    return true;
}

static void end_message(struct peer *p)
{
    free(p->data);
    p->data = NULL;
    p->length = p->capacity = 0;
}

/* `rest` is what the frame under way announces beyond `length`: too much is refused at once. */
static void append(struct peer *p, const void *data, size_t length, size_t rest, bool binary)
{
    size_t limit = session_limit(p->session, binary);
    if (limit == 0)
        session_close(p->session, SESSION_CLOSE_POLICY, "order");
    else if (p->length > limit || length > limit - p->length || rest > limit - p->length - length)
        session_close(p->session, SESSION_CLOSE_POLICY, "oversize");
    else if (!reserve(p, p->length + length, limit))
        session_close(p->session, SESSION_CLOSE_INTERNAL, "internal");
    else {
        if (length > 0)
            memcpy(p->data + p->length, data, length);
        p->length += length;
    }
}

/* Whether more bytes of the peer wait to be read. */
static bool input_waits(struct peer *p)
{
    SSL *ssl = lws_get_ssl(p->wsi);
    struct pollfd socket = {.fd = lws_get_socket_fd(p->wsi), .events = POLLIN};
    return (ssl && SSL_pending(ssl) > 0) || poll(&socket, 1, 0) > 0;
}

void peer_receive(struct peer *p, const void *data, size_t length)
{
    const char *reason;
    uint64_t mono_ms = clocks_mono_ms();
    bool binary = lws_frame_is_binary(p->wsi) != 0;
    size_t rest = lws_remaining_packet_payload(p->wsi);
    bool whole = lws_is_final_fragment(p->wsi) && rest == 0;
    if (session_closing(p->session, &reason))
        return;
    append(p, data, length, rest, binary);
    session_alive(p->session, !whole, mono_ms);
    if (whole && !session_closing(p->session, &reason)) {
        if (binary)
            session_binary(p->session, p->data, p->length, mono_ms);
        else
            session_text(p->session, (const char *)p->data, p->length, mono_ms);
        end_message(p);
    }
    if (session_closing(p->session, &reason))
        end_message(p);
    /* As much as came at once is made durable at once. */
    if (session_unsynced(p->session) && !input_waits(p))
        session_sync(p->session);
    peer_settle(p, mono_ms);
}

static int write_next(struct peer *p, const char *data)
{
    static unsigned char buffer[LWS_PRE + FRAME_MAX];
    bool binary;
    size_t length = session_next_length(p->session, &binary);
    if (length > FRAME_MAX)
        return -1;
    memcpy(buffer + LWS_PRE, data, length);
    enum lws_write_protocol how = binary ? LWS_WRITE_BINARY : LWS_WRITE_TEXT;
    if (lws_write(p->wsi, buffer + LWS_PRE, length, how) < (int)length)
        return -1;
    session_sent(p->session, clocks_mono_ms());
    return 0;
}

int peer_write(struct peer *p)
{
    const char *reason, *data = session_next(p->session);
    if (p->close_sent)
        return 0;
    if (data && write_next(p, data) != 0)
        return -1;
    int code = session_closing(p->session, &reason);
    if (code && !session_next(p->session)) {
        /* lws sends the close frame and waits for the peer's; asking it for anything more would
         * make it end the connection at once. */
        p->close_sent = true;
        lws_close_reason(p->wsi, (enum lws_close_status)code, (unsigned char *)(uintptr_t)reason,
                         strlen(reason));
        return -1;
    }
    peer_settle(p, clocks_mono_ms());
    return 0;
}

void peer_settle(struct peer *p, uint64_t mono_ms)
{
    const char *reason;
    int code = session_closing(p->session, &reason);
    /* While closing it goes on reading what is under way, to throw it away: closing a socket with
     * unread input resets the connection, and the peer would never see the reason. */
    bool stop = !code && session_congested(p->session);
    if (code && !p->close_since_ms) {
        log_info("%s: closing: %d %s", p->address, code, reason);
        p->close_since_ms = mono_ms;
    }
    if (stop != p->stopped) {
        p->stopped = stop;
        lws_rx_flow_control(p->wsi, !stop);
    }
    if (!p->close_sent && (code || session_next(p->session)))
        lws_callback_on_writable(p->wsi);
}

void peer_tick(struct peer *p, uint64_t mono_ms)
{
    SSL *ssl = lws_get_ssl(p->wsi);
    uint64_t heard = ssl ? BIO_number_read(SSL_get_rbio(ssl)) : 0;
    if (heard != p->bytes_heard) {
        p->bytes_heard = heard;
        session_alive(p->session, p->capacity > 0, mono_ms);
    }
    session_tick(p->session, mono_ms);
    if (p->close_since_ms && mono_ms - p->close_since_ms > PEER_CLOSE_MS)
        lws_set_timeout(p->wsi, PENDING_TIMEOUT_CLOSE_ACK, LWS_TO_KILL_ASYNC);
    else
        peer_settle(p, mono_ms);
}
