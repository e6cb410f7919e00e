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
 * Writes one line at `priority` (LOG_ERR, LOG_WARNING, LOG_NOTICE, LOG_INFO, LOG_DEBUG of
 * syslog(3)). The formatted text is escaped as log_escape does, so a hostile argument can neither
 * forge a second line nor reach a terminal. errno is preserved.
 */
void log_line(int priority, const char *format, ...) __attribute__((format(printf, 2, 3)));

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
