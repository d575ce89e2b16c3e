/* Looking at a connection. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>

#include "client/conn.h"
#include "core/retry_after.h"
#include "net/tcp.h"

wsState wsConnState(wsConn* conn) {
    return (wsState)atomic_load(&conn->state);
}

bool ws_conn_opened(wsConn* conn) {
    if (wsConnState(conn) == WS_STATE_CONNECTING) return false;
    return conn->session ? conn->session->opened != 0 : conn->protocol.phase == WS_PHASE_FRAMES;
}

/* What is wrong with it: what broke it, or will once the reader is there. */
static const ws_error* wrong(const wsConn* conn) {
    return conn->failure.code || conn->state != WS_STATE_OPEN ? &conn->failure : &conn->write_failure;
}

const char* wsConnError(wsConn* conn) {
    ws_conn_lock(conn);
    const char* text = ws_error_text(wrong(conn)); /* the first failure stays: so does its text */
    ws_conn_unlock(conn);
    return text;
}

void ws_failure_of(const ws_error* error, ws_failure* failure) {
    *failure = (ws_failure){error->code, error->os_error, error->http_status, error->size, error->max_size, ""};
    snprintf(failure->text, sizeof failure->text, "%s", ws_error_text(error));
}

void ws_conn_failure(wsConn* conn, ws_failure* failure) {
    ws_conn_lock(conn);
    ws_failure_of(wrong(conn), failure);
    ws_conn_unlock(conn);
}

/* ---- how it ended ---- */

static void keep_reason(char** kept, const char* reason, size_t len) {
    free(*kept);
    *kept = len ? strndup(reason, len) : NULL;
}

void ws_conn_note_sent(wsConn* conn, uint16_t code, const char* reason, size_t len) {
    conn->ending.sent = code;
    keep_reason(&conn->ending.sent_reason, reason, len);
}

void ws_conn_note_received(wsConn* conn, uint16_t code, const char* reason, size_t len) {
    conn->ending.received = code;
    keep_reason(&conn->ending.received_reason, reason, len);
}

static void copy_reason(char to[124], const char* reason) {
    snprintf(to, 124, "%s", reason ? reason : "");
}

void ws_conn_copy_ending(const wsConn* conn, ws_close_info* info) {
    const ws_ending* ending = &conn->ending;
    *info =
        (ws_close_info){.by = ending->by, .received = ending->received, .sent = ending->sent, .clean = ending->clean};
    copy_reason(info->received_reason, ending->received_reason);
    copy_reason(info->sent_reason, ending->sent_reason);
}

void ws_conn_forget_ending(wsConn* conn) {
    free(conn->ending.received_reason);
    free(conn->ending.sent_reason);
    conn->ending = (ws_ending){0};
}

void ws_conn_close_info(wsConn* conn, ws_close_info* info) {
    ws_conn_lock(conn);
    ws_conn_copy_ending(conn, info);
    ws_conn_unlock(conn);
}

/* Is the answer there, and will it stay for a while? */
static bool answered(wsConn* conn) {
    return wsConnState(conn) != WS_STATE_CONNECTING || (conn->session && ws_session_pauses(conn));
}

/* What we sent to upgrade. Few ask for it once the connection is open: then it is made once more. With the mutex. */
static const ws_buf* request_of(wsConn* conn) {
    ws_buf* request = &conn->request;
    bool forgotten = ws_buf_len(request) == 0 && !conn->session && wsConnState(conn) != WS_STATE_CONNECTING;
    if (forgotten && ws_handshake_write_request(conn->asked, conn->protocol.key, request)) ws_buf_free(request);
    return request;
}

size_t ws_conn_copy(wsConn* conn, ws_part part, void* out, size_t room) {
    ws_conn_lock(conn);
    const ws_buf* bufs[] = {request_of(conn), &conn->protocol.head, &conn->protocol.body};
    size_t length = part == WS_PART_REQUEST || answered(conn) ? ws_buf_len(bufs[part]) : 0;
    if (length && length <= room) memcpy(out, ws_buf_head(bufs[part]), length);
    ws_conn_unlock(conn);
    return length;
}

static const char* text_of(const ws_buf* buf, size_t* length) {
    *length = ws_buf_len(buf);
    return *length ? (const char*)ws_buf_head(buf) : NULL;
}

const char* wsConnRequest(wsConn* conn, size_t* length) {
    ws_conn_lock(conn);
    const ws_buf* request = request_of(conn);
    ws_conn_unlock(conn);
    return text_of(request, length);
}

const char* wsConnResponse(wsConn* conn, size_t* length) {
    bool arrived = wsConnState(conn) != WS_STATE_CONNECTING; /* before, the owner may be writing it */
    *length = 0;
    return arrived ? text_of(&conn->protocol.head, length) : NULL;
}

const char* wsConnResponseBody(wsConn* conn, size_t* length) {
    bool arrived = wsConnState(conn) != WS_STATE_CONNECTING;
    *length = 0;
    return arrived ? text_of(&conn->protocol.body, length) : NULL;
}

int64_t ws_conn_retry_after(const wsConn* conn) {
    ws_http_head head;
    int64_t seconds;
    const ws_buf* text = &conn->protocol.head;
    size_t length = ws_buf_len(text);
    if (length == 0 || ws_http_parse_response(&head, (const char*)ws_buf_head(text), length)) return -1;
    return ws_http_retry_after(&head, (int64_t)conn->read_time, &seconds) ? seconds : -1;
}

