#include "session.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config_values.h"
#include "monitor_protocol.h"
#include "trusted.h"

static FILE *open_in(const char *root, const char *name)
{
    char path[256];
    int length = snprintf(path, sizeof path, "%s/%s", root, name);
    int fd = length > 0 && (size_t)length < sizeof path
                 ? trusted_open(AT_FDCWD, path, O_RDONLY, S_IFREG)
                 : -ENAMETOOLONG;
    FILE *file = fd < 0 ? NULL : fdopen(fd, "re");
    if (fd >= 0 && !file)
        close(fd);
    return file;
}

/* Copies a whole string or nothing. */
static void copy_whole(char *out, size_t capacity, const char *text)
{
    memset(out, 0, capacity);
    if (strlen(text) < capacity)
        memcpy(out, text, strlen(text));
}

int session_account_find(struct session_account *out, const char *etc, const char *user)
{
    uint64_t number;
    int by_number = value_number(&number, user, 0, UINT32_MAX - 1) == 0, found = 0;
    FILE *file = open_in(etc, "passwd");
    memset(out, 0, sizeof *out);
    for (struct passwd *entry; file && !found && (entry = fgetpwent(file));) {
        found = by_number ? entry->pw_uid == number : strcmp(entry->pw_name, user) == 0;
        if (found) {
            out->uid = entry->pw_uid;
            out->gid = entry->pw_gid;
            copy_whole(out->name, sizeof out->name, entry->pw_name);
            copy_whole(out->home, sizeof out->home, entry->pw_dir);
        }
    }
    if (file)
        fclose(file);
    if (!found && by_number) {
        out->uid = (uint32_t)number;
        out->gid = AGENT_UID_NONE;
    }
    return found || by_number ? 0 : -ENOENT;
}

int session_group_find(uint32_t *gid, const char *etc, const char *name)
{
    int result = -ENOENT;
    FILE *file = open_in(etc, "group");
    *gid = AGENT_UID_NONE;
    for (struct group *entry; file && result != 0 && (entry = fgetgrent(file));) {
        if (strcmp(entry->gr_name, name) == 0) {
            *gid = entry->gr_gid;
            result = 0;
        }
    }
    if (file)
        fclose(file);
    return result;
}

/* Reads one value of an environment-like file. Returns 0, or -1 if it is not there or too long. */
static int read_value(char *out, size_t capacity, const char *root, const char *name,
                      const char *key)
{
    char line[512];
    size_t length = strlen(key);
    int result = -1;
    FILE *file = open_in(root, name);
    while (file && result != 0 && fgets(line, sizeof line, file)) {
        if (strncmp(line, key, length) != 0 || line[length] != '=')
            continue;
        char *value = line + length + 1;
        value[strcspn(value, "\n")] = 0;
        size_t size = strlen(value);
        if (size > 1 && value[0] == '"' && value[size - 1] == '"') {
            value[size - 1] = 0;
            value++;
        }
        copy_whole(out, capacity, value);
        result = out[0] || !value[0] ? 0 : -1;
    }
    if (file)
        fclose(file);
    return result;
}

static int set_owner(struct agent_session *out, const char *user, const char *etc)
{
    struct session_account account;
    if (session_account_find(&account, etc, user) != 0)
        return -1;
    out->uid = account.uid;
    out->gid = account.gid;
    copy_whole(out->user, sizeof out->user, account.name);
    return 0;
}

static void from_logind(struct agent_session *out, const struct session_roots *roots)
{
    char id[64], file[128], uid[16], value[32];
    if (read_value(id, sizeof id, roots->run, "systemd/seats/seat0", "ACTIVE") != 0 || !id[0] ||
        strchr(id, '/') || id[0] == '.')
        return;
    snprintf(file, sizeof file, "systemd/sessions/%s", id);
    if (read_value(uid, sizeof uid, roots->run, file, "UID") != 0 ||
        read_value(value, sizeof value, roots->run, file, "CLASS") != 0 ||
        strcmp(value, "user") != 0 || /* the login screen is nobody's session */
        read_value(value, sizeof value, roots->run, file, "TYPE") != 0)
        return;
    uint32_t type = strcmp(value, "x11") == 0       ? MONITOR_SESSION_X11
                    : strcmp(value, "wayland") == 0 ? MONITOR_SESSION_WAYLAND
                                                    : MONITOR_SESSION_NONE;
    if (type == MONITOR_SESSION_NONE || value_user(value, uid) != 0 ||
        set_owner(out, uid, roots->etc) != 0)
        return;
    out->type = type;
    if (read_value(value, sizeof value, roots->run, file, "DISPLAY") == 0) {
        char display[16];
        if (value_display(display, value) == 0)
            memcpy(out->display, display, sizeof display);
    }
    int in_front = read_value(value, sizeof value, roots->run, file, "STATE") == 0 &&
                   strcmp(value, "active") == 0;
    int locked = read_value(value, sizeof value, roots->run, file, "LOCKED_HINT") == 0 &&
                 strcmp(value, "0") != 0 && strcmp(value, "no") != 0;
    out->active = in_front && !locked;
}

int session_is_logind(const struct config *config)
{
    return config->source == CONFIG_SOURCE_LOGIND ||
           (config->source == CONFIG_SOURCE_AUTO && !config->user[0]);
}

void session_find(struct agent_session *out, const struct config *config,
                  const struct session_roots *roots)
{
    memset(out, 0, sizeof *out);
    out->uid = out->gid = AGENT_UID_NONE;
    memcpy(out->display, config->display, sizeof out->display);
    if (session_is_logind(config)) {
        from_logind(out, roots);
    } else if (set_owner(out, config->user, roots->etc) == 0) {
        out->type = MONITOR_SESSION_X11;
        out->active = 1;
    }
}

unsigned session_cookies(char out[2][256], const struct agent_session *session,
                         const struct config *config, const struct session_roots *roots)
{
    struct session_account account;
    char uid[16];
    unsigned count = 0;
    if (config->xauthority[0]) {
        memcpy(out[0], config->xauthority, sizeof out[0]);
        return 1;
    }
    snprintf(uid, sizeof uid, "%u", session->uid);
    snprintf(out[count++], sizeof out[0], "%s/user/%s/gdm/Xauthority", roots->run, uid);
    if (session_account_find(&account, roots->etc, uid) == 0 && account.home[0] == '/')
        snprintf(out[count++], sizeof out[0], "%s/.Xauthority", account.home);
    return count;
}
