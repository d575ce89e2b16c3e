/* What any thread may do to a connection: send, ping, close. */
#include <string.h>

#include "client/conn.h"
#include "net/sys.h"

enum { BURST_NANOS = 20000 };

/* May messages be sent now? 0 or the code that says why not. With the mutex held. */
static int32_t check_open(wsConn* conn) {
    switch ((wsState)conn->state) {
    case WS_STATE_CONNECTING:
        return WS_ERR_STATE;
    case WS_STATE_OPEN:
        if (conn->aborted || conn->write_broken) return conn->failure.code ? conn->failure.code : WS_ERR_LOST;
        return WS_OK;
    default:
        return conn->failure.code ? conn->failure.code : WS_ERR_CLOSED;
    }
}

/* What is queued now begins here. */
static uint64_t position(const wsConn* conn) {
    return conn->protocol.writer.total;
}

/* A whole message, or which part of one. */
typedef enum part { WHOLE, BEGINNING, ENDING } part;

enum { KINDS = WS_TEXT | WS_BINARY, FLAGS = WS_COMPRESS | WS_PLAIN };

bool ws_conn_type_ok(int32_t type) {
    int32_t kind = type & KINDS, flags = type & FLAGS;
    return type == (kind | flags) && (kind == WS_TEXT || kind == WS_BINARY) && flags != FLAGS;
}

static int32_t write_part(ws_writer* writer, int32_t type, const void* data, size_t length, part which) {
    uint8_t opcode = type & WS_TEXT ? WS_OPCODE_TEXT : WS_OPCODE_BINARY;
    ws_compress compress = type & WS_COMPRESS ? WS_COMPRESS_YES : type & WS_PLAIN ? WS_COMPRESS_NO : WS_COMPRESS_AUTO;
    if (which == WHOLE) return ws_writer_message(writer, opcode, data, length, compress);
    return ws_writer_fragment(writer, opcode, data, length, which == ENDING, compress);
}

/* With the mutex held. */
static int32_t queue(wsConn* conn, int32_t type, const void* data, size_t length, part which, ws_ticket* ticket) {
    if (!ws_conn_type_ok(type) || (!data && length)) return WS_ERR_ARGUMENT;
    if (conn->session) return which == WHOLE ? ws_session_send(conn, type, data, length, ticket) : WS_ERR_ARGUMENT;
    int32_t rc = check_open(conn);
    if (rc) return rc;
    ws_writer* writer = &conn->protocol.writer;
    if (ws_buf_len(&writer->out) > conn->settings->write_limit) return WS_ERR_QUEUE_FULL;
    ticket->number = 0;
    ticket->start = which == WHOLE ? position(conn) : 0; /* a part of a message cannot be taken back */
    rc = write_part(writer, type, data, length, which);
    ticket->end = position(conn);
    if (rc == WS_OK && which != BEGINNING) conn->messages_sent++;
    return rc;
}

/*
 * Write now what can be written. Others have to know if that moved what was queued before (`backlog`), or if the socket
 * did not take it all. With the mutex held.
 */
static void write_or_wake(wsConn* conn, bool backlog) {
    if (ws_conn_write_out(conn) && backlog) atomic_fetch_add(&conn->news, 1);
    if (ws_buf_len(&conn->protocol.writer.out)) ws_conn_wake_waiters(conn);
    if (ws_conn_unsent(conn)) ws_conn_call_driver(conn);
}

static bool has_backlog(const wsConn* conn) {
    return ws_buf_len(&conn->protocol.writer.out) > 0;
}

uint64_t ws_conn_written_up_to(const wsConn* conn) {
    return position(conn) - ws_buf_len(&conn->protocol.writer.out);
}

/* As ws_conn_written. With the mutex held. */
static int32_t is_written(wsConn* conn, const ws_ticket* ticket) {
    if (ticket->number) return ws_session_written(conn, ticket);
    bool inside = conn->transport.ops && conn->transport.ops->unsent(&conn->transport);
    int32_t rc = ws_conn_written_up_to(conn) >= ticket->end && !inside;
    if (rc == 0 && (conn->state == WS_STATE_CLOSED || conn->write_broken)) {
        rc = conn->failure.code ? conn->failure.code : WS_ERR_LOST;
    }
    return rc;
}

