#include "net/tls_sessions.h"

#include <stdlib.h>
#include <string.h>

#include "net/sys.h"

int ws_tls_sessions_init(ws_tls_sessions* sessions) {
    sessions->count = 0;
    sessions->forks = ws_sys_forks();
    return ws_mutex_init(&sessions->mutex);
}

static void drop(ws_tls_sessions* sessions, size_t i) {
    free(sessions->kept[i].server);
    SSL_SESSION_free(sessions->kept[i].session);
    sessions->count--;
    memmove(&sessions->kept[i], &sessions->kept[i + 1], (sessions->count - i) * sizeof sessions->kept[0]);
}

static void drop_all(ws_tls_sessions* sessions) {
    while (sessions->count) {
        drop(sessions, sessions->count - 1);
    }
}

void ws_tls_sessions_clear(ws_tls_sessions* sessions) {
    ws_mutex_lock(&sessions->mutex);
    drop_all(sessions);
    ws_mutex_unlock(&sessions->mutex);
}

void ws_tls_sessions_free(ws_tls_sessions* sessions) {
    drop_all(sessions);
    ws_mutex_free(&sessions->mutex);
}

/* With the mutex held. */
static void after_fork(ws_tls_sessions* sessions) {
    if (sessions->forks == ws_sys_forks()) return;
    drop_all(sessions);
    sessions->forks = ws_sys_forks();
}

void ws_tls_sessions_keep(ws_tls_sessions* sessions, const char* server, SSL_SESSION* session) {
    char* copy = strdup(server);
    if (!copy) return;
    SSL_SESSION_up_ref(session);
    ws_mutex_lock(&sessions->mutex);
    after_fork(sessions);
    if (sessions->count == WS_TLS_MAX_SESSIONS) drop(sessions, 0);
    sessions->kept[sessions->count++] = (ws_tls_session){copy, session};
    ws_mutex_unlock(&sessions->mutex);
}

/* The place behind the newest for that server; 0 if there is none. */
static size_t find(const ws_tls_sessions* sessions, const char* server) {
    size_t i = sessions->count;
    while (i > 0 && strcmp(sessions->kept[i - 1].server, server) != 0) {
        i--;
    }
    return i;
}

SSL_SESSION* ws_tls_sessions_take(ws_tls_sessions* sessions, const char* server) {
    SSL_SESSION* session = NULL;
    ws_mutex_lock(&sessions->mutex);
    after_fork(sessions);
    size_t i = find(sessions, server);
    if (i > 0) {
        session = sessions->kept[i - 1].session;
        SSL_SESSION_up_ref(session);
        if (SSL_SESSION_get_protocol_version(session) >= TLS1_3_VERSION) drop(sessions, i - 1);
    }
    ws_mutex_unlock(&sessions->mutex);
    return session;
}
