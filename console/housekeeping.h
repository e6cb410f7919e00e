/*
 * What a server does now and then: deleting what has been kept for as long as it is to be, and
 * warning of the certificate's end. The server's thread.
 */
#ifndef CONSOLE_HOUSEKEEPING_H
#define CONSOLE_HOUSEKEEPING_H

#include "config.h"
#include "upload.h"

/* Does it once; it takes a bounded time, and what is left over is done the next time.
 * `commands` is the folder of output_file.h. What goes wrong is logged. */
void housekeeping(const struct config *config, const struct upload_env *uploads, int commands);

#endif
