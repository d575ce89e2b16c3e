/* TLS on top of a transport: OpenSSL, which reads and writes that transport. */
#ifndef WS_NET_TLS_H
#define WS_NET_TLS_H

#include "net/tls_context.h"
#include "net/transport.h"

/* Whom a client talks to. Borrowed until ws_tls_start returns. */
typedef struct ws_tls_server_id {
    const char* name; /* to be verified and sent as SNI; an IP literal is not sent (RFC 6066 3) */
    const char* host; /* where it is reached: for words, and for finding sessions again */
    uint16_t port;
} ws_tls_server_id;

/*
 * Put TLS on *transport, which becomes the TLS one and owns what it was. `server` is NULL in the server's role. On
 * failure (WS_ERR_TLS_OPTIONS, WS_ERR_MEMORY) *transport is as it was. It takes a reference to the context.
 */
int32_t ws_tls_start(ws_transport* transport, ws_tls_context* context, const ws_tls_server_id* server, ws_error* error);

/*
 * Go on with the handshake: 1 once it is done (and the pins are right), 0 while it waits for the descriptor (readable,
 * and writable while transport->ops->unsent), or WS_ERR_TLS, _CERTIFICATE.
 */
int32_t ws_tls_handshake(ws_transport* transport, ws_error* error);

/*
 * What was agreed, as wsConnTls has it, into *info, which is the caller's to be freed by ws_tls_info_free. 0;
 * WS_ERR_STATE if that is no TLS transport; WS_ERR_MEMORY.
 */
int32_t ws_tls_look(const ws_transport* transport, wsTlsInfo** info);
void ws_tls_info_free(wsTlsInfo* info);

#endif
