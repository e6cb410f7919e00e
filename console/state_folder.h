/*
 * The state folder, and who serves it: one server at a time, which holds a lock on a file in it for
 * as long as it lives. One thread.
 */
#ifndef CONSOLE_STATE_FOLDER_H
#define CONSOLE_STATE_FOLDER_H

#include <stdbool.h>

struct state_folder {
    int fd;   /* the folder, or -1 */
    int lock; /* the lock file, or -1 */
};

/*
 * Opens `path`, made with mode 0700 when it is missing, and takes its lock. Returns 0, -EPERM (it
 * belongs to somebody else or is open to others), -EBUSY (another server has it), or -errno; what a
 * person should know is logged. state_folder_leave is safe after either.
 */
int state_folder_take(struct state_folder *f, const char *path);
void state_folder_leave(struct state_folder *f);

/* Opens, and with `create` makes, the folder `name` in the folder `state` (a descriptor that stays
 * the caller's); its name is not durable yet. A descriptor, the caller's, or -errno. */
int state_folder_below(int state, const char *name, bool create);

/* Whether a server holds the lock of the folder that `fd` is open on. Takes nothing itself. */
bool state_folder_served(int fd);

#endif
