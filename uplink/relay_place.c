#include "relay_place.h"

#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <cmocka.h>

void relay_place_open(struct relay_place *place)
{
    struct pollfd connected;

    memset(place, 0, sizeof *place);
    strcpy(place->folder, "/tmp/relay.XXXXXX");
    assert_non_null(mkdtemp(place->folder));
    snprintf(place->path, sizeof place->path, "%s/c", place->folder);
    place->wake = eventfd(0, EFD_CLOEXEC);
    assert_int_equal(channel_listen(&place->broker, place->path, IPC_PEER_UPLINK, place->wake), 0);
    channel_expect(place->broker, getpid(), geteuid());
    assert_int_equal(channel_dial(&place->worker.channel, place->path, IPC_PEER_UPLINK, false), 0);
    connected = (struct pollfd){.fd = place->wake, .events = POLLIN};
    assert_int_equal(poll(&connected, 1, DEADLINE_MS), 1);
    place->worker.name = "uplink";
    place->worker.peer = IPC_PEER_UPLINK;
    place->relay.worker = &place->worker;
}

int relay_place_close(struct relay_place *place)
{
    channel_free(place->worker.channel);
    channel_free(place->broker);
    close(place->wake);
    unlink(place->path);
    return rmdir(place->folder);
}
