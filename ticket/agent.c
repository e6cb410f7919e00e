#include "agent.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define WAIT_MS 10000

struct agent {
    int door_fd; /* open as long as the ticket */
    struct channel *channel;
    uint32_t last_request, notices;
    bool frames_forgotten;
    ipc_TicketConfig config;
};

struct agent *agent_free(struct agent *agent)
{
    if (!agent)
        return NULL;
    channel_free(agent->channel);
    if (agent->door_fd >= 0)
        close(agent->door_fd);
    free(agent);
    return NULL;
}

static int wait_for(int fd)
{
    struct pollfd wait = {.fd = fd, .events = POLLIN};
    int ready;
    do
        ready = poll(&wait, 1, WAIT_MS);
    while (ready < 0 && errno == EINTR);
    return ready > 0 ? 0 : -ETIMEDOUT;
}

/* Knocks at the door. On 0 `path` is the endpoint that was made for this process. */
static int knock(struct agent *agent, const char *folder, char path[108], struct agent_no *no)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int n = snprintf(address.sun_path, sizeof(address.sun_path), "%s/door/ticket", folder);
    if (n < 0 || (size_t)n >= sizeof(address.sun_path))
        return -ENAMETOOLONG;
    agent->door_fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (agent->door_fd < 0)
        return -errno;
    if (connect(agent->door_fd, (struct sockaddr *)&address, sizeof(address))) {
        snprintf(no->words, sizeof(no->words), "%s: %s", address.sun_path, strerror(errno));
        return AGENT_ABSENT;
    }
    char answer[192];
    int error = wait_for(agent->door_fd);
    ssize_t length = error ? -1 : recv(agent->door_fd, answer, sizeof(answer) - 1, 0);
    if (length <= 3) {
        snprintf(no->words, sizeof(no->words), "the agent does not answer at its door");
        return AGENT_ABSENT;
    }
    answer[length] = '\0';
    snprintf(no->words, sizeof(no->words), "%s", answer + 3);
    if (memcmp(answer, "ok ", 3) != 0)
        return AGENT_TURNED_AWAY;
    n = snprintf(path, 108, "%s", answer + 3);
    return n < 108 ? 0 : AGENT_BROKEN;
}

static int next_message(struct agent *agent, struct message *out)
{
    enum envelope_outcome why;
    int outcome = channel_receive(agent->channel, out, &why);
    if (outcome == CHANNEL_EMPTY)
        return AGENT_EMPTY;
    if (outcome == CHANNEL_MALFORMED)
        return AGENT_BROKEN;
    if (outcome != CHANNEL_OK)
        return outcome < 0 ? outcome : AGENT_LOST;
    if (!(out->envelope.type->to & 1U << IPC_PEER_TICKET)) {
        message_free(out);
        return AGENT_BROKEN;
    }
    return 0;
}

static int take_welcome(struct agent *agent, const struct message *message, struct agent_no *no)
{
    static ipc_Welcome welcome; /* large; the program has one connection */
    ipc_Refused refused;
    if (message->envelope.number == IPC_REFUSED &&
        envelope_decode(&message->envelope, &refused) == ENVELOPE_OK) {
        snprintf(no->words, sizeof(no->words), "%s", refused.detail);
        no->pid = refused.pid;
        return refused.reason == ipc_RefusalReason_ALREADY_OPEN ? AGENT_ALREADY_OPEN
                                                                : AGENT_TURNED_AWAY;
    }
    if (message->envelope.number != IPC_WELCOME ||
        envelope_decode(&message->envelope, &welcome) != ENVELOPE_OK ||
        welcome.which_config != ipc_Welcome_ticket_tag)
        return AGENT_BROKEN;
    agent->config = welcome.config.ticket;
    return 0;
}

static int greet(struct agent *agent, struct agent_no *no)
{
    ipc_Hello hello;
    uint32_t request;
    struct message message;
    memcpy(hello.schema_digest, ipc_schema_digest, sizeof(hello.schema_digest));
    int result = agent_ask(agent, IPC_HELLO, &hello, NULL, 0, &request);
    if (!result)
        result = wait_for(channel_fd(agent->channel));
    if (!result)
        result = next_message(agent, &message);
    if (result)
        return result == AGENT_EMPTY ? AGENT_LOST : result;
    result = message.envelope.request == request ? take_welcome(agent, &message, no) : AGENT_BROKEN;
    message_free(&message);
    return result;
}

int agent_connect(struct agent **out, const char *folder, struct agent_no *no)
{
    char path[108];
    memset(no, 0, sizeof(*no));
    struct agent *agent = calloc(1, sizeof(*agent));
    if (!agent)
        return -ENOMEM;
    agent->door_fd = -1;
    int result = knock(agent, folder, path, no);
    if (!result)
        result = channel_dial(&agent->channel, path, IPC_PEER_TICKET, false);
    if (!result)
        result = greet(agent, no);
    if (result) {
        agent_free(agent);
        return result;
    }
    *out = agent;
    return 0;
}

