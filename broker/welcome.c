#include "broker.h"

#include <stdio.h>
#include <string.h>

#define COPY_TEXT(to, from) snprintf((to), sizeof(to), "%s", (from))

static void for_capture(const struct broker *b, ipc_Welcome *w)
{
    const struct agent_capture *from = &b->config->capture;
    w->which_config = ipc_Welcome_capture_tag;
    ipc_CaptureConfig *to = &w->config.capture;
    to->triggers = from->triggers;
    to->deny_count = (pb_size_t)from->deny_count;
    for (uint32_t i = 0; i < from->deny_count; i++)
        COPY_TEXT(to->deny[i], from->deny[i]);
    to->max_age_ms = from->max_age_ms;
    to->max_frames = from->max_frames;
    to->max_bytes = from->max_bytes;
    to->cpu_percent = from->cpu_percent;
    to->session_uid = b->session.uid;
    to->session_active = b->session.active;
}

static void copy_identifier(const struct agent_id *from, ipc_HardwareIdentifier *to)
{
    to->state = from->state == AGENT_ID_PRESENT      ? ipc_IdentifierState_IDENTIFIER_PRESENT
                : from->state == AGENT_ID_UNREADABLE ? ipc_IdentifierState_IDENTIFIER_UNREADABLE
                                                     : ipc_IdentifierState_IDENTIFIER_ABSENT;
    COPY_TEXT(to->value, from->value);
}

static void for_vault(const struct broker *b, ipc_Welcome *w)
{
    w->which_config = ipc_Welcome_vault_tag;
    ipc_VaultConfig *to = &w->config.vault;
    to->has_disk = to->has_board = true;
    copy_identifier(&b->config->hardware.disk, &to->disk);
    copy_identifier(&b->config->hardware.board, &to->board);
    COPY_TEXT(to->console_host, b->config->console.host);
}

static void for_uplink(const struct broker *b, ipc_Welcome *w)
{
    const struct agent_console *from = &b->config->console;
    w->which_config = ipc_Welcome_uplink_tag;
    ipc_UplinkConfig *to = &w->config.uplink;
    COPY_TEXT(to->host, from->host);
    COPY_TEXT(to->path, from->path);
    COPY_TEXT(to->proxy_host, from->proxy_host);
    to->port = from->port;
    to->proxy_port = from->proxy_port;
    to->tls12 = from->tls_minimum == AGENT_TLS_1_2;
    if (from->has_pin) {
        to->pin.size = sizeof(from->pin);
        memcpy(to->pin.bytes, from->pin, sizeof(from->pin));
    }
    to->addresses_count = (pb_size_t)b->address_count;
    memcpy(to->addresses, b->addresses, sizeof(to->addresses));
    to->attempt = b->uplink_backoff.failures;
}

static void for_resolver(const struct broker *b, ipc_Welcome *w)
{
    const struct agent_console *c = &b->config->console;
    w->which_config = ipc_Welcome_resolver_tag;
    COPY_TEXT(w->config.resolver.name, c->proxy_host[0] ? c->proxy_host : c->host);
}

static void for_runner(const struct broker *b, ipc_Welcome *w)
{
    const ipc_RunnerWanted *from = &b->command.now;
    w->which_config = ipc_Welcome_runner_tag;
    w->config.runner.number = from->number;
    memcpy(w->config.runner.token, from->token, sizeof(from->token));
}

static void for_ticket(const struct broker *b, const struct peer *peer, ipc_Welcome *w)
{
    const struct agent_ticket *from = &b->config->ticket;
    w->which_config = ipc_Welcome_ticket_tag;
    ipc_TicketConfig *to = &w->config.ticket;
    memcpy(to->ticket, peer->ticket->id, sizeof(to->ticket));
    to->number = peer->ticket->number;
    if (b->config->console.host[0])
        snprintf(to->destination, sizeof(to->destination), "%.245s:%u", b->config->console.host,
                 b->config->console.port);
    to->recipients_count = (pb_size_t)from->recipient_count;
    for (uint32_t i = 0; i < from->recipient_count; i++)
        COPY_TEXT(to->recipients[i], from->recipients[i]);
    to->auto_consent = from->auto_consent;
    to->max_bundle_bytes = from->max_bundle;
    to->has_uplink = to->has_capture = true;
    to->uplink = b->uplink;
    to->capture = b->capture;
}

void welcome_send(struct broker *b, struct peer *peer, uint32_t request)
{
    static ipc_Welcome welcome; /* large; one thread */
    welcome = (ipc_Welcome)ipc_Welcome_init_zero;
    switch (peer->kind) {
    case IPC_PEER_CAPTURE:
        for_capture(b, &welcome);
        break;
    case IPC_PEER_VAULT:
        for_vault(b, &welcome);
        break;
    case IPC_PEER_UPLINK:
        for_uplink(b, &welcome);
        break;
    case IPC_PEER_RESOLVER:
        for_resolver(b, &welcome);
        break;
    case IPC_PEER_RUNNER:
        for_runner(b, &welcome);
        break;
    case IPC_PEER_TICKET:
        for_ticket(b, peer, &welcome);
        break;
    default:
        welcome.which_config = ipc_Welcome_control_tag;
        COPY_TEXT(welcome.config.control.agent_version, CLOISTER_VERSION);
    }
    router_answer(b, peer, request, IPC_WELCOME, &welcome, NULL, 0);
}
