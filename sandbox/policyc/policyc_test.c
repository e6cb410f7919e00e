/*
 * What policyc refuses, with file and line, and what it makes of a policy that is right. The BPF
 * itself is judged by the kernel, in tests/hostile.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stddef.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define HEAD                                                                                       \
    "kind sample\nuser cloister-sample\nprogram cloister-sample\nmemory 64M\npids 8\ncpu 50\n"     \
    "mount proc\n"
#define HEAD_LINES 7

#define COMMAND_WITHOUT_USER                                                                       \
    "kind sample\nfilter command\nprogram cloister-sample\nmemory 64M\npids 8\ncpu 50\nmount "     \
    "proc\n"
#define COMMAND_WITHOUT_PROC                                                                       \
    "kind sample\nuser cloister-sample\nfilter command\nprogram cloister-sample\nmemory 64M\n"     \
    "pids 8\ncpu 50\n"
#define COMMAND COMMAND_WITHOUT_PROC "mount proc\n"
#define DEFAULT "default errno ENOSYS\n"

static char folder[64];
static char policy[96];
static char output[96];

static void write_text(const char *path, const char *head, const char *text)
{
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    assert_true(fputs(head, file) >= 0 && fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

/* Runs policyc; its messages go to `said`. Returns its exit status. */
static int run(char *const *argv, char *said, size_t capacity)
{
    int pipes[2];
    assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
    fflush(NULL);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        dup2(pipes[1], STDERR_FILENO);
        execv(POLICYC, argv);
        _exit(127);
    }
    close(pipes[1]);
    size_t used = 0;
    ssize_t n;
    while ((n = read(pipes[0], said + used, capacity - 1 - used)) > 0)
        used += (size_t)n;
    said[used] = '\0';
    close(pipes[0]);
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static int compile(const char *mode, char *said, size_t capacity)
{
    char program[] = "policyc";
    char mode_copy[16];
    snprintf(mode_copy, sizeof(mode_copy), "%s", mode);
    char *argv[] = {program, mode_copy, policy, output, NULL};
    return run(argv, said, capacity);
}

