/*
 * The serial numbers that the machine's key is bound to: of the disk that holds the root file
 * system, and of the mainboard, as sysfs has them.
 *
 * Nothing here judges a value: what firmware writes when it has no serial ("To be filled by
 * O.E.M.") is for the vault to know.
 */
#ifndef CLOISTER_HARDWARE_IDS_H
#define CLOISTER_HARDWARE_IDS_H

#include <sys/types.h>

#include "agent_config.h"

/*
 * The block device below the root file system: of "/" itself or, where "/" has an anonymous device
 * number (btrfs), of the source that `mountinfo` (the text of /proc/self/mountinfo) names for it.
 * 0 if there is none (overlay, NFS, tmpfs).
 */
dev_t hardware_ids_root_device(const char *mountinfo);

/*
 * Reads both serials from the sysfs that `sysfs` is the top folder of. `board` is its
 * class/dmi/id/board_serial, which only root can open, opened; or -errno of the attempt.
 * Partitions, device mapper and RAID are walked down to their disks; of several disks the smallest
 * serial counts, whatever order the kernel found them in. Never fails: what could not be had is in
 * the states. Closes neither descriptor.
 */
void hardware_ids_read(struct agent_hardware *out, int sysfs, int board, dev_t root_device);

#endif
