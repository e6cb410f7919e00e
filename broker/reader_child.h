/* The part of the reader that has given up root (reader.h). */
#ifndef CLOISTER_READER_CHILD_H
#define CLOISTER_READER_CHILD_H

#include "reader.h"

#define READER_FD_LOW 100 /* the task's descriptors are moved to 100, 101 and 102 */

/* Does the task. Returns 0, or -1 if it could not. */
int reader_child(struct reading *out, const struct reader_task *task,
                 const struct policy *const *policies);

#endif
