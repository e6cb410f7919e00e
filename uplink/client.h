/*
 * One connection from its connected descriptor to its end: the proxy's answer, TLS, the WebSocket
 * upgrade, and then the session. Everything here runs behind the lock: read, write, memory.
 *
 * Non-blocking: the caller polls client_fd for client_events until client_deadline_ms and calls
 * client_service. Times are monotonic milliseconds. One thread at a time.
 */
#ifndef CLOISTER_UPLINK_CLIENT_H
#define CLOISTER_UPLINK_CLIENT_H

#include <stdbool.h>
#include <stdint.h>

#include "fault.h"
#include "session.h"
#include "tls.h"

#define CLIENT_PHASE_MS 20000 /* for each of: proxy, TLS, upgrade */

struct client;

/* All pointers must outlive the client. */
struct client_config {
    const char *host; /* of the console, as configured; an address without brackets */
    uint16_t port;
    const char *path; /* "/agent" */
    bool proxied;     /* `fd` leads to an HTTP proxy */
    struct tls_context *tls;
    struct session_config session; /* its host is filled in from `host` */
};

struct client_callbacks {
    /*
     * The console is authentic and has sent its challenge: have both signed by the vault and call
     * session_signed. `binding` has TLS_BINDING_SIZE bytes.
     */
    void (*sign)(void *user, const uint8_t *challenge, const uint8_t *binding);
    /* As the members of the same names in struct session_callbacks and upload_callbacks. */
    void (*state)(void *user, enum wire_state state, const struct wire_message *welcome);
    void (*enrolled)(void *user, bool accepted, const char *detail);
    void (*news)(void *user, const struct upload_news *news);
};

/*
 * Takes over the connected non-blocking `fd`, also on failure. Sends and reads nothing yet. Returns
 * 0, or the fault_reason with `fault` set.
 */
int client_new(struct client **out, const struct client_config *config, int fd,
               const struct client_callbacks *callbacks, void *user, int64_t now_ms,
               struct fault *fault);

/* Closes the descriptor. */
struct client *client_free(struct client *client);

/*
 * Goes on as far as is possible without waiting. Returns true while the connection stands, false
 * when it has ended, with `fault` set (FAULT_NONE after client_close).
 */
bool client_service(struct client *client, int64_t now_ms, struct fault *fault);

/* What to wait for: the descriptor, POLLIN and POLLOUT, and the latest time for client_service. */
int client_fd(const struct client *client);
short client_events(const struct client *client);
int64_t client_deadline_ms(const struct client *client);

/* Ends the session in order, with a close frame; client_service says when it is over. */
void client_close(struct client *client);

/* The session, or NULL as long as there is none. */
struct session *client_session(struct client *client);

/* "TLSv1.3 ..." once TLS stands, "" before. */
const char *client_describe(struct client *client);

#endif
