#include "x11.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <xcb/randr.h>
#include <xcb/screensaver.h>
#include <xcb/shm.h>
#include <xcb/xinput.h>

#include "x11_keys.h"
#include "x11_lengths.h"
#include "x11_wipe.h"

int x11_dial(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof(address.sun_path))
        return -ENAMETOOLONG;
    strcpy(address.sun_path, path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) != 0) {
        int error = -errno;
        close(fd);
        return error;
    }
    return fd;
}

int x11_owner(int fd, uid_t *owner)
{
    struct ucred peer;
    socklen_t length = sizeof(peer);
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) != 0)
        return -errno;
    if (length != sizeof(peer))
        return -EPROTO;
    *owner = peer.uid;
    return 0;
}

/* The outcome of a step that had no reply. */
static int lost_or(struct x11 *x11, int otherwise)
{
    return xcb_connection_has_error(x11->connection) ? X11_LOST : otherwise;
}

static int open_connection(struct x11 *x11, int fd, const struct xauth_cookie *cookie)
{
    struct xauth_cookie copy;
    static char name[] = "MIT-MAGIC-COOKIE-1";
    xcb_auth_info_t auth = {.namelen = sizeof(name) - 1, .name = name};
    if (cookie != NULL) {
        copy = *cookie;
        auth.datalen = sizeof(copy.bytes);
        auth.data = (char *)copy.bytes;
    }
    x11_wipe_reads(fd);
    x11->connection = xcb_connect_to_fd(fd, cookie != NULL ? &auth : NULL);
    explicit_bzero(&copy, sizeof(copy));
    return xcb_connection_has_error(x11->connection) ? X11_REFUSED : X11_OK;
}

static const xcb_visualtype_t *find_visual(const xcb_screen_t *screen)
{
    xcb_depth_iterator_t depths = xcb_screen_allowed_depths_iterator(screen);
    for (; depths.rem > 0; xcb_depth_next(&depths)) {
        xcb_visualtype_iterator_t visuals = xcb_depth_visuals_iterator(depths.data);
        for (; visuals.rem > 0; xcb_visualtype_next(&visuals))
            if (visuals.data->visual_id == screen->root_visual)
                return visuals.data;
    }
    return NULL;
}

/* Rows of width * 4 bytes in the order B, G, R, padding: ZPixmap of 32 bits, least byte first. */
static int check_visual(struct x11 *x11, const xcb_setup_t *setup, const xcb_screen_t *screen)
{
    const xcb_visualtype_t *visual = find_visual(screen);
    if (visual == NULL || visual->_class != XCB_VISUAL_CLASS_TRUE_COLOR ||
        visual->red_mask != 0xff0000 || visual->green_mask != 0xff00 || visual->blue_mask != 0xff)
        return X11_VISUAL;
    if (setup->image_byte_order != XCB_IMAGE_ORDER_LSB_FIRST || screen->root_depth != 24)
        return X11_VISUAL;
    xcb_format_iterator_t formats = xcb_setup_pixmap_formats_iterator(setup);
    for (; formats.rem > 0; xcb_format_next(&formats))
        if (formats.data->depth == screen->root_depth)
            return formats.data->bits_per_pixel == 32 && formats.data->scanline_pad == 32
                       ? lost_or(x11, X11_OK)
                       : X11_VISUAL;
    return X11_VISUAL;
}

static bool has_extension(struct x11 *x11, const char *name)
{
    xcb_query_extension_reply_t *reply = xcb_query_extension_reply(
        x11->connection, xcb_query_extension(x11->connection, (uint16_t)strlen(name), name), NULL);
    bool present = reply != NULL && reply->present;
    free(reply);
    return present;
}

/* Versions of Xwayland before 23.1 do not say so by an extension, but all name their outputs so. */
static bool has_wayland_output(struct x11 *x11)
{
    xcb_connection_t *c = x11->connection;
    bool found = false;
    xcb_randr_get_screen_resources_current_reply_t *resources =
        xcb_randr_get_screen_resources_current_reply(
            c, xcb_randr_get_screen_resources_current(c, x11->root), NULL);
    if (resources == NULL)
        return false;
    int count = x11_resources_are_whole(resources)
                    ? xcb_randr_get_screen_resources_current_outputs_length(resources)
                    : 0;
    const xcb_randr_output_t *outputs = xcb_randr_get_screen_resources_current_outputs(resources);
    for (int i = 0; i < count && !found; i++) {
        xcb_randr_get_output_info_reply_t *info = xcb_randr_get_output_info_reply(
            c, xcb_randr_get_output_info(c, outputs[i], resources->config_timestamp), NULL);
        if (info == NULL)
            continue;
        found = x11_output_is_whole(info) && xcb_randr_get_output_info_name_length(info) >= 8 &&
                memcmp(xcb_randr_get_output_info_name(info), "XWAYLAND", 8) == 0;
        free(info);
    }
    free(resources);
    return found;
}

