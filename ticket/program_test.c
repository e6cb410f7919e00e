/*
 * cloister-ticket itself, as a script and as a person in a terminal use it, against a process that
 * speaks for the agent; and what the kernel says of it while it runs.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <xcb/xcb.h>
#include <cmocka.h>

#include "agent_side.h"
#include "peer.h"
#include "ticket_exit.h"

/* The example of the age specification, which the agent's side names as recipient. */
#define IDENTITY "AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEX\n"

/* What lists_as_json listed: "./ids 2 5" prints "id:...,id:...". */
static const char ids[] =
    "#!/usr/bin/python3\n"
    "import json, sys\n"
    "frames = json.load(open('listed'))['frames']\n"
    "print(','.join('id:' + frames[int(n) - 1]['id'] for n in sys.argv[1:]))\n";

static void end_side(pid_t side)
{
    int status;
    assert_int_equal(waitpid(side, &status, 0), side);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void script(enum scenario scenario, const char *arguments, int want)
{
    pid_t side = agent_side_start(scenario);
    int got = peer_try("timeout 60 " TICKET_PROGRAM " --runtime agent %s </dev/null >out 2>err",
                       arguments);
    if (got != want) {
        peer_try("cat out err >&2");
        fail_msg("%s: exit code %d instead of %d", arguments, got, want);
    }
    end_side(side);
}

static void lists_as_json(void **state)
{
    (void)state;
    script(PLAIN, "--list --json", TICKET_EXIT_SENT);
    peer_run("cp out listed");
    peer_run("python3 -c 'import json; d = json.load(open(\"out\")); f = d[\"frames\"]; "
             "assert len(f) == 12 and f[2][\"title\"] == \"Window 3\" and f[2][\"number\"] == 3 "
             "and d[\"ticket\"].startswith(\"09\") and d[\"capture\"] == \"capturing\", d'");
    script(PLAIN, "--list", TICKET_EXIT_SENT);
    peer_run("grep -q 'Window 12' out && grep -q 'age1zvkyg' out && grep -q 'to send' out");
}

static void a_script_sends_what_it_kept(void **state)
{
    (void)state;
    script(PLAIN,
           "--description 'it broke' --drop $(./ids 2 5 6 7) --redact $(./ids 3):10,10,20,20 "
           "--no-title $(./ids 1) --until $(./ids 12) --yes --json",
           TICKET_EXIT_SENT);
    peer_run("python3 -c 'import json, os; d = json.load(open(\"out\")); "
             "assert d[\"number\"] == \"T-000123\" and d[\"screenshots\"] == 8 "
             "and d[\"sealed_bytes\"] == os.stat(\"received\").st_size, d'");
    peer_run("rm -rf opened && mkdir opened && age -d -i identity received | lz4 -dc | "
             "tar -C opened -x");
    peer_run("test \"$(cat opened/description.txt)\" = 'it broke'");
    peer_run(
        "python3 -c 'import json; f = json.load(open(\"opened/ticket.json\"))[\"frames\"]; "
        "assert len(f) == 8 and \"title\" not in f[0] and f[1][\"title\"] == \"Window 3\" "
        "and f[1][\"redactions\"] == [{\"x\": 10, \"y\": 10, \"width\": 20, \"height\": 20}]'");
    peer_run("dwebp -quiet opened/frames/0002.webp -crop 10 10 20 20 -ppm -o crop.ppm && "
             "tail -c 1200 crop.ppm | tr -d '\\000' | wc -c | grep -qx 0");
    /* The script's standard input is empty here, and a long text there. */
    script(PLAIN, "--description - --keep all --yes", TICKET_EXIT_SENT);
    peer_run("test \"$(cat out)\" = T-000123");
    peer_run("head -c 65536 /dev/zero | tr '\\0' x >most && (cat most; echo) >more");
    pid_t side = agent_side_start(PLAIN);
    peer_run(TICKET_PROGRAM " --runtime agent --keep all --yes --description - <most");
    end_side(side);
    peer_run("age -d -i identity received | lz4 -dc | tar -xO description.txt | cmp - most");
    assert_int_equal(
        peer_try(TICKET_PROGRAM " --runtime agent --keep all --yes --description - <more 2>err"),
        TICKET_EXIT_ERROR);
    peer_run("grep -q 'too long' err");
}

/* What was captured after the last frame that was looked at stays here, whatever else is said. */
static void nothing_goes_that_was_not_listed(void **state)
{
    (void)state;
    script(PLAIN, "--until $(./ids 3) --yes --json", TICKET_EXIT_SENT);
    peer_run("grep -q '\"screenshots\":3' out");
    script(PLAIN, "--until $(./ids 3) --keep all --yes --json", TICKET_EXIT_SENT);
    peer_run("grep -q '\"screenshots\":3' out");
    script(PLAIN, "--keep $(./ids 2 12) --yes --json", TICKET_EXIT_SENT);
    peer_run("grep -q '\"screenshots\":2' out");
    script(PLAIN, "--drop all --yes --json", TICKET_EXIT_SENT);
    peer_run("grep -q '\"screenshots\":0' out");
    /* Forgotten by capture: nothing to drop, and as the newest one, a reason to list again. */
    script(PLAIN, "--drop id:1@1 --redact id:1@1:1,1,1,1 --keep id:1@1,$(./ids 2) --yes --json",
           TICKET_EXIT_SENT);
    peer_run("grep -q '\"screenshots\":1' out");
    script(PLAIN, "--until 1@1 --yes", TICKET_EXIT_USAGE);
    peer_run("grep -q forgotten err");
    /* The same number after capture has begun anew is another frame. */
    script(PLAIN, "--keep all --drop id:12@1799999999999 --yes", TICKET_EXIT_USAGE);
    script(PLAIN, "--keep all --drop id:12 --yes", TICKET_EXIT_USAGE);
    script(PLAIN, "--keep all --drop $(./ids 1),2 --yes", TICKET_EXIT_USAGE);
    assert_int_equal(peer_try(TICKET_PROGRAM " --runtime agent --yes 2>err"), TICKET_EXIT_USAGE);
    peer_run("grep -q 'which frames' err");
}

static void a_signal_cancels_a_script(void **state)
{
    (void)state;
    pid_t side = agent_side_start(OFFLINE);
    assert_int_equal(peer_try("timeout --preserve-status -s INT 2 " TICKET_PROGRAM
                              " --runtime agent --keep all --yes --wait-for-connection "
                              "</dev/null >out 2>err"),
                     TICKET_EXIT_CANCELLED);
    peer_run("grep -q cancelled err && ! test -s out");
    end_side(side);
}

static void exit_codes_tell_what_happened(void **state)
{
    (void)state;
    script(TURNED_AWAY, "--keep all --yes", TICKET_EXIT_REFUSED);
    peer_run("grep -q 'not today' err");
    script(ALREADY_OPEN, "--keep all --yes", TICKET_EXIT_ALREADY_OPEN);
    peer_run("grep -q 'process 4711' err");
    script(CONSENT_REFUSED, "--keep all --yes", TICKET_EXIT_REFUSED);
    script(OFFLINE, "--keep all --yes", TICKET_EXIT_NOT_CONNECTED);
    script(BROKER_GONE, "--keep all --yes", TICKET_EXIT_ERROR);
    script(PLAIN, "--until 13@99999999999999999 --yes", TICKET_EXIT_USAGE);
    script(PLAIN, "--keep all --redact $(./ids 1):500,0,1,1 --yes", TICKET_EXIT_USAGE);
    assert_int_equal(peer_try(TICKET_PROGRAM " --runtime nowhere --keep all --yes 2>err"),
                     TICKET_EXIT_NOT_RUNNING);
    assert_int_equal(peer_try(TICKET_PROGRAM " --runtime agent </dev/null 2>err"),
                     TICKET_EXIT_USAGE);
    assert_int_equal(peer_try(TICKET_PROGRAM " --nonsense 2>err"), TICKET_EXIT_USAGE);
}

static void trouble_is_survived(void **state)
{
    (void)state;
    script(OFFLINE_FIRST, "--keep all --yes --wait-for-connection", TICKET_EXIT_SENT);
    script(CONSOLE_LOST, "--keep all --yes", TICKET_EXIT_SENT);
    script(NO_CAPTURE, "--keep all --yes", TICKET_EXIT_SENT);
    script(PART_CHANGED, "--keep all --yes --json", TICKET_EXIT_SENT);
    peer_run("grep -q '\"screenshots\":3' out");
}

/* ---- a person ---- */

struct person {
    pid_t program, side;
    int terminal;
    size_t used;
    char seen[1 << 20];
};

static struct person person;

static void sit_down_at(enum scenario scenario, int has_display)
{
    struct winsize size = {.ws_row = 30, .ws_col = 90};
    memset(&person, 0, sizeof(person));
    person.side = agent_side_start(scenario);
    person.program = forkpty(&person.terminal, NULL, NULL, &size);
    assert_true(person.program >= 0);
    if (person.program == 0) {
        open("/dev/null", O_RDONLY); /* a descriptor that it must not keep */
        if (!has_display)
            unsetenv("DISPLAY");
        setenv("SECRET_OF_ANOTHER", "x", 1);
        execl(TICKET_PROGRAM, TICKET_PROGRAM, "--runtime", "agent", (char *)NULL);
        _exit(127);
    }
}

static void sit_down(enum scenario scenario)
{
    sit_down_at(scenario, 0);
}

/* Reads until `text` appears, and forgets everything up to it. */
static void expect(const char *text)
{
    for (;;) {
        char *found = memmem(person.seen, person.used, text, strlen(text));
        if (found) {
            size_t taken = (size_t)(found - person.seen) + strlen(text);
            person.used -= taken;
            memmove(person.seen, person.seen + taken, person.used);
            return;
        }
        struct pollfd wait = {.fd = person.terminal, .events = POLLIN};
        ssize_t length = 0;
        if (poll(&wait, 1, 20000) == 1 && person.used < sizeof(person.seen))
            length =
                read(person.terminal, person.seen + person.used, sizeof(person.seen) - person.used);
        if (length <= 0)
            fail_msg("no \"%s\" in: %.*s", text, (int)person.used, person.seen);
        person.used += (size_t)length;
    }
}

static void type(const char *text)
{
    assert_int_equal(write(person.terminal, text, strlen(text)), strlen(text));
}

static void leave_with(int want)
{
    int status;
    assert_int_equal(waitpid(person.program, &status, 0), person.program);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), want);
    close(person.terminal);
    end_side(person.side);
}