static const struct refusal {
    const char *line;
    const char *says;
} refusals[] = {
    /* Dangerous without a reason. */
    {"syscall openat", "needs a reason"},
    {"syscall execve clone", "needs a reason"},
    {"syscall connect # x", "needs a reason"},
    {"syscall ioctl when arg1 == FIONREAD", "needs a reason"},
    {"syscall mmap when arg2 & PROT_EXEC == 0", "needs a reason"},
    {"syscall a_call_nobody_knows", "unknown system call"},
    {"mount write /var", "needs a reason"},
    {"mount tmpfs /tmp size 1M", "needs a reason"},
    {"mount device /dev/kvm", "needs a reason"},
    {"mount socket ${x11} at /x11", "needs a reason"},
    {"mount file /etc/hosts stays", "needs a reason"},
    {"share net", "needs a reason"},
    {"descriptor spool", "needs a reason"},
    {"mdwe unused", "needs a reason"},
    /* Too wide with any reason. */
    {"syscall mmap # it needs memory", "allowed only \"when arg2 & PROT_EXEC == 0\""},
    {"syscall mmap when arg2 & PROT_WRITE == 0 # for memory", "allowed only"},
    {"syscall mmap when arg2 in PROT_READ PROT_EXEC # for memory", "allowed only"},
    {"syscall mprotect when arg2 & PROT_EXEC == PROT_EXEC # a JIT", "allowed only"},
    {"syscall shmat # shared with X", "allowed only"},
    {"syscall ioctl # it needs ioctl", "must be narrowed"},
    {"syscall prctl fcntl # all of them", "must be narrowed"},
    {"syscall clone # it starts threads", "must be narrowed"},
    {"syscall ptrace # for debugging it", "no policy may allow ptrace"},
    {"syscall setuid # to change the user", "no policy may allow setuid"},
    {"syscall pkey_mprotect when arg2 == 0 # harmless", "no policy may allow"},
    {"syscall clone3 # newer than clone", "no policy may allow"},
    {"share mount # simpler that way", "cannot be shared"},
    /* Mistakes. */
    {"sycsall read", "unknown word \"sycsall\""},
    {"syscall", "the name of a system call is missing"},
    {"syscall read when", "expected \"argN OP VALUE\""},
    {"syscall read when arg6 == 1", "expected \"argN OP VALUE\""},
    {"syscall read when arg0 = 1", "expected \"argN OP VALUE\""},
    {"syscall read when arg0 == NO_SUCH_NAME", "unknown constant \"NO_SUCH_NAME\""},
    {"syscall read when arg0 == 12x", "unknown constant \"12x\""},
    {"syscall read when arg0 > 1 and arg0 < 5", "arg0 stands twice"},
    {"syscall read when arg0 in", "\"in\" needs values"},
    {"syscall read : errno EWHAT", "expected \": errno ENAME\""},
    {"syscall read : kill", "expected \": errno ENAME\""},
    {"syscall read : errno EPERM more", "expected \": errno ENAME\""},
    {"syscall read read", "has a rule at"},
    {"mount", "unknown mount"},
    {"mount folder /etc", "unknown mount \"folder\""},
    {"mount file etc/hosts", "is no absolute path"},
    {"mount file /etc/../root/key", "is no absolute path"},
    {"mount file ${home}/x", "the variables are"},
    {"mount file /etc/hosts at hosts", "is no absolute path"},
    {"mount file /etc/hosts size 1M", "unexpected \"size\""},
    {"mount tmpfs /tmp # scratch space", "a tmpfs needs a size"},
    {"mount tmpfs /tmp size 1 # scratch space", "in K or M"},
    {"mount write /var rights all # everything", "unknown right \"all\""},
    {"mount write /var rights execute # run it", "unknown right \"execute\""},
    {"mount tmpfs /tmp size 1M rights execute # run it", "unknown right \"execute\""},
    {"mount dir /var rights write # for logs", "unexpected \"rights\""},
    {"mount proc", "is mounted at"},
    {"mount file /proc/cpuinfo", "lies within the mount /proc"},
    {"limit nofiles 3", "unknown limit \"nofiles\""},
    {"limit nofile many", "is no number"},
    {"limit nofile -1", "is no number"},
    {"memory 64M", "was set at line 4 already"},
    {"instances 0", "1 to 64"},
    {"landlock minimum 1 preferred 6", "at least 2"},
    {"landlock minimum 3", "expected \"landlock minimum"},
    {"secret always", "required, preferred or unused"},
    {"library libc", "is no soname"},
    {"include no-such.policy", "cannot be read"},
    {"user Root!", "must be at most"},
    /* What only the policy of a command may say. */
    {"user session # as whoever sits there", "a worker has an account of its own"},
    {"user root # it needs everything", "a worker has an account of its own"},
    {"root host # it needs all files", "only with \"filter command\""},
    {"default errno ENOSYS", "only with \"filter command\""},
    {"default allow # whatever it wants", "only with \"filter command\""},
    {"mount dir /usr exec # the programs", "only with \"filter command\""},
    {"root chroot", "expected \"root host\""},
    {"filter worker", "expected \"filter command\""},
    {"default", "expected \"default errno ENAME\" or \"default allow\""},
    {"default errno EWHAT", "expected \"default errno"},
    {"default allow ENOSYS # whatever it wants", "expected \"default errno"},
    {"default errno EPERM more", "expected \"default errno"},
    {"mount dir /usr exec", "needs a reason"},
    {"mount file /etc/hosts exec # a program", "unexpected \"exec\""},
    {"mount link /proc/self/fd", "a link needs \"at PATH\""},
    {"mount link proc/self/fd at /dev/fd", "is no absolute path"},
};

/* The same of a command's policy, which begins with COMMAND instead. */
static const struct refusal command_refusals[] = {
    {"user session", "needs a reason"},
    {"user root", "needs a reason"},
    {"root host", "needs a reason"},
    {"default allow", "needs a reason"},
    {"default allow # short list", "\"default allow\" must refuse ptrace"},
    {"instances 2", "a command has one instance"},
    {"memlock 8M", "a command is left no capability"},
    {"mount proc full", "needs a reason"},
    {"mount file /etc/hosts stays # it reads names", "a command's files all stay"},
    {"root host # all files\nmount file /etc/hosts", "leaves only \"mount proc full\""},
    {"syscall read\nfilter command", "\"filter\" comes before the first system call"},
    {"syscall ptrace when arg0 == 0", "needs a reason"},
    {"syscall ptrace # for debugging it", "must be narrowed"},
    {"syscall ioctl # all of them", "must be narrowed"},
    {"syscall mmap", "needs a reason"},
    {"syscall read : errno ENOSYS", "libseccomp refuses the rule"},
};