static int find_xinput(struct x11 *x11)
{
    const xcb_query_extension_reply_t *extension =
        xcb_get_extension_data(x11->connection, &xcb_input_id);
    if (extension == NULL || !extension->present)
        return lost_or(x11, X11_MISSING);
    xcb_input_xi_query_version_reply_t *version = xcb_input_xi_query_version_reply(
        x11->connection, xcb_input_xi_query_version(x11->connection, 2, 2), NULL);
    /* Raw events reach clients beside a grab since 2.1. */
    bool enough = version != NULL && (version->major_version > 2 ||
                                      (version->major_version == 2 && version->minor_version >= 2));
    free(version);
    x11->xinput_opcode = extension->major_opcode;
    return enough ? X11_OK : lost_or(x11, X11_MISSING);
}

static void find_optional(struct x11 *x11)
{
    xcb_connection_t *c = x11->connection;
    const xcb_query_extension_reply_t *randr = xcb_get_extension_data(c, &xcb_randr_id);
    if (randr != NULL && randr->present) {
        xcb_randr_query_version_reply_t *version =
            xcb_randr_query_version_reply(c, xcb_randr_query_version(c, 1, 5), NULL);
        if (version != NULL && version->major_version == 1 && version->minor_version >= 5)
            x11->randr_event = randr->first_event;
        free(version);
    }
    const xcb_query_extension_reply_t *saver = xcb_get_extension_data(c, &xcb_screensaver_id);
    if (saver == NULL || !saver->present)
        return;
    xcb_screensaver_query_version_reply_t *version =
        xcb_screensaver_query_version_reply(c, xcb_screensaver_query_version(c, 1, 1), NULL);
    if (version != NULL)
        x11->saver_event = saver->first_event;
    free(version);
}

static int attach_picture(struct x11 *x11, struct picture *picture)
{
    xcb_connection_t *c = x11->connection;
    const xcb_query_extension_reply_t *shm = xcb_get_extension_data(c, &xcb_shm_id);
    if (shm == NULL || !shm->present)
        return lost_or(x11, X11_MISSING);
    xcb_shm_query_version_reply_t *version =
        xcb_shm_query_version_reply(c, xcb_shm_query_version(c), NULL);
    bool enough = version != NULL && (version->major_version > 1 ||
                                      (version->major_version == 1 && version->minor_version >= 2));
    free(version);
    int fd = enough ? picture_take_fd(picture) : -1;
    if (fd < 0)
        return lost_or(x11, X11_MISSING);
    x11->segment = xcb_generate_id(c);
    /* Closes the descriptor once it is sent. */
    xcb_generic_error_t *error =
        xcb_request_check(c, xcb_shm_attach_fd_checked(c, x11->segment, fd, 0));
    bool attached = error == NULL;
    free(error);
    return lost_or(x11, attached ? X11_OK : X11_MISSING);
}

static xcb_atom_t read_atom(struct x11 *x11, const char *name)
{
    xcb_intern_atom_reply_t *reply = xcb_intern_atom_reply(
        x11->connection, xcb_intern_atom(x11->connection, 0, (uint16_t)strlen(name), name), NULL);
    xcb_atom_t atom = reply != NULL ? reply->atom : XCB_ATOM_NONE;
    free(reply);
    return atom;
}

static void select_raw_input(struct x11 *x11)
{
    struct {
        xcb_input_event_mask_t head;
        uint32_t mask;
    } wanted = {.head = {.deviceid = XCB_INPUT_DEVICE_ALL_MASTER, .mask_len = 1},
                .mask = XCB_INPUT_XI_EVENT_MASK_RAW_KEY_PRESS |
                        XCB_INPUT_XI_EVENT_MASK_RAW_BUTTON_PRESS};
    xcb_input_xi_select_events(x11->connection, x11->root, 1, &wanted.head);
}

