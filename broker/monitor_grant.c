/* What the two processes of a signed command are given: grants, and the socketpair between them. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "grant.h"
#include "log.h"
#include "monitor.h"
#include "trusted.h"

int monitor_key_make(struct monitor *monitor)
{
    if (!monitor->key) {
        void *page =
            mmap(NULL, GRANT_KEY_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        /* No fork inherits it: the reader, which parses, must not have it. */
        if (page == MAP_FAILED || madvise(page, GRANT_KEY_SIZE, MADV_WIPEONFORK) != 0 ||
            madvise(page, GRANT_KEY_SIZE, MADV_DONTDUMP) != 0)
            return -1;
        monitor->key = page;
    }
    return getrandom(monitor->key, GRANT_KEY_SIZE, 0) == GRANT_KEY_SIZE ? 0 : -1;
}

void monitor_key_wipe(struct monitor *monitor)
{
    if (monitor->key)
        explicit_bzero(monitor->key, GRANT_KEY_SIZE);
}

/* The certificates that uplink trusts. */
static int open_ca(const struct monitor *monitor)
{
    const char *own = monitor->host.reading.config.agent.console.ca;
    const char *path = own[0] ? own : "/etc/ssl/certs/ca-certificates.crt";
    int fd = trusted_open(AT_FDCWD, path, O_RDONLY, S_IFREG);
    if (fd < 0)
        log_error("%s: %s", path, trusted_error(fd)); /* uplink says so too, having no trust */
    return fd < 0 ? -1 : fd;
}

/* A runner's own grant; the vault's, which orders for all of them, has the machine's groups. */
static int seal_grant(const struct monitor *monitor, uint32_t slot)
{
    const struct monitor_slot *row = &monitor->table.slots[slot];
    struct grant grant = {.magic = GRANT_MAGIC};
    if (row->profile != MONITOR_PROFILE_NONE) {
        grant.slot = slot;
        grant.generation = row->generation;
        grant.profile = row->profile;
        memcpy(grant.digest, row->digest, sizeof grant.digest);
    } else {
        const struct agent_commands *commands = &monitor->host.reading.config.agent.commands;
        _Static_assert(sizeof grant.groups == sizeof commands->groups, "as many as configured");
        memcpy(grant.groups, commands->groups, sizeof grant.groups);
    }
    memcpy(grant.key, monitor->key, sizeof grant.key);
    int fd = monitor_seal("cloister-grant", &grant, sizeof grant);
    explicit_bzero(&grant, sizeof grant);
    return fd;
}

void monitor_descriptors(struct monitor *monitor, uint32_t slot, int passed[POLICY_DESCRIPTORS_MAX])
{
    const struct policy *policy = monitor->table.slots[slot].policy;
    int pair[2] = {-1, -1};
    for (size_t i = 0; i < policy->descriptor_count && i < POLICY_DESCRIPTORS_MAX; i++) {
        const char *name = policy->descriptors[i].name;
        if (strcmp(name, "ca") == 0) {
            passed[i] = open_ca(monitor);
        } else if (strcmp(name, "grant") == 0) {
            passed[i] = seal_grant(monitor, slot);
        } else if (strcmp(name, "command") == 0) {
            if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
                log_error("a command's socketpair: %m");
            passed[i] = pair[0];
            monitor->children[slot].fd[MONITOR_COMMAND] = pair[1];
        } else if (strcmp(name, "runner") == 0 && slot >= MONITOR_COMMAND_SLOT) {
            int *end = &monitor->children[slot - MONITOR_COMMAND_SLOT].fd[MONITOR_COMMAND];
            passed[i] = *end;
            *end = -1;
        }
    }
}

void monitor_log_refusal(const struct monitor_message *message, const char *why)
{
    char digest[2 * sizeof message->digest + 1];
    if (message->profile == MONITOR_PROFILE_NONE) {
        log_notice("%s not started: %s", message->kind, why);
        return;
    }
    for (size_t i = 0; i < sizeof message->digest; i++)
        snprintf(digest + 2 * i, 3, "%02x", message->digest[i]);
    log_warning("%s of profile %u for the command %s not started: %s", message->kind,
                message->profile, digest, why);
}
