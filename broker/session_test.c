#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "monitor_protocol.h"
#include "session.h"

static char root[64], run_root[80], etc_root[80];
static const struct session_roots roots = {.run = run_root, .etc = etc_root};
static struct config config;
static struct agent_session session;

static void put(const char *name, const char *text)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", root, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
    assert_int_equal(chmod(path, 0644), 0);
}

static void shell(const char *command)
{
    if (chdir(root) != 0 || system(command) != 0) {
        fail_msg("%s", command);
    }
}

static int set_up(void **state)
{
    (void)state;
    if (geteuid() != 0) {
        return 0;
    }
    strcpy(root, "/tmp/cloister-session.XXXXXX");
    if (!mkdtemp(root)) {
        return -1;
    }
    snprintf(run_root, sizeof run_root, "%s/run", root);
    snprintf(etc_root, sizeof etc_root, "%s/etc", root);
    shell("mkdir -p etc run/systemd/seats run/systemd/sessions");
    put("etc/passwd", "root:x:0:0::/root:/bin/sh\nbroken\njane:x:1000:1001::/home/jane:/bin/sh\n");
    put("etc/group", "root:x:0:\ncloister-ticket:x:777:jane\n");
    put("run/systemd/seats/seat0", "# private\nIS_SEAT0=1\nACTIVE=c2\nACTIVE_UID=1000\n");
    put("run/systemd/sessions/c2", "UID=1000\nUSER=\"jane\"\nACTIVE=1\nIS_DISPLAY=1\nSTATE=active\n"
                                   "TYPE=x11\nCLASS=user\nSEAT=seat0\nDISPLAY=:3\n");
    config_defaults(&config);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    shell("cd / && rm -rf $OLDPWD");
    return 0;
}

static void find(void)
{
    session_find(&session, &config, &roots);
}

static void test_logind_x11(void **state)
{
    (void)state;
    find();
    assert_int_equal(session.type, MONITOR_SESSION_X11);
    assert_int_equal(session.uid, 1000);
    assert_int_equal(session.gid, 1001);
    assert_string_equal(session.user, "jane");
    assert_string_equal(session.display, ":3");
    assert_int_equal(session.active, 1);
}

static void test_logind_states(void **state)
{
    (void)state;
    shell("sed -i s/STATE=active/STATE=online/ run/systemd/sessions/c2");
    find();
    assert_int_equal(session.type, MONITOR_SESSION_X11);
    assert_int_equal(session.active, 0);
    shell("sed -i s/STATE=online/STATE=active/ run/systemd/sessions/c2;"
          "echo LOCKED_HINT=1 >> run/systemd/sessions/c2");
    find();
    assert_int_equal(session.active, 0);
    shell("sed -i s/TYPE=x11/TYPE=wayland/ run/systemd/sessions/c2");
    find();
    assert_int_equal(session.type, MONITOR_SESSION_WAYLAND);
    shell("sed -i s/CLASS=user/CLASS=greeter/ run/systemd/sessions/c2");
    find();
    assert_int_equal(session.type, MONITOR_SESSION_NONE);
    assert_int_equal(session.uid, AGENT_UID_NONE);
}

static void test_no_display_in_session_file(void **state)
{
    (void)state;
    strcpy(config.display, ":5");
    shell("sed -i s/DISPLAY=:3/DISPLAY=evil:3/ run/systemd/sessions/c2");
    find();
    assert_string_equal(session.display, ":5");
}

