/* What the owner of a connection does: open it, read, write, keep its deadlines, end it. */
#include <errno.h>
#include <string.h>

#include "client/conn.h"
#include "net/sys.h"
#include "net/tcp.h"

enum { LINGER = 1000 }; /* ms that the peer has for ending the stream once both sides have closed */

static int64_t earlier(int64_t a, int64_t b) {
    return a < b ? a : b;
}

static int64_t after(int64_t now, int64_t timeout) {
    return timeout == INT64_MAX ? INT64_MAX : now + timeout;
}

static void count(_Atomic uint64_t* counter, uint64_t n) {
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + n, memory_order_relaxed);
}

/* ---- the end ---- */

/* The connection is over: let go of the socket and tell everybody. `error` may be NULL. */
static void finish(wsConn* conn, const ws_error* error) {
    ws_conn_lock(conn);
    if (error) ws_conn_set_failure(conn, error);
    conn->close_info.clean = !conn->failure.code && conn->close_info.received && conn->close_info.sent;
    if (conn->transport.ops) conn->transport.ops->close(&conn->transport);
    conn->transport.ops = NULL;
    conn->deadline = INT64_MAX;
    conn->ended = true;
    conn->close_pending = true;
    conn->state = WS_STATE_CLOSED;
    ws_conn_wake_waiters(conn);
    ws_conn_unlock(conn);
    ws_opening_free(&conn->opening);
}

/* Nothing more is to be said: from here on only the end of the stream is awaited. With the mutex held. */
static void linger(wsConn* conn, bool end_ours) {
    conn->lingering = true;
    conn->deadline = earlier(conn->deadline, ws_sys_now() + LINGER);
    ws_conn_write_out(conn);
    if (end_ours && conn->transport.ops) conn->transport.ops->shutdown(&conn->transport);
}

/* ---- what the protocol says ---- */

int32_t ws_conn_begin_close(wsConn* conn, ws_initiator by, uint16_t code, const char* reason, size_t len,
                            int64_t timeout) {
    int32_t rc = ws_writer_close(&conn->protocol.writer, code, reason, len);
    if (rc) return rc;
    conn->close_info.sent = code;
    if (len) memcpy(conn->close_info.sent_reason, reason, len);
    if (conn->close_info.by == WS_BY_NOBODY) conn->close_info.by = by;
    conn->state = WS_STATE_CLOSING;
    conn->deadline = earlier(conn->deadline, after(ws_sys_now(), timeout));
    ws_conn_write_out(conn);
    return WS_OK;
}

static void opened(wsConn* conn) {
    ws_conn_lock(conn);
    conn->state = WS_STATE_OPEN;
    conn->deadline = INT64_MAX;
    ws_conn_unlock(conn);
}

static void answer_ping(wsConn* conn, const ws_event* event) {
    count(&conn->pings_received, 1);
    ws_conn_lock(conn);
    ws_protocol_reply(&conn->protocol, event); /* without memory for a pong the peer will ask again */
    ws_conn_write_out(conn);
    ws_conn_unlock(conn);
}

static void take_pong(wsConn* conn, const ws_event* event) {
    count(&conn->pongs_received, 1);
    ws_conn_lock(conn);
    if (ws_pings_answer(&conn->pings, event->data, event->len, ws_sys_nanos())) ws_conn_wake_waiters(conn);
    ws_conn_unlock(conn);
}

/* The peer's close frame: answered with the same code (RFC 6455 5.5.1), then its end of the stream is awaited. */
static void take_close(wsConn* conn, const ws_event* event) {
    ws_conn_lock(conn);
    conn->close_info.received = event->code;
    if (event->len) memcpy(conn->close_info.received_reason, event->data, event->len);
    ws_conn_begin_close(conn, WS_BY_PEER, event->code, NULL, 0, LINGER); /* it fails where ours went first */
    conn->state = WS_STATE_CLOSING;
    linger(conn, false);
    ws_conn_unlock(conn);
}

/* The peer broke the protocol: say so in a close frame and end our side (RFC 6455 7.1.7). */
static void take_failure(wsConn* conn, const ws_event* event) {
    if (event->code == 0) {
        finish(conn, &conn->protocol.error);
        return;
    }
    ws_conn_lock(conn);
    ws_conn_set_failure(conn, &conn->protocol.error);
    if (conn->close_info.by == WS_BY_NOBODY) conn->close_info.by = WS_BY_US;
    bool closed_before = conn->protocol.writer.closed;
    if (ws_protocol_reply(&conn->protocol, event) == WS_OK && !closed_before) {
        conn->close_info.sent = event->code;
        strcpy(conn->close_info.sent_reason, ws_protocol_failure_reason(&conn->protocol));
    }
    conn->state = WS_STATE_CLOSING;
    linger(conn, true);
    ws_conn_unlock(conn);
}