static void a_person_reviews_and_sends(void **state)
{
    (void)state;
    sit_down(PLAIN);
    expect("console.example.org:443");
    expect("before you have typed \"yes\"");
    expect("Window 12");
    expect("ticket> ");
    type("help\n");
    expect("blacken");
    type("drop 1-3\n");
    expect("9 to send");
    type("take 2\n");
    expect("10 to send");
    type("drop 99\n");
    expect("no such frame");
    type("redact 4 5,5,10,10\n");
    expect("10 to send");
    type("view 4\n");
    expect("\xe2\x96\x80");
    type("describe\n");
    expect("only a dot");
    type("it\nbroke\n.\n");
    expect("ticket> ");
    type("list\n");
    expect("redacted");
    type("send\n");
    expect("10 screenshots");
    expect("Type \"yes\"");
    type("y\n");
    expect("Not sent.");
    type("send\n");
    expect("Type \"yes\"");
    type("yes\n");
    expect("T-000123");
    leave_with(TICKET_EXIT_SENT);
    peer_run("age -d -i identity received | lz4 -dc | tar -xO description.txt | tr '\\n' . | "
             "grep -qx 'it.broke.'");
}

/* The viewer works behind the filter, and what is done there counts. */
static void a_person_uses_the_window(void **state)
{
    (void)state;
    pid_t server = peer_display();
    sit_down_at(PLAIN, 1);
    expect("ticket> ");
    type("view 12\n");
    peer_run("timeout 10 xdotool search --sync --name 'Frame 12 of 12' >window");
    /* 160x120 pixels fill 800x600 of the window, from 20 down: five to one. */
    peer_run("xdotool mousemove 100 120 mousedown 1 mousemove 150 170 mousemove 199 219 mouseup 1");
    peer_run("timeout 10 xdotool search --sync --name 'redacted' >window");
    peer_run("xdotool key Left");
    peer_run("timeout 10 xdotool search --sync --name 'Frame 11 of 12' >window");
    peer_run("xdotool key d");
    peer_run("timeout 10 xdotool search --sync --name 'dropped' >window");
    peer_run("xdotool key q");
    type("status\n");
    expect("11 to send");
    type("send\n");
    expect("Type \"yes\"");
    type("yes\n");
    expect("T-000123");
    leave_with(TICKET_EXIT_SENT);
    peer_run(
        "age -d -i identity received | lz4 -dc | tar -xO ticket.json | python3 -c 'import json, "
        "sys; f = json.load(sys.stdin)[\"frames\"]; assert len(f) == 11; "
        "r = f[10][\"redactions\"]; assert r == [{\"x\": 20, \"y\": 20, \"width\": 20, "
        "\"height\": 20}], r'");
    kill(server, SIGTERM);
    waitpid(server, NULL, 0);
}

