#include "monitor.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "log.h"
#include "trusted.h"

/* Opens a folder that only root writes in, making it where it is missing. Descriptor or -errno. */
static int own_folder(const char *path)
{
    if (mkdir(path, 0700) == 0)
        (void)chmod(path, 0755); /* the umask is 077 */
    int fd = trusted_open(AT_FDCWD, path, O_RDONLY | O_NOFOLLOW, S_IFDIR);
    if (fd < 0)
        log_error("%s: %s", path, trusted_error(fd));
    return fd;
}

int monitor_make_runtime(const struct monitor_host *host, const struct reader_account *broker)
{
    const struct agent_config *agent = &host->reading.config.agent;
    int state = own_folder(agent->state_dir),
        fd = state < 0 ? state : own_folder(agent->runtime_dir);
    monitor_close(&state);
    if (fd < 0)
        return fd;
    /* the lock is held by this descriptor until the process ends, however it ends */
    int lock = openat(fd, "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    struct stat st;
    int result = lock < 0 || flock(lock, LOCK_EX | LOCK_NB) != 0 || fstat(lock, &st) != 0 ? -errno
                 : st.st_nlink == 0 ? -EWOULDBLOCK /* its last holder is just going */
                                    : 0;
    if (result == 0)
        result = monitor_folder(fd, "root", 0700, 0, 0);
    if (result == 0)
        result = monitor_folder(fd, "chan", 0700, broker->uid, broker->gid);
    if (result == 0)
        result = monitor_folder(fd, "door", 0711, broker->uid, broker->gid);
    if (result != 0)
        log_error("%s: %s", agent->runtime_dir,
                  result == -EWOULDBLOCK ? "another cloisterd runs there" : strerror(-result));
    close(fd);
    return result;
}

/* Removes what lies in folder `name`; the names are the broker's, so nothing is followed. */
static void empty_folder(int at, const char *name)
{
    int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *folder = fd < 0 ? NULL : fdopendir(fd);
    for (struct dirent *entry; folder && (entry = readdir(folder));)
        if (entry->d_name[0] != '.' && unlinkat(fd, entry->d_name, 0) != 0)
            (void)unlinkat(fd, entry->d_name, AT_REMOVEDIR);
    if (folder)
        closedir(folder);
}

void monitor_clean_runtime(const struct monitor_host *host, bool all)
{
    static const char *const names[] = {"chan", "door", "root"};
    const char *path = host->reading.config.agent.runtime_dir;
    int fd = trusted_open(AT_FDCWD, path, O_RDONLY, S_IFDIR);
    for (int i = 0; i < 3 && fd >= 0; i++) {
        empty_folder(fd, names[i]);
        if (all)
            (void)unlinkat(fd, names[i], AT_REMOVEDIR);
    }
    if (fd >= 0 && all) {
        (void)unlinkat(fd, "lock", 0);
        (void)rmdir(path); /* stays if somebody else put something there */
    }
    monitor_close(&fd);
}

int monitor_seal(const char *name, const void *bytes, size_t size)
{
    int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0 || write(fd, bytes, size) != (ssize_t)size ||
        fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) != 0) {
        log_error("the memfd %s: %m", name);
        monitor_close(&fd);
    }
    return fd;
}

int monitor_connect(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t length = path ? strlen(path) : 0;
    if (length == 0 || length >= sizeof address.sun_path)
        return -1;
    memcpy(address.sun_path, path, length);
    if (path[0] == '@')
        address.sun_path[0] = 0; /* abstract */
    length += offsetof(struct sockaddr_un, sun_path);
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&address, (socklen_t)length) != 0)
        monitor_close(&fd);
    return fd;
}

void monitor_notify(const char *path, const char *text)
{
    int fd = monitor_connect(path);
    if (fd >= 0)
        (void)!send(fd, text, strlen(text), MSG_NOSIGNAL | MSG_DONTWAIT);
    monitor_close(&fd);
}

bool monitor_relay_log(int log)
{
    char text[PIPE_BUF + 1];
    ssize_t got = read(log, text, PIPE_BUF);
    if (got <= 0)
        return got < 0 && (errno == EAGAIN || errno == EINTR);
    /* the broker has escaped what workers wrote; here only the terminal is kept safe from it */
    for (ssize_t i = 0; i < got; i++)
        if ((text[i] < ' ' || text[i] > '~') && text[i] != '\n')
            text[i] = '?';
    if (text[got - 1] != '\n')
        text[got++] = '\n';
    (void)!write(STDERR_FILENO, text, (size_t)got);
    return true;
}