const ipc_TicketConfig *agent_config(const struct agent *agent)
{
    return &agent->config;
}

bool agent_connected_to_console(const struct agent *agent)
{
    return agent->config.uplink.phase == ipc_UplinkPhase_UPLINK_APPROVED;
}

uint32_t agent_notices(const struct agent *agent)
{
    return agent->notices;
}

bool agent_frames_forgotten(const struct agent *agent)
{
    return agent->frames_forgotten;
}

void agent_capture_words(const struct agent *agent, char *out, size_t capacity)
{
    static const char *const words[] = {
        [ipc_CapturePhase_CAPTURE_NOT_RUNNING] = "not running",
        [ipc_CapturePhase_CAPTURE_OFF] = "off by configuration",
        [ipc_CapturePhase_CAPTURE_NO_SESSION] = "no session",
        [ipc_CapturePhase_CAPTURE_WAITING_FOR_X] = "waiting for the display",
        [ipc_CapturePhase_CAPTURE_WAYLAND] = "unavailable: Wayland",
        [ipc_CapturePhase_CAPTURE_CAPTURING] = "capturing",
        [ipc_CapturePhase_CAPTURE_PAUSED] = "paused",
    };
    unsigned phase = agent->config.capture.phase;
    snprintf(out, capacity, "%s",
             phase < sizeof(words) / sizeof(*words) ? words[phase] : "unknown");
}

void agent_uplink_words(const struct agent *agent, char *out, size_t capacity)
{
    static const char *const words[] = {
        [ipc_UplinkPhase_UPLINK_NOT_RUNNING] = "not connected",
        [ipc_UplinkPhase_UPLINK_NOT_CONFIGURED] = "no console is configured",
        [ipc_UplinkPhase_UPLINK_RESOLVING] = "connecting",
        [ipc_UplinkPhase_UPLINK_CONNECTING] = "connecting",
        [ipc_UplinkPhase_UPLINK_UNENROLLED] = "connected, but this machine is not enrolled",
        [ipc_UplinkPhase_UPLINK_PENDING] = "connected, but this machine waits for approval",
        [ipc_UplinkPhase_UPLINK_APPROVED] = "connected",
        [ipc_UplinkPhase_UPLINK_WAITING] = "not connected",
    };
    const ipc_UplinkStatus *uplink = &agent->config.uplink;
    unsigned phase = uplink->phase;
    const char *word = phase < sizeof(words) / sizeof(*words) ? words[phase] : "unknown";
    if (uplink->detail[0] && !agent_connected_to_console(agent))
        snprintf(out, capacity, "%s (%s)", word, uplink->detail);
    else
        snprintf(out, capacity, "%s", word);
}

void agent_polls(const struct agent *agent, struct pollfd polls[AGENT_POLLS])
{
    polls[0] = (struct pollfd){.fd = channel_fd(agent->channel), .events = POLLIN};
    /* The door says nothing more; it hangs up when the broker ends the ticket. */
    polls[1] = (struct pollfd){.fd = agent->door_fd, .events = POLLIN};
}

int agent_ask(struct agent *agent, uint16_t number, const void *body, const void *blob,
              size_t blob_length, uint32_t *request)
{
    *request = ++agent->last_request;
    int outcome = channel_send(agent->channel, number, *request, body, blob, blob_length);
    if (outcome == CHANNEL_OK)
        return 0;
    return outcome < 0 ? outcome : AGENT_LOST;
}

static int take_notice(struct agent *agent, const struct message *message)
{
    ipc_TicketNotice notice;
    if (envelope_decode(&message->envelope, &notice) != ENVELOPE_OK)
        return AGENT_BROKEN;
    agent->notices++;
    if (notice.has_uplink)
        agent->config.uplink = notice.uplink;
    if (notice.has_capture)
        agent->config.capture = notice.capture;
    agent->frames_forgotten |= notice.frames_forgotten;
    return 0;
}

static bool door_is_shut(const struct agent *agent)
{
    char byte;
    ssize_t length = recv(agent->door_fd, &byte, 1, MSG_DONTWAIT);
    return length >= 0 || (errno != EAGAIN && errno != EINTR);
}

int agent_receive(struct agent *agent, struct message *out)
{
    for (;;) {
        int result = next_message(agent, out);
        if (result == AGENT_EMPTY)
            return door_is_shut(agent) ? AGENT_LOST : AGENT_EMPTY;
        if (result || out->envelope.number != IPC_TICKET_NOTICE)
            return result;
        result = take_notice(agent, out);
        message_free(out);
        if (result)
            return result;
    }
}

void agent_cancel(struct agent *agent)
{
    const ipc_TicketCancel cancel = ipc_TicketCancel_init_zero;
    channel_send(agent->channel, IPC_TICKET_CANCEL, 0, &cancel, NULL, 0);
}
