/*
 * What the kernel starts for a core dump while the crash test runs (core(5), "piping core dumps to
 * a program"): keeps it.
 *
 * usage: core_catcher FOLDER PID < CORE
 */
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    static char part[1 << 16];
    char path[512], done[512];
    if (argc != 3)
        return 2;
    umask(077);
    snprintf(path, sizeof(path), "%s/part.%s", argv[1], argv[2]);
    snprintf(done, sizeof(done), "%s/core.%s", argv[1], argv[2]);
    int out = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (out < 0)
        return 1;
    for (ssize_t n; (n = read(STDIN_FILENO, part, sizeof(part))) > 0;)
        if (write(out, part, (size_t)n) != n)
            return 1;
    return rename(path, done) == 0 ? 0 : 1;
}
