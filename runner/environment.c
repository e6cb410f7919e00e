#include "environment.h"

#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SYSTEM_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

/* Whether the order has a variable of that name. */
static bool order_says(const struct order *order, const char *name)
{
    size_t length = strlen(name);
    for (uint32_t i = 0; i < order->envc; i++)
        if (strncmp(order->env[i], name, length) == 0 && order->env[i][length] == '=')
            return true;
    return false;
}

/* Where the next texts of an environment go. */
struct filling {
    struct environment *out;
    const struct order *order;
    size_t own, count;
};

static void add(struct filling *filling, const char *name, const char *value)
{
    struct environment *out = filling->out;
    if (filling->own == ENVIRONMENT_OWN || !value || order_says(filling->order, name))
        return;
    char *text = out->own[filling->own];
    int n = snprintf(text, ENVIRONMENT_TEXT, "%s=%s", name, value);
    if (n < 0 || n >= ENVIRONMENT_TEXT)
        return;
    filling->own++;
    out->texts[filling->count++] = text;
}

void environment_fill(struct environment *out, const struct order *order,
                      const struct environment_user *user)
{
    struct filling filling = {.out = out, .order = order};
    add(&filling, "PATH", SYSTEM_PATH);
    add(&filling, "HOME", user ? user->home : "/");
    add(&filling, "LANG", "C.UTF-8");
    if (user) {
        add(&filling, "USER", user->name);
        add(&filling, "LOGNAME", user->name);
        add(&filling, "SHELL", user->shell);
        add(&filling, "XDG_RUNTIME_DIR", user->runtime);
    }
    for (uint32_t i = 0; i < order->envc; i++)
        out->texts[filling.count++] = order->env[i];
    out->texts[filling.count] = NULL;
}

/* systemd's place (pam_systemd(8)), if it is there and that user's. */
static const char *runtime_folder(uid_t uid)
{
    static char path[64];
    struct stat status;
    snprintf(path, sizeof path, "/run/user/%u", (unsigned)uid);
    if (stat(path, &status) != 0 || !S_ISDIR(status.st_mode) || status.st_uid != uid)
        return NULL;
    return path;
}

int environment_find_user(struct environment_user *out)
{
    static char texts[16384];
    static struct passwd entry;
    struct passwd *found = NULL;
    int error = getpwuid_r(getuid(), &entry, texts, sizeof texts, &found);
    if (error || !found)
        return error ? -error : -ENOENT;
    *out = (struct environment_user){
        .name = entry.pw_name,
        .home = entry.pw_dir[0] == '/' ? entry.pw_dir : "/",
        .shell = entry.pw_shell[0] == '/' ? entry.pw_shell : "/bin/sh",
        .runtime = runtime_folder(entry.pw_uid),
    };
    return 0;
}
