/*
 * Nothing of what the X server said stays behind in the X library.
 *
 * libxcb reads into a buffer of its own and leaves there what it has handed out: the last keys that
 * were typed among it, as raw events. It offers no way to wipe that buffer. But its reads name it:
 * this file defines recvmsg for the whole program (the dynamic linker prefers a program's own
 * definition to the C library's, in shared libraries too), and wipes the part of the buffer that a
 * read was given and did not fill. That is always allowed: a reader owns where it lets others
 * write.
 */
#ifndef CLOISTER_CAPTURE_X11_WIPE_H
#define CLOISTER_CAPTURE_X11_WIPE_H

/* From now on the unfilled rest of each read from `fd` is wiped; -1: of none. */
void x11_wipe_reads(int fd);

/* Wipes the stack below the caller, where libxcb has kept the head of an event. */
void x11_wipe_stack(void);

#endif