static void test_broken_files_mean_no_session(void **state)
{
    (void)state;
    put("run/systemd/seats/seat0", "ACTIVE=../../etc/passwd\n");
    find();
    assert_int_equal(session.type, MONITOR_SESSION_NONE);
    put("run/systemd/seats/seat0", "ACTIVE=\n");
    find();
    assert_int_equal(session.type, MONITOR_SESSION_NONE);
    put("run/systemd/seats/seat0", "ACTIVE=c2\n");
    put("run/systemd/sessions/c2", "UID=x\nTYPE=x11\nCLASS=user\nSTATE=active\n");
    find();
    assert_int_equal(session.type, MONITOR_SESSION_NONE);
    put("run/systemd/sessions/c2", "UID=1000\nTYPE=x11\nCLASS=user\nSTATE=active\n");
    shell("chown 1000 run/systemd/sessions/c2"); /* not written by logind */
    find();
    assert_int_equal(session.type, MONITOR_SESSION_NONE);
    shell("rm -r run/systemd");
    find();
    assert_int_equal(session.type, MONITOR_SESSION_NONE);
}

static void test_user_of_a_directory(void **state)
{
    char cookies[2][256];
    (void)state;
    shell("sed -i s/UID=1000/UID=54321/ run/systemd/sessions/c2");
    find();
    assert_int_equal(session.uid, 54321);
    assert_int_equal(session.gid, AGENT_UID_NONE);
    assert_string_equal(session.user, "");
    assert_int_equal(session_cookies(cookies, &session, &config, &roots), 1);
    assert_non_null(strstr(cookies[0], "/run/user/54321/gdm/Xauthority"));
}

static void test_configured(void **state)
{
    char cookies[2][256];
    (void)state;
    strcpy(config.user, "jane");
    find();
    assert_int_equal(session.type, MONITOR_SESSION_X11);
    assert_int_equal(session.uid, 1000);
    assert_int_equal(session.active, 1);
    assert_string_equal(session.display, ":0");
    assert_int_equal(session_cookies(cookies, &session, &config, &roots), 2);
    assert_string_equal(cookies[1], "/home/jane/.Xauthority");
    strcpy(config.xauthority, "/x");
    assert_int_equal(session_cookies(cookies, &session, &config, &roots), 1);
    assert_string_equal(cookies[0], "/x");
    assert_false(session_is_logind(&config));
    config.source = CONFIG_SOURCE_LOGIND;
    find();
    assert_string_equal(session.display, ":3");
    config.source = CONFIG_SOURCE_CONFIG;
    strcpy(config.user, "nobody-here");
    find();
    assert_int_equal(session.type, MONITOR_SESSION_NONE);
}

static void test_accounts(void **state)
{
    struct session_account account;
    uint32_t gid;
    (void)state;
    assert_int_equal(session_account_find(&account, etc_root, "jane"), 0);
    assert_int_equal(account.uid, 1000);
    assert_int_equal(session_account_find(&account, etc_root, "jan"), -ENOENT);
    assert_int_equal(session_account_find(&account, "/nonexistent", "jane"), -ENOENT);
    assert_int_equal(session_group_find(&gid, etc_root, "cloister-ticket"), 0);
    assert_int_equal(gid, 777);
    assert_int_equal(session_group_find(&gid, etc_root, "cloister"), -ENOENT);
    assert_int_equal(gid, AGENT_UID_NONE);
}

static void test_watch(void **state)
{
    (void)state;
    int fd = session_watch(run_root);
    assert_true(fd >= 0);
    struct pollfd watched = {.fd = fd, .events = POLLIN};
    assert_int_equal(poll(&watched, 1, 0), 0);
    shell("mv run/systemd/seats/seat0 t && mv t run/systemd/seats/seat0");
    assert_int_equal(poll(&watched, 1, 5000), 1);
    close(fd);
    shell("rm -r run/systemd");
    assert_int_equal(session_watch(run_root), -ENOENT);
}

#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_logind_x11),
        T(test_logind_states),
        T(test_no_display_in_session_file),
        T(test_broken_files_mean_no_session),
        T(test_user_of_a_directory),
        T(test_configured),
        T(test_accounts),
        T(test_watch),
    };
    if (geteuid() != 0) {
        puts("needs root: logind's files are believed only if root wrote them");
        return 77;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
