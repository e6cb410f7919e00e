/*
 * The console's server: TLS and WebSocket by libwebsockets, one thread, one event loop. Moves
 * messages between connections and their sessions (session.h).
 */
#ifndef CONSOLE_SERVE_H
#define CONSOLE_SERVE_H

#include "config.h"

/*
 * Serves until SIGTERM or SIGINT. Takes the state folder for itself: a second server on it is
 * refused. Says "listening on ADDRESS:PORT" in the log once it does. Returns an exit status of
 * exit_status.h.
 */
int serve(const struct config *config);

#endif