static void assert_refused(const char *head, const struct refusal *refusal, char *said,
                           size_t capacity)
{
    char text[256];
    snprintf(text, sizeof(text), "\n%s\n", refusal->line);
    write_text(policy, head, text);
    unlink(output);
    int status = compile("filter", said, capacity);
    if (status != 1 || strstr(said, refusal->says) == NULL)
        fail_msg("\"%s\": status %d, %s", refusal->line, status, said);
    assert_int_equal(access(output, F_OK), -1);
}

static void refuses_with_file_and_line(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
        char said[4096];
        char place[128];
        assert_refused(HEAD, &refusals[i], said, sizeof(said));
        snprintf(place, sizeof(place), "%s:%d: error: ", policy, HEAD_LINES + 2);
        if (strstr(said, place) == NULL && strstr(said, "no-such.policy:0: error:") == NULL)
            fail_msg("\"%s\" is not at %s: %s", refusals[i].line, place, said);
    }
}

static void refuses_too_wide_a_command(void **state)
{
    (void)state;
    char said[4096];
    for (size_t i = 0; i < sizeof(command_refusals) / sizeof(command_refusals[0]); i++) {
        const char *line = command_refusals[i].line;
        const char *head = COMMAND DEFAULT;
        if (strncmp(line, "user", 4) == 0)
            head = COMMAND_WITHOUT_USER DEFAULT;
        else if (strncmp(line, "default", 7) == 0)
            head = COMMAND;
        else if (strncmp(line, "mount proc", 10) == 0)
            head = COMMAND_WITHOUT_PROC DEFAULT;
        else if (strstr(line, "filter") != NULL)
            head = HEAD;
        assert_refused(head, &command_refusals[i], said, sizeof(said));
    }
    assert_refused(COMMAND, &(struct refusal){"syscall read", "\"default\" is missing"}, said,
                   sizeof(said));
}

static void names_what_is_missing(void **state)
{
    (void)state;
    static const char *const needed[] = {"kind", "user", "program",   "memory",
                                         "pids", "cpu",  "mount proc"};
    char said[4096];
    write_text(policy, "", "# nothing\n");
    assert_int_equal(compile("filter", said, sizeof(said)), 1);
    for (size_t i = 0; i < sizeof(needed) / sizeof(needed[0]); i++) {
        char text[64];
        snprintf(text, sizeof(text), "\"%s\" is missing", needed[i]);
        assert_non_null(strstr(said, text));
    }
}

static void finds_every_error_in_one_run(void **state)
{
    (void)state;
    char said[4096];
    write_text(policy, HEAD, "syscall openat\nblah\nlimit x 1\n");
    assert_int_equal(compile("filter", said, sizeof(said)), 1);
    int lines = 0;
    for (const char *c = said; *c != '\0'; c++)
        lines += *c == '\n';
    assert_int_equal(lines, 3);
}

static void read_output(char *text, size_t capacity)
{
    FILE *file = fopen(output, "re");
    assert_non_null(file);
    size_t n = fread(text, 1, capacity - 1, file);
    text[n] = '\0';
    fclose(file);
}

static const char sample[] =
    "instances 3\n"
    "memlock 1M\n"
    "limit nofile 32\n"
    "library libextra.so.2\n"
    "mount write ${state} at /state stays rights read,write # its keys live here\n"
    "mount write /srv # cases of customers\n"
    "mount tmpfs /tmp size 8M # the engine unpacks there\n"
    "mount tmpfs /own size 1K rights read,links,pipes,moves # its links\n"
    "mount file /etc/hosts optional\n"
    "share pid # it compares process ids\n"
    "descriptor spool # the journal's segments\n"
    "descriptor extra optional # may be missing\n"
    "syscall read write close\n"
    "syscall fcntl when arg1 in F_GETFL F_GETFD and arg0 == 3 # asks only\n"
    "syscall getpid : errno ENOSYS\n";

