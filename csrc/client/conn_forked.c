/*
 * A connection in a child process: it is the parent's, and goes on there. The child's copy closes its descriptor, which
 * says nothing to the peer, and is closed from then on. In the parent nothing has changed.
 */
#include <stddef.h>

#include "client/conn.h"
#include "net/tcp.h"

static char why[] = "the process was forked, and the connection stayed with the parent: connect anew in the child";

/* Without a descriptor of ours the parent's closing reaches the peer. What TLS holds is left: it would say goodbye. */
static void drop_transport(wsConn* conn) {
    if (conn->transport.ops) ws_tcp_close(conn->transport.fd);
    conn->transport = (ws_transport){.fd = -1};
}

/* What another thread may have been changing. */
static void forget(wsConn* conn) {
    conn->inbox = (ws_inbox){0};
    conn->pings = (ws_pings){0};
    conn->failure = (ws_error){0};
    if (conn->state != WS_STATE_CONNECTING) return;
    conn->protocol = (ws_protocol){.subprotocol = -1};
    conn->redirects = NULL;
    conn->opening = NULL;
}

static void close_copy(wsConn* conn) {
    if (conn->state == WS_STATE_CLOSED) return;
    conn->torn = conn->torn || conn->state == WS_STATE_CONNECTING;
    if (conn->torn) forget(conn);
    ws_inbox_free(&conn->inbox);
    ws_error_clear(&conn->failure);
    ws_error_set(&conn->failure, WS_ERR_LOST, "%s", why);
    conn->unparsed = false;
    conn->ended = conn->close_pending = true;
    conn->state = WS_STATE_CLOSED;
}

/* Only this thread lives on: who held a lock never lets go of it. */
static void forked(ws_fork_listener* listener) {
    wsConn* conn = (wsConn*)((char*)listener - offsetof(wsConn, forks));
    bool locked = !ws_mutex_try(&conn->mutex);
    if (!locked || conn->state == WS_STATE_OPEN) drop_transport(conn); /* it stays what it is while that lasts */
    conn->torn = locked || conn->owner != 0;
    ws_mutex_init(&conn->mutex);
    conn->owner = 0;
    conn->waiters = NULL;
    conn->due = 0;
    conn->watched = false;
    conn->trace = NULL; /* another thread may have been at it: it is left */
    conn->waiting = 0;
    close_copy(conn);
}

void ws_conn_watch_forks(wsConn* conn) {
    ws_forks_join(&conn->forks, forked);
}
