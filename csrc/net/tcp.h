/* TCP sockets, non-blocking, close-on-exec. Failures are -errno. */
#ifndef WS_NET_TCP_H
#define WS_NET_TCP_H

#include <stdbool.h>

#include "net/resolve.h"

/* What a socket gets before it connects. */
typedef struct ws_tcp_options {
    ws_address local; /* to connect from; its len is 0: the system chooses */
    const wsSocketOption* socket_options;
    size_t socket_option_count;
} ws_tcp_options;

/*
 * Start connecting: a descriptor that becomes writable when it is decided, or -errno. TCP_NODELAY is set. `options` may
 * be NULL; a local address of another family than `address` is -EAFNOSUPPORT.
 */
intptr_t ws_tcp_connect(const ws_address* address, const ws_tcp_options* options);

/* How connecting went, once the descriptor is writable: 0 or -errno. */
int ws_tcp_connect_result(intptr_t fd);

/*
 * A listening socket on the address ("" or NULL host: loopback) or -errno; *port 0 asks for any and gets the one it is.
 */
intptr_t ws_tcp_listen(const char* host, uint16_t* port);

/* The next waiting connection, ready for use, or -errno (-EAGAIN: none). */
intptr_t ws_tcp_accept(intptr_t listener);

/* The two ends of a connection. 0 or -errno. */
int ws_tcp_local(intptr_t fd, ws_address* address);
int ws_tcp_remote(intptr_t fd, ws_address* address);

/* Closing it sends RST instead of waiting for what is unsent (for breaking off). */
void ws_tcp_reset_on_close(intptr_t fd);

void ws_tcp_close(intptr_t fd);

#endif
