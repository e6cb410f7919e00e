/*
 * What the broker, and through it the workers, learn of the configuration and of the host.
 *
 * cloisterd fills this structure from the root-owned configuration file, the hardware and the
 * session, and hands it to cloister-broker in a sealed memfd (MONITOR_FD_CONFIG), so that nothing
 * but the monitor parses configuration. Fixed size, fixed-width members, every string terminated
 * and padded with NUL; everything has been validated. The broker maps it read-only and passes on
 * to each worker, in typed messages, only what that worker needs.
 */
#ifndef CLOISTER_AGENT_CONFIG_H
#define CLOISTER_AGENT_CONFIG_H

#include <stdint.h>

#define AGENT_CONFIG_MAGIC 0x32474643u /* "CFG2"; rises with every change of this layout */

#define AGENT_RECIPIENTS_MAX 8
#define AGENT_DENY_MAX       32
#define AGENT_GROUPS_MAX     16
#define AGENT_ALLOW_MAX      64
#define AGENT_KINDS_MAX      32
#define AGENT_UID_NONE       UINT32_MAX

/* Bits of agent_capture.triggers. */
#define AGENT_TRIGGER_BUTTON(n)   (UINT64_C(1) << ((n)-1))   /* mouse button 1 to 9 */
#define AGENT_TRIGGER_RETURN      (UINT64_C(1) << 9)         /* Return and keypad Enter */
#define AGENT_TRIGGER_FUNCTION(n) (UINT64_C(1) << (9 + (n))) /* F1 to F24 */

enum agent_tls { AGENT_TLS_1_2 = 0x0303, AGENT_TLS_1_3 = 0x0304 }; /* RFC 8446 4.2.1 */

struct agent_session {
    uint32_t type;   /* enum monitor_session */
    uint32_t active; /* 1: in front and not locked */
    uint32_t uid;    /* owner, AGENT_UID_NONE if there is no session */
    uint32_t gid;
    char user[32];
    char display[16]; /* ":0" */
};

struct agent_capture {
    uint64_t triggers;   /* AGENT_TRIGGER_* */
    uint64_t max_age_ms; /* bounds of the ring */
    uint64_t max_bytes;
    uint32_t max_frames;
    uint32_t cpu_percent; /* of one core, 1 to 100 */
    uint32_t screenshots; /* 1: on; 0: capture is never started */
    uint32_t deny_count;
    char deny[AGENT_DENY_MAX]
             [64]; /* WM_CLASS patterns, '*' and '?' as in fnmatch(3), case ignored */
};

struct agent_console {
    char host[256];       /* empty: no console, no uplink. A DNS name or an IP address */
    char path[128];       /* of the WebSocket, "/agent" */
    char ca[256];         /* absolute file name of a PEM bundle; empty: the system's store */
    char proxy_host[256]; /* HTTP CONNECT proxy; empty: none */
    uint16_t port;
    uint16_t proxy_port;
    uint16_t tls_minimum; /* enum agent_tls */
    uint16_t has_pin;
    uint8_t pin[32]; /* SHA-256 of the certificate's SubjectPublicKeyInfo (as in RFC 7469), if
                        has_pin */
};

struct agent_ticket {
    uint64_t max_bundle; /* bytes */
    uint32_t auto_consent;
    uint32_t per_uid_connections;
    uint32_t gid; /* of the group cloister-ticket, AGENT_UID_NONE if the host has none */
    uint32_t recipient_count;
    char recipients[AGENT_RECIPIENTS_MAX]
                   [64]; /* age X25519 recipients "age1...", checked for form */
};

/* The local policy for signed commands (docs/commands.md), which no signature overrides. */
struct agent_commands {
    uint32_t profile;     /* enum monitor_profile: the highest; NONE: commands are switched off */
    uint32_t group_count; /* of the machine: what a command's audience may name beside its id */
    uint32_t allow_count; /* 0: any command hash may run */
    uint32_t zero;
    char groups[AGENT_GROUPS_MAX][48];
    uint8_t allow[AGENT_ALLOW_MAX][32]; /* command hashes (order/order.h) */
};

/* What could be said of one serial number. Only two `present` values that differ are a change. */
enum agent_id_state {
    AGENT_ID_ABSENT = 0,     /* this host has no such thing (a virtual disk, no DMI table) */
    AGENT_ID_UNREADABLE = 1, /* there is one and it could not be read this time */
    AGENT_ID_PRESENT = 2,
};

struct agent_id {
    uint32_t state;  /* enum agent_id_state */
    uint32_t length; /* of value, without the NUL */
    char value[128]; /* as the kernel gives it without surrounding blanks: hostile firmware writes
                        here */
};

struct agent_hardware {
    struct agent_id disk;  /* of the disk that holds the root file system */
    struct agent_id board; /* the mainboard */
};

/* One kind of worker, and the account of its first instance. Further instances have accounts of
 * their own; MONITOR_STARTED says which. */
struct agent_kind {
    char name[16];
    uint32_t uid; /* AGENT_UID_NONE if the account is missing: the kind cannot be started */
    uint32_t gid;
    uint32_t instances; /* most at one time */
    uint32_t zero;
};

struct agent_config {
    uint32_t magic;       /* AGENT_CONFIG_MAGIC */
    uint32_t size;        /* sizeof(struct agent_config) */
    char state_dir[128];  /* /var/lib/cloister; a worker's own folder is <state_dir>/<kind> */
    char runtime_dir[64]; /* /run/cloister; short, because socket paths below it have 108 bytes */
    uint32_t log_syslog;  /* 1: to /dev/log as well */
    uint32_t log_level; /* highest syslog priority that is written: LOG_ERR (3) to LOG_DEBUG (7) */
    uint32_t kind_count;
    uint32_t zero;
    struct agent_kind kinds[AGENT_KINDS_MAX];
    struct agent_session session;
    struct agent_hardware hardware;
    struct agent_capture capture;
    struct agent_console console;
    struct agent_ticket ticket;
    struct agent_commands commands;
};

#endif
