/* A client and a server with TLS, over a transport that the test holds in its hands. */
#ifndef WS_TESTS_TLS_PAIR_H
#define WS_TESTS_TLS_PAIR_H

#include "certificate.h"
#include "core/buf.h"
#include "net/tls.h"

/* One end of the transport below. Zeroed it takes and gives all there is. */
typedef struct test_end {
    ws_buf *in, *out;
    size_t piece;    /* bytes it takes or gives, then it says "not now" once; 0: all */
    size_t capacity; /* of what it sent and nobody has read; then it says "not now"; 0: any */
    int read_error, write_error;
    int writes;                       /* how many were asked for */
    bool not_now_read, not_now_write; /* the next is refused */
    bool shut, closed, reset;         /* what was asked of it */
    const bool* ended;                /* the other end's `shut` */
} test_end;

typedef struct tls_pair {
    ws_buf to_server, to_client;
    test_end below_client, below_server;
    ws_transport client, server;
    ws_tls_context *client_context, *server_context;
    ws_error client_error, server_error; /* of the handshake */
} tls_pair;

/* Begin, for the name. The contexts are taken over. Set the ends up before the handshake. */
void tls_pair_start(tls_pair* pair, const wsTls* options, ws_tls_context* server, const char* name);

/* The handshake: true if both are through. Else the errors say why; it fails the test if neither goes on. */
bool tls_pair_shake(tls_pair* pair);

/* Start and shake, which must work. */
void tls_pair_open(tls_pair* pair, const wsTls* options, ws_tls_context* server, const char* name);

/* Write all, reading at the other end into `got`, with nothing left unsent. */
void tls_pair_send(ws_transport* from, ws_transport* to, const void* bytes, size_t n, ws_buf* got);

/* Read what there is: the last outcome, which is no number of bytes. */
ssize_t tls_pair_drain(ws_transport* from, ws_buf* got);

/* Have a poll on the end's descriptor find it readable? */
bool test_end_readable(const test_end* end);

void tls_pair_free(tls_pair* pair);

#endif
