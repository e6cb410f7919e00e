/*
 * cloister-capture: watches for triggers, keeps recent screenshots in memory, and hands them to
 * tickets of the session's owner.
 *
 * Before the lock the X server's socket is connected, and nothing is read from it; the user's
 * cookie file and every byte of the X server are read behind the lock, in the order of main().
 */
#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "capture_filter.h"
#include "clock.h"
#include "log.h"
#include "service.h"
#include "worker.h"

#define XAUTHORITY_FD  3      /* capture.policy's first descriptor */
#define X11_SOCKET     "/x11" /* where capture.policy mounts the X server's socket */
#define STATE_EVERY_MS 1000U
#define RING_BYTES_MAX (UINT64_C(1) << 30) /* what capture.policy's memory has room for */

struct capture {
    struct worker worker;
    struct picture *picture;
    struct x11 *x11;
    struct engine *engine;
    struct service service;
    char display[8]; /* the display's number */
    ipc_CaptureStatus told;
    uint64_t told_ms;
};

/* The number of the display that a connected socket belongs to: the server bound ".../X7". */
static void read_display(int fd, char *out, size_t capacity)
{
    struct sockaddr_un address = {0};
    socklen_t length = sizeof(address) - 1;
    out[0] = '\0';
    if (getpeername(fd, (struct sockaddr *)&address, &length) != 0)
        return;
    const char *x = strrchr(address.sun_path, 'X');
    size_t digits = x != NULL ? strspn(x + 1, "0123456789") : 0;
    if (digits == 0 || digits >= capacity || x[1 + digits] != '\0')
        return;
    memcpy(out, x + 1, digits + 1);
}

/* The cookie and the triggers are for the session's own server, or root's, and for no other: any
 * user can be the first to bind a display's socket. */
static void check_owner(int fd, uid_t session_uid)
{
    uid_t owner;
    int error = x11_owner(fd, &owner);
    if (error != 0)
        worker_fail(WORKER_EXIT_NOT_YET, "whose the X server is cannot be read: %s",
                    strerror(-error));
    if (owner != 0 && owner != session_uid)
        worker_fail(WORKER_EXIT_NOT_YET,
                    "the X server's socket belongs to uid %u, not to root or the session's uid %u; "
                    "nothing was said to it",
                    owner, session_uid);
}

static int dial(struct capture *capture)
{
    int fd = x11_dial(X11_SOCKET);
    if (fd < 0)
        worker_fail(WORKER_EXIT_NOT_YET, "the X server is not there: %s", strerror(-fd));
    check_owner(fd, capture->worker.welcome.config.capture.session_uid);
    read_display(fd, capture->display, sizeof(capture->display));
    return fd;
}

/* The cookie, if there is one; `cookie` is then filled and returned. */
static const struct xauth_cookie *read_cookie(const struct capture *capture,
                                              struct xauth_cookie *cookie)
{
    static uint8_t file[XAUTH_FILE_MAX];
    size_t used = 0;
    ssize_t n = 0;
    while (used < sizeof(file) &&
           (n = pread(XAUTHORITY_FD, file + used, sizeof(file) - used, (off_t)used)) > 0)
        used += (size_t)n;
    close(XAUTHORITY_FD);
    int outcome = xauth_find(cookie, file, used, "", capture->display);
    explicit_bzero(file, sizeof(file));
    if (outcome == XAUTH_MALFORMED)
        log_warning("the Xauthority file is damaged");
    return outcome == XAUTH_OK ? cookie : NULL;
}

static void tell(struct capture *capture, const ipc_CaptureStatus *status)
{
    ipc_CaptureState state = {.has_status = true, .status = *status};
    worker_notify(&capture->worker, IPC_CAPTURE_STATE, &state);
    capture->told = *status;
    capture->told_ms = clock_ms();
}

/* Ends: the broker says so to open tickets, and tries again as the status asks. */
static _Noreturn void end(struct capture *capture, int outcome, const char *why)
{
    if (outcome == X11_WAYLAND) {
        ipc_CaptureStatus status = {.phase = ipc_CapturePhase_CAPTURE_WAYLAND};
        snprintf(status.detail, sizeof(status.detail), "screenshots unavailable: %s", why);
        tell(capture, &status);
        worker_fail(WORKER_EXIT_UNAVAILABLE, "screenshots unavailable: %s", why);
    }
    if (outcome == X11_LOST || outcome == X11_REFUSED)
        worker_fail(WORKER_EXIT_NOT_YET, "%s", why);
    worker_fail(outcome < 0 ? WORKER_EXIT_FAILED : WORKER_EXIT_UNAVAILABLE, "%s",
                outcome < 0 ? strerror(-outcome) : why);
}