static void read_saver(struct x11 *x11)
{
    xcb_connection_t *c = x11->connection;
    if (x11->saver_event == 0)
        return;
    xcb_screensaver_select_input(c, x11->root, XCB_SCREENSAVER_EVENT_NOTIFY_MASK);
    xcb_screensaver_query_info_reply_t *info =
        xcb_screensaver_query_info_reply(c, xcb_screensaver_query_info(c, x11->root), NULL);
    x11->saver_on = info != NULL && info->state == XCB_SCREENSAVER_STATE_ON;
    free(info);
}

static int watch(struct x11 *x11, bool windows)
{
    xcb_connection_t *c = x11->connection;
    x11->atoms.net_active_window = read_atom(x11, "_NET_ACTIVE_WINDOW");
    x11->atoms.net_wm_name = read_atom(x11, "_NET_WM_NAME");
    x11->atoms.utf8_string = read_atom(x11, "UTF8_STRING");
    if (x11->randr_event != 0)
        xcb_randr_select_input(c, x11->root,
                               XCB_RANDR_NOTIFY_MASK_SCREEN_CHANGE |
                                   XCB_RANDR_NOTIFY_MASK_CRTC_CHANGE |
                                   XCB_RANDR_NOTIFY_MASK_OUTPUT_CHANGE);
    /* A change of monitors that leaves the screen alone is told to who watches the root itself. */
    uint32_t mask =
        XCB_EVENT_MASK_STRUCTURE_NOTIFY | (windows ? XCB_EVENT_MASK_SUBSTRUCTURE_NOTIFY : 0);
    xcb_change_window_attributes(c, x11->root, XCB_CW_EVENT_MASK, &mask);
    int outcome = x11_keys_load(x11);
    if (outcome != X11_OK)
        return outcome;
    read_saver(x11);
    select_raw_input(x11);
    xcb_flush(c);
    return x11_read_monitors(x11);
}

/* The steps, each with what is said when it fails. */
static int start(struct x11 *x11, struct picture *picture, bool watch_windows, const char **why)
{
    const xcb_setup_t *setup = xcb_get_setup(x11->connection);
    *why = "the X server has no screen, or says more than it sends";
    if (!x11_setup_is_whole(setup))
        return X11_MISSING;
    const xcb_screen_t *screen = xcb_setup_roots_iterator(setup).data;
    x11->root = screen->root;
    x11->resource_mask = setup->resource_id_mask;
    find_optional(x11);
    *why = "Wayland";
    if (has_extension(x11, "XWAYLAND") || (x11->randr_event != 0 && has_wayland_output(x11)))
        return X11_WAYLAND;
    *why = "the screen is not 24 bits deep with 8 bits for each colour";
    int outcome = check_visual(x11, setup, screen);
    if (outcome != X11_OK)
        return outcome;
    *why = "the X server lacks XInput 2.2";
    outcome = find_xinput(x11);
    if (outcome != X11_OK)
        return outcome;
    *why = "the X server lacks MIT-SHM 1.2 or refuses the shared memory";
    outcome = attach_picture(x11, picture);
    if (outcome != X11_OK)
        return outcome;
    *why = "the desktop is too large";
    return watch(x11, watch_windows);
}

int x11_start(struct x11 **out, int fd, const struct xauth_cookie *cookie, struct picture *picture,
              uint64_t trigger_set, bool watch_windows, char *why, size_t capacity)
{
    struct x11 *x11 = calloc(1, sizeof(*x11));
    if (x11 == NULL) {
        close(fd);
        return -ENOMEM;
    }
    x11->trigger_set = trigger_set;
    const char *words = "the X server does not let us in";
    int outcome = open_connection(x11, fd, cookie);
    if (outcome == X11_OK)
        outcome = start(x11, picture, watch_windows, &words);
    if (outcome != X11_OK) {
        snprintf(why, capacity, "%s",
                 outcome == X11_LOST ? "the X server closed the connection" : words);
        x11_free(x11);
        return outcome;
    }
    *out = x11;
    return X11_OK;
}

struct x11 *x11_free(struct x11 *x11)
{
    if (x11 == NULL)
        return NULL;
    if (x11->connection != NULL)
        xcb_disconnect(x11->connection);
    x11_wipe_reads(-1);
    free(x11->event);
    free(x11);
    return NULL;
}

int x11_fd(const struct x11 *x11)
{
    return xcb_get_file_descriptor(x11->connection);
}
