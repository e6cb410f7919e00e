/*
 * What only the policy of a signed command's process may say: a worker's is never so wide.
 */
#include "document.h"

#include <string.h>

#include "names.h"

/* filter command */
void read_filter(struct line *line)
{
    struct document *document = line->document;
    const char *name = only_word(line, "command");
    if (name != NULL && strcmp(name, "command") != 0)
        complain(document, line->place, "expected \"filter command\"");
    if (document->rule_count > 0)
        complain(document, line->place, "\"filter\" comes before the first system call");
    set(line, &document->command, "filter");
}

/* root host */
void read_root(struct line *line)
{
    const char *name = only_word(line, "host");
    if (name != NULL && strcmp(name, "host") != 0)
        complain(line->document, line->place, "expected \"root host\"");
    set(line, &line->document->host_root, "root");
    dangerous(line, "it sees the host's files, without Landlock");
}

/* default errno NAME, or default allow */
void read_default(struct line *line)
{
    struct document *document = line->document;
    const char *action = word(line);
    const char *name = word(line);
    int error =
        action != NULL && name != NULL && strcmp(action, "errno") == 0 ? errno_named(name) : 0;
    bool allow = action != NULL && strcmp(action, "allow") == 0 && name == NULL;
    if ((!allow && error == 0) || word(line) != NULL)
        complain(document, line->place, "expected \"default errno ENAME\" or \"default allow\"");
    if (allow)
        dangerous(line, "every call that is not listed");
    set(line, &document->otherwise, "default")->number = (uint64_t)error;
}

/* What a list of refusals must not forget: these lead into the kernel or out of the filter. */
static const char *const refused_at_least[] = {
    "clone",
    "clone3",
    "unshare",
    "setns",
    "ptrace",
    "keyctl",
    "add_key",
    "request_key",
    "process_vm_readv",
    "process_vm_writev",
    "bpf",
    "io_uring_setup",
    "perf_event_open",
    "userfaultfd",
    "ioctl",
    "kexec_load",
    "kexec_file_load",
    "init_module",
    "finit_module",
    "delete_module",
    "pidfd_getfd",
    "personality",
    "open_by_handle_at",
};

static bool is_refused(const struct document *document, const char *name)
{
    for (size_t i = 0; i < document->rule_count; i++)
        if (document->rules[i].error != 0 && strcmp(document->rules[i].name, name) == 0)
            return true;
    return false;
}

static void check_default(struct document *document)
{
    if (!document->otherwise.set)
        complain(document, document->command.place, "\"default\" is missing");
    if (!document->otherwise.set || document->otherwise.number != 0)
        return;
    for (size_t i = 0; i < sizeof(refused_at_least) / sizeof(refused_at_least[0]); i++)
        if (!is_refused(document, refused_at_least[i]))
            complain(document, document->otherwise.place, "\"default allow\" must refuse %s",
                     refused_at_least[i]);
    for (size_t i = 0; i < document->rule_count; i++)
        if (document->rules[i].error == 0)
            complain(document, document->rules[i].place, "%s is allowed by default already",
                     document->rules[i].name);
}

static void check_mounts(struct document *document, bool command)
{
    for (size_t i = 0; i < document->mount_count; i++) {
        const struct mount_entry *entry = &document->mounts[i];
        bool wide =
            entry->mount.kind == POLICY_MOUNT_EXEC || entry->mount.kind == POLICY_MOUNT_PROCFS;
        if (wide && !command)
            complain(document, entry->place, "only with \"filter command\"");
        if (entry->stays && command)
            complain(document, entry->place, "a command's files all stay");
        if (document->host_root.set && entry->mount.kind != POLICY_MOUNT_PROCFS)
            complain(document, entry->place, "\"root host\" leaves only \"mount proc full\"");
    }
}

void check_command(struct document *document)
{
    bool command = document->command.set;
    check_mounts(document, command);
    if (command) {
        check_default(document);
        if (document->instances.number != 1)
            complain(document, document->instances.place, "a command has one instance");
        if (document->memlock.set)
            complain(document, document->memlock.place, "a command is left no capability to lock");
        return;
    }
    if (document->identity != POLICY_ACCOUNT)
        complain(document, document->user.place, "a worker has an account of its own");
    if (document->host_root.set)
        complain(document, document->host_root.place, "only with \"filter command\"");
    if (document->otherwise.set)
        complain(document, document->otherwise.place, "only with \"filter command\"");
}
