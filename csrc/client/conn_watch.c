/* Being watched: what somebody should look after or be told of, and the frames that passed. */
#include "client/conn.h"
#include "net/sys.h"

int32_t ws_conn_due(const wsConn* conn) {
    return atomic_load_explicit(&conn->due, memory_order_relaxed);
}

int32_t ws_conn_take_due(wsConn* conn, int32_t of) {
    return atomic_fetch_and(&conn->due, ~of) & of;
}

void ws_conn_tell(wsConn* conn, int32_t what) {
    bool news = what & WS_DUE_NEWS;
    if (!news || conn->watched) atomic_fetch_or(&conn->due, what);
}

uint64_t ws_conn_id(const wsConn* conn) {
    return conn->id;
}

/* ---- frames ---- */

static void note_received(void* arg, const ws_frame* frame, const uint8_t* payload) {
    wsConn* conn = arg;
    ws_trace_note(conn->trace, false, conn->read_time, frame, payload);
    ws_conn_tell(conn, WS_DUE_FRAMES);
}

static void note_sent(void* arg, const ws_frame* frame, const uint8_t* payload) {
    wsConn* conn = arg;
    ws_trace_note(conn->trace, true, ws_sys_wall(), frame, payload);
    ws_conn_tell(conn, WS_DUE_FRAMES);
}

void ws_conn_hook_frames(wsConn* conn) {
    if (!conn->trace) return;
    conn->protocol.reader.hook = (ws_frame_hook){note_received, conn};
    conn->protocol.writer.hook = (ws_frame_hook){note_sent, conn};
}

int32_t ws_conn_watch(wsConn* conn, bool frames) {
    if (frames && !conn->trace) conn->trace = ws_trace_new();
    if (frames && !conn->trace) return WS_ERR_MEMORY;
    conn->watched = true;
    ws_conn_hook_frames(conn);
    return WS_OK;
}

size_t ws_conn_take_frames(wsConn* conn, ws_traced* out, size_t max) {
    return conn->trace ? ws_trace_take(conn->trace, out, max) : 0;
}
