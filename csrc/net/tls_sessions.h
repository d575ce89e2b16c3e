/* Sessions to resume: a few for each server, the oldest go first. Any thread. */
#ifndef WS_NET_TLS_SESSIONS_H
#define WS_NET_TLS_SESSIONS_H

#include <openssl/ssl.h>

#include "net/thread.h"

enum { WS_TLS_MAX_SESSIONS = 64 };

typedef struct ws_tls_session {
    char* server;
    SSL_SESSION* session;
} ws_tls_session;

typedef struct ws_tls_sessions {
    ws_mutex mutex;
    ws_tls_session kept[WS_TLS_MAX_SESSIONS]; /* oldest first */
    size_t count;
    uint32_t forks; /* a child must not use its parent's tickets: used twice, they tell the two apart from others */
} ws_tls_sessions;

int ws_tls_sessions_init(ws_tls_sessions* sessions);
void ws_tls_sessions_free(ws_tls_sessions* sessions);

/* Keep one (a reference of its own is taken) for that server. Without memory it is not kept. */
void ws_tls_sessions_keep(ws_tls_sessions* sessions, const char* server, SSL_SESSION* session);

/*
 * The newest for that server, NULL if there is none; the caller frees it. A ticket of TLS 1.3 is used once (RFC 8446
 * C.4), a session of 1.2 stays.
 */
SSL_SESSION* ws_tls_sessions_take(ws_tls_sessions* sessions, const char* server);

void ws_tls_sessions_clear(ws_tls_sessions* sessions);

#endif
