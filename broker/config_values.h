/*
 * The values that a configuration line can have. Each function checks `text` as a whole, writes to
 * `out` and returns 0, or returns -1 and leaves `out` unspecified. Pure; any thread.
 */
#ifndef CLOISTER_CONFIG_VALUES_H
#define CLOISTER_CONFIG_VALUES_H

#include <stddef.h>
#include <stdint.h>

#include "agent_config.h"

/* Decimal digits only, from `low` to `high`. */
int value_number(uint64_t *out, const char *text, uint64_t low, uint64_t high);
/* A number with one unit: ms-valued s, m, h. */
int value_duration_ms(uint64_t *out, const char *text, uint64_t low, uint64_t high);
/* A number with one unit: bytes in K, M, G (powers of 1024). */
int value_size(uint64_t *out, const char *text, uint64_t low, uint64_t high);
/* "button1,return,f1-f12": AGENT_TRIGGER_* bits, at least one. */
int value_triggers(uint64_t *out, const char *text);
/* Comma-separated WM_CLASS patterns into out->deny. */
int value_deny(struct agent_capture *out, const char *text);
/* Comma-separated age recipients, no two alike. */
int value_recipients(struct agent_ticket *out, const char *text);
/* An age X25519 recipient: Bech32 (BIP 173) with prefix "age", 32 bytes, right checksum. */
int value_recipient(const char *text, size_t length);
/* Comma-separated SHA-256 sums in hexadecimal, added to out->allow; one that is there already is
 * not added again. */
int value_allow(struct agent_commands *out, const char *text);
/* Comma-separated names of groups of machines, no two alike. */
int value_groups(struct agent_commands *out, const char *text);
/* A DNS name (RFC 1123), an IPv4 or an IPv6 address of at most 253 bytes into out[256]. */
int value_host(char *out, const char *text, size_t length);
/* "http://host:port", IPv6 addresses in brackets. */
int value_proxy(struct agent_console *out, const char *text);
/* SHA-256 in base64 (RFC 4648 section 4, 44 characters), optionally after "sha256//". */
int value_pin(uint8_t out[32], const char *text);
/* An absolute path without "." or ".." or empty parts, shorter than `capacity`. */
int value_path(char *out, size_t capacity, const char *text);
/* ":N" or ":N.S", an X display of this machine. */
int value_display(char out[16], const char *text);
/* An account's name (sysusers.d(5) form) or number. */
int value_user(char out[32], const char *text);
/* The path of an HTTP request: "/" and then RFC 3986 path characters. */
int value_url_path(char out[128], const char *text);

#endif