/* Act on the protocol's event. True if there is something to hand out in *out. */
static bool digest(wsConn* conn, const ws_event* event, wsEvent* out) {
    static const wsEventType types[] = {
        [WS_PROTOCOL_OPEN] = WS_EVENT_OPEN, [WS_PROTOCOL_TEXT] = WS_EVENT_TEXT, [WS_PROTOCOL_BINARY] = WS_EVENT_BINARY,
        [WS_PROTOCOL_PING] = WS_EVENT_PING, [WS_PROTOCOL_PONG] = WS_EVENT_PONG, [WS_PROTOCOL_FAILED] = WS_EVENT_NONE};
    switch (event->type) {
    case WS_PROTOCOL_OPEN:
        opened(conn);
        break;
    case WS_PROTOCOL_TEXT:
    case WS_PROTOCOL_BINARY:
        count(&conn->messages_received, 1);
        break;
    case WS_PROTOCOL_PING:
        answer_ping(conn, event);
        break;
    case WS_PROTOCOL_PONG:
        take_pong(conn, event);
        break;
    case WS_PROTOCOL_CLOSE:
        take_close(conn, event);
        return false;
    default:
        take_failure(conn, event);
        return false;
    }
    *out = (wsEvent){.type = types[event->type],
                     .data = (const char*)event->data,
                     .length = event->len,
                     .received = conn->read_time};
    return true;
}

/* ---- handing out ---- */

static void closed_event(wsConn* conn, wsEvent* out) {
    ws_conn_lock(conn);
    const ws_close_info* info = &conn->close_info;
    *out = (wsEvent){.type = WS_EVENT_CLOSED,
                     .error = conn->failure.code,
                     .closeCode = info->received ? info->received : WS_CODE_ABNORMAL,
                     .data = info->received_reason,
                     .length = strlen(info->received_reason),
                     .received = ws_sys_wall()};
    ws_conn_unlock(conn);
    conn->close_pending = false;
}

/* The next event that is not in the inbox. */
static bool next_parsed(wsConn* conn, wsEvent* out) {
    while (conn->unparsed) {
        ws_event event = ws_protocol_next(&conn->protocol);
        if (event.type == WS_PROTOCOL_NONE) {
            conn->unparsed = false;
        } else if (digest(conn, &event, out)) {
            return true;
        }
    }
    return false;
}

size_t ws_conn_next(wsConn* conn, wsEvent* out, size_t max) {
    size_t n = 0;
    ws_inbox_forget(&conn->inbox);
    while (n < max && ws_inbox_pop(&conn->inbox, &out[n])) {
        n++;
    }
    while (n < max && next_parsed(conn, &out[n])) {
        n++;
        if (conn->protocol.reader.message_out) break; /* the next message would be gathered in the same memory */
    }
    if (n == 0 && conn->close_pending && max) closed_event(conn, &out[n++]);
    return n;
}

/* ---- what nobody asked for ---- */

static bool inbox_full(const wsConn* conn) {
    return conn->inbox.bytes >= conn->settings.max_buffer;
}

/* Reading stops when the inbox is full; but while closing the peer's close frame lies behind what is surplus. */
static bool wants_bytes(const wsConn* conn) {
    return !inbox_full(conn) || conn->state == WS_STATE_CLOSING;
}

/* Keep a message for later. What is surplus while closing is dropped: nobody may ask any more. */
static int32_t keep(wsConn* conn, const wsEvent* event) {
    if (event->type == WS_EVENT_PING || event->type == WS_EVENT_PONG) return WS_OK;
    if (conn->state == WS_STATE_CLOSING && inbox_full(conn)) return WS_OK;
    return ws_inbox_push(&conn->inbox, event);
}

/* Parse what is there (`all`: whatever the limit), so that control frames are answered. True if there was anything. */
static bool spill(wsConn* conn, bool all) {
    wsEvent event;
    bool any = false;
    ws_inbox_forget(&conn->inbox);
    while ((all || wants_bytes(conn)) && next_parsed(conn, &event)) {
        any = true;
        if (keep(conn, &event) == WS_OK) continue;
        ws_error error = {.code = WS_ERR_MEMORY};
        finish(conn, &error);
        break;
    }
    return any;
}

/* ---- reading ---- */

/* The stream is over: by the peer's end (0) or an error (-errno). */
static void stream_ended(wsConn* conn, ssize_t how) {
    spill(conn, true);
    if (conn->ended) return;
    if (conn->lingering || conn->close_info.received) {
        finish(conn, NULL);
        return;
    }
    ws_error error = {0};
    char text[128];
    if (how < 0) {
        error.os_error = (int)-how;
        ws_error_set(&error, WS_ERR_LOST, "connection to %s port %u lost: %s", conn->settings.url.host,
                     conn->settings.url.port, ws_sys_error_text((int)-how, text, sizeof text));
    } else {
        ws_protocol_end(&conn->protocol);
        ws_conn_set_failure(conn, &conn->protocol.error);
    }
    finish(conn, how < 0 ? &error : &conn->protocol.error);
    ws_error_clear(&error);
}

/* Bytes that nobody wants any more, until the stream ends. */
static ssize_t discard(wsConn* conn) {
    uint8_t scrap[4096];
    return conn->transport.ops->read(&conn->transport, scrap, sizeof scrap);
}

