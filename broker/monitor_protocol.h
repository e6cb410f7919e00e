/*
 * What cloisterd (the monitor, root) and cloister-broker (its unprivileged half) say to each other.
 *
 * One SOCK_SEQPACKET socketpair; the broker holds its end as descriptor MONITOR_FD_SOCKET. Every
 * packet is one struct monitor_message, exactly 64 bytes: both ends are built from one tree and run
 * on one machine, so the members are fixed-width and in the machine's byte order. There is nothing
 * to parse and no length that a sender could choose.
 *
 * The monitor trusts nothing that arrives here. A packet of another size, an unknown op, a slot out
 * of range (a runner's is below MONITOR_COMMAND_SLOT, a command's is not), a member that must be
 * zero and is not, a START into a slot in use, a RELEASE of what was released, or more messages
 * than MONITOR_MESSAGE_RATE allow, and the broker is killed with all its workers and started anew.
 *
 * Life of an instance. The broker picks a free slot and a generation higher than any that it has
 * used in that slot, binds the instance's channel at monitor_channel_path(), and sends START.
 *   START ->  STARTED (the child exists and waits; now the broker knows the pid and uid that it
 *             will accept on the channel) or REFUSED (nothing was started, the slot is free again)
 *   RELEASE ->  the child, which is cloister-launch by now, goes on and becomes the worker
 *   LAUNCH_FAILED: the launcher could not apply the policy; EXITED follows
 *   EXITED: the process is gone and reaped; the slot is free. Sent exactly once for every STARTED.
 * KILL may be sent at any time after START; EXITED follows. A RELEASE or KILL that crosses EXITED
 * on its way is ignored.
 *
 * A signed command is two instances. START of MONITOR_RUNNER_KIND, into a slot below
 * MONITOR_COMMAND_SLOT, names the profile and the command hash: here the local policy is checked,
 * and what it let pass is handed to the runner in a sealed memfd (order/grant.h), which carries out
 * nothing else. Then START of the profile's own kind, without a profile or a hash, into the slot
 * MONITOR_COMMAND_SLOT above its runner's: the command's process, tied to that runner by a
 * socketpair, once. When the runner ends, the monitor kills its command.
 */
#ifndef CLOISTER_MONITOR_PROTOCOL_H
#define CLOISTER_MONITOR_PROTOCOL_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define MONITOR_SLOTS    64u /* instances at one time, all kinds together; slots are 0 to 63 */
#define MONITOR_KIND_MAX 16u /* bytes of a kind's name, its terminating NUL included */

/* The descriptors that the broker is started with, beside 0 (life pipe), 1 (/dev/null), 2 (log). */
#define MONITOR_FD_SOCKET 3 /* the broker's end of the socketpair */
#define MONITOR_FD_CONFIG 4 /* sealed memfd that holds one struct agent_config, agent_config.h */
#define MONITOR_FD_SYSLOG                                                                          \
    5 /* datagram socket connected to /dev/log; absent if the host has none                        \
       */

/* What the monitor allows: per kind a bucket of starts, and a bucket of messages for all. */
#define MONITOR_START_BURST   16u  /* starts of one kind at once */
#define MONITOR_START_RATE    2u   /* and per second afterwards */
#define MONITOR_COMMAND_BURST 128u /* of runners, and of each kind of command */
#define MONITOR_COMMAND_RATE  128u
#define MONITOR_MESSAGE_BURST 1024u
#define MONITOR_MESSAGE_RATE  1024u
#define MONITOR_STOP_MS       3000u /* STOP: time to exit before everything is killed */

#define MONITOR_RUNNER_KIND   "runner"
#define MONITOR_COMMAND_KINDS "cmd-" /* what the kinds of commands' processes begin with */
#define MONITOR_COMMAND_SLOT  32u    /* a command's slot is so far above its runner's */

/* Profiles of signed commands, each allowing more than the one before (ipc.CommandProfile). */
enum monitor_profile {
    MONITOR_PROFILE_NONE = 0,       /* as the local policy's highest: commands are switched off */
    MONITOR_PROFILE_DIAGNOSTIC = 1, /* kind "cmd-diagnostic" */
    MONITOR_PROFILE_USER = 2,       /* kind "cmd-user" */
    MONITOR_PROFILE_ADMIN = 3,      /* kind "cmd-admin" */
};

