#include "reader_child.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "hardware_ids.h"
#include "log.h"
#include "session.h"

static const struct session_roots roots = {.run = "/run", .etc = "/etc"};

/* Reads a file of /proc into `out`, as much as fits. */
static void read_proc(char *out, size_t capacity, const char *path)
{
    size_t used = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    for (ssize_t got;
         fd >= 0 && used < capacity - 1 && (got = read(fd, out + used, capacity - 1 - used)) > 0;)
        used += (size_t)got;
    out[used] = 0;
    if (fd >= 0)
        close(fd);
}

static void find_accounts(struct reading *out, const struct policy *const *policies)
{
    memset(out->accounts, 0xff, sizeof out->accounts); /* AGENT_UID_NONE */
    for (uint32_t i = 0; i < READER_POLICIES_MAX && policies[i]; i++) {
        if (policies[i]->identity != POLICY_ACCOUNT)
            continue;
        for (uint32_t n = 0; n < READER_INSTANCES_MAX; n++) {
            char name[64];
            struct session_account account;
            struct reader_account *row = &out->accounts[i][n];
            snprintf(name, sizeof name, n ? "%s-%u" : "%s", policies[i]->user, n);
            if (n < policies[i]->instances &&
                session_account_find(&account, roots.etc, name) == 0 && account.uid != 0 &&
                account.gid != 0) {
                row->uid = account.uid;
                row->gid = account.gid;
            }
        }
    }
}

/* Two processes of one account could signal and trace each other: neither may have it. */
static void drop_shared(struct reading *out)
{
    struct reader_account *all = out->accounts[0];
    const uint32_t count = READER_POLICIES_MAX * READER_INSTANCES_MAX;
    for (uint32_t i = 0; i < count; i++) {
        bool shared = false;
        for (uint32_t j = i + 1; j < count; j++) {
            if (all[i].uid != all[j].uid || all[i].uid == AGENT_UID_NONE)
                continue;
            all[j].uid = AGENT_UID_NONE;
            shared = true;
        }
        if (shared) {
            log_error("two of the agent's accounts have the number %u", all[i].uid);
            all[i].uid = AGENT_UID_NONE;
        }
    }
}

/* What the broker is told about the kinds. */
static void list_kinds(struct reading *out, const struct policy *const *policies)
{
    struct agent_config *agent = &out->config.agent;
    for (uint32_t i = 0; i < AGENT_KINDS_MAX && policies[i]; i++) {
        struct agent_kind *kind = &agent->kinds[agent->kind_count++];
        memcpy(kind->name, policies[i]->kind, strnlen(policies[i]->kind, sizeof kind->name - 1));
        kind->instances = policies[i]->instances;
        kind->uid = out->accounts[i][0].uid;
        kind->gid = out->accounts[i][0].gid;
    }
}

static int read_once(struct reading *out, const struct reader_task *task,
                     const struct policy *const *policies)
{
    static char mountinfo[262144], groups[8192];
    FILE *stream = fdopen(task->config, "r");
    if (!stream)
        return -1;
    out->errors = config_load(&out->config, stream, task->config_name, stderr);
    read_proc(mountinfo, sizeof mountinfo, "/proc/self/mountinfo");
    read_proc(groups, sizeof groups, "/proc/self/cgroup");
    cgroup_find(&out->cgroup, mountinfo, groups);
    hardware_ids_read(&out->config.agent.hardware, task->sysfs, task->board,
                      hardware_ids_root_device(mountinfo));
    (void)session_group_find(&out->config.agent.ticket.gid, roots.etc, "cloister-ticket");
    find_accounts(out, policies);
    drop_shared(out);
    list_kinds(out, policies);
    return 0;
}

int reader_child(struct reading *out, const struct reader_task *task,
                 const struct policy *const *policies)
{
    if (task->config >= 0 && read_once(out, task, policies) != 0)
        return -1;
    struct agent_session *session = &out->config.agent.session;
    session_find(session, &out->config, &roots);
    memset(out->cookies, 0, sizeof out->cookies);
    (void)session_cookies(out->cookies, session, &out->config, &roots);
    return 0;
}