/* Pasted after "send", or typed before the question is there: no consent. */
static void what_is_typed_ahead_is_no_consent(void **state)
{
    (void)state;
    sit_down(PLAIN);
    expect("ticket> ");
    type("send\nyes\n");
    expect("Type \"yes\"");
    type("no\n");
    expect("Not sent.");
    type("send\n");
    expect("screenshots and your description");
    type("yes\nyes\n");
    expect("Type \"yes\"");
    type("no\n");
    expect("Not sent.");
    type("cancel\n");
    expect("Nothing was sent");
    leave_with(TICKET_EXIT_CANCELLED);
}

static void an_interrupt_cancels(void **state)
{
    (void)state;
    sit_down(PLAIN);
    expect("ticket> ");
    type("\x03");
    expect("Nothing was sent");
    leave_with(TICKET_EXIT_CANCELLED);
    sit_down(OFFLINE);
    expect("ticket> ");
    type("send\n");
    expect("Type \"yes\"");
    type("yes\n");
    expect("keep this open");
    type("\x03");
    expect("abandoned");
    leave_with(TICKET_EXIT_CANCELLED);
}

/* ---- displays that are none ---- */

/* Listens as the X server of display `name`. */
static int listen_as_display(char name[16])
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(name, 16, ":%d", 50000 + getpid() % 10000);
    mkdir("/tmp/.X11-unix", 01777);
    snprintf(address.sun_path, sizeof(address.sun_path), "/tmp/.X11-unix/X%s", name + 1);
    unlink(address.sun_path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(fd, 5), 0);
    return fd;
}

