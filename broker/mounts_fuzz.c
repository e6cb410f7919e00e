/*
 * libFuzzer: the mount table and the list of control groups, as the reader takes them from /proc.
 * Users choose parts of the former (FUSE). Input: both texts, with a NUL between them.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "cgroup.h"
#include "hardware_ids.h"

static void must(int condition)
{
    if (!condition)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct cgroup group;
    char *text = malloc(size + 2); /* two terminated texts, the second of them perhaps empty */
    must(text != NULL);
    memcpy(text, data, size);
    text[size] = text[size + 1] = 0;
    cgroup_find(&group, text, text + strlen(text) + 1);
    must(group.count <= CGROUP_TREES_MAX);
    uint32_t seen = 0;
    for (uint32_t i = 0; i < group.count; i++) {
        const struct cgroup_tree *tree = &group.trees[i];
        must(tree->version == 1 || tree->version == 2);
        must(tree->controllers != 0 && (tree->controllers & seen) == 0 && tree->controllers < 8);
        must(memchr(tree->mount, 0, sizeof tree->mount) && memchr(tree->own, 0, sizeof tree->own));
        must(tree->own[0] == 0 || (tree->own[0] == '/' && !strstr(tree->own, "/..")));
        seen |= tree->controllers;
    }
    (void)hardware_ids_root_device(text);
    free(text);
    return 0;
}
