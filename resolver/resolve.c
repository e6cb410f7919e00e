#include "resolve.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <resolv.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool is_label_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_';
}

bool resolve_is_name(const char *name)
{
    struct in6_addr address;
    size_t length = strlen(name);
    size_t label = 0;

    if (length > 0 && name[length - 1] == '.')
        length--;
    if (length == 0 || length > 253 || inet_pton(AF_INET, name, &address) == 1)
        return false;
    for (size_t i = 0; i < length; i++) {
        if (name[i] == '.' && label == 0)
            return false;
        if (name[i] != '.' && (!is_label_char(name[i]) || label == 63))
            return false;
        label = name[i] == '.' ? 0 : label + 1;
    }
    return label > 0;
}

void resolve_setup(void)
{
    /* resolv.conf(5): two tries of three seconds for each server. */
    setenv("RES_OPTIONS", "timeout:3 attempts:2", 1);
    (void)res_init();
    /* The first entry of /etc/hosts, for the sake of nsswitch.conf, which comes before it. */
    sethostent(0);
    (void)gethostent();
    endhostent();
}

static void add(struct resolve_answer *answer, const struct sockaddr *from)
{
    struct resolve_address *to = &answer->addresses[answer->count];
    const struct sockaddr_in *four = (const struct sockaddr_in *)(const void *)from;
    const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)(const void *)from;

    if (answer->count == RESOLVE_ADDRESSES_MAX)
        return;
    if (from->sa_family == AF_INET) {
        to->length = 4;
        memcpy(to->bytes, &four->sin_addr, 4);
    } else if (from->sa_family == AF_INET6) {
        to->length = 16;
        memcpy(to->bytes, &six->sin6_addr, 16);
        to->scope = six->sin6_scope_id;
    } else {
        return;
    }
    answer->count++;
}

void resolve_name(struct resolve_answer *answer, const char *name)
{
    const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct addrinfo *list = NULL;
    int rc;

    memset(answer, 0, sizeof *answer);
    if (!resolve_is_name(name)) {
        snprintf(answer->error, sizeof answer->error, "not a host name");
        return;
    }
    rc = getaddrinfo(name, NULL, &hints, &list);
    for (const struct addrinfo *at = list; rc == 0 && at; at = at->ai_next)
        add(answer, at->ai_addr);
    if (rc == 0)
        freeaddrinfo(list);
    if (answer->count == 0)
        snprintf(answer->error, sizeof answer->error, "%s",
                 rc == EAI_SYSTEM ? strerror(errno)
                 : rc != 0        ? gai_strerror(rc)
                                  : "the name has no address");
}