static const char table[] =
    "static const struct policy_mount mounts[] = {\n"
    /* kind, source, target, size, type, mount attributes, rights, optional */
    "    {POLICY_MOUNT_PROGRAM, POLICY_BASE_PROGRAM, \"\", "
    "POLICY_BASE_NONE, \"/bin/cloister-sample\", "
    "0, 0100000, 0x7, 0x5, 0},\n"
    "    {POLICY_MOUNT_PROGRAM, POLICY_BASE_NONE, \"" LIBRARY_DIR "/libextra.so.2\", "
    "POLICY_BASE_NONE, \"" LIBRARY_DIR "/libextra.so.2\", "
    "0, 0100000, 0x7, 0x5, 0},\n"
    "    {POLICY_MOUNT_PROGRAM, POLICY_BASE_NONE, \"" LIBRARY_DIR "/libc.so.6\", "
    "POLICY_BASE_NONE, \"" LIBRARY_DIR "/libc.so.6\", "
    "0, 0100000, 0x7, 0x5, 0},\n"
    "    {POLICY_MOUNT_PROGRAM, POLICY_BASE_NONE, \"" LOADER_DIR "/ld-linux-x86-64.so.2\", "
    "POLICY_BASE_NONE, \"" LOADER_DIR "/ld-linux-x86-64.so.2\", "
    "0, 0100000, 0x7, 0x5, 0},\n"
    "    {POLICY_MOUNT_PROC, POLICY_BASE_NONE, NULL, "
    "POLICY_BASE_NONE, \"/proc\", "
    "0, 00, 0xe, 0xc, 0},\n"
    "    {POLICY_MOUNT_WRITE, POLICY_BASE_STATE, \"\", "
    "POLICY_BASE_NONE, \"/state\", "
    "0, 040000, 0xe, 0x400e, 0},\n"
    "    {POLICY_MOUNT_WRITE, POLICY_BASE_NONE, \"/srv\", "
    "POLICY_BASE_NONE, \"/srv\", "
    "0, 040000, 0xe, 0x412e, 0},\n"
    "    {POLICY_MOUNT_TMPFS, POLICY_BASE_NONE, NULL, "
    "POLICY_BASE_NONE, \"/tmp\", "
    "8388608, 00, 0xe, 0x41be, 0},\n"
    "    {POLICY_MOUNT_TMPFS, POLICY_BASE_NONE, NULL, "
    "POLICY_BASE_NONE, \"/own\", "
    "1024, 00, 0xe, 0x340c, 0},\n"
    "    {POLICY_MOUNT_FILE, POLICY_BASE_NONE, \"/etc/hosts\", "
    "POLICY_BASE_NONE, \"/etc/hosts\", "
    "0, 0100000, 0xf, 0x4, 1},\n"
    "};\n"
    "\n"
    "static const struct policy_limit limits[] = {\n"
    "    {7, UINT64_C(32)}, /* nofile */\n"
    "    {0, 0},\n"
    "};\n"
    "\n"
    "static const struct policy_descriptor descriptors[] = {\n"
    "    {\"spool\", 0},\n"
    "    {\"extra\", 1},\n"
    "    {0},\n"
    "};\n"
    "\n"
    "extern const struct policy sample_policy;\n"
    "const struct policy sample_policy = {\n"
    "    .kind = \"sample\",\n"
    "    .program = \"cloister-sample\",\n"
    "    .identity = POLICY_ACCOUNT,\n"
    "    .user = \"cloister-sample\",\n"
    "    .command = 0,\n"
    "    .host_root = 0,\n"
    "    .instances = 3,\n"
    "    .namespaces = 0x4c020000,\n"
    "    .variables = 0x2,\n"
    "    .new_cgroup = 1,\n"
    "    .memory_max = UINT64_C(67108864),\n"
    "    .pids_max = 8,\n"
    "    .cpu_percent = 50,\n"
    "    .memlock = UINT64_C(1048576),\n"
    "    .mounts = mounts,\n"
    "    .mount_count = 10,\n"
    "    .limits = limits,\n"
    "    .limit_count = 1,\n"
    "    .descriptors = descriptors,\n"
    "    .descriptor_count = 2,\n"
    "    .landlock_minimum = 2,\n"
    "    .landlock_preferred = 6,\n"
    "};\n";

