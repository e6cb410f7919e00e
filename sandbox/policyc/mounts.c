#include "document.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "names.h"

struct mount_word {
    const char *name;
    enum policy_mount_kind kind;
    uint32_t rights;
    const char *danger; /* why it needs a reason, or NULL */
};

static const struct mount_word mount_words[] = {
    {"file", POLICY_MOUNT_FILE, POLICY_READ &POLICY_RIGHTS_OF_A_FILE, NULL},
    {"dir", POLICY_MOUNT_DIR, POLICY_READ, NULL},
    {"write", POLICY_MOUNT_WRITE, POLICY_READ | POLICY_WRITE | POLICY_CREATE | POLICY_REMOVE,
     "the worker can write to the host"},
    {"socket", POLICY_MOUNT_SOCKET, 0, "the worker can talk to another process"},
    {"device", POLICY_MOUNT_DEVICE, (POLICY_READ | POLICY_WRITE) & POLICY_RIGHTS_OF_A_FILE,
     "the worker reaches a device"},
    {"tmpfs", POLICY_MOUNT_TMPFS,
     POLICY_READ | POLICY_WRITE | POLICY_CREATE | POLICY_REMOVE | POLICY_DIRECTORIES,
     "the worker can keep files in memory"},
    {"proc", POLICY_MOUNT_PROC, POLICY_READ, NULL},
    {"link", POLICY_MOUNT_LINK, 0, NULL},
};

static bool is_path(struct line *line, const char *path)
{
    const char *rest = path;
    if (strncmp(path, "${", 2) == 0) {
        const char *end = strchr(path, '}');
        if (end == NULL || variable_named(path + 2, (unsigned)(end - path - 2)) == 0) {
            complain(line->document, line->place,
                     "\"%s\": the variables are ${channel}, ${state}, ${x11} and ${runtime}", path);
            return false;
        }
        rest = end + 1;
        if (*rest == '\0')
            return true;
    }
    if (rest[0] != '/' || strstr(rest, "/../") != NULL || strchr(rest, '$') != NULL ||
        (rest == path && rest[1] == '\0')) {
        complain(line->document, line->place, "\"%s\" is no absolute path", path);
        return false;
    }
    return true;
}

static bool read_size(struct line *line, uint64_t *size)
{
    const char *text = word(line);
    char *end = NULL;
    unsigned long long value = text == NULL ? 0 : strtoull(text, &end, 10);
    if (value == 0 || value > 1 << 20 || end[0] == '\0' || end[1] != '\0' ||
        (end[0] != 'K' && end[0] != 'M')) {
        complain(line->document, line->place, "expected \"size N\" with N in K or M");
        return false;
    }
    *size = (uint64_t)value << (end[0] == 'K' ? 10 : 20);
    return true;
}

/* rights read,write,... replaces the rights that the mount has by default. */
static bool read_rights(struct line *line, uint32_t *rights)
{
    const char *text = word(line);
    if (text == NULL) {
        complain(line->document, line->place, "expected \"rights A,B,...\"");
        return false;
    }
    char *list = copy(text);
    *rights = 0;
    char *save = NULL;
    for (char *name = strtok_r(list, ",", &save); name; name = strtok_r(NULL, ",", &save)) {
        uint32_t right = right_named(name);
        if (right == 0 || right == POLICY_EXECUTE) {
            complain(line->document, line->place,
                     "unknown right \"%s\": read, write, create, remove, sockets, directories, "
                     "links, pipes, moves",
                     name);
            free(list);
            return false;
        }
        *rights |= right;
    }
    free(list);
    return true;
}

static bool read_options(struct line *line, struct mount_entry *entry)
{
    const char *option;
    while ((option = word(line)) != NULL) {
        if (strcmp(option, "optional") == 0) {
            entry->mount.optional = true;
        } else if (strcmp(option, "stays") == 0) {
            entry->stays = true;
        } else if (strcmp(option, "exec") == 0 && entry->mount.kind == POLICY_MOUNT_DIR) {
            entry->mount.kind = POLICY_MOUNT_EXEC;
            entry->mount.rights |= POLICY_EXECUTE;
            dangerous(line, "whatever lies there can be executed");
        } else if (strcmp(option, "full") == 0 && entry->mount.kind == POLICY_MOUNT_PROC) {
            entry->mount.kind = POLICY_MOUNT_PROCFS;
            dangerous(line, "all that the kernel tells of the host");
        } else if (strcmp(option, "at") == 0) {
            const char *target = word(line);
            if (target == NULL || !is_path(line, target))
                return false;
            entry->mount.target = copy(target);
        } else if (strcmp(option, "size") == 0 && entry->mount.kind == POLICY_MOUNT_TMPFS) {
            if (!read_size(line, &entry->mount.size))
                return false;
        } else if (strcmp(option, "rights") == 0 && (entry->mount.kind == POLICY_MOUNT_WRITE ||
                                                     entry->mount.kind == POLICY_MOUNT_TMPFS)) {
            if (!read_rights(line, &entry->mount.rights))
                return false;
        } else {
            complain(line->document, line->place, "unexpected \"%s\"", option);
            return false;
        }
    }
    return true;
}

static bool read_paths(struct line *line, struct mount_entry *entry)
{
    struct policy_mount *mount = &entry->mount;
    mount->target = "/proc";
    if (mount->kind == POLICY_MOUNT_PROC)
        return true;
    const char *path = word(line);
    if (path == NULL) {
        complain(line->document, line->place, "a path is missing");
        return false;
    }
    if (!is_path(line, path))
        return false;
    mount->target = copy(path);
    if (mount->kind != POLICY_MOUNT_TMPFS)
        mount->source = mount->target;
    return true;
}

static void add_mount(struct line *line, const struct mount_entry *entry)
{
    struct document *document = line->document;
    for (size_t i = 0; i < document->mount_count; i++)
        if (strcmp(document->mounts[i].mount.target, entry->mount.target) == 0)
            complain(document, line->place, "%s is mounted at %s:%u already", entry->mount.target,
                     document->mounts[i].place.file, document->mounts[i].place.line);
    if (document->mount_count == DOCUMENT_ENTRIES_MAX)
        complain(document, line->place, "too many mounts");
    else
        document->mounts[document->mount_count++] = *entry;
}

void read_mount(struct line *line)
{
    const char *name = word(line);
    const struct mount_word *found = NULL;
    for (size_t i = 0; name && i < sizeof(mount_words) / sizeof(mount_words[0]); i++)
        if (strcmp(mount_words[i].name, name) == 0)
            found = &mount_words[i];
    if (found == NULL) {
        complain(line->document, line->place, "unknown mount \"%s\"", name == NULL ? "" : name);
        return;
    }
    struct mount_entry entry = {
        .place = line->place,
        .mount = {.kind = found->kind, .rights = found->rights},
    };
    if (!read_paths(line, &entry) || !read_options(line, &entry))
        return;
    if (found->kind == POLICY_MOUNT_TMPFS && entry.mount.size == 0)
        complain(line->document, line->place, "a tmpfs needs a size");
    if (found->kind == POLICY_MOUNT_LINK && entry.mount.target == entry.mount.source)
        complain(line->document, line->place, "a link needs \"at PATH\"");
    bool is_channel = entry.mount.source != NULL && !strcmp(entry.mount.source, "${channel}");
    if (entry.stays)
        dangerous(line, "the files stay reachable after the lock");
    else if (found->danger != NULL && !is_channel)
        dangerous(line, found->danger);
    add_mount(line, &entry);
}
