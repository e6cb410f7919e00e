#include "hardware_ids.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define DEPTH_MAX 8 /* LUKS on LVM on RAID on a partition makes 4 */

static int is_blank(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* Reads an attribute from `fd`, or -errno of opening it. None, or an empty one, is ABSENT. */
static void read_open(struct agent_id *out, int fd)
{
    char text[sizeof out->value];
    memset(out, 0, sizeof *out);
    ssize_t got = fd < 0 ? fd : read(fd, text, sizeof text - 1);
    if (got < 0) {
        out->state = got == -ENOENT || got == -ENOTDIR ? AGENT_ID_ABSENT : AGENT_ID_UNREADABLE;
        return;
    }
    size_t start = 0, end = strnlen(text, (size_t)got);
    while (start < end && is_blank(text[start]))
        start++;
    while (end > start && is_blank(text[end - 1]))
        end--;
    memcpy(out->value, text + start, end - start);
    out->length = (uint32_t)(end - start);
    out->state = out->length ? AGENT_ID_PRESENT : AGENT_ID_ABSENT;
}

static void read_attribute(struct agent_id *out, int folder, const char *name)
{
    int fd = openat(folder, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    read_open(out, fd < 0 ? -errno : fd);
    if (fd >= 0)
        close(fd);
}

/* virtio has serial; NVMe and MMC device/serial; SCSI and SATA device/wwid; NVMe namespaces wwid.
 */
static void read_disk(struct agent_id *out, int disk)
{
    static const char *const names[] = {"serial", "device/serial", "wwid", "device/wwid"};
    memset(out, 0, sizeof *out);
    for (size_t i = 0; i < sizeof names / sizeof names[0] && out->state == AGENT_ID_ABSENT; i++)
        read_attribute(out, disk, names[i]);
}

/* Joins the serial of one more disk to what was found: unreadable wins, then the smaller value. */
static void join(struct agent_id *best, const struct agent_id *one)
{
    if (one->state == AGENT_ID_ABSENT || best->state == AGENT_ID_UNREADABLE)
        return;
    if (best->state == AGENT_ID_ABSENT || one->state == AGENT_ID_UNREADABLE ||
        strcmp(one->value, best->value) < 0)
        *best = *one;
}

static void walk(struct agent_id *best, int device, int depth);

/* Walks the devices that this one is made of. Returns how many there are. */
static int walk_slaves(struct agent_id *best, int device, int depth)
{
    int count = 0;
    int fd = openat(device, "slaves", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *folder = fd < 0 ? NULL : fdopendir(fd);
    for (struct dirent *entry; folder && (entry = readdir(folder));) {
        if (entry->d_name[0] != '.') {
            int slave = openat(fd, entry->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
            walk(best, slave, depth + 1);
            count++;
        }
    }
    if (folder)
        closedir(folder);
    return count;
}

/* Walks down from the block device at descriptor `device`, which it closes. */
static void walk(struct agent_id *best, int device, int depth)
{
    struct agent_id one = {.state = AGENT_ID_UNREADABLE};
    if (device < 0 || depth == DEPTH_MAX) {
        join(best, &one);
    } else if (faccessat(device, "partition", F_OK, 0) == 0) {
        walk(best, openat(device, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC), depth + 1);
    } else if (walk_slaves(best, device, depth) == 0) {
        read_disk(&one, device);
        join(best, &one);
    }
    if (device >= 0)
        close(device);
}

void hardware_ids_read(struct agent_hardware *out, int sysfs, int board, dev_t root_device)
{
    char name[64];
    memset(out, 0, sizeof *out);
    if (sysfs < 0 || faccessat(sysfs, "class", F_OK, 0) != 0) { /* not mounted */
        out->disk.state = out->board.state = AGENT_ID_UNREADABLE;
        return;
    }
    read_open(&out->board, board);
    if (root_device == 0)
        return;
    snprintf(name, sizeof name, "dev/block/%u:%u", major(root_device), minor(root_device));
    int disk = openat(sysfs, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (disk >= 0 || errno != ENOENT)
        walk(&out->disk, disk, 0);
}

dev_t hardware_ids_root_device(const char *mountinfo)
{
    struct stat st;
    dev_t found = 0;
    if (stat("/", &st) == 0 && major(st.st_dev) != 0)
        return st.st_dev;
    /* proc_pid_mountinfo(5): id, parent, device, root, mount point, options, [tags] - type, source
     */
    for (const char *line = mountinfo; line && *line; line = strchr(line, '\n') + 1) {
        char point[4], source[256];
        const char *end = strchr(line, '\n'), *dash = strstr(line, " - ");
        if (!end)
            break;
        if (dash && dash < end && sscanf(line, "%*s %*s %*s %*s %3s", point) == 1 &&
            strcmp(point, "/") == 0 && sscanf(dash + 3, "%*s %255s", source) == 1 &&
            strncmp(source, "/dev/", 5) == 0 && stat(source, &st) == 0 && S_ISBLK(st.st_mode))
            found = st.st_rdev; /* the last one lies on top */
    }
    return found;
}
