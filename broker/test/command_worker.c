/*
 * Stands in for the two processes of a signed command: as the runner it says what its grant says,
 * and what comes through the socketpair; as the command's process it answers there.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "grant.h"

#define SEALS (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)

static int is_socket(int fd)
{
    struct stat st;
    return fstat(fd, &st) == 0 && S_ISSOCK(st.st_mode);
}

static int run(void)
{
    struct grant grant = {0};
    char said[32] = "";
    if (pread(3, &grant, sizeof grant, 0) != sizeof grant || grant.magic != GRANT_MAGIC ||
        fcntl(3, F_GET_SEALS) != SEALS || !is_socket(4))
        return 2;
    (void)!write(4, "order", 5);
    ssize_t got = recv(4, said, sizeof said - 1, 0);
    dprintf(STDERR_FILENO,
            "runner %u-%u of profile %u, command %02x%02x, key %02x%02x%02x%02x, hears \"%s\"\n",
            grant.slot, grant.generation, grant.profile, grant.digest[0], grant.digest[31],
            grant.key[0], grant.key[1], grant.key[30], grant.key[31], got > 0 ? said : "");
    return 0;
}

static int obey(void)
{
    char said[32] = "", end;
    if (recv(3, said, sizeof said - 1, 0) != 5 || strcmp(said, "order") != 0)
        return 2;
    dprintf(STDERR_FILENO, "command carries out its %s\n", said);
    (void)!write(3, "done", 4);
    return recv(3, &end, 1, 0) == 0 ? 0 : 3; /* its runner is gone */
}

int main(void)
{
    char byte;
    int result = is_socket(3) ? obey() : run();
    if (result != 0) {
        dprintf(STDERR_FILENO, "was not given what it needs: %d\n", result);
        return result;
    }
    return read(STDIN_FILENO, &byte, 1) == 0 ? 0 : 1;
}
