#include "launch.h"

const char *launch_stage_name(uint32_t stage)
{
    static const char *const names[LAUNCH_STAGE_COUNT] = {
        [LAUNCH_ARGUMENTS] = "arguments",
        [LAUNCH_NAMESPACES] = "namespaces",
        [LAUNCH_ACCOUNT] = "account",
        [LAUNCH_XAUTHORITY] = "xauthority",
        [LAUNCH_CGROUP] = "cgroup",
        [LAUNCH_HOSTNAME] = "hostname",
        [LAUNCH_PROGRAM] = "program",
        [LAUNCH_ROOT] = "root",
        [LAUNCH_MOUNT] = "mount",
        [LAUNCH_PIVOT] = "pivot",
        [LAUNCH_LIMITS] = "limits",
        [LAUNCH_IDENTITY] = "identity",
        [LAUNCH_CAPABILITIES] = "capabilities",
        [LAUNCH_NO_NEW_PRIVS] = "no_new_privs",
        [LAUNCH_PARENT_DEATH] = "parent death",
        [LAUNCH_LANDLOCK] = "landlock",
        [LAUNCH_DESCRIPTORS] = "descriptors",
        [LAUNCH_EXEC] = "exec",
    };
    const char *name = stage < LAUNCH_STAGE_COUNT ? names[stage] : 0;
    return name != 0 ? name : "unknown";
}
