/* From the protocol's events to the connection's: acted upon, handed out, or kept for later. By the token's owner. */
#include <string.h>

#include "client/conn.h"
#include "net/sys.h"

static void count(_Atomic uint64_t* counter, uint64_t n) {
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + n, memory_order_relaxed);
}

/* ---- what the protocol says ---- */

/* False: the program has its part to do first. */
static bool opened(wsConn* conn) {
    bool open = true;
    ws_conn_lock(conn);
    ws_writer_trim(&conn->protocol.writer); /* of the request */
    ws_conn_note_times(conn);
    if (conn->session) {
        open = ws_session_upgraded(conn);
        ws_conn_write_out(conn);
    } else {
        conn->state = WS_STATE_OPEN;
        conn->deadline = INT64_MAX;
        ws_buf_free(&conn->request);
        ws_conn_tell(conn, WS_DUE_OPENED);
    }
    ws_conn_unlock(conn);
    return open;
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
    if (ws_pings_answer(&conn->pings, event->data, event->len, ws_sys_nanos())) {
        if (conn->session) ws_session_proved(conn);
        ws_conn_wake_waiters(conn);
    }
    ws_conn_unlock(conn);
}

/* The peer's close frame: answered with the same code (RFC 6455 5.5.1), then its end of the stream is awaited. */
static void take_close(wsConn* conn, const ws_event* event) {
    ws_conn_lock(conn);
    ws_conn_note_received(conn, event->code, (const char*)event->data, event->len);
    ws_conn_begin_close(conn, WS_BY_PEER, event->code, NULL, 0,
                        conn->settings->close_timeout); /* it fails where ours went first */
    conn->state = WS_STATE_CLOSING;
    ws_conn_linger(conn, false);
    ws_conn_unlock(conn);
}

/* The peer broke the protocol: say so in a close frame and end our side (RFC 6455 7.1.7). */
static void take_failure(wsConn* conn, const ws_event* event) {
    if (event->code == 0) {
        if (!ws_conn_redirected(conn)) ws_conn_finish(conn, &conn->protocol.error);
        return;
    }
    ws_conn_lock(conn);
    ws_conn_set_failure(conn, &conn->protocol.error);
    if (conn->ending.by == WS_BY_NOBODY) conn->ending.by = WS_BY_US;
    bool closed_before = conn->protocol.writer.closed;
    if (ws_protocol_reply(&conn->protocol, event) == WS_OK && !closed_before) {
        const char* reason = ws_protocol_failure_reason(&conn->protocol);
        ws_conn_note_sent(conn, event->code, reason, strlen(reason));
    }
    conn->state = WS_STATE_CLOSING;
    ws_conn_linger(conn, true);
    ws_conn_unlock(conn);
}

