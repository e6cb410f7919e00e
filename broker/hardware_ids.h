/*
 * The serial numbers that the machine's key is bound to: of the disk that holds the root file
 * system, and of the mainboard. Read from sysfs by the monitor, since only root can read them.
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
 * Reads both serials from the sysfs mounted at `sysfs` ("/sys"). Partitions, device mapper and RAID
 * are walked down to their disks; of several disks the smallest serial counts, whatever order the
 * kernel found them in. Never fails: what could not be had is in the states.
 */
void hardware_ids_read(struct agent_hardware *out, const char *sysfs, dev_t root_device);

#endif
