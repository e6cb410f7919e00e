/* For the broker alone: nothing of it is linked into what runs as root. */
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "log.h"
#include "log_emit.h"

static int log_syslog = -1;

void log_set_syslog(int fd)
{
    log_syslog = fd;
}

void log_copy(int priority, const char *who, const char *text)
{
    char line[LOG_LINE_MAX];
    if (log_syslog < 0)
        return;
    int n = snprintf(line, sizeof(line), "<%d>cloister[%d]: %s: %s", LOG_DAEMON | LOG_PRI(priority),
                     (int)getpid(), who, text);
    if (n > 0)
        send(log_syslog, line, (size_t)n < sizeof(line) ? (size_t)n : sizeof(line) - 1,
             MSG_DONTWAIT | MSG_NOSIGNAL);
}

void log_relay(const char *who, int pid, const char *text, size_t length)
{
    int priority = LOG_INFO;
    if (length >= 3 && text[0] == '<' && text[1] >= '0' && text[1] <= '7' && text[2] == '>') {
        priority = text[1] - '0';
        priority = priority < LOG_ERR ? LOG_ERR : priority;
        text += 3;
        length -= 3;
    }
    /* The writer's own name stands in front of its text; ours for it is the one that counts. */
    size_t name = strlen(who);
    if (length >= name + 2 && memcmp(text, who, name) == 0 && memcmp(text + name, ": ", 2) == 0) {
        text += name + 2;
        length -= name + 2;
    }
    char tag[64], escaped[LOG_LINE_MAX];
    snprintf(tag, sizeof(tag), "%s[%d]", who, pid);
    log_escape_text(escaped, sizeof(escaped), text, length, true);
    log_emit(priority, tag, escaped);
}
