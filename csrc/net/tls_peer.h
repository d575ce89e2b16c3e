/* The other side of one TLS connection, as OpenSSL's callbacks see it: sessions to keep, secrets to log, errors. */
#ifndef WS_NET_TLS_PEER_H
#define WS_NET_TLS_PEER_H

#include "net/tls_context.h"

typedef struct ws_tls_peer {
    ws_tls_context* context;
    const char* name;    /* what the certificate must be valid for */
    const char* session; /* by what its sessions are kept */
    ws_error failure;    /* what its certificate lacks */
} ws_tls_peer;

/* Have all connections of a client's SSL_CTX call back. */
void ws_tls_peer_set_up(SSL_CTX* ctx, const wsTls* options);

/* Hang the peer on its connection; false without memory. It must live as long as that. */
bool ws_tls_peer_attach(ws_tls_peer* peer, SSL* ssl);
ws_tls_peer* ws_tls_peer_of(const SSL* ssl);

#endif
