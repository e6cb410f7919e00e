/*
 * The two HTTP exchanges of a connection: CONNECT through a proxy (RFC 9110 section 9.3.6) and the
 * WebSocket opening handshake (RFC 6455 section 4), client's side. Only the words are here; who
 * carries them is in client.c.
 *
 * Pure functions but for the random key; any thread.
 */
#ifndef CLOISTER_UPLINK_UPGRADE_H
#define CLOISTER_UPLINK_UPGRADE_H

#include <stdint.h>

#include "fault.h"
#include "http.h"

#define UPGRADE_SUBPROTOCOL "cloister.v1"

/* The longest request that is built here: a host name of 253 bytes, a path of 127, constant text.
 */
#define UPGRADE_REQUEST_MAX 1024

struct upgrade {
    char key[25];    /* Sec-WebSocket-Key: 16 random bytes in base64 */
    char accept[29]; /* what the console has to answer: RFC 6455 section 4.2.2, step 5.4 */
};

/*
 * Writes "host:port" into `out` as an HTTP authority, an IPv6 address in brackets. Returns 0 or
 * -ENAMETOOLONG.
 */
int upgrade_authority(char *out, size_t capacity, const char *host, uint16_t port);

/*
 * Writes the CONNECT request for `host`:`port` into `out` (UPGRADE_REQUEST_MAX bytes) and returns
 * its length, or -ENAMETOOLONG.
 */
int upgrade_connect_request(char *out, const char *host, uint16_t port);

/*
 * Judges the proxy's complete answer; `surplus` is the number of bytes that came behind it. Behind
 * a CONNECT the first to speak is the client, so any is a proxy that makes things up. Returns true,
 * or false with `fault` set.
 */
bool upgrade_connect_check(const struct http_head *head, size_t surplus, struct fault *fault);

/*
 * Makes a new key and writes the upgrade request into `out` (UPGRADE_REQUEST_MAX bytes). Returns
 * its length, -ENAMETOOLONG, or -EIO when there is no randomness.
 */
int upgrade_request(struct upgrade *upgrade, char *out, const char *host, uint16_t port,
                    const char *path);

/*
 * Computes the answer that belongs to upgrade->key. For upgrade_request and for tests with the key
 * of RFC 6455. Returns 0 or -EIO.
 */
int upgrade_derive(struct upgrade *upgrade);

/*
 * Judges the console's complete answer: 101, this handshake, our subprotocol, no extension (none
 * was offered), no body. Returns true, or false with `fault` set.
 */
bool upgrade_check(const struct upgrade *upgrade, const struct http_head *head,
                   struct fault *fault);

#endif
