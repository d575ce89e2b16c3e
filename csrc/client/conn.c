/* A connection's life, and what all that is done to it stands on: made, woken, written out, ended, freed. */
#include "client/conn.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "net/sys.h"
#include "net/wake.h"

enum { LINGER = 1000 }; /* ms that the peer has for ending the stream once both sides have closed */

int64_t wsNow(void) {
    return ws_sys_now();
}

/* ---- made and freed ---- */

static int32_t conn_init(wsConn* conn, const wsOptions* options) {
    int32_t rc = ws_settings_get(options, &conn->settings, &conn->failure);
    if (rc) return rc;
    conn->asked = &conn->settings->request;
    conn->deadline = INT64_MAX;
    rc = ws_session_new(&options->reconnect, &conn->session, &conn->failure);
    return rc ? rc : ws_conn_start_protocol(conn);
}

int32_t ws_conn_start_protocol(wsConn* conn) {
    conn->bytes_sent_before += ws_conn_written_up_to(conn);
    conn->frames_sent_before += conn->protocol.writer.frames;
    ws_protocol_free(&conn->protocol);
    ws_protocol_init_client(&conn->protocol, &conn->settings->limits, ws_sys_random);
    int32_t rc = ws_protocol_start(&conn->protocol, conn->asked);
    if (rc) return rc;
    ws_conn_hook_frames(conn);
    conn->protocol.writer.threshold = conn->settings->compress_threshold;
    ws_buf* out = &conn->protocol.writer.out;
    ws_buf_free(&conn->request);
    return ws_buf_append(&conn->request, ws_buf_head(out), ws_buf_len(out));
}

/* Empty, so that it can be freed; NULL without memory. */
static wsConn* conn_alloc(void) {
    static _Atomic uint64_t serial = 1;
    wsConn* conn = calloc(1, sizeof *conn);
    if (!conn) return NULL;
    conn->id = atomic_fetch_add(&serial, 1);
    conn->news = conn->id << 32;
    if (ws_mutex_init(&conn->mutex) == 0) {
        ws_conn_watch_forks(conn);
        return conn;
    }
    free(conn);
    return NULL;
}

int32_t ws_conn_new(const wsOptions* options, wsConn** out, char* text, size_t size) {
    wsConn* conn = conn_alloc();
    int32_t rc = conn ? conn_init(conn, options) : WS_ERR_MEMORY;
    *out = rc ? NULL : conn;
    if (rc == WS_OK) return WS_OK;
    const char* why = wsErrorString(rc);
    if (conn && conn->protocol.error.code) why = ws_error_text(&conn->protocol.error);
    if (conn && conn->failure.code) why = ws_error_text(&conn->failure);
    snprintf(text, size, "%s", why);
    wsConnFree(conn);
    return rc;
}

int32_t wsConnNew(const wsOptions* options, wsConn** conn) {
    char text[1];
    return conn ? ws_conn_new(options, conn, text, sizeof text) : WS_ERR_ARGUMENT;
}

void wsConnFree(wsConn* conn) {
    if (!conn) return;
    ws_forks_leave(&conn->forks);
    if (conn->torn) return;
    ws_io_remove(conn);
    ws_conn_stop_dialling(conn);
    ws_tls_info_free(conn->tls_info);
    if (conn->transport.ops) conn->transport.ops->close(&conn->transport);
    if (conn->kept.ops) conn->kept.ops->close(&conn->kept);
    ws_protocol_free(&conn->protocol);
    ws_redirects_free(conn->redirects);
    ws_inbox_free(&conn->inbox);
    ws_pings_free(&conn->pings);
    ws_buf_free(&conn->request);
    ws_conn_forget_ending(conn);
    ws_error_clear(&conn->failure);
    ws_error_clear(&conn->write_failure);
    ws_settings_drop(conn->settings);
    ws_session_free(conn->session);
    ws_trace_free(conn->trace);
    ws_mutex_free(&conn->mutex);
    free(conn);
}

/* ---- woken ---- */

void ws_conn_join(wsConn* conn, ws_waiter* waiter) {
    waiter->wake = ws_wake_of_thread();
    waiter->woken = false;
    ws_conn_lock(conn);
    waiter->next = conn->waiters;
    conn->waiters = waiter;
    atomic_fetch_add(&conn->waiting, 1);
    ws_conn_unlock(conn);
}

void ws_conn_leave(wsConn* conn, ws_waiter* waiter) {
    ws_conn_lock(conn);
    ws_waiter** link = &conn->waiters;
    while (*link != waiter) {
        link = &(*link)->next;
    }
    *link = waiter->next;
    atomic_fetch_sub(&conn->waiting, 1);
    ws_conn_unlock(conn);
    if (waiter->woken) ws_wake_clear(waiter->wake);
}

void ws_conn_wake_waiters(wsConn* conn) {
    atomic_fetch_add(&conn->news, 1);
    for (ws_waiter* waiter = conn->waiters; waiter; waiter = waiter->next) {
        if (waiter->wake >= 0 && !waiter->woken) ws_wake_signal(waiter->wake);
        waiter->woken = waiter->wake >= 0;
    }
}

