/*
 * A stream of bytes that a connection runs over. One vtable, behind it a socket, or TLS on top of another transport. A
 * transport is a value: the vtable and its state.
 */
#ifndef WS_NET_TRANSPORT_H
#define WS_NET_TRANSPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "core/error.h"

typedef struct ws_transport ws_transport;

typedef struct ws_transport_ops {
    /*
     * Bytes read or written (> 0), 0 at the end of the stream (read only), -errno (-EAGAIN: not now; -EPROTO: ask
     * `explain`). What is written may still be inside (`unsent`): writing nothing moves it on. Never a signal.
     */
    ssize_t (*read)(ws_transport* transport, uint8_t* to, size_t n);
    ssize_t (*write)(ws_transport* transport, const uint8_t* from, size_t n);
    /* Waits anything inside for the descriptor to become writable? */
    bool (*unsent)(const ws_transport* transport);
    /* Has it data that polling the descriptor would not show? */
    bool (*ready_now)(const ws_transport* transport);
    /* What the last -EPROTO was. */
    void (*explain)(const ws_transport* transport, ws_error* error);
    /* No more will be written: tell the peer. Never waits. */
    void (*shutdown)(ws_transport* transport);
    /* From now on closing breaks the stream off: what is unsent is dropped, and the peer sees a reset. */
    void (*reset_on_close)(ws_transport* transport);
    /* Free everything, closing the descriptor. */
    void (*close)(ws_transport* transport);
} ws_transport_ops;

struct ws_transport {
    const ws_transport_ops* ops; /* NULL: there is none */
    intptr_t fd;
    void* state; /* the implementation's */
};

/* Over a connected socket, which it then owns. */
void ws_transport_socket(ws_transport* transport, intptr_t fd);

#endif
