/* A connection's life: made, owned, woken, freed. */
#include "client/conn.h"

#include <stdio.h>
#include <stdlib.h>

#include "net/sys.h"
#include "net/wake.h"

int64_t wsNow(void) {
    return ws_sys_now();
}

/* ---- made and freed ---- */

static int64_t after(int64_t now, int64_t timeout) {
    return timeout == INT64_MAX ? INT64_MAX : now + timeout;
}

static int32_t conn_init(wsConn* conn, const wsOptions* options) {
    int32_t rc = ws_settings_init(&conn->settings, options, &conn->failure);
    if (rc) return rc;
    conn->deadline = after(ws_sys_now(), conn->settings.open_timeout);
    ws_protocol_init_client(&conn->protocol, &conn->settings.limits, ws_sys_random);
    rc = ws_protocol_start(&conn->protocol, &conn->settings.request);
    if (rc) return rc;
    ws_buf* out = &conn->protocol.writer.out;
    if (ws_buf_append(&conn->request, ws_buf_head(out), ws_buf_len(out))) return WS_ERR_MEMORY;
    return ws_opening_start(&conn->opening, conn->settings.url.host, conn->settings.url.port, conn->deadline,
                            &conn->failure);
}

/* Empty, so that it can be freed; NULL without memory. */
static wsConn* conn_alloc(void) {
    wsConn* conn = calloc(1, sizeof *conn);
    if (!conn) return NULL;
    conn->opening.fd = -1;
    if (ws_mutex_init(&conn->mutex) == 0) return conn;
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
    ws_opening_free(&conn->opening);
    if (conn->transport.ops) conn->transport.ops->close(&conn->transport);
    ws_protocol_free(&conn->protocol);
    ws_inbox_free(&conn->inbox);
    ws_pings_free(&conn->pings);
    ws_buf_free(&conn->request);
    ws_error_clear(&conn->failure);
    ws_settings_free(&conn->settings);
    ws_mutex_free(&conn->mutex);
    free(conn);
}

/* ---- owned ---- */

bool ws_conn_take(wsConn* conn) {
    uintptr_t nobody = 0;
    return atomic_compare_exchange_strong(&conn->owner, &nobody, ws_thread_id());
}

bool ws_conn_is_mine(wsConn* conn) {
    return atomic_load(&conn->owner) == ws_thread_id();
}

/* Have an aborted connection end now. Who holds the token does it when letting go. */
static void end_aborted(wsConn* conn) {
    if (!ws_conn_take(conn)) return;
    ws_conn_step(conn, ws_sys_now(), 0);
    atomic_store(&conn->owner, 0);
}

void ws_conn_release(wsConn* conn) {
    atomic_store(&conn->owner, 0);
    if (atomic_load(&conn->aborted) && wsConnState(conn) != WS_STATE_CLOSED) end_aborted(conn);
    /* A waiter counts itself before it looks at the owner: one of us two sees the other. */
    if (atomic_load(&conn->waiting) > 0) ws_inline_wake(conn);
}

/* ---- woken ---- */

void ws_conn_join(wsConn* conn, ws_waiter* waiter) {
    waiter->wake = ws_wake_of_thread();
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
    if (waiter->wake >= 0) ws_wake_clear(waiter->wake);
}

void ws_conn_wake_waiters(wsConn* conn) {
    for (ws_waiter* waiter = conn->waiters; waiter; waiter = waiter->next) {
        if (waiter->wake >= 0) ws_wake_signal(waiter->wake);
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

/* Break off, at once or when the token's owner lets go. */
static void break_off(wsConn* conn, const ws_error* error) {
    ws_conn_lock(conn);
    if (conn->state != WS_STATE_CLOSED && !conn->aborted) {
        ws_conn_set_failure(conn, error);
        if (conn->close_info.by == WS_BY_NOBODY) conn->close_info.by = WS_BY_US;
        conn->aborted = true;
        if (conn->transport.ops) conn->transport.ops->reset_on_close(&conn->transport);
        ws_conn_wake_waiters(conn);
    }
    ws_conn_unlock(conn);
    end_aborted(conn);
}

void ws_conn_fail(wsConn* conn, int32_t code, const char* text) {
    ws_error error = {.code = code, .text = (char*)text};
    break_off(conn, &error);
}

void wsConnAbort(wsConn* conn) {
    ws_conn_fail(conn, WS_ERR_CLOSED, "connection broken off by this side");
}
