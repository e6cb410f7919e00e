/*
 * Logging to standard error, for every process of the agent.
 *
 * A worker's standard error is a pipe that the broker reads: the line's author is known by the pipe
 * it came through, not by what the line says (OpenSSH keeps its log channel apart the same way).
 * A line begins with its syslog priority as "<N>" (RFC 5424 section 6.2.1, the form that
 * sd-daemon(3) defined), so that the broker, systemd and a person can all read it.
 *
 * All functions may be called from any thread; a line is written with one write(2).
 */
#ifndef CLOISTER_LOG_H
#define CLOISTER_LOG_H

#include <stddef.h>
#include <syslog.h>

/* The longest line that is written or relayed, terminator included; longer ones are cut. */
#define LOG_LINE_MAX 1024

/*
 * Sets the name that stands before each message, and whether lines carry "<N>" (for a pipe or the
 * journal) or not (for a terminal). `name` is kept by reference and must outlive all logging.
 */
void log_setup(const char *name, int with_priority);

/*
 * Lines whose priority is beyond `level` (LOG_DEBUG is the highest) are not written; the default is
 * LOG_DEBUG.
 */
void log_set_level(int level);

/*
 * Lines also go to `fd`, a datagram socket connected to /dev/log, in the form of RFC 3164 that every
 * local syslog reads. -1: not. Not owned. Lines that it does not take at once are lost to it.
 */
void log_set_syslog(int fd);

/*
 * Writes a line that came from another process: `who` and `pid` are the reader's own knowledge of
 * who that is, `text` (without its newline) is the writer's. A "<N>" in front sets the priority, but
 * never above LOG_ERR: only this process raises alerts. The text is escaped again, except for
 * backslashes, since an honest writer has escaped it already.
 */
void log_relay(const char *who, int pid, const char *text, size_t length);

/*
 * Writes one line at `priority` (LOG_ERR, LOG_WARNING, LOG_NOTICE, LOG_INFO, LOG_DEBUG of
 * syslog(3)). The formatted text is escaped as log_escape does, so a hostile argument can neither
 * forge a second line nor reach a terminal. errno is preserved.
 */
void log_line(int priority, const char *format, ...) __attribute__((format(printf, 2, 3)));

#define log_alert(...)   log_line(LOG_ALERT, __VA_ARGS__)
#define log_error(...)   log_line(LOG_ERR, __VA_ARGS__)
#define log_warning(...) log_line(LOG_WARNING, __VA_ARGS__)
#define log_notice(...)  log_line(LOG_NOTICE, __VA_ARGS__)
#define log_info(...)    log_line(LOG_INFO, __VA_ARGS__)

/*
 * Copies at most `length` bytes of `text` into `out` (of `capacity` bytes, at least 5), printable
 * ASCII as it is and everything else, the backslash included, as \xHH. Stops whole where the space
 * ends. The result is always terminated. Returns its length.
 */
size_t log_escape(char *out, size_t capacity, const char *text, size_t length);

#endif