int64_t wsConnRetryAfter(wsConn* conn) {
    ws_conn_lock(conn);
    bool refused = answered(conn) && conn->protocol.phase != WS_PHASE_FRAMES;
    int64_t seconds = refused ? ws_conn_retry_after(conn) : -1;
    ws_conn_unlock(conn);
    return seconds;
}

const char* wsConnUrl(wsConn* conn) {
    bool known = wsConnState(conn) != WS_STATE_CONNECTING && conn->redirects;
    return known ? conn->redirects->url_text : NULL;
}

int32_t wsConnRedirect(wsConn* conn, size_t index, const char** url, const char** head, size_t* length) {
    const ws_redirects* redirects = conn->redirects;
    if (wsConnState(conn) == WS_STATE_CONNECTING || !redirects || index >= redirects->count) return 0;
    *url = redirects->hops[index].url;
    *head = redirects->hops[index].head;
    *length = redirects->hops[index].head_len;
    return 1;
}

const char* ws_conn_subprotocol(wsConn* conn) {
    bool opened = wsConnState(conn) != WS_STATE_CONNECTING && conn->protocol.subprotocol >= 0;
    return opened ? conn->asked->subprotocols[conn->protocol.subprotocol] : NULL;
}

static double seconds(int64_t nanos) {
    return (double)nanos / 1e9;
}

void wsConnTimings(wsConn* conn, wsTimings* timings) {
    ws_conn_lock(conn);
    const int64_t* spent = conn->spent;
    *timings = (wsTimings){seconds(spent[WS_DIAL_RESOLVE]), seconds(spent[WS_DIAL_TCP]), seconds(spent[WS_DIAL_PROXY]),
                           seconds(spent[WS_DIAL_TLS]), seconds(spent[WS_DIAL_DONE])};
    ws_conn_unlock(conn);
}

int32_t wsConnTls(wsConn* conn, wsTlsInfo* info) {
    int32_t rc = WS_ERR_STATE;
    *info = (wsTlsInfo){0};
    ws_conn_lock(conn);
    bool ours = wsConnState(conn) != WS_STATE_CONNECTING && ws_conn_url(conn)->secure; /* not that to a proxy */
    if (ours && !conn->tls_info && conn->transport.ops) rc = ws_tls_look(&conn->transport, &conn->tls_info);
    if (ours && conn->tls_info) {
        *info = *conn->tls_info;
        rc = WS_OK;
    }
    ws_conn_unlock(conn);
    return rc;
}

static bool address_text(const ws_address* address, char* host, size_t size, uint16_t* port) {
    const struct sockaddr_in* v4 = (const struct sockaddr_in*)&address->storage;
    const struct sockaddr_in6* v6 = (const struct sockaddr_in6*)&address->storage;
    bool is_v6 = address->storage.ss_family == AF_INET6;
    const void* bytes = is_v6 ? (const void*)&v6->sin6_addr : &v4->sin_addr;
    *port = ntohs(is_v6 ? v6->sin6_port : v4->sin_port);
    return inet_ntop(address->storage.ss_family, bytes, host, (socklen_t)size) != NULL;
}

bool ws_conn_address(wsConn* conn, bool remote, char* host, size_t size, uint16_t* port) {
    ws_address address;
    ws_conn_lock(conn);
    bool known = conn->transport.ops && (remote ? ws_tcp_remote : ws_tcp_local)(conn->transport.fd, &address) == 0;
    ws_conn_unlock(conn);
    return known && address.storage.ss_family != AF_UNIX && address_text(&address, host, size, port);
}

uint64_t ws_conn_bytes_received(wsConn* conn) {
    return atomic_load_explicit(&conn->bytes_received, memory_order_relaxed);
}

void ws_conn_counters(wsConn* conn, ws_counters* counters) {
    ws_conn_lock(conn);
    const ws_round_trips* trips = conn->pings.trips;
    *counters = (ws_counters){.messages_sent = conn->messages_sent,
                              .messages_received = conn->messages_received,
                              .messages_dropped = conn->messages_dropped,
                              .messages_waiting = conn->inbox.messages,
                              .bytes_waiting = conn->inbox.bytes,
                              .frames_sent = conn->frames_sent_before + conn->protocol.writer.frames,
                              .frames_received = conn->frames_received,
                              .bytes_sent = conn->bytes_sent_before + ws_conn_written_up_to(conn),
                              .bytes_queued = ws_conn_unsent(conn),
                              .bytes_received = conn->bytes_received,
                              .pings_received = conn->pings_received,
                              .pongs_received = conn->pongs_received,
                              .latency = conn->pings.latency,
                              .ping_p50 = ws_round_trips_quantile(trips, 0.5),
                              .ping_p90 = ws_round_trips_quantile(trips, 0.9),
                              .ping_p99 = ws_round_trips_quantile(trips, 0.99)};
    if (conn->trace) counters->frames_missed = ws_trace_missed(conn->trace);
    if (conn->session) {
        counters->messages_waiting += conn->session->held.messages;
        counters->bytes_waiting += conn->session->held.bytes;
        counters->reconnects = conn->session->reconnects;
        counters->outbox_messages = conn->session->outbox.count;
        counters->outbox_bytes = conn->session->outbox.bytes;
    }
    ws_conn_unlock(conn);
}
