/*
 * What OpenSSL reads and writes instead of a socket: a transport. Writing to it never fails for lack of room: what the
 * transport does not take is kept, so that a record that was begun is OpenSSL's no more and goes out as it is.
 */
#ifndef WS_NET_TLS_BIO_H
#define WS_NET_TLS_BIO_H

#include <openssl/ssl.h>

#include "core/buf.h"
#include "net/transport.h"

typedef struct ws_tls_wire {
    ws_transport below;
    ws_buf unsent;
    int os_error; /* of the last failure, EAGAIN included; 0 if there was none since */
    bool ended;   /* the stream below has ended */
} ws_tls_wire;

/* Have the connection use it. False without memory. The wire must live as long as that. */
bool ws_tls_wire_attach(ws_tls_wire* wire, SSL* ssl);

/* Write what was kept: 0 when nothing is left, -EAGAIN, or what the transport says. */
int ws_tls_wire_flush(ws_tls_wire* wire);

#endif