static ssize_t receive(wsConn* conn) {
    uint8_t* at;
    size_t room;
    if (ws_protocol_finished(&conn->protocol)) return discard(conn);
    if (ws_protocol_prepare(&conn->protocol, &at, &room)) return -ENOMEM;
    ssize_t n = conn->transport.ops->read(&conn->transport, at, room);
    if (n > 0) {
        ws_protocol_commit(&conn->protocol, (size_t)n);
        count(&conn->bytes_received, (uint64_t)n);
        conn->read_time = ws_sys_wall();
        conn->unparsed = true;
    }
    return n;
}

/* At most `budget` reads. True if anything came. */
static bool read_in(wsConn* conn, uint32_t budget) {
    bool any = false;
    while (budget-- > 0 && !conn->ended && wants_bytes(conn)) {
        ssize_t n = receive(conn);
        if (n == -EAGAIN) break;
        any = true;
        if (n <= 0) stream_ended(conn, n);
    }
    return any;
}

/* ---- opening ---- */

static void connected(wsConn* conn, intptr_t fd) {
    ws_conn_lock(conn);
    ws_transport_tcp(&conn->transport, fd);
    conn->generation = conn->opening.generation + 1;
    ws_conn_write_out(conn);
    ws_conn_unlock(conn);
    ws_opening_free(&conn->opening);
}

static bool open_step(wsConn* conn, int64_t now) {
    intptr_t fd;
    ws_error error = {0};
    int32_t rc = ws_opening_step(&conn->opening, now, &fd, &error);
    if (rc == 1) connected(conn, fd);
    if (rc < 0) finish(conn, &error);
    ws_error_clear(&error);
    return rc != 0;
}

/* ---- deadlines ---- */

static void open_timed_out(wsConn* conn) {
    ws_error error = {0};
    char phase[256];
    ws_error_set(&error, WS_ERR_OPEN_TIMEOUT, "not open within open_timeout, %lld ms: still %s",
                 (long long)conn->settings.open_timeout,
                 conn->transport.ops ? "waiting for the server's answer to the upgrade"
                                     : ws_opening_text(&conn->opening, phase, sizeof phase));
    finish(conn, &error);
    ws_error_clear(&error);
}

static void close_timed_out(wsConn* conn) {
    ws_error error = {0};
    if (!conn->lingering) {
        conn->transport.ops->reset_on_close(
            &conn->transport); /* a peer that does not read must not keep the system busy */
        ws_error_set(&error, WS_ERR_CLOSE_TIMEOUT, "the peer did not answer the closing handshake in time");
    }
    finish(conn, error.code ? &error : NULL);
    ws_error_clear(&error);
}

/* Cut off what is due. True if something was. */
static bool keep_deadlines(wsConn* conn, int64_t now) {
    ws_conn_lock(conn);
    bool aborted = conn->aborted;
    bool due = now >= conn->deadline;
    ws_conn_unlock(conn);
    if (conn->ended || (!aborted && !due)) return false;
    if (aborted) {
        finish(conn, NULL);
    } else if (conn->state == WS_STATE_CONNECTING) {
        open_timed_out(conn);
    } else {
        close_timed_out(conn);
    }
    return true;
}

/* ---- a step ---- */

bool ws_conn_step(wsConn* conn, int64_t now, uint32_t budget) {
    bool any = spill(conn, false);
    if (keep_deadlines(conn, now)) return true;
    if (conn->ended) return any;
    if (!conn->transport.ops) return open_step(conn, now);
    ws_conn_lock(conn);
    any |= ws_conn_write_out(conn);
    ws_conn_unlock(conn);
    any |= read_in(conn, budget);
    return any;
}

/* ---- what to wait for ---- */

size_t ws_conn_interests(wsConn* conn, ws_interest* out, size_t max) {
    if (conn->ended || max == 0) return 0;
    if (!conn->transport.ops) {
        *out = ws_opening_interest(&conn->opening);
        return out->fd >= 0;
    }
    ws_conn_lock(conn);
    size_t queued;
    ws_writer_output(&conn->protocol.writer, &queued);
    *out = (ws_interest){conn->transport.fd, 0, conn->generation};
    if (wants_bytes(conn)) out->wants |= WS_WANT_READ;
    if (queued && !conn->write_broken) out->wants |= WS_WANT_WRITE;
    ws_conn_unlock(conn);
    return 1;
}

int64_t ws_conn_next_deadline(wsConn* conn) {
    if (conn->ended) return INT64_MAX;
    ws_conn_lock(conn);
    int64_t deadline = conn->aborted ? 0 : conn->deadline;
    ws_conn_unlock(conn);
    return conn->transport.ops ? deadline : earlier(deadline, ws_opening_deadline(&conn->opening));
}

bool ws_conn_ready_now(wsConn* conn) {
    if (conn->inbox.first || conn->unparsed || conn->close_pending) return true;
    return conn->transport.ops && conn->transport.ops->ready_now(&conn->transport);
}