static void stop_listening(int fd, const char *name)
{
    char path[64];
    close(fd);
    snprintf(path, sizeof(path), "/tmp/.X11-unix/X%s", name + 1);
    unlink(path);
}

/* Says that the first key comes after the last. */
static void lie(int listener)
{
    char request[12];
    const xcb_setup_t setup = {.status = 1,
                               .protocol_major_version = 11,
                               .length = (sizeof(setup) - 8) / 4,
                               .resource_id_mask = 0x1fffff,
                               .min_keycode = 200,
                               .max_keycode = 100};
    int fd = accept(listener, NULL, NULL);
    if (fd < 0 || read(fd, request, sizeof(request)) != sizeof(request))
        _exit(1);
    _exit(write(fd, &setup, sizeof(setup)) != sizeof(setup));
}

static void a_lying_display_is_not_used(void **state)
{
    (void)state;
    char name[16];
    int status, listener = listen_as_display(name);
    pid_t liar = fork();
    if (liar == 0)
        lie(listener);
    setenv("DISPLAY", name, 1);
    sit_down_at(PLAIN, 1);
    expect("display cannot be used");
    expect("ticket> ");
    type("view 4\n");
    expect("\xe2\x96\x80");
    type("cancel\n");
    expect("Nothing was sent");
    leave_with(TICKET_EXIT_CANCELLED);
    assert_int_equal(waitpid(liar, &status, 0), liar);
    assert_int_equal(status, 0);
    stop_listening(listener, name);
}

/* No display hears of a ticket that the agent does not open. */
static void the_door_comes_before_the_display(void **state)
{
    (void)state;
    char name[16];
    int listener = listen_as_display(name);
    struct pollfd wait = {.fd = listener, .events = POLLIN};
    setenv("DISPLAY", name, 1);
    sit_down_at(TURNED_AWAY, 1);
    expect("not today");
    leave_with(TICKET_EXIT_REFUSED);
    assert_int_equal(poll(&wait, 1, 0), 0);
    stop_listening(listener, name);
}

static void a_display_of_another_host_is_not_used(void **state)
{
    (void)state;
    setenv("DISPLAY", "localhost:10.0", 1);
    sit_down_at(PLAIN, 1);
    expect("not a display of this machine");
    expect("ticket> ");
    type("view 4\n");
    expect("\xe2\x96\x80");
    type("cancel\n");
    expect("Nothing was sent");
    leave_with(TICKET_EXIT_CANCELLED);
}

