/*
 * Who sits in front of this machine: from the configuration, else from the files that
 * systemd-logind keeps, which only root can write. No NSS: accounts come from /etc/passwd and
 * /etc/group.
 */
#ifndef CLOISTER_SESSION_H
#define CLOISTER_SESSION_H

#include "config.h"

/* Where to look; "" for this machine, another folder in tests. */
struct session_roots {
    const char *run; /* has systemd/seats and systemd/sessions: "/run" */
    const char *etc; /* has passwd and group: "/etc" */
};

struct session_account {
    char name[32]; /* empty if a number that /etc/passwd does not list */
    char home[128];
    uint32_t uid, gid; /* gid AGENT_UID_NONE if unknown */
};

/*
 * Finds an account by name or decimal number. A number needs no entry (directory users). Returns 0,
 * or -ENOENT.
 */
int session_account_find(struct session_account *out, const char *etc, const char *user);

/* Finds a group's number by name. Returns 0, or -ENOENT. */
int session_group_find(uint32_t *gid, const char *etc, const char *name);

/*
 * Finds the session as [session] says. The type is MONITOR_SESSION_NONE if there is none, or only
 * the login screen's. Never fails.
 */
void session_find(struct agent_session *out, const struct config *config,
                  const struct session_roots *roots);

/*
 * Lists the files where the X cookie of `session` may lie, most likely first; nothing is opened
 * here, the launcher does that with the user's own rights. Returns how many paths there are.
 */
unsigned session_cookies(char out[2][256], const struct agent_session *session,
                         const struct config *config, const struct session_roots *roots);

/* Whether [session] leaves it to logind who the session's user is. */
int session_is_logind(const struct config *config);

/*
 * Watches logind's folders below `run` ("/run"). Returns an inotify descriptor (non-blocking,
 * close-on-exec, owned by the caller) which becomes readable when session_find may find something
 * else, or -errno: -ENOENT if logind does not run here.
 */
int session_watch(const char *run);

#endif