enum monitor_op {
    /* broker to monitor */
    MONITOR_START = 1,   /* kind, slot, generation; for a runner also profile and digest */
    MONITOR_RELEASE = 2, /* slot, generation */
    MONITOR_KILL = 3,    /* slot, generation */
    MONITOR_READY = 4,   /* the broker serves; the monitor tells its service manager. Once. */
    /* monitor to broker */
    MONITOR_STARTED = 65, /* kind, slot, generation, pid, uid, gid; with SCM_RIGHTS exactly one
                             descriptor: the read end of the instance's log pipe, which the
                             broker owns and which is O_NONBLOCK */
    MONITOR_REFUSED =
        66, /* kind, slot, generation, reason: enum monitor_reason, code: errno or 0 */
    MONITOR_LAUNCH_FAILED =
        67,               /* slot, generation, kind: the launcher's stage (launch.h), code: errno */
    MONITOR_EXITED = 68,  /* slot, generation, pid, code and value: si_code and si_status as
                             waitid(2) gives them */
    MONITOR_SESSION = 69, /* reason: enum monitor_session, uid: its owner (UINT32_MAX if none),
                             value: 1 if active (in front, not locked), 0 if not,
                             kind: its X display (":0"). Sent when any of them changes; the
                             state at start is in agent_config. */
    MONITOR_STOP = 70,    /* shut down; value: milliseconds until the broker is killed */
};

enum monitor_reason {
    MONITOR_REASON_UNKNOWN_KIND = 1, /* no policy of that name, or one that cannot be asked for */
    MONITOR_REASON_OFF = 2,          /* the configuration switches that worker off */
    MONITOR_REASON_NO_SESSION = 3,   /* it needs a user's X session and there is none yet */
    MONITOR_REASON_WAYLAND = 4,      /* the session is Wayland: screenshots are unavailable */
    MONITOR_REASON_TOO_MANY = 5,     /* as many instances as the policy allows exist */
    MONITOR_REASON_RATE = 6,         /* started too often, see MONITOR_START_RATE */
    MONITOR_REASON_STOPPING = 7,     /* the agent is shutting down */
    MONITOR_REASON_NO_USER = 8,      /* the instance's user does not exist on this host */
    MONITOR_REASON_CGROUP = 9,       /* no cgroup could be made and the policy insists on one */
    MONITOR_REASON_EXECUTABLE = 10,  /* a program is absent, or others than root could change it */
    MONITOR_REASON_SYSTEM = 11,      /* a system call failed: see code */
    MONITOR_REASON_PROFILE = 12,     /* a profile above the local policy's highest */
    MONITOR_REASON_DIGEST = 13,    /* the local policy lists what may run, and this is not in it */
    MONITOR_REASON_NO_RUNNER = 14, /* a command's process without a runner of its profile, or a
                                      second one */
};

enum monitor_session {
    MONITOR_SESSION_NONE = 0,
    MONITOR_SESSION_X11 = 1,
    MONITOR_SESSION_WAYLAND = 2,
};

struct monitor_message {
    uint32_t op;         /* enum monitor_op */
    uint32_t slot;       /* 0 to MONITOR_SLOTS - 1 */
    uint32_t generation; /* 1 and above, rising within a slot */
    union {
        uint32_t reason;
        uint32_t profile; /* START of a runner: enum monitor_profile, not NONE */
    };
    char kind[MONITOR_KIND_MAX]; /* the policy's name, terminated and padded with NUL */
    union {
        struct {
            int32_t pid; /* as the monitor's pid namespace sees it */
            uint32_t uid;
            uint32_t gid;
            int32_t code;
            int32_t value;
            uint32_t zero[3]; /* must be zero */
        };
        uint8_t digest[32]; /* START of a runner: the command hash (order/order.h) */
    };
};

_Static_assert(sizeof(struct monitor_message) == 64, "fixed size on the socketpair");
_Static_assert(offsetof(struct monitor_message, kind) == 16, "no padding");
_Static_assert(offsetof(struct monitor_message, pid) == 32, "no padding");
_Static_assert(offsetof(struct monitor_message, zero) == 52, "no padding");

/* The kind of process that carries out commands of `profile`; NULL for NONE and what is none. */
static inline const char *monitor_command_kind(uint32_t profile)
{
    static const char *const kinds[] = {NULL, "cmd-diagnostic", "cmd-user", "cmd-admin"};
    return profile < sizeof kinds / sizeof kinds[0] ? kinds[profile] : NULL;
}

/*
 * Writes the path of an instance's channel socket, "<runtime>/chan/<slot>-<generation>", which both
 * halves derive for themselves. Returns 0, or -1 if `capacity` is too small (sun_path has 108).
 */
static inline int monitor_channel_path(char *out, size_t capacity, const char *runtime,
                                       uint32_t slot, uint32_t generation)
{
    int length = snprintf(out, capacity, "%s/chan/%u-%u", runtime, slot, generation);
    return length > 0 && (size_t)length < capacity ? 0 : -1;
}

#endif