static void a_person_gives_up(void **state)
{
    (void)state;
    sit_down(PLAIN);
    expect("ticket> ");
    type("nonsense\n");
    expect("Unknown command");
    type("cancel\n");
    expect("Nothing was sent");
    leave_with(TICKET_EXIT_CANCELLED);
    sit_down(PLAIN);
    expect("ticket> ");
    type("\x04");
    expect("Nothing was sent");
    leave_with(TICKET_EXIT_CANCELLED);
}

static void a_person_waits_for_the_connection(void **state)
{
    (void)state;
    sit_down(OFFLINE);
    expect("not connected");
    expect("ticket> ");
    type("send\n");
    expect("Type \"yes\"");
    type("yes\n");
    expect("keep this open");
    type("cancel\n");
    expect("abandoned");
    leave_with(TICKET_EXIT_CANCELLED);
}

static void beforehand_consent_is_shown(void **state)
{
    (void)state;
    sit_down(AUTO_CONSENT);
    expect("administrator's setting");
    expect("ticket> ");
    type("send\n");
    expect("configured consent beforehand");
    expect("T-000123");
    leave_with(TICKET_EXIT_SENT);
}

/* ---- what the kernel says ---- */

static void status_has(const char *path, const char *line)
{
    struct peer_bytes text = peer_read(path);
    peer_append(&text, "", 1);
    if (!strstr((char *)text.data, line))
        fail_msg("%s: no \"%s\" in %s", path, line, (char *)text.data);
    peer_bytes_free(&text);
}

static void every_thread_is_locked(void **state)
{
    (void)state;
    char path[320];
    int threads = 0;
    sit_down(PLAIN);
    expect("ticket> ");
    snprintf(path, sizeof(path), "/proc/%d/task", person.program);
    DIR *folder = opendir(path);
    assert_non_null(folder);
    for (struct dirent *entry; (entry = readdir(folder));) {
        if (entry->d_name[0] == '.')
            continue;
        snprintf(path, sizeof(path), "/proc/%d/task/%s/status", person.program, entry->d_name);
        status_has(path, "\nSeccomp:\t2\n");
        status_has(path, "\nNoNewPrivs:\t1\n");
        status_has(path, "\nCapBnd:");
        threads++;
    }
    closedir(folder);
    assert_true(threads > 1);
    snprintf(path, sizeof(path), "/proc/%d/limits", person.program);
    status_has(path, "Max core file size        0                    0");
    /* Standard streams, the door, the channel and event descriptors; no file, no folder. */
    peer_run("! ls -l /proc/%d/fd | grep -E ' -> /' | grep -vE ' -> "
             "/(dev/pts/|dev/ptmx|memfd:|secretmem)'",
             person.program);
    type("cancel\n");
    leave_with(TICKET_EXIT_CANCELLED);
}

static int enter(void **state)
{
    peer_enter(state);
    peer_write("identity", IDENTITY, strlen(IDENTITY));
    peer_write("ids", ids, strlen(ids));
    peer_run("chmod +x ids");
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lists_as_json),
        cmocka_unit_test(a_script_sends_what_it_kept),
        cmocka_unit_test(nothing_goes_that_was_not_listed),
        cmocka_unit_test(a_signal_cancels_a_script),
        cmocka_unit_test(exit_codes_tell_what_happened),
        cmocka_unit_test(trouble_is_survived),
        cmocka_unit_test(a_person_reviews_and_sends),
        cmocka_unit_test(a_person_uses_the_window),
        cmocka_unit_test(what_is_typed_ahead_is_no_consent),
        cmocka_unit_test(an_interrupt_cancels),
        cmocka_unit_test(a_lying_display_is_not_used),
        cmocka_unit_test(the_door_comes_before_the_display),
        cmocka_unit_test(a_display_of_another_host_is_not_used),
        cmocka_unit_test(a_person_gives_up),
        cmocka_unit_test(a_person_waits_for_the_connection),
        cmocka_unit_test(beforehand_consent_is_shown),
        cmocka_unit_test(every_thread_is_locked),
    };
    return cmocka_run_group_tests(tests, enter, peer_leave);
}