static void start_x11(struct capture *capture, int fd, const ipc_CaptureConfig *config)
{
    struct xauth_cookie cookie;
    char why[128] = "";
    int outcome = x11_start(&capture->x11, fd, read_cookie(capture, &cookie), capture->picture,
                            config->triggers, config->deny_count > 0, why, sizeof(why));
    explicit_bzero(&cookie, sizeof(cookie));
    if (outcome != X11_OK)
        end(capture, outcome, why);
    log_info("capturing display :%s, %u x %u, %u monitors", capture->display, capture->x11->width,
             capture->x11->height, capture->x11->monitor_count);
}

static void start_engine(struct capture *capture, const ipc_CaptureConfig *config)
{
    static struct engine_config engine;
    engine.limits = (struct ring_limits){config->max_age_ms, config->max_bytes, config->max_frames};
    if (engine.limits.max_bytes > RING_BYTES_MAX) {
        log_warning("max_bytes is above 1 GiB, which is as much as capture keeps");
        engine.limits.max_bytes = RING_BYTES_MAX;
    }
    engine.cpu_percent = config->cpu_percent;
    engine.session_active = config->session_active;
    for (; engine.deny.count < config->deny_count; engine.deny.count++)
        snprintf(engine.deny.patterns[engine.deny.count], PATTERN_BYTES_MAX, "%s",
                 config->deny[engine.deny.count]);
    int error = engine_begin(capture->engine, &engine, capture->x11, capture->picture);
    if (error != 0)
        worker_fail(WORKER_EXIT_FAILED, "cannot begin: %s", strerror(-error));
    service_begin(&capture->service, capture->engine, config->session_uid);
}

static void refuse(struct capture *capture, const struct message *request,
                   const struct service_refusal *refusal)
{
    log_warning("%s refused: %s", request->envelope.type->name, refusal->detail);
    worker_refuse(&capture->worker, request, refusal->reason, refusal->detail);
}

static struct service_caller caller_of(const struct message *message)
{
    return (struct service_caller){message->envelope.ticket, message->envelope.uid};
}

static void session_key(struct capture *capture, const struct message *message)
{
    ipc_SessionKey request;
    ipc_SessionKeyReply reply;
    struct service_caller caller = caller_of(message);
    worker_decode(&capture->worker, message, &request);
    const struct service_refusal *refusal =
        service_session_key(&capture->service, &caller, &request, &reply);
    if (refusal != NULL)
        refuse(capture, message, refusal);
    else
        worker_answer(&capture->worker, message, IPC_SESSION_KEY_REPLY, &reply, NULL, 0);
}

static void frame_list(struct capture *capture, const struct message *message)
{
    ipc_FrameList request;
    ipc_FrameListing reply;
    struct service_blob blob;
    struct service_caller caller = caller_of(message);
    worker_decode(&capture->worker, message, &request);
    const struct service_refusal *refusal =
        service_frame_list(&capture->service, &caller, &request, &reply, &blob);
    if (refusal != NULL)
        refuse(capture, message, refusal);
    else
        worker_answer(&capture->worker, message, IPC_FRAME_LISTING, &reply, blob.bytes,
                      blob.length);
}

static void frame_fetch(struct capture *capture, const struct message *message)
{
    ipc_FrameFetch request;
    ipc_FramePart reply;
    struct service_blob blob;
    struct service_caller caller = caller_of(message);
    worker_decode(&capture->worker, message, &request);
    const struct service_refusal *refusal =
        service_frame_fetch(&capture->service, &caller, &request, &reply, &blob);
    if (refusal != NULL)
        refuse(capture, message, refusal);
    else
        worker_answer(&capture->worker, message, IPC_FRAME_PART, &reply, blob.bytes, blob.length);
}

static void pause_capture(struct capture *capture, const struct message *message)
{
    ipc_CapturePause request;
    ipc_CapturePaused reply;
    struct service_caller caller = caller_of(message);
    worker_decode(&capture->worker, message, &request);
    const struct service_refusal *refusal =
        service_pause(&capture->service, &caller, &request, &reply);
    if (refusal != NULL)
        refuse(capture, message, refusal);
    else
        worker_answer(&capture->worker, message, IPC_CAPTURE_PAUSED, &reply, NULL, 0);
}

