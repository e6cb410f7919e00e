#include "hostile_agent.h"

#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "channel.h"
#include "cloister.pb.h"

#define PACKET_MAX  512
#define BATCH_MAX   32 /* messages; a channel's queue holds twice as many */
#define MESSAGE_MAX 4096

static char folder[32], door_path[64], endpoint[64];
static int listener = -1, wake_fd = -1;
static enum ipc_peer client_kind;
static pthread_t thread;

struct input {
    const uint8_t *data;
    size_t size;
};

static void must(int condition)
{
    if (!condition)
        abort();
}

static void remove_folder(void)
{
    char path[48];
    unlink(door_path);
    snprintf(path, sizeof path, "%s/door", folder);
    rmdir(path);
    rmdir(folder);
}

const char *hostile_agent_folder(const char *name, enum ipc_peer peer)
{
    char path[48];
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (listener >= 0)
        return folder;
    client_kind = peer;
    strcpy(folder, "/tmp/hostile.XXXXXX");
    must(mkdtemp(folder) != NULL);
    snprintf(path, sizeof path, "%s/door", folder);
    must(mkdir(path, 0700) == 0);
    snprintf(door_path, sizeof door_path, "%s/%s", path, name);
    snprintf(address.sun_path, sizeof address.sun_path, "%s", door_path);
    listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    must(wake_fd >= 0 && bind(listener, (struct sockaddr *)&address, sizeof address) == 0);
    must(listen(listener, 1) == 0);
    atexit(remove_folder);
    return folder;
}

/* The door says what the fuzzer says; a path that it names stays within the folder. */
static void answer_hostile(int door, const struct input *in)
{
    char packet[PACKET_MAX];
    size_t room = sizeof packet - sizeof folder, used = 0;
    size_t length = in->size < room ? in->size : room;
    size_t skip = 0;
    if (length >= 3 && memcmp(in->data, "ok ", 3) == 0) {
        used = (size_t)snprintf(packet, sizeof packet, "ok %s/", folder);
        skip = 3;
    }
    for (size_t i = skip; i < length; i++)
        packet[used++] = skip && in->data[i] == '/' ? '_' : (char)in->data[i];
    must(send(door, packet, used, MSG_NOSIGNAL) == (ssize_t)used);
}

static bool take(struct input *in, uint8_t *flags, const uint8_t **message, size_t *length)
{
    if (in->size < 3)
        return false;
    *flags = in->data[0];
    *length = (size_t)(in->data[1] | in->data[2] << 8);
    in->data += 3;
    in->size -= 3;
    *length = *length > in->size ? in->size : *length;
    *length = *length > MESSAGE_MAX ? MESSAGE_MAX : *length;
    *message = in->data;
    in->data += *length;
    in->size -= *length;
    return true;
}

/* Sends a batch, and "no" under the number that the client asked with. */
static void answer_request(struct channel *channel, uint32_t request, struct input *in)
{
    const uint8_t *message;
    uint8_t flags = 0, stamped[MESSAGE_MAX];
    size_t length;
    for (int i = 0; i < BATCH_MAX && !(flags & 2) && take(in, &flags, &message, &length); i++) {
        memcpy(stamped, message, length);
        if ((flags & 1) && length >= ENVELOPE_HEADER)
            envelope_stamp(stamped, request, 0, 0);
        channel_send_raw(channel, stamped, length);
    }
    ipc_Refused refused = {.reason = ipc_RefusalReason_NO_SUCH, .detail = "genuine"};
    channel_send(channel, IPC_REFUSED, request, &refused, NULL, 0);
}

static void serve(struct channel *channel, int door, struct input *in)
{
    for (;;) {
        struct pollfd fds[] = {{.fd = channel_fd(channel), .events = POLLIN},
                               {.fd = door, .events = POLLIN}};
        struct message message;
        enum envelope_outcome why;
        must(poll(fds, 2, -1) > 0);
        if (fds[1].revents)
            return; /* it has left */
        int outcome = channel_receive(channel, &message, &why);
        if (outcome == CHANNEL_OK) {
            answer_request(channel, message.envelope.request, in);
            message_free(&message);
        } else {
            must(outcome == CHANNEL_EMPTY || outcome == CHANNEL_CLOSED);
        }
    }
}

static void *run(void *argument)
{
    static unsigned count;
    struct input *in = argument;
    struct channel *channel = NULL;
    char said[80], byte;
    int door = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    must(door >= 0);
    bool honest = !(in->data[0] & 1);
    in->data++;
    in->size--;
    if (honest) {
        /* A new one each time: nng may remove the old one a little later than it says. */
        snprintf(endpoint, sizeof endpoint, "%s/%u", folder, ++count);
        must(channel_listen(&channel, endpoint, client_kind, wake_fd) == 0);
        channel_expect(channel, getpid(), geteuid());
        int length = snprintf(said, sizeof said, "ok %s", endpoint);
        must(send(door, said, (size_t)length, MSG_NOSIGNAL) == length);
        serve(channel, door, in);
    } else {
        answer_hostile(door, in);
        must(recv(door, &byte, 1, 0) <= 0);
    }
    channel_free(channel);
    if (honest)
        unlink(endpoint);
    close(door);
    return NULL;
}

void hostile_agent_start(const uint8_t *data, size_t size)
{
    static struct input in;
    in = (struct input){data, size};
    must(size > 0 && listener >= 0);
    must(pthread_create(&thread, NULL, run, &in) == 0);
}

void hostile_agent_stop(void)
{
    must(pthread_join(thread, NULL) == 0);
}
