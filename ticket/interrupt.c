#include "interrupt.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <unistd.h>

#include "ticket_exit.h"

static int ends[2] = {-1, -1};
static atomic_int watched, came;

static void on_signal(int number)
{
    static const char words[] = "\nCancelled. Nothing was sent.\n";
    int error = errno;
    ssize_t n;
    (void)number;
    if (!atomic_load(&watched)) {
        n = write(STDERR_FILENO, words, sizeof(words) - 1);
        _exit(TICKET_EXIT_CANCELLED);
    }
    if (atomic_fetch_add(&came, 1))
        _exit(TICKET_EXIT_CANCELLED);
    n = write(ends[1], "", 1);
    (void)n;
    errno = error;
}

int interrupt_setup(void)
{
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    sigemptyset(&action.sa_mask);
    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK))
        return -errno;
    if (sigaction(SIGINT, &action, NULL) || sigaction(SIGTERM, &action, NULL))
        return -errno;
    return 0;
}

int interrupt_watch(void)
{
    atomic_store(&watched, 1);
    return ends[0];
}

bool interrupt_came(void)
{
    return atomic_load(&came) != 0;
}