/* Act on the protocol's event. True if there is something to hand out in *out. */
static bool digest(wsConn* conn, const ws_event* event, wsEvent* out) {
    static const wsEventType types[] = {
        [WS_PROTOCOL_OPEN] = WS_EVENT_OPEN, [WS_PROTOCOL_TEXT] = WS_EVENT_TEXT, [WS_PROTOCOL_BINARY] = WS_EVENT_BINARY,
        [WS_PROTOCOL_PING] = WS_EVENT_PING, [WS_PROTOCOL_PONG] = WS_EVENT_PONG, [WS_PROTOCOL_FAILED] = WS_EVENT_NONE};
    bool is_message = event->type == WS_PROTOCOL_TEXT || event->type == WS_PROTOCOL_BINARY;
    if (!is_message) conn->stirred = true;
    switch (event->type) {
    case WS_PROTOCOL_OPEN:
        if (!opened(conn)) return false;
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

static bool inbox_full(const wsConn* conn) {
    return !conn->settings->drop_oldest && conn->inbox.bytes >= conn->settings->max_buffer;
}

static void closed_event(wsConn* conn, wsEvent* out) {
    ws_conn_lock(conn);
    const ws_ending* ending = &conn->ending;
    const char* reason = ending->received_reason ? ending->received_reason : "";
    *out = (wsEvent){.type = WS_EVENT_CLOSED,
                     .error = conn->failure.code,
                     .closeCode = ending->received ? ending->received : WS_CODE_ABNORMAL,
                     .data = reason,
                     .length = strlen(reason),
                     .received = ws_sys_wall()};
    ws_conn_unlock(conn);
    conn->close_pending = false;
}

static void count_frames(wsConn* conn) {
    count(&conn->frames_received, conn->protocol.reader.frames);
    conn->protocol.reader.frames = 0;
}

/* The next event that is not in the inbox. */
static bool next_parsed(wsConn* conn, wsEvent* out) {
    while (conn->unparsed) {
        ws_event event = ws_protocol_next(&conn->protocol);
        count_frames(conn);
        if (event.type == WS_PROTOCOL_NONE) {
            conn->unparsed = false;
            if (conn->protocol.phase == WS_PHASE_BODY) ws_conn_await_body(conn);
        } else if (digest(conn, &event, out)) {
            return true;
        }
    }
    return false;
}

static void there_will_be_room(wsConn* conn) {
    conn->stirred = true;
    ws_conn_lock(conn);
    ws_conn_call_driver(conn);
    ws_conn_unlock(conn);
}

bool ws_conn_has_events(const wsConn* conn) {
    if (conn->session && ws_session_holds_back(conn)) return false;
    return conn->inbox.first || conn->unparsed || conn->close_pending;
}

bool ws_conn_drops(const wsConn* conn) {
    return conn->settings->drop_oldest;
}

size_t ws_conn_next(wsConn* conn, wsEvent* out, size_t max) {
    size_t n = 0;
    ws_inbox_forget(&conn->inbox);
    if (conn->session && conn->state == WS_STATE_CONNECTING) ws_conn_spill(conn, false); /* on_open may come first */
    if (conn->session && ws_session_holds_back(conn)) return 0;
    if (conn->settings->drop_oldest) ws_conn_spill(conn, false); /* the newest that are here count, read or parsed */
    if (inbox_full(conn)) there_will_be_room(conn);
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

size_t ws_conn_coming(const wsConn* conn) {
    return !conn->ended && conn->protocol.phase == WS_PHASE_FRAMES ? ws_reader_coming(&conn->protocol.reader) : 0;
}

bool ws_conn_placed(const wsConn* conn) {
    return conn->protocol.reader.placed;
}

void ws_conn_place(wsConn* conn, void* at) {
    ws_reader_place(&conn->protocol.reader, at);
}

/* ---- what nobody asked for ---- */

bool ws_conn_wants_bytes(const wsConn* conn) {
    return !inbox_full(conn) || (conn->state == WS_STATE_CLOSING && !conn->session);
}

/* The newest message stays, however big. */
static void drop_surplus(wsConn* conn) {
    const ws_settings* settings = conn->settings;
    const ws_inbox* inbox = &conn->inbox;
    while (inbox->messages > settings->max_queue || (inbox->messages > 1 && inbox->bytes > settings->max_buffer)) {
        ws_inbox_drop(&conn->inbox);
        count(&conn->messages_dropped, 1);
    }
}

/* Keep a message for later. What is surplus while closing is dropped: nobody may ask any more. */
static int32_t keep(wsConn* conn, const wsEvent* event) {
    if (event->type == WS_EVENT_PING || event->type == WS_EVENT_PONG) return WS_OK;
    if (conn->state == WS_STATE_CLOSING && inbox_full(conn) && !conn->session) {
        count(&conn->messages_dropped, 1);
        return WS_OK;
    }
    conn->stirred = true;
    int32_t rc = ws_inbox_push(&conn->inbox, event);
    if (conn->settings->drop_oldest) drop_surplus(conn);
    return rc;
}

bool ws_conn_spill(wsConn* conn, bool all) {
    wsEvent event;
    bool any = false;
    ws_inbox_forget(&conn->inbox);
    while ((all || ws_conn_wants_bytes(conn)) && next_parsed(conn, &event)) {
        any = true;
        if (keep(conn, &event)) {
            ws_error error = {.code = WS_ERR_MEMORY};
            ws_conn_finish(conn, &error);
            break;
        }
        if (event.type == WS_EVENT_OPEN && !all) break; /* who waited for it may have an answer to what comes next */
    }
    return any;
}
