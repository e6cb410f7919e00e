/*
 * How the administrator's commands tell a running server that they changed the database: a byte
 * through `wake`, a FIFO in the state folder. It carries nothing but the fact. One thread.
 */
#ifndef CONSOLE_WAKE_H
#define CONSOLE_WAKE_H

/*
 * Makes the FIFO in the folder `state`, mode 0600, anew, and opens it: a descriptor, the caller's,
 * that is readable once somebody called wake_server, or -errno. It does not block, and never comes
 * to an end.
 */
int wake_listen(int state);

/* Takes what arrived at wake_listen's descriptor. */
void wake_drain(int fd);

/* Wakes the server of the folder `state`, if one runs. */
void wake_server(int state);

#endif
