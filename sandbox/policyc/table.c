#include "output.h"

#include <sched.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

const char *identifier(const struct document *document)
{
    static char name[32];
    snprintf(name, sizeof(name), "%s", document->kind.text);
    for (char *c = name; *c != '\0'; c++)
        if (*c == '-')
            *c = '_';
    return name;
}

/* What the source of a mount of each kind must be, and what the mount is given. */
#define CLOSED (MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC)
static const struct mount_kind {
    const char *name;
    unsigned type;
    unsigned flags;
} mount_kinds[] = {
    [POLICY_MOUNT_FILE] = {"POLICY_MOUNT_FILE", S_IFREG, CLOSED},
    [POLICY_MOUNT_DIR] = {"POLICY_MOUNT_DIR", S_IFDIR, CLOSED},
    [POLICY_MOUNT_WRITE] = {"POLICY_MOUNT_WRITE", S_IFDIR, CLOSED & ~MOUNT_ATTR_RDONLY},
    [POLICY_MOUNT_SOCKET] = {"POLICY_MOUNT_SOCKET", S_IFSOCK, CLOSED},
    [POLICY_MOUNT_DEVICE] = {"POLICY_MOUNT_DEVICE", S_IFCHR, CLOSED & ~MOUNT_ATTR_NODEV},
    [POLICY_MOUNT_TMPFS] = {"POLICY_MOUNT_TMPFS", 0, CLOSED & ~MOUNT_ATTR_RDONLY},
    [POLICY_MOUNT_PROC] = {"POLICY_MOUNT_PROC", 0, CLOSED & ~MOUNT_ATTR_RDONLY},
    [POLICY_MOUNT_PROGRAM] = {"POLICY_MOUNT_PROGRAM", S_IFREG, CLOSED & ~MOUNT_ATTR_NOEXEC},
    [POLICY_MOUNT_EXEC] = {"POLICY_MOUNT_EXEC", S_IFDIR, CLOSED & ~MOUNT_ATTR_NOEXEC},
    [POLICY_MOUNT_LINK] = {"POLICY_MOUNT_LINK", S_IFLNK, 0},
    [POLICY_MOUNT_PROCFS] = {"POLICY_MOUNT_PROCFS", 0, CLOSED},
};

/* Prints a path as its base and the rest. */
static void print_path(const char *path, FILE *out)
{
    static const struct {
        const char *text;
        const char *name;
    } bases[] = {
        {"${channel}", "POLICY_BASE_CHANNEL"}, {"${state}", "POLICY_BASE_STATE"},
        {"${x11}", "POLICY_BASE_X11"},         {"${runtime}", "POLICY_BASE_RUNTIME"},
        {"${program}", "POLICY_BASE_PROGRAM"},
    };
    for (size_t i = 0; path != NULL && i < sizeof(bases) / sizeof(bases[0]); i++)
        if (strncmp(path, bases[i].text, strlen(bases[i].text)) == 0) {
            fprintf(out, "%s, \"%s\", ", bases[i].name, path + strlen(bases[i].text));
            return;
        }
    if (path == NULL)
        fprintf(out, "POLICY_BASE_NONE, NULL, ");
    else
        fprintf(out, "POLICY_BASE_NONE, \"%s\", ", path);
}

static void print_mount(const struct document *document, const struct policy_mount *mount,
                        FILE *out)
{
    const struct mount_kind *kind = &mount_kinds[mount->kind];
    unsigned flags = kind->flags;
    if (mount->kind == POLICY_MOUNT_PROCFS && document->host_root.set)
        flags &= ~MOUNT_ATTR_RDONLY; /* it can write to all that the host's root has */
    fprintf(out, "    {%s, ", kind->name);
    print_path(mount->source, out);
    print_path(mount->target, out);
    fprintf(out, "%llu, 0%o, 0x%x, 0x%x, %d},\n", (unsigned long long)mount->size, kind->type,
            flags, mount->rights, mount->optional);
}

static void print_program(const struct document *document, const char *source, const char *target,
                          FILE *out)
{
    struct policy_mount mount = {
        .kind = POLICY_MOUNT_PROGRAM,
        .source = source,
        .target = target,
        .rights = (POLICY_READ | POLICY_EXECUTE) & POLICY_RIGHTS_OF_A_FILE,
    };
    print_mount(document, &mount, out);
}

/* Whether the root has that file already: with a folder of the host's, or all of them. */
static bool is_there(const struct document *document, const char *path)
{
    bool there = document->host_root.set;
    for (size_t i = 0; i < document->mount_count; i++) {
        const struct policy_mount *mount = &document->mounts[i].mount;
        size_t length = strlen(mount->target);
        if (mount->kind == POLICY_MOUNT_EXEC && strncmp(path, mount->target, length) == 0 &&
            path[length] == '/')
            there = true;
    }
    return there;
}

/* The program: in the host's root where it lies, beside the host's /bin in the root itself. */
static void print_own_program(const struct document *document, FILE *out)
{
    char path[256];
    snprintf(path, sizeof(path), "/bin/%s", document->program.text);
    if (document->host_root.set)
        print_program(document, "${program}", "${program}", out);
    else
        print_program(document, "${program}",
                      path + (is_there(document, path) ? strlen("/bin") : 0), out);
}

/* Its libraries where the host has them: the loader where the binary's PT_INTERP says, the others
 * where the loader looks first. Returns how many. */
static size_t print_libraries(const struct document *document, FILE *out)
{
    size_t printed = 0;
    for (size_t i = 0; i < document->library_count; i++) {
        const char *soname = document->libraries[i];
        bool loader = strncmp(soname, "ld-linux", 8) == 0;
        char path[256];
        snprintf(path, sizeof(path), "%s/%s", loader ? POLICYC_LOADER_DIR : POLICYC_LIBRARY_DIR,
                 soname);
        if (is_there(document, path))
            continue;
        print_program(document, path, path, out);
        printed++;
    }
    return printed;
}

