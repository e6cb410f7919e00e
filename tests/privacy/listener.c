/*
 * An X client that listens to raw key events as capture does and takes no care of what its X
 * library keeps of them: the control of the test that finds nothing of them in capture.
 *
 * usage: listener. Prints "ready", and stays until it is killed.
 */
#include <stdio.h>
#include <stdlib.h>
#include <xcb/xinput.h>

int main(void)
{
    xcb_connection_t *x = xcb_connect(NULL, NULL);
    if (xcb_connection_has_error(x))
        return 1;
    xcb_window_t root = xcb_setup_roots_iterator(xcb_get_setup(x)).data->root;
    free(xcb_input_xi_query_version_reply(x, xcb_input_xi_query_version(x, 2, 2), NULL));
    const struct {
        xcb_input_event_mask_t head;
        uint32_t mask;
    } select = {{XCB_INPUT_DEVICE_ALL_MASTER, 1}, XCB_INPUT_XI_EVENT_MASK_RAW_KEY_PRESS};
    xcb_input_xi_select_events(x, root, 1, &select.head);
    free(xcb_get_input_focus_reply(x, xcb_get_input_focus(x), NULL));
    puts("ready");
    fflush(stdout);
    for (xcb_generic_event_t *event; (event = xcb_wait_for_event(x));)
        free(event);
    return 0;
}
