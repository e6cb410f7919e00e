/*
 * A peer that does not use nng: what it writes to the channel's socket is the fuzzer's, the
 * transport's framing included. However it ends, the channel notices, and gives out nothing that
 * the envelope refuses or that is longer than this peer may send.
 *
 * The input: a byte of flags (1: a genuine greeting of the protocol comes first), one that says in
 * which pieces the rest is written, the rest.
 */
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "channel.h"

#define DEADLINE_S 10
#define GREETING   "\0SP\0\0\x10\0\0" /* PAIR0, as the SP protocols' mapping for streams says it */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char folder[32], path[48];
static int wake = -1;

static void must(int condition)
{
    if (!condition)
        abort();
}

static void remove_folder(void)
{
    rmdir(folder);
}

static void set_up(void)
{
    strcpy(folder, "/tmp/channel.XXXXXX");
    must(mkdtemp(folder) != NULL);
    wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    must(wake >= 0);
    atexit(remove_folder);
}

static int dial(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    must(fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof address) == 0);
    return fd;
}

/* What has come out of the channel so far. */
static void receive_all(struct channel *channel)
{
    struct message message;
    enum envelope_outcome why;
    for (;;) {
        int outcome = channel_receive(channel, &message, &why);
        if (outcome == CHANNEL_EMPTY || outcome == CHANNEL_CLOSED)
            return;
        must(outcome == CHANNEL_OK || outcome == CHANNEL_MALFORMED);
        if (outcome == CHANNEL_OK) {
            const struct envelope *e = &message.envelope;
            must(ENVELOPE_HEADER + (size_t)e->body_length + e->blob_length <=
                 ipc_longest_from(IPC_PEER_CONTROL));
            message_free(&message);
        }
    }
}

/* Writes as far as the other end takes it: it may have hung up, and reads no more than we take. */
static void write_pieces(struct channel *channel, int fd, const uint8_t *data, size_t size,
                         size_t piece)
{
    time_t deadline = time(NULL) + DEADLINE_S;
    for (size_t at = 0; at < size;) {
        size_t length = size - at < piece ? size - at : piece;
        ssize_t sent = send(fd, data + at, length, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0 && errno != EAGAIN)
            return;
        must(time(NULL) < deadline);
        at += sent > 0 ? (size_t)sent : 0;
        receive_all(channel);
    }
}

static void wait_for_the_end(struct channel *channel)
{
    time_t deadline = time(NULL) + DEADLINE_S;
    while (!channel_closed(channel)) {
        must(time(NULL) < deadline);
        receive_all(channel);
        sched_yield();
    }
    receive_all(channel);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static unsigned count;
    struct channel *channel;
    if (size < 2)
        return 0;
    if (wake < 0)
        set_up();
    /* A new one each time: nng may remove the old one a little later than it says. */
    snprintf(path, sizeof path, "%s/%u", folder, ++count);
    must(channel_listen(&channel, path, IPC_PEER_CONTROL, wake) == 0);
    channel_expect(channel, getpid(), geteuid());
    int fd = dial();
    if (data[0] & 1)
        must(send(fd, GREETING, 8, MSG_NOSIGNAL) == 8);
    write_pieces(channel, fd, data + 2, size - 2, data[1] ? data[1] : SIZE_MAX / 2);
    shutdown(fd, SHUT_WR);
    if (data[0] & 1)
        wait_for_the_end(channel);
    close(fd);
    channel_free(channel);
    unlink(path);
    return 0;
}
