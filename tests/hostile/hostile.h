/* Exit statuses of the hostile worker beside 0 and errno. */
#ifndef CLOISTER_HOSTILE_H
#define CLOISTER_HOSTILE_H

enum {
    HOSTILE_NOT_LOCKED = 200, /* a layer failed; its stage is in the log */
    HOSTILE_BROKEN = 201,     /* the test itself is wrong */
};

#endif
