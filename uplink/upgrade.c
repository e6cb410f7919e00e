#include "upgrade.h"

#include <errno.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "encoding.h"

#define SHA1_SIZE 20

int upgrade_authority(char *out, size_t capacity, const char *host, uint16_t port)
{
    const char *format = strchr(host, ':') ? "[%s]:%u" : "%s:%u";
    int length;

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    length = snprintf(out, capacity, format, host, (unsigned)port);
#pragma GCC diagnostic pop
    return length < 0 || (size_t)length >= capacity ? -ENAMETOOLONG : 0;
}

int upgrade_connect_request(char *out, const char *host, uint16_t port)
{
    char authority[300];
    int length = upgrade_authority(authority, sizeof authority, host, port);

    if (length < 0)
        return length;
    length = snprintf(out, UPGRADE_REQUEST_MAX, "CONNECT %s HTTP/1.1\r\nHost: %s\r\n\r\n",
                      authority, authority);
    return length < 0 || length >= UPGRADE_REQUEST_MAX ? -ENAMETOOLONG : length;
}

bool upgrade_connect_check(const struct http_head *head, size_t surplus, struct fault *fault)
{
    if (head->status == 407) {
        fault_set(fault, FAULT_PROXY_STATUS, "the proxy asks for a password (407 %.60s)",
                  head->reason);
    } else if (head->status < 200 || head->status > 299) {
        fault_set(fault, FAULT_PROXY_STATUS, "the proxy said %d %.60s", head->status, head->reason);
    } else if (surplus > 0) {
        fault_set(fault, FAULT_PROXY_PROTOCOL,
                  "the proxy said %d and then spoke before the console could", head->status);
    }
    return fault->reason == FAULT_NONE;
}

int upgrade_derive(struct upgrade *upgrade)
{
    char text[sizeof upgrade->key + 36];
    uint8_t digest[SHA1_SIZE];
    unsigned size = 0;

    snprintf(text, sizeof text, "%s258EAFA5-E914-47DA-95CA-C5AB0DC85B11", upgrade->key);
    if (!EVP_Digest(text, strlen(text), digest, &size, EVP_sha1(), NULL) || size != SHA1_SIZE)
        return -EIO;
    encoding_base64(upgrade->accept, digest, SHA1_SIZE);
    return 0;
}

int upgrade_request(struct upgrade *upgrade, char *out, const char *host, uint16_t port,
                    const char *path)
{
    char authority[300];
    uint8_t nonce[16];
    int length = upgrade_authority(authority, sizeof authority, host, port);

    if (length < 0)
        return length;
    if (RAND_bytes(nonce, sizeof nonce) != 1)
        return -EIO;
    encoding_base64(upgrade->key, nonce, sizeof nonce);
    if (upgrade_derive(upgrade) < 0)
        return -EIO;
    length = snprintf(out, UPGRADE_REQUEST_MAX,
                      "GET %s HTTP/1.1\r\n"
                      "Host: %s\r\n"
                      "Upgrade: websocket\r\n"
                      "Connection: Upgrade\r\n"
                      "Sec-WebSocket-Key: %s\r\n"
                      "Sec-WebSocket-Version: 13\r\n"
                      "Sec-WebSocket-Protocol: " UPGRADE_SUBPROTOCOL "\r\n\r\n",
                      path, authority, upgrade->key);
    return length < 0 || length >= UPGRADE_REQUEST_MAX ? -ENAMETOOLONG : length;
}

/* Whether the field is there exactly once and says exactly `expected`. */
static bool says(const struct http_head *head, const char *name, const char *expected)
{
    size_t count;
    const char *value = http_head_field(head, name, &count);

    return count == 1 && strcmp(value, expected) == 0;
}

static bool is_websocket(const struct http_head *head, struct fault *fault)
{
    if (head->minor_version != 1 || !http_head_lists(head, "Upgrade", "websocket") ||
        !http_head_lists(head, "Connection", "upgrade"))
        fault_set(fault, FAULT_NOT_WEBSOCKET, "101 without an upgrade to WebSocket");
    else if (http_head_field(head, "Sec-WebSocket-Extensions", NULL))
        fault_set(fault, FAULT_NOT_WEBSOCKET, "an extension that was not offered: %.80s",
                  http_head_field(head, "Sec-WebSocket-Extensions", NULL));
    else if (http_head_field(head, "Content-Length", NULL) ||
             http_head_field(head, "Transfer-Encoding", NULL))
        fault_set(fault, FAULT_NOT_WEBSOCKET, "101 with a body");
    return fault->reason == FAULT_NONE;
}

bool upgrade_check(const struct upgrade *upgrade, const struct http_head *head, struct fault *fault)
{
    if (head->status != 101) {
        fault_set(fault, FAULT_HTTP_STATUS, "the console said %d %.60s", head->status,
                  head->reason);
        return false;
    }
    if (!is_websocket(head, fault))
        return false;
    if (!says(head, "Sec-WebSocket-Accept", upgrade->accept)) {
        fault_set(fault, FAULT_NOT_WEBSOCKET, "Sec-WebSocket-Accept does not answer our key");
        return false;
    }
    if (!says(head, "Sec-WebSocket-Protocol", UPGRADE_SUBPROTOCOL)) {
        fault_set(fault, FAULT_NO_SUBPROTOCOL,
                  "a WebSocket server, but not one that speaks " UPGRADE_SUBPROTOCOL);
        return false;
    }
    return true;
}