void ws_inline_wake(wsConn* conn) {
    ws_conn_lock(conn);
    ws_conn_wake_waiters(conn);
    ws_conn_unlock(conn);
}

/* ---- failed ---- */

void ws_conn_set_failure(wsConn* conn, const ws_error* error) {
    if (conn->failure.code) return;
    ws_error_set(&conn->failure, error->code, "%s", ws_error_text(error));
    conn->failure.os_error = error->os_error;
    conn->failure.http_status = error->http_status;
    conn->failure.size = error->size;
    conn->failure.max_size = error->max_size;
}

void ws_conn_explain(wsConn* conn, ssize_t how, ws_error* error) {
    char text[128];
    if (how == -EPROTO) conn->transport.ops->explain(&conn->transport, error);
    if (!error->code) error->os_error = (int)-how;
    ws_error_set(error, WS_ERR_LOST, "connection to %s port %u lost: %s", ws_conn_url(conn)->host,
                 ws_conn_url(conn)->port, ws_sys_error_text((int)-how, text, sizeof text));
}

/* ---- written out ---- */

bool ws_conn_write_out(wsConn* conn) {
    bool any = false;
    size_t n;
    if (!conn->transport.ops || conn->write_broken) return false;
    for (;;) {
        const uint8_t* from = ws_writer_output(&conn->protocol.writer, &n);
        if (n == 0 && conn->session && ws_session_pump(conn, conn->settings->write_limit)) continue;
        if (n == 0 && !conn->transport.ops->unsent(&conn->transport)) return any;
        ssize_t written = conn->transport.ops->write(&conn->transport, from, n);
        if (written == -EAGAIN) return any;
        if (written < 0) {
            conn->write_broken = true; /* what the peer said before is still to be read: the reader finds the end */
            ws_conn_explain(conn, written, &conn->write_failure);
            return true;
        }
        ws_writer_written(&conn->protocol.writer, (size_t)written);
        any = true;
    }
}

size_t ws_conn_unsent(wsConn* conn) {
    size_t queued = ws_buf_len(&conn->protocol.writer.out);
    if (queued || !conn->transport.ops) return queued;
    return conn->transport.ops->unsent(&conn->transport); /* a record that was begun is at least a byte */
}

/* ---- ended ---- */

static int64_t earlier(int64_t a, int64_t b) {
    return a < b ? a : b;
}

int32_t ws_conn_begin_close(wsConn* conn, ws_initiator by, uint16_t code, const char* reason, size_t len,
                            int64_t timeout) {
    int32_t rc = ws_writer_close(&conn->protocol.writer, code, reason, len);
    if (rc) return rc;
    ws_conn_note_sent(conn, code, reason, len);
    if (conn->ending.by == WS_BY_NOBODY) conn->ending.by = by;
    conn->state = WS_STATE_CLOSING;
    conn->deadline = earlier(conn->deadline, ws_conn_after(ws_sys_now(), timeout));
    ws_conn_write_out(conn);
    return WS_OK;
}

void ws_conn_keep_socket(wsConn* conn) {
    ws_conn_lock(conn);
    conn->keep_socket = true;
    ws_conn_unlock(conn);
}

void ws_conn_drop_socket(wsConn* conn) {
    ws_conn_lock(conn);
    if (conn->kept.ops) conn->kept.ops->close(&conn->kept);
    conn->kept.ops = NULL;
    ws_conn_unlock(conn);
}

/* With the mutex held. */
static void let_go_of_transport(wsConn* conn) {
    if (!conn->transport.ops) return;
    if (conn->keep_socket) {
        if (conn->kept.ops) conn->kept.ops->close(&conn->kept);
        conn->kept = conn->transport;
    } else {
        conn->transport.ops->close(&conn->transport);
    }
    conn->transport.ops = NULL;
}

void ws_conn_finish(wsConn* conn, const ws_error* error) {
    ws_conn_lock(conn);
    bool opening = conn->state == WS_STATE_CONNECTING;
    if (opening && !(conn->session && ws_session_pauses(conn))) ws_conn_note_times(conn);
    if (error) ws_conn_set_failure(conn, error);
    conn->ending.clean = !conn->failure.code && conn->ending.received && conn->ending.sent;
    if (conn->io) ws_io_unwatch(conn->io);
    let_go_of_transport(conn);
    if (!conn->session || !ws_session_fell(conn)) {
        conn->deadline = INT64_MAX;
        conn->ended = true;
        conn->close_pending = true;
        conn->state = WS_STATE_CLOSED;
        ws_conn_tell(conn, WS_DUE_CLOSED);
        if (conn->io) ws_io_call(conn->io); /* to let go of it */
    }
    ws_conn_wake_waiters(conn);
    ws_conn_unlock(conn);
    ws_conn_stop_dialling(conn);
}

void ws_conn_linger(wsConn* conn, bool end_ours) {
    conn->lingering = true;
    conn->deadline = earlier(conn->deadline, ws_sys_now() + LINGER);
    ws_conn_write_out(conn);
    bool all_written = ws_conn_unsent(conn) == 0;
    if (end_ours && all_written && conn->transport.ops) conn->transport.ops->shutdown(&conn->transport);
}
