#include "escapes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const struct escape *const escape_lists[] = {escapes_files, escapes_root, escapes_processes,
                                             escapes_rights};

const struct escape *escape_find(const char *name)
{
    for (size_t l = 0; l < ESCAPE_LISTS; l++)
        for (const struct escape *escape = escape_lists[l]; escape->name != NULL; escape++)
            if (strcmp(escape->name, name) == 0)
                return escape;
    return NULL;
}

int escape_target_write(char *out, size_t capacity, const struct escape_target *target)
{
    int n = snprintf(out, capacity, "%d %s %s %s %s %s %s %s %s", target->victim, target->secret,
                     target->exposed, target->channel, target->door, target->x11, target->abstract,
                     target->port, target->root);
    return n > 0 && (size_t)n < capacity ? 0 : -1;
}

int escape_target_read(struct escape_target *out, char *text)
{
    const char **const members[] = {&out->secret, &out->exposed,  &out->channel, &out->door,
                                    &out->x11,    &out->abstract, &out->port,    &out->root};
    char *save = NULL;
    const char *first = strtok_r(text, " ", &save);
    out->victim = first == NULL ? 0 : atoi(first);
    for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++)
        if ((*members[i] = strtok_r(NULL, " ", &save)) == NULL)
            return -1;
    return 0;
}
