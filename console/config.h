/*
 * The console's settings: defaults, an INI file, the command line. Every wrong line is reported
 * with file, line, and what is allowed.
 *
 * To be used from one thread.
 */
#ifndef CONSOLE_CONFIG_H
#define CONSOLE_CONFIG_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CONFIG_HOSTS_MAX     16
#define CONFIG_STATE_DEFAULT "/var/lib/cloister-console"

struct config {
    char state[PATH_MAX];
    char address[64]; /* to listen on: an IP address, "" for all */
    int port;         /* 0: any free one */
    char host_text[CONFIG_HOSTS_MAX][254];
    const char *hosts[CONFIG_HOSTS_MAX]; /* point into host_text */
    size_t host_count;
    char title[129]; /* the console's name for people; "" for the first host */
    char certificate[PATH_MAX], key[PATH_MAX]; /* PEM; "": the console's own */
    bool tls12;
    uint64_t max_bundle_bytes, quota_bytes;
    uint64_t command_output_bytes; /* kept of one command */
    uint64_t commands_quota_bytes; /* kept of all commands of one machine */
    uint32_t incomplete_days, commands_days, heartbeat_ms, connections;
};

void config_default(struct config *c);

/* Reads `file` over what `c` holds. True, or false after reporting every wrong line to stderr. */
bool config_read(struct config *c, const char *file);

/* Sets address and port from "ADDR:PORT" or "[ADDR]:PORT"; false if it is not that. */
bool config_set_listen(struct config *c, const char *text);

/* Adds one host name or IP address, folded to lower case; false if it is none or there are
 * CONFIG_HOSTS_MAX. */
bool config_add_host(struct config *c, const char *text, size_t length);

/* Adds a list separated by commas or blanks. */
bool config_add_hosts(struct config *c, const char *text);

#endif
