#include "sequence.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "complain.h"
#include "digest.h"
#include "moment.h"
#include "payload.h"

/* One line of fixed width, so that a write changes it in place and in one sector. */
#define LINE_SIZE 17

static const char advice[] = "--state names another folder, --seq gives the number";

/* Makes all folders of a path. */
static bool make_folders(char *path)
{
    for (char *at = path + 1;; at++) {
        char kept = *at;
        if (kept != '/' && kept != '\0')
            continue;
        *at = '\0';
        bool there = mkdir(path, 0700) == 0 || errno == EEXIST;
        *at = kept;
        if (!there)
            return false;
        if (!kept)
            return true;
    }
}

/* The folder, for the caller to free. */
static char *choose_folder(const char *given)
{
    const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
    char *folder = NULL;
    int length = -1;
    if (given)
        length = asprintf(&folder, "%s", given);
    else if (state && state[0] == '/')
        length = asprintf(&folder, "%s/cloister-sign", state);
    else if (home && home[0] == '/')
        length = asprintf(&folder, "%s/.local/state/cloister-sign", home);
    return length < 0 ? NULL : folder;
}

/* Opens and locks the key's file. -1, having complained. */
static int open_state(const char *given, const uint8_t point[KEY_POINT_SIZE])
{
    char name[DIGEST_HEX_SIZE], *folder = choose_folder(given), *path = NULL;
    uint8_t digest[DIGEST_SIZE];
    int fd = -1;
    digest_of(digest, point, KEY_POINT_SIZE);
    digest_hex(name, digest, sizeof(digest));
    if (!folder)
        complain(advice, "neither XDG_STATE_HOME nor HOME says where to keep sequence numbers");
    else if (make_folders(folder) && asprintf(&path, "%s/%s.seq", folder, name) >= 0)
        fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY, 0600);
    if (folder && (fd < 0 || flock(fd, LOCK_EX))) {
        complain(advice, "%s: %s", shown(path ? path : folder), strerror(errno));
        if (fd >= 0)
            close(fd);
        fd = -1;
    }
    free(path);
    free(folder);
    return fd;
}

/* The last number, 0 if there is none yet, UINT64_MAX if the file makes no sense. */
static uint64_t read_last(int fd)
{
    char line[LINE_SIZE + 1], *end;
    ssize_t length = pread(fd, line, LINE_SIZE + 1, 0);
    if (length == 0)
        return 0;
    if (length != LINE_SIZE || line[LINE_SIZE - 1] != '\n' ||
        strspn(line, "0123456789") != LINE_SIZE - 1)
        return UINT64_MAX;
    uint64_t last = strtoull(line, &end, 10);
    return last <= PAYLOAD_SEQ_MAX ? last : UINT64_MAX;
}

static bool write_last(int fd, uint64_t last)
{
    char line[24];
    snprintf(line, sizeof(line), "%016" PRIu64 "\n", last);
    if (pwrite(fd, line, LINE_SIZE, 0) == LINE_SIZE && fsync(fd) == 0)
        return true;
    complain(advice, "the sequence number cannot be written down: %s", strerror(errno));
    return false;
}

static uint64_t choose(uint64_t last, uint64_t wanted)
{
    uint64_t now = moment_now_ms();
    if (last == UINT64_MAX)
        complain("if it is damaged: remove it, and numbers go on from the clock",
                 "the file of this key's sequence numbers makes no sense");
    else if (!wanted && last >= PAYLOAD_SEQ_MAX)
        complain("make a new key", "this key has used up its sequence numbers");
    else
        return wanted ? wanted : now > last ? now : last + 1;
    return 0;
}

uint64_t sequence_take(const char *folder, const uint8_t point[KEY_POINT_SIZE], uint64_t wanted)
{
    int fd = open_state(folder, point);
    if (fd < 0)
        return 0;
    uint64_t last = read_last(fd), number = choose(last, wanted);
    if (number && number <= last)
        fprintf(stderr,
                "warning: %" PRIu64 " is not above %" PRIu64
                ", which was signed with this key before: machines that ran that refuse this\n",
                number, last);
    else if (number && !write_last(fd, number))
        number = 0;
    close(fd);
    return number;
}
