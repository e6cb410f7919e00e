/*
 * What a signed command of the profile "diagnostic" would try, to get at anything but what its
 * policy gives it. It may fork and exec, so each of these runs in a process of its own, below the
 * helper, as a command does.
 *
 * As with tests/hostile/attacks.h the same function must succeed outside, as root and in a mount
 * namespace of its own, so that none can "fail" because it is written wrongly.
 */
#ifndef CLOISTER_ESCAPES_H
#define CLOISTER_ESCAPES_H

#include <stddef.h>
#include <sys/types.h>

/* What is outside, made by the test. All texts are absolute paths but for the last three. */
struct escape_target {
    pid_t victim;         /* a process of another user, whose environment holds "SECRET" */
    const char *secret;   /* another user's file, mode 0600, that holds "SECRET" */
    const char *exposed;  /* a file that everybody may read, below /tmp, that holds "SECRET" */
    const char *channel;  /* the agent's sockets: a channel of a worker ... */
    const char *door;     /* ... and the users' door */
    const char *x11;      /* the X server's socket */
    const char *abstract; /* and its other one, without the leading NUL */
    const char *port;     /* of TCP and UDP on 127.0.0.1 and ::1, decimal */
    const char *root;     /* handle of the host's root directory: type, ":", hexadecimal */
};

struct escape {
    const char *name;
    /* Returns 0 if it succeeded (a breach), else a negative errno. */
    int (*run)(const struct escape_target *target);
    enum escape_control {
        ESCAPE_AS_ROOT, /* must succeed outside as root */
        ESCAPE_AS_USER, /* ... as an ordinary user, who is more than root where root is gained */
        ESCAPE_UNSURE,  /* succeeds only on some kernels or hosts, or only inside */
    } control;
};

/* Lists with a NULL name at the end, and all of them. */
#define ESCAPE_LISTS 4
extern const struct escape escapes_files[];
extern const struct escape escapes_root[];
extern const struct escape escapes_processes[];
extern const struct escape escapes_rights[];
extern const struct escape *const escape_lists[ESCAPE_LISTS];

/* The escape of that name in any list, or NULL. */
const struct escape *escape_find(const char *name);

/* Whether what `fd`, or that file, reads holds "SECRET": 0, or a negative errno. Closes it. */
int escape_read(int fd);
int escape_read_path(const char *path);

/* The target as one text for test_words.h, and back. Both return 0 or -1. */
int escape_target_write(char *out, size_t capacity, const struct escape_target *target);
int escape_target_read(struct escape_target *out, char *text);

#endif