/* Is this message one of many that follow each other closely? Alone it need not wait for others. */
static bool in_burst(wsConn* conn) {
    int64_t now = ws_sys_nanos(), before = conn->posted;
    conn->posted = now;
    return now - before < BURST_NANOS;
}

/* Queue, and write what the socket takes. */
static int32_t send_now(wsConn* conn, int32_t type, const void* data, size_t length, part which, ws_ticket* ticket) {
    bool backlog = has_backlog(conn);
    int32_t rc = queue(conn, type, data, length, which, ticket);
    if (rc == WS_OK) write_or_wake(conn, backlog);
    ticket->settled = rc == WS_OK && is_written(conn, ticket) == 1;
    return rc;
}

/* Queue and have it written; ourselves only where there would be too much. */
static int32_t gather(wsConn* conn, int32_t type, const void* data, size_t length, ws_ticket* ticket) {
    int32_t rc = queue(conn, type, data, length, WHOLE, ticket);
    if (rc == WS_ERR_QUEUE_FULL) {
        write_or_wake(conn, true);
        rc = queue(conn, type, data, length, WHOLE, ticket);
    }
    if (rc == WS_OK) ws_conn_call_driver(conn);
    ticket->settled = rc == WS_OK && ws_buf_len(&conn->protocol.writer.out) <= conn->settings->write_limit;
    return rc;
}

static int32_t post(wsConn* conn, int32_t type, const void* data, size_t length, ws_ticket* ticket) {
    bool alone = !in_burst(conn) && !has_backlog(conn);
    return alone || conn->session ? send_now(conn, type, data, length, WHOLE, ticket)
                                  : gather(conn, type, data, length, ticket);
}

int32_t ws_conn_post(wsConn* conn, int32_t type, const void* data, size_t length, ws_ticket* ticket) {
    ws_conn_lock(conn);
    int32_t rc = post(conn, type, data, length, ticket);
    ws_conn_unlock(conn);
    return rc;
}

int32_t ws_conn_send(wsConn* conn, int32_t type, const void* data, size_t length, ws_ticket* ticket) {
    ws_conn_lock(conn);
    int32_t rc =
        conn->driven ? post(conn, type, data, length, ticket) : send_now(conn, type, data, length, WHOLE, ticket);
    ws_conn_unlock(conn);
    return rc;
}

int32_t ws_conn_send_fragment(wsConn* conn, int32_t type, const void* data, size_t length, bool final,
                              ws_ticket* ticket) {
    ws_conn_lock(conn);
    int32_t rc = send_now(conn, type, data, length, final ? ENDING : BEGINNING, ticket);
    ws_conn_unlock(conn);
    return rc;
}

int32_t ws_conn_queue(wsConn* conn, int32_t type, const void* data, size_t length, ws_ticket* ticket) {
    ws_conn_lock(conn);
    int32_t rc = queue(conn, type, data, length, WHOLE, ticket);
    ws_conn_unlock(conn);
    return rc;
}

int32_t ws_conn_queue_many(wsConn* conn, const wsMessage* messages, size_t* count, ws_ticket* last) {
    size_t most = *count;
    int32_t rc = WS_OK;
    ws_conn_lock(conn);
    for (*count = 0; *count < most && rc == WS_OK; *count += rc == WS_OK) {
        const wsMessage* next = &messages[*count];
        rc = queue(conn, next->type, next->data, next->length, WHOLE, last);
    }
    ws_conn_unlock(conn);
    return rc;
}

void ws_conn_flush(wsConn* conn) {
    ws_conn_lock(conn);
    write_or_wake(conn, true);
    ws_conn_unlock(conn);
}

int32_t wsConnSend(wsConn* conn, int32_t type, const void* data, size_t length) {
    ws_ticket ticket;
    return ws_conn_send(conn, type, data, length, &ticket);
}

int32_t wsConnSendFragment(wsConn* conn, int32_t type, const void* data, size_t length, int32_t final) {
    ws_ticket ticket;
    return ws_conn_send_fragment(conn, type, data, length, final != 0, &ticket);
}