static uint32_t variables_in(const struct document *document)
{
    static const struct {
        const char *text;
        uint32_t bit;
    } table[] = {
        {"${channel}", POLICY_VARIABLE_CHANNEL},
        {"${state}", POLICY_VARIABLE_STATE},
        {"${x11}", POLICY_VARIABLE_X11},
        {"${runtime}", POLICY_VARIABLE_RUNTIME},
    };
    uint32_t out = 0;
    for (size_t i = 0; i < document->mount_count; i++)
        for (size_t v = 0; v < sizeof(table) / sizeof(table[0]); v++) {
            const struct policy_mount *mount = &document->mounts[i].mount;
            if (strstr(mount->target, table[v].text) ||
                (mount->source != NULL && strstr(mount->source, table[v].text)))
                out |= table[v].bit;
        }
    return out;
}

/* Returns how many mounts there are. */
static size_t print_lists(const struct document *document, FILE *out)
{
    fprintf(out, "static const struct policy_mount mounts[] = {\n");
    print_own_program(document, out);
    size_t mounts = 1 + print_libraries(document, out) + document->mount_count;
    for (size_t i = 0; i < document->mount_count; i++)
        print_mount(document, &document->mounts[i].mount, out);
    fprintf(out, "};\n\nstatic const struct policy_limit limits[] = {\n");
    for (size_t i = 0; i < document->limit_count; i++)
        fprintf(out, "    {%d, UINT64_C(%llu)}, /* %s */\n", document->limits[i].limit.resource,
                (unsigned long long)document->limits[i].limit.value, document->limits[i].name);
    fprintf(out, "    {0, 0},\n};\n\nstatic const struct policy_descriptor descriptors[] = {\n");
    for (size_t i = 0; i < document->descriptor_count; i++)
        fprintf(out, "    {\"%s\", %d},\n", document->descriptors[i].descriptor.name,
                document->descriptors[i].descriptor.optional);
    fprintf(out, "    {0},\n};\n\n");
    return mounts;
}

/* Whose rights it has. */
static void print_identity(const struct document *document, FILE *out)
{
    static const char *const names[] = {
        [POLICY_ACCOUNT] = "POLICY_ACCOUNT",
        [POLICY_SESSION] = "POLICY_SESSION",
        [POLICY_ROOT] = "POLICY_ROOT",
    };
    fprintf(out, "    .identity = %s,\n", names[document->identity]);
    if (document->identity == POLICY_ACCOUNT)
        fprintf(out, "    .user = \"%s\",\n", document->user.text);
    fprintf(out, "    .command = %d,\n    .host_root = %d,\n", document->command.set,
            document->host_root.set);
}

void output_table(const struct document *document, FILE *out)
{
    const uint64_t all = CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS;
    fprintf(out, "/* Made by policyc of %s. */\n#include \"policy.h\"\n\n", document->file);
    size_t mounts = print_lists(document, out);
    fprintf(out, "extern const struct policy %s_policy;\nconst struct policy %s_policy = {\n",
            identifier(document), identifier(document));
    fprintf(out, "    .kind = \"%s\",\n    .program = \"%s\",\n", document->kind.text,
            document->program.text);
    print_identity(document, out);
    fprintf(out, "    .instances = %u,\n    .namespaces = 0x%llx,\n",
            (unsigned)document->instances.number,
            (unsigned long long)(all & ~document->shared_namespaces));
    fprintf(out, "    .variables = 0x%x,\n    .new_cgroup = %d,\n", variables_in(document),
            (document->shared_namespaces & CLONE_NEWCGROUP) == 0);
    fprintf(out, "    .memory_max = UINT64_C(%llu),\n    .pids_max = %u,\n    .cpu_percent = %u,\n",
            (unsigned long long)document->memory.number, (unsigned)document->pids.number,
            (unsigned)document->cpu.number);
    fprintf(out, "    .memlock = UINT64_C(%llu),\n", (unsigned long long)document->memlock.number);
    fprintf(out, "    .mounts = mounts,\n    .mount_count = %zu,\n", mounts);
    fprintf(out, "    .limits = limits,\n    .limit_count = %zu,\n", document->limit_count);
    fprintf(out, "    .descriptors = descriptors,\n    .descriptor_count = %zu,\n",
            document->descriptor_count);
    fprintf(out, "    .landlock_minimum = %u,\n    .landlock_preferred = %u,\n",
            (unsigned)document->landlock_minimum.number,
            (unsigned)document->landlock_preferred.number);
    if (document->overlay != NULL)
        fprintf(out, "    .overlay = \"%s\",\n", document->overlay);
    fprintf(out, "};\n");
}

/* The file name without folders: the same wherever the tree lies. */
static const char *base_name(const char *file)
{
    const char *slash = strrchr(file, '/');
    return slash == NULL ? file : slash + 1;
}

/* A cell of a Markdown table, where | would end it. */
static void print_cell(const char *text, FILE *out)
{
    for (; *text != '\0'; text++)
        fprintf(out, *text == '|' ? "\\%c" : "%c", *text);
}

void output_reasons(const struct document *document, FILE *out)
{
    fprintf(out, "## %s\n\n| where | entry | why |\n|---|---|---|\n", document->kind.text);
    for (size_t i = 0; i < document->reason_count; i++) {
        const struct reason *reason = &document->reasons[i];
        fprintf(out, "| %s:%u | `", base_name(reason->place.file), reason->place.line);
        print_cell(reason->entry, out);
        fprintf(out, "` | ");
        print_cell(reason->why, out);
        fprintf(out, " |\n");
    }
    fprintf(out, "\n");
}
