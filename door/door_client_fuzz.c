/*
 * The command line's way in, with an agent that says anything (hostile_agent.h). However it
 * answers, the client ends with an outcome that fits, words that end, and nothing left open.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "door_client.h"
#include "hostile_agent.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(int condition)
{
    if (!condition)
        abort();
}

static void count(void *context, const struct message *message)
{
    must(message->envelope.type != NULL);
    ++*(unsigned *)context;
}

static void call(struct door *door)
{
    struct message answer;
    unsigned others = 0;
    static ipc_StatusReply reply; /* large */
    ipc_Status status = ipc_Status_init_zero;
    int result = door_call(door, IPC_STATUS, &status, NULL, 0, 5000, &answer, count, &others);
    must(result != -ETIMEDOUT);
    if (result != 0)
        return;
    must(answer.envelope.request != 0);
    if (answer.envelope.number == IPC_STATUS_REPLY &&
        envelope_decode(&answer.envelope, &reply) == ENVELOPE_OK)
        must(reply.workers_count <= sizeof reply.workers / sizeof reply.workers[0]);
    message_free(&answer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct door door;
    if (size < 2)
        return 0;
    const char *folder = hostile_agent_folder("control", IPC_PEER_CONTROL);
    hostile_agent_start(data, size);
    enum door_outcome outcome = door_enter(&door, folder, IPC_PEER_CONTROL);
    must(outcome != DOOR_NOT_RUNNING);
    must(memchr(door.why, '\0', sizeof door.why) != NULL);
    if (outcome == DOOR_OK) {
        must(door.fd >= 0 && door.channel != NULL);
        call(&door);
        door_leave(&door);
    }
    must(door.fd == -1 && door.channel == NULL);
    hostile_agent_stop();
    return 0;
}
