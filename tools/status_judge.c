#include "status.h"

#include <string.h>

#include "commands.h"
#include "program_exit.h"

bool status_worker_is_down(const ipc_StatusReply *reply, const ipc_WorkerStatus *worker)
{
    if (worker->state == ipc_WORKER_SERVING || worker->state == ipc_WORKER_DISABLED)
        return false;
    if (strcmp(worker->name, "resolver") == 0 || strcmp(worker->name, "runner") == 0)
        return false;                        /* they live for one answer, for one command */
    if (strcmp(worker->name, "uplink") == 0) /* its connection says more than its process */
        return status_console_is_down(reply);
    if (strcmp(worker->name, "capture") == 0 && reply->has_capture)
        return reply->capture.phase != ipc_CAPTURE_NO_SESSION &&
               reply->capture.phase != ipc_CAPTURE_OFF;
    return true;
}

bool status_console_is_down(const ipc_StatusReply *reply)
{
    switch (reply->uplink.phase) {
    case ipc_UPLINK_NOT_CONFIGURED:
    case ipc_UPLINK_UNENROLLED:
    case ipc_UPLINK_PENDING:
    case ipc_UPLINK_APPROVED:
        return false;
    default:
        return true;
    }
}

bool status_commands_are_down(const struct status *status)
{
    return status->has_commands && commands_are_down(&status->commands);
}

int status_exit(const struct status *status)
{
    const ipc_StatusReply *reply = &status->reply;
    bool down = status_console_is_down(reply) || status_commands_are_down(status),
         disagrees = status->broker.findings > 0;
    for (size_t i = 0; i < reply->workers_count; i++) {
        down |= status_worker_is_down(reply, &reply->workers[i]);
        disagrees |= status->workers[i].findings > 0;
    }
    return disagrees ? PROGRAM_EXIT_DISAGREES : down ? PROGRAM_EXIT_DOWN : PROGRAM_EXIT_OK;
}