static void ticket_ended(struct capture *capture, const struct message *message)
{
    ipc_TicketEnded ended;
    worker_decode(&capture->worker, message, &ended);
    service_ticket_ended(&capture->service, ended.ticket);
}

static void session_changed(struct capture *capture, const struct message *message)
{
    ipc_SessionChanged changed;
    worker_decode(&capture->worker, message, &changed);
    engine_session(capture->engine, changed.active);
}

static void handle(struct capture *capture, const struct message *message)
{
    switch (message->envelope.number) {
    case IPC_SESSION_KEY:
        session_key(capture, message);
        break;
    case IPC_FRAME_LIST:
        frame_list(capture, message);
        break;
    case IPC_FRAME_FETCH:
        frame_fetch(capture, message);
        break;
    case IPC_CAPTURE_PAUSE:
        pause_capture(capture, message);
        break;
    case IPC_TICKET_ENDED:
        ticket_ended(capture, message);
        break;
    case IPC_SESSION_CHANGED:
        session_changed(capture, message);
        break;
    default:
        worker_fail(WORKER_EXIT_PROTOCOL, "the broker sent %s, which nothing here asked for",
                    message->envelope.type->name);
    }
}

/*
 * Tells the broker of every change of phase at once, of changed counts once a second. Returns in
 * how many ms there is more to tell, -1 for never.
 */
static int tell_state(struct capture *capture)
{
    ipc_CaptureStatus now;
    service_status(&capture->service, &now);
    const ipc_CaptureStatus *told = &capture->told;
    bool phase = now.phase != told->phase || now.paused_until_ms != told->paused_until_ms ||
                 strcmp(now.detail, told->detail) != 0 || (now.frames == 0 && told->frames != 0);
    bool counts =
        now.frames != told->frames || now.bytes != told->bytes || now.merged != told->merged;
    uint64_t passed = clock_ms() - capture->told_ms;
    if (phase || (counts && passed >= STATE_EVERY_MS)) {
        tell(capture, &now);
        return -1;
    }
    return counts ? (int)(STATE_EVERY_MS - passed) : -1;
}

static void serve(struct capture *capture)
{
    struct message message;
    for (;;) {
        int outcome = engine_run(capture->engine);
        if (outcome == ENGINE_LOST)
            end(capture, X11_LOST, "the X server is gone; all frames are forgotten");
        if (outcome == ENGINE_TOO_LARGE)
            end(capture, X11_TOO_LARGE, "the desktop is too large");
        if (outcome != ENGINE_OK)
            end(capture, outcome, "");
        int state_ms = tell_state(capture), wait_ms = engine_timeout_ms(capture->engine);
        if (state_ms >= 0 && (wait_ms < 0 || state_ms < wait_ms))
            wait_ms = state_ms;
        struct pollfd x11 = {.fd = x11_fd(capture->x11), .events = POLLIN};
        worker_wait(&capture->worker, &x11, 1, wait_ms);
        while (worker_next(&capture->worker, &message)) {
            handle(capture, &message);
            message_free(&message);
        }
    }
}

/* All memory that is ever locked: where RLIMIT_MEMLOCK is low, the capability for it is gone as
 * soon as the worker starts. */
static void reserve(struct capture *capture)
{
    int error = engine_new(&capture->engine);
    if (error == 0)
        error = service_reserve(&capture->service);
    if (error == 0)
        error = picture_new(&capture->picture);
    if (error != 0)
        worker_fail(WORKER_EXIT_FAILED, "no locked memory for pictures: %s", strerror(-error));
}

int main(void)
{
    static struct capture capture;
    if (sandbox_early())
        return WORKER_EXIT_SANDBOX;
    log_setup("capture", 1);
    if (sodium_init() < 0)
        worker_fail(WORKER_EXIT_FAILED, "libsodium does not start");
    reserve(&capture);
    worker_start(&capture.worker, "capture", IPC_PEER_CAPTURE, &capture_filter);
    if (capture.worker.welcome.which_config != ipc_Welcome_capture_tag)
        worker_fail(WORKER_EXIT_PROTOCOL, "the welcome is not capture's");
    int fd = dial(&capture);
    worker_lock(&capture.worker);
    start_x11(&capture, fd, &capture.worker.welcome.config.capture);
    start_engine(&capture, &capture.worker.welcome.config.capture);
    serve(&capture);
}