int32_t ws_conn_written(wsConn* conn, const ws_ticket* ticket) {
    ws_conn_lock(conn);
    int32_t rc = is_written(conn, ticket);
    ws_conn_unlock(conn);
    return rc;
}

static bool withdraw(wsConn* conn, const ws_ticket* ticket) {
    bool untouched = ticket->start >= ws_conn_written_up_to(conn) && ticket->end == position(conn);
    if (untouched) {
        ws_writer_take_back(&conn->protocol.writer, (size_t)(ticket->end - ticket->start));
        conn->messages_sent--;
        ws_conn_wake_waiters(conn); /* there is room again */
    }
    return untouched;
}

bool ws_conn_withdraw(wsConn* conn, const ws_ticket* ticket) {
    ws_conn_lock(conn);
    bool untouched = ticket->number ? ws_session_withdraw(conn, ticket) : withdraw(conn, ticket);
    ws_conn_unlock(conn);
    return untouched;
}

size_t wsConnQueued(wsConn* conn) {
    ws_conn_lock(conn);
    size_t n = ws_conn_unsent(conn);
    ws_conn_unlock(conn);
    return n;
}

/* ---- control frames ---- */

static int32_t control(wsConn* conn, uint8_t opcode, const void* data, size_t length) {
    if (!data && length) return WS_ERR_ARGUMENT;
    int32_t rc = check_open(conn);
    if (!rc) rc = ws_writer_control(&conn->protocol.writer, opcode, data, length);
    if (!rc) write_or_wake(conn, true);
    return rc;
}

int32_t ws_conn_queue_ping(wsConn* conn, const void* data, size_t length, uint64_t* id) {
    int32_t rc = check_open(conn);
    if (!rc) rc = ws_pings_add(&conn->pings, data, length, ws_sys_nanos(), id);
    return rc ? rc : control(conn, WS_OPCODE_PING, data, length);
}

int32_t ws_conn_ping(wsConn* conn, const void* data, size_t length, uint64_t* id) {
    uint8_t random[4];
    if (!data && length == 0) {
        if (!ws_sys_random(random, sizeof random)) return WS_ERR_SYSTEM;
        data = random;
        length = sizeof random;
    }
    if (length > WS_FRAME_MAX_CONTROL) return WS_ERR_ARGUMENT;
    ws_conn_lock(conn);
    int32_t rc = ws_conn_queue_ping(conn, data, length, id);
    ws_conn_unlock(conn);
    return rc;
}

int32_t wsConnPing(wsConn* conn, const void* data, size_t length) {
    uint64_t id;
    return ws_conn_ping(conn, data ? data : "", length, &id);
}

int32_t wsConnPong(wsConn* conn, const void* data, size_t length) {
    ws_conn_lock(conn);
    int32_t rc = control(conn, WS_OPCODE_PONG, data, length);
    ws_conn_unlock(conn);
    return rc;
}

double ws_conn_pong_time(wsConn* conn, uint64_t id) {
    ws_conn_lock(conn);
    double seconds = ws_pings_time(&conn->pings, id);
    ws_conn_unlock(conn);
    return seconds;
}

/* ---- closing ---- */

int32_t ws_conn_close(wsConn* conn, uint16_t code, const char* reason, size_t length, int64_t timeout) {
    int32_t rc = WS_OK;
    ws_conn_lock(conn);
    bool connecting = conn->state == WS_STATE_CONNECTING;
    if (conn->state == WS_STATE_OPEN && !conn->aborted) {
        if (conn->session) ws_session_pump(conn, SIZE_MAX);
        rc = ws_conn_begin_close(conn, WS_BY_US, code, reason, length, timeout);
        if (rc == WS_OK && conn->session) ws_session_stop(conn);
        if (rc == WS_OK) ws_conn_wake_waiters(conn);
        ws_conn_call_driver(conn);
    }
    ws_conn_unlock(conn);
    if (connecting) wsConnAbort(conn);
    return rc;
}

int32_t wsConnClose(wsConn* conn, uint16_t code, const char* reason) {
    return ws_conn_close(conn, code, reason, reason ? strlen(reason) : 0, conn->settings->close_timeout);
}
