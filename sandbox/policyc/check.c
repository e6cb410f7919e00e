#include "document.h"

#include <string.h>

static void require(struct document *document, const struct setting *setting, const char *name)
{
    if (!setting->set)
        complain(document, (struct place){document->file, 0}, "\"%s\" is missing", name);
}

static void use_default(struct setting *setting, uint64_t value)
{
    if (!setting->set)
        setting->number = value;
}

static bool has_proc(const struct document *document)
{
    for (size_t i = 0; i < document->mount_count; i++)
        if (document->mounts[i].mount.kind == POLICY_MOUNT_PROC ||
            document->mounts[i].mount.kind == POLICY_MOUNT_PROCFS)
            return true;
    return false;
}

/* A mount within another's target would be made wherever that one's contents lead. */
static void check_nesting(struct document *document)
{
    for (size_t i = 0; i < document->mount_count; i++)
        for (size_t j = 0; j < document->mount_count; j++) {
            const char *outer = document->mounts[i].mount.target;
            const char *inner = document->mounts[j].mount.target;
            size_t length = strlen(outer);
            if (strncmp(inner, outer, length) == 0 && inner[length] == '/')
                complain(document, document->mounts[j].place, "%s lies within the mount %s", inner,
                         outer);
        }
}

void document_check(struct document *document)
{
    struct place place = {document->file, 0};
    require(document, &document->kind, "kind");
    require(document, &document->user, "user");
    require(document, &document->program, "program");
    require(document, &document->memory, "memory");
    require(document, &document->pids, "pids");
    require(document, &document->cpu, "cpu");
    use_default(&document->instances, 1);
    use_default(&document->memlock, 0);
    use_default(&document->landlock_minimum, 2);
    use_default(&document->landlock_preferred, 6);
    use_default(&document->mdwe, POLICY_PREFERRED);
    use_default(&document->secret, POLICY_UNUSED);
    if (!has_proc(document))
        complain(document, place, "\"mount proc\" is missing: the lock reads itself back there");
    check_nesting(document);
    check_rules(document);
    check_command(document);
}
