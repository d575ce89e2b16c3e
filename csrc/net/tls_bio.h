/*
 * What OpenSSL reads and writes instead of a socket: a transport. Writing to it never fails. What the transport does
 * not take is kept, so that a record that was begun is OpenSSL's no more and goes out as it is; and once it takes
 * nothing any more, what the peer said before is still to be read, the alert that says why above all.
 */
#ifndef WS_NET_TLS_BIO_H
#define WS_NET_TLS_BIO_H

#include <openssl/ssl.h>

#include "core/buf.h"
#include "net/transport.h"

typedef struct ws_tls_wire {
    ws_transport below;
    ws_buf unsent;
    int read_error;  /* of the last read, EAGAIN included; 0 if it was none */
    int write_error; /* nothing can be written any more: what still is goes nowhere */
    bool ended;      /* the stream below has ended */
    bool corked;     /* what is written is kept, to be flushed with more */
} ws_tls_wire;

/* Have the connection use it. False without memory. The wire must live as long as that. */
bool ws_tls_wire_attach(ws_tls_wire* wire, SSL* ssl);

/* Was anything kept, here or in the transport? */
bool ws_tls_wire_unsent(const ws_tls_wire* wire);

/* Write what was kept: 0 when nothing is left, -EAGAIN, or -write_error. */
int ws_tls_wire_flush(ws_tls_wire* wire);

#endif