static void makes_the_table(void **state)
{
    (void)state;
    char said[4096];
    char text[8192];
    char ldd[96];
    char program[] = "policyc";
    char option[] = "--libraries";
    char mode[] = "table";
    snprintf(ldd, sizeof(ldd), "%s/ldd", folder);
    write_text(ldd, "\tlinux-vdso.so.1 (0x00007ffc)\n",
               "\tlibc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x00007f7a)\n"
               "\t/lib64/ld-linux-x86-64.so.2 (0x00007f7b)\n");
    write_text(policy, HEAD, sample);
    char *argv[] = {program, option, ldd, mode, policy, output, NULL};
    assert_int_equal(run(argv, said, sizeof(said)), 0);
    read_output(text, sizeof(text));
    const char *body = strstr(text, "static const");
    assert_non_null(body);
    assert_string_equal(body, table);
    write_text(ldd, "\tlibgone.so.1 => not found\n", "");
    assert_int_equal(run(argv, said, sizeof(said)), 1);
    assert_non_null(strstr(said, "a library is missing"));
}

/* Compiles to a table with libc and the loader as its libraries. */
static void compile_table(const char *head, const char *body, char *text, size_t capacity)
{
    char said[4096];
    char ldd[96];
    char program[] = "policyc";
    char option[] = "--libraries";
    char mode[] = "table";
    snprintf(ldd, sizeof(ldd), "%s/ldd", folder);
    write_text(ldd, "\tlibc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x00007f7a)\n",
               "\t/lib64/ld-linux-x86-64.so.2 (0x00007f7b)\n");
    write_text(policy, head, body);
    char *argv[] = {program, option, ldd, mode, policy, output, NULL};
    int status = run(argv, said, sizeof(said));
    if (status != 0)
        fail_msg("%s", said);
    read_output(text, capacity);
}

static void assert_has(const char *text, const char *part)
{
    if (strstr(text, part) == NULL)
        fail_msg("not there: %s\n%s", part, text);
}

/* The host's folders bring the libraries, so that these are not mounted once more below them. */
static void makes_the_table_of_a_command(void **state)
{
    (void)state;
    char text[8192];
    compile_table(COMMAND_WITHOUT_PROC DEFAULT,
                  "mount dir /bin exec # its programs\n"
                  "mount dir /lib exec optional # their libraries\n"
                  "mount link /proc/self/fd at /dev/fd\n"
                  "mount proc full # what the kernel says\n",
                  text, sizeof(text));
    assert_has(text, "{POLICY_MOUNT_PROGRAM, POLICY_BASE_PROGRAM, \"\", POLICY_BASE_NONE, "
                     "\"/cloister-sample\", 0, 0100000, 0x7, 0x5, 0},");
    assert_has(text, "{POLICY_MOUNT_EXEC, POLICY_BASE_NONE, \"/bin\", POLICY_BASE_NONE, \"/bin\", "
                     "0, 040000, 0x7, 0xd, 0},");
    assert_has(text, "{POLICY_MOUNT_LINK, POLICY_BASE_NONE, \"/proc/self/fd\", POLICY_BASE_NONE, "
                     "\"/dev/fd\", 0, 0120000, 0x0, 0x0, 0},");
    assert_has(text, "{POLICY_MOUNT_PROCFS, POLICY_BASE_NONE, NULL, POLICY_BASE_NONE, \"/proc\", "
                     "0, 00, 0xf, 0xc, 0},");
    assert_null(strstr(text, "libc.so.6"));
    assert_has(text, LOADER_DIR "/ld-linux-x86-64.so.2");
    assert_has(text, ".command = 1,");
    assert_has(text, ".host_root = 0,");
    assert_has(text, ".mount_count = 6,");
}

static void makes_the_table_of_a_command_in_the_hosts_root(void **state)
{
    (void)state;
    char text[8192];
    compile_table("kind sample\nfilter command\nprogram cloister-sample\nmemory 64M\npids 8\n"
                  "cpu 50\n" DEFAULT,
                  "user session # as whoever sits there\nroot host # that user's files\n"
                  "mount proc full # its own processes\n",
                  text, sizeof(text));
    assert_has(text,
               "mounts[] = {\n    {POLICY_MOUNT_PROGRAM, POLICY_BASE_PROGRAM, \"\", "
               "POLICY_BASE_PROGRAM, \"\", 0, 0100000, 0x7, 0x5, 0},\n"
               "    {POLICY_MOUNT_PROCFS, POLICY_BASE_NONE, NULL, POLICY_BASE_NONE, \"/proc\", "
               "0, 00, 0xe, 0xc, 0},\n};");
    assert_has(text, ".identity = POLICY_SESSION,\n    .command = 1,\n    .host_root = 1,\n");
    assert_null(strstr(text, ".user"));
}

