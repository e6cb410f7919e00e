/*
 * nng with the IPC transport alone.
 *
 * Debian's libnng carries TCP, TLS (and with it mbedTLS), WebSocket and HTTP. Cloister speaks only
 * ipc:// between its processes, and a broker that can open no network connection is the point of
 * it. The functions below stand in front of the ones of the same name in the static library, so
 * that the linker never pulls those parts in: their transports do not exist in our binaries.
 *
 * The names and signatures are nng 1.5's internal ones; a version that changes them fails to link
 * or, where it would link, fails channel_test.
 */
#include <nng/nng.h>
#include <unistd.h>

int nni_tls_sys_init(void);
void nni_tls_sys_fini(void);
int nng_tls_engine_init_mbed(void);
void nng_tls_engine_fini_mbed(void);
void nni_sp_inproc_register(void);
void nni_sp_tcp_register(void);
void nni_sp_tls_register(void);
void nni_sp_ws_register(void);
void nni_sp_wss_register(void);
int nni_tcp_dialer_alloc(void *out, const void *url);
int nni_tcp_listener_alloc(void *out, const void *url);
int nni_tls_dialer_alloc(void *out, const void *url);
int nni_tls_listener_alloc(void *out, const void *url);
int nni_ws_dialer_alloc(void *out, const void *url);
int nni_ws_listener_alloc(void *out, const void *url);

int nni_tls_sys_init(void)
{
    return 0;
}

void nni_tls_sys_fini(void)
{
}

int nng_tls_engine_init_mbed(void)
{
    return 0;
}

void nng_tls_engine_fini_mbed(void)
{
}

void nni_sp_inproc_register(void)
{
}

void nni_sp_tcp_register(void)
{
}

void nni_sp_tls_register(void)
{
}

void nni_sp_ws_register(void)
{
}

void nni_sp_wss_register(void)
{
}

#define REFUSE_STREAM(name)                                                                        \
    int name(void *out, const void *url)                                                           \
    {                                                                                              \
        (void)out;                                                                                 \
        (void)url;                                                                                 \
        return NNG_ENOTSUP;                                                                        \
    }

REFUSE_STREAM(nni_tcp_dialer_alloc)
REFUSE_STREAM(nni_tcp_listener_alloc)
REFUSE_STREAM(nni_tls_dialer_alloc)
REFUSE_STREAM(nni_tls_listener_alloc)
REFUSE_STREAM(nni_ws_dialer_alloc)
REFUSE_STREAM(nni_ws_listener_alloc)

/* No names to resolve: without this, four threads wait for getaddrinfo work that never comes. */
int nni_posix_resolv_sysinit(void);
void nni_posix_resolv_sysfini(void);

int nni_posix_resolv_sysinit(void)
{
    return 0;
}

void nni_posix_resolv_sysfini(void)
{
}

/*
 * nng sizes its thread pool by the number of processors (20 threads on four of them). One loop's
 * worth of small messages need no more than one processor's share; every thread saved is a stack
 * and a line in an auditor's list. Linked with --wrap=sysconf.
 */
long __real_sysconf(int name);
long __wrap_sysconf(int name);

long __wrap_sysconf(int name)
{
    return name == _SC_NPROCESSORS_ONLN ? 1 : __real_sysconf(name);
}
