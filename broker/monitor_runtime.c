#include "monitor.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "log.h"

/* Makes folder `name` below descriptor `at` and gives it mode and owner. 0 or -errno. */
static int make_folder(int at, const char *name, mode_t mode, uint32_t uid, uint32_t gid)
{
    if (mkdirat(at, name, 0700) != 0 && errno != EEXIST)
        return -errno;
    int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    int result = fd < 0 || fchown(fd, uid, gid) != 0 || fchmod(fd, mode) != 0 ? -errno : 0;
    if (fd >= 0)
        close(fd);
    return result;
}

/* Opens a folder that only root writes in, making it where it is missing. The descriptor or -errno.
 */
static int own_folder(const char *path, mode_t mode)
{
    if (mkdir(path, 0700) == 0 && chmod(path, mode) != 0)
        return -errno;
    int fd = config_open_trusted(AT_FDCWD, path, O_RDONLY | O_NOFOLLOW, S_IFDIR);
    if (fd < 0) {
        log_error("%s: %s", path,
                  fd == -EPERM ? "must be root's and writable by nobody else" : strerror(-fd));
    }
    return fd;
}

int monitor_make_runtime(const struct monitor_host *host, const struct policy *broker)
{
    const char *path = host->config.agent.runtime_dir;
    struct session_account account;
    int state = own_folder(host->config.agent.state_dir, 0755);
    if (state < 0)
        return state;
    close(state);
    if (session_account_find(&account, host->roots.etc, broker->user) != 0 || account.uid == 0) {
        log_error("the account %s is not in %s/passwd; create the agent's accounts with "
                  "systemd-sysusers",
                  broker->user, host->roots.etc);
        return -ENOENT;
    }
    int fd = own_folder(path, 0755);
    if (fd < 0)
        return fd;
    /* the lock is held by this descriptor until the process ends, however it ends */
    int lock = openat(fd, "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    int result = lock < 0 || flock(lock, LOCK_EX | LOCK_NB) != 0 ? -errno : 0;
    if (result == 0)
        result = make_folder(fd, "root", 0700, 0, 0);
    if (result == 0)
        result = make_folder(fd, "chan", 0700, account.uid, account.gid);
    if (result == 0)
        result = make_folder(fd, "door", 0711, account.uid, account.gid);
    if (result != 0) {
        log_error("%s: %s", path,
                  result == -EWOULDBLOCK ? "another cloisterd runs with it" : strerror(-result));
    }
    close(fd);
    return result;
}

/* Removes what lies in folder `name`; the names are the broker's, so nothing is followed. */
static void empty_folder(int at, const char *name)
{
    int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *folder = fd < 0 ? NULL : fdopendir(fd);
    for (struct dirent *entry; folder && (entry = readdir(folder));)
        if (unlinkat(fd, entry->d_name, 0) != 0 && entry->d_name[0] != '.')
            (void)unlinkat(fd, entry->d_name, AT_REMOVEDIR);
    if (folder)
        closedir(folder);
}

void monitor_clean_runtime(const struct monitor_host *host, bool all)
{
    static const char *const names[] = {"chan", "door", "root"};
    const char *path = host->config.agent.runtime_dir;
    int fd = config_open_trusted(AT_FDCWD, path, O_RDONLY, S_IFDIR);
    for (int i = 0; i < 3 && fd >= 0; i++) {
        empty_folder(fd, names[i]);
        if (all)
            (void)unlinkat(fd, names[i], AT_REMOVEDIR);
    }
    if (fd >= 0) {
        if (all) {
            (void)unlinkat(fd, "lock", 0);
            (void)rmdir(path); /* stays if somebody else put something there */
        }
        close(fd);
    }
}

int monitor_seal_config(const struct monitor_host *host)
{
    struct agent_config agent = host->config.agent;
    agent.session = host->session;
    int fd = memfd_create("cloister-config", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0 || write(fd, &agent, sizeof agent) != sizeof agent ||
        fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) != 0) {
        int error = errno;
        log_error("the configuration's memfd: %s", strerror(error));
        if (fd >= 0)
            close(fd);
        return -error;
    }
    return fd;
}

void monitor_notify(const char *socket_path, const char *text)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t length = socket_path ? strlen(socket_path) : 0;
    if (length == 0 || length >= sizeof address.sun_path)
        return;
    memcpy(address.sun_path, socket_path, length);
    if (address.sun_path[0] == '@')
        address.sun_path[0] = 0; /* abstract */
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd >= 0) {
        (void)!sendto(fd, text, strlen(text), MSG_NOSIGNAL | MSG_DONTWAIT,
                      (struct sockaddr *)&address,
                      (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length));
        close(fd);
    }
}

bool monitor_relay_log(struct monitor *monitor)
{
    char text[512];
    ssize_t got = read(monitor->log, text, sizeof text);
    for (ssize_t i = 0; i < got; i++) {
        char c = text[i];
        /* the broker has escaped what workers wrote; here only the terminal is kept safe from it */
        monitor->log_line[monitor->log_used++] = (c >= ' ' && c <= '~') || c == '\n' ? c : '?';
        if (monitor->log_used == sizeof monitor->log_line - 1 && c != '\n')
            monitor->log_line[monitor->log_used++] = c = '\n';
        if (c == '\n') {
            (void)!write(STDERR_FILENO, monitor->log_line, monitor->log_used);
            monitor->log_used = 0;
        }
    }
    return got > 0 || (got < 0 && (errno == EAGAIN || errno == EINTR));
}
