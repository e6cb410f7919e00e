#include "tasks.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "hostile.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* ---------------------------------------------------------------- misuse */

static __attribute__((noreturn)) void linger(void)
{
    for (;;)
        pause();
}

/* Each child does the same, for ever: the test ends it. */
static __attribute__((noreturn)) int fork_bomb(void)
{
    dprintf(2, "bomb\n");
    for (;;)
        (void)!fork();
}

static int eat_memory(void)
{
    const size_t step = 4U << 20;
    for (;;) {
        char *memory = mmap(NULL, step, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (memory == MAP_FAILED)
            return errno;
        memset(memory, 1, step);
    }
}

/* The same by way of files: what lies in its /tmp counts as its memory. */
static int fill_files(void)
{
    static char block[1U << 20];
    int fd = open("/tmp/large", O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    for (int i = 0; fd >= 0 && i < 4096; i++)
        if (write(fd, block, sizeof(block)) < 0)
            return errno;
    return fd < 0 ? errno : 0;
}

static __attribute__((noreturn)) int ignore_signals(void)
{
    for (int i = 1; i < 32; i++)
        signal(i, SIG_IGN);
    dprintf(2, "ignoring\n");
    linger();
}

/* A daemon in a session of its own, and again one of it; they ignore what they can. */
static int daemonize(void)
{
    if (fork() == 0) {
        setsid();
        signal(SIGHUP, SIG_IGN);
        signal(SIGTERM, SIG_IGN);
        if (fork() == 0)
            linger();
        linger();
    }
    return 0;
}

static int stop_child(void)
{
    pid_t pid = fork();
    if (pid == 0)
        linger();
    kill(pid, SIGSTOP);
    int status;
    return waitpid(pid, &status, WUNTRACED) == pid && WIFSTOPPED(status) ? 0 : ECHILD;
}

/* ---------------------------------------------------------------- ordinary work */

/* What a shell says about it goes to the log. */
static int shell(const char *line)
{
    execl("/bin/sh", "sh", "-ec", line, (char *)NULL);
    return errno;
}

static int clone3_is_unknown(void)
{
    return syscall(SYS_clone3, NULL, 0UL) == -1 && errno == ENOSYS ? 0 : EPERM;
}

static const struct {
    const char *name;
    int (*run)(void);
    const char *line; /* for a shell */
} tasks[] = {
    {"fork bomb", fork_bomb, NULL},
    {"eat memory", eat_memory, NULL},
    {"fill files", fill_files, NULL},
    {"ignore signals", ignore_signals, NULL},
    {"daemonize", daemonize, NULL},
    {"stop child", stop_child, NULL},
    {"clone3 is unknown", clone3_is_unknown, NULL},
    {"who", NULL, "id; cd /; umask; echo $$ $PPID"},
    {"dash", NULL, "ulimit -p 60; ulimit -p; ulimit -a"},
    {"files", NULL,
     "ls -l / /etc /dev /sys/class/net >/dev/null; df >/dev/null; cat /etc/os-release | grep -q "
     "^ID="},
    {"scratch", NULL,
     "cd /tmp; echo text >a; cp a b; mkdir c; mv b c/d; cmp a c/d; sort a | uniq -c; "
     "mktemp; ln -s a l; test -L l; mkfifo f; cat f >g & echo x >f; wait; cat g; "
     "mkdir e; mv c/d e/; ln e/d h; rm -r a c e f g h l; test \"$(stat -c %a /tmp)\" = 700"},
    {"processes", NULL,
     "export PATH=/usr/bin:/usr/sbin:/bin:/sbin; "
     "ps -ef | grep -q 'ps -ef'; uptime; free; nproc; uname -a; timeout 5 sleep 0.01; "
     "sleep 5 & kill $!; wait; nice true"},
    {"links", NULL, "echo text | cat /dev/stdin >/dev/null; ls -l /dev/fd/ /dev/stdin"},
    {"bash", NULL,
     "exec /bin/bash -ec 'cat <(echo one) <(echo two); read -r a b <<<\"1 2\"; test $b = 2; "
     "ulimit -a >/dev/null; ulimit -n 100; test $(ulimit -n) = 100; ulimit -u 60; test $(ulimit "
     "-u) = 60; trap : TERM; kill $$; coproc "
     "cat; kill $COPROC_PID'"},
    {"python", NULL,
     "exec /usr/bin/python3 -c '\n"
     "import subprocess, threading, tempfile, asyncio, json, os, ctypes, multiprocessing\n"
     "assert subprocess.run([\"true\"]).returncode == 0\n"
     "thread = threading.Thread(target=lambda: None); thread.start(); thread.join()\n"
     "tempfile.TemporaryFile().write(b\"x\")\n"
     "asyncio.run(asyncio.sleep(0))\n"
     "print(os.cpu_count(), os.uname().release)\n"
     "'"},
    {"perl", NULL,
     "exec /usr/bin/perl -e 'use POSIX; open(my $f, \"-|\", \"uname\") or die; print <$f>; "
     "die unless fork() // die; wait; print strftime(\"%F\", localtime), \"\\n\"'"},
    {"home", NULL, "cd; pwd; ls -a; echo written >made; cat made; rm made; id -G"},
    {"net", NULL, "ls /sys/class/net; grep -c : /proc/net/dev"},
    {"mount", NULL, "mount -t tmpfs none /mnt; touch /mnt/x; umount /mnt"},
};

int task_run(const char *name)
{
    for (size_t i = 0; i < COUNT(tasks); i++)
        if (strcmp(tasks[i].name, name) == 0)
            return tasks[i].run != NULL ? tasks[i].run() : shell(tasks[i].line);
    return HOSTILE_BROKEN;
}