/* The overlay of sanitizer builds is for this build's own programs. */
static void a_commands_filter_is_the_same_in_every_build(void **state)
{
    (void)state;
    char said[4096];
    char plain[16384];
    char text[16384];
    char overlay[96];
    char program[] = "policyc";
    char option[] = "--overlay";
    char mode[] = "filter";
    snprintf(overlay, sizeof(overlay), "%s/loose.policy", folder);
    write_text(overlay, "", "memory 1G\nsyscall madvise\n");
    write_text(policy, COMMAND DEFAULT,
               "syscall read write\nsyscall ioctl when arg1 == FIONREAD # how much there is\n"
               "syscall socket : errno EAFNOSUPPORT\n");
    assert_int_equal(compile("filter", said, sizeof(said)), 0);
    read_output(plain, sizeof(plain));
    char *argv[] = {program, option, overlay, mode, policy, output, NULL};
    assert_int_equal(run(argv, said, sizeof(said)), 0);
    read_output(text, sizeof(text));
    assert_string_equal(plain, text);
    assert_has(text, "0x00050026"); /* the default: ENOSYS, and no kill but for another table */
    assert_has(text, "0x00050061"); /* EAFNOSUPPORT */
    assert_has(text, ".syscalls = 3,");
}

static void makes_the_filters_description(void **state)
{
    (void)state;
    char said[4096];
    char text[16384];
    write_text(policy, HEAD, sample);
    assert_int_equal(compile("filter", said, sizeof(said)), 0);
    assert_string_equal(said, "");
    read_output(text, sizeof(text));
    assert_non_null(strstr(text, ".syscalls = 4,"));
    assert_non_null(strstr(text, "{\"/state\", 0x400e, 0},"));
    assert_non_null(strstr(text, ".keep_count = 1,"));
    assert_non_null(strstr(text, ".probe = \"/bin/cloister-sample\","));
    assert_null(strstr(text, ".overlay"));
}

/* An overlay's unconditional rule replaces the policy's conditional one; W^X stands even there. */
static void an_overlay_wins_and_is_named(void **state)
{
    (void)state;
    char said[4096];
    char text[16384];
    char overlay[96];
    char program[] = "policyc";
    char option[] = "--overlay";
    char mode[] = "filter";
    snprintf(overlay, sizeof(overlay), "%s/loose.policy", folder);
    write_text(policy, HEAD, "syscall madvise when arg2 == MADV_FREE\n");
    write_text(overlay, "", "memory 1G\nsyscall madvise\n");
    char *argv[] = {program, option, overlay, mode, policy, output, NULL};
    assert_int_equal(run(argv, said, sizeof(said)), 0);
    read_output(text, sizeof(text));
    assert_non_null(strstr(text, ".overlay = \"loose\","));
    write_text(overlay, "", "syscall mmap # anything goes\n");
    assert_int_equal(run(argv, said, sizeof(said)), 1);
    assert_non_null(strstr(said, "allowed only"));
}

static void lists_the_reasons(void **state)
{
    (void)state;
    char said[4096];
    char text[16384];
    write_text(policy, HEAD, sample);
    assert_int_equal(compile("reasons", said, sizeof(said)), 0);
    read_output(text, sizeof(text));
    assert_non_null(strstr(text, "| sample.policy:17 | `share pid` | it compares process ids |"));
}

static int setup(void **state)
{
    (void)state;
    snprintf(folder, sizeof(folder), "/tmp/policyc-test.XXXXXX");
    if (mkdtemp(folder) == NULL)
        return -1;
    snprintf(policy, sizeof(policy), "%s/sample.policy", folder);
    snprintf(output, sizeof(output), "%s/out.c", folder);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    char command[96];
    snprintf(command, sizeof(command), "rm -r %s", folder);
    return system(command);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refuses_with_file_and_line),
        cmocka_unit_test(names_what_is_missing),
        cmocka_unit_test(refuses_too_wide_a_command),
        cmocka_unit_test(finds_every_error_in_one_run),
        cmocka_unit_test(makes_the_table),
        cmocka_unit_test(makes_the_table_of_a_command),
        cmocka_unit_test(makes_the_table_of_a_command_in_the_hosts_root),
        cmocka_unit_test(a_commands_filter_is_the_same_in_every_build),
        cmocka_unit_test(makes_the_filters_description),
        cmocka_unit_test(an_overlay_wins_and_is_named),
        cmocka_unit_test(lists_the_reasons),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
