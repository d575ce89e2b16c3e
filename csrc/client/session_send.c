/* What is sent over a connection that reconnects: kept until it has provably arrived, and sent again. */
#include <stdlib.h>

#include "client/conn.h"
#include "client/session.h"
#include "core/utf8.h"
#include "net/sys.h"

/* A ping to prove what went before goes out after so much. */
enum { PROVE_BYTES = 65536, PROVE_MESSAGES = 256, PROVE_AFTER = 1000 /* ms */ };

/* ---- proof ---- */

/* Ping: the pong proves that all before was read (RFC 6455 5.5.3). With the mutex. */
static void ask_for_proof(wsConn* conn) {
    ws_session* session = conn->session;
    uint8_t payload[8];
    if (session->proof_id || !session->unproven || !session->gate_open) return;
    if (!ws_sys_random(payload, sizeof payload)) return;
    if (ws_pings_add(&conn->pings, payload, sizeof payload, ws_sys_nanos(), &session->proof_id)) return;
    if (ws_writer_control(&conn->protocol.writer, WS_OPCODE_PING, payload, sizeof payload)) {
        session->proof_id = 0; /* no memory: later */
        return;
    }
    const ws_outbox* outbox = &session->outbox;
    session->proof_of = outbox->unsent ? outbox->unsent->number - 1 : outbox->newest;
    session->unproven = session->unproven_bytes = 0;
    session->unproven_since = 0;
}

/* Is much unproven, or does somebody who wants to send wait for room? */
static bool wants_proof(const ws_session* session) {
    const ws_outbox* outbox = &session->outbox;
    if (session->unproven >= PROVE_MESSAGES || session->unproven_bytes >= PROVE_BYTES) return true;
    return outbox->count >= session->terms.max_messages || outbox->bytes >= session->terms.max_bytes;
}

void ws_session_proved(wsConn* conn) {
    ws_session* session = conn->session;
    if (!session->proof_id || conn->pings.answered < session->proof_id) return;
    ws_outbox_drop(&session->outbox, session->proof_of);
    session->proof_id = 0;
    if (wants_proof(session)) ask_for_proof(conn);
    ws_conn_wake_waiters(conn);
}

static int64_t proof_due(const ws_session* session) {
    bool waits = session->gate_open && session->unproven_since && !session->proof_id;
    return waits ? session->unproven_since + PROVE_AFTER : INT64_MAX;
}

int64_t ws_session_deadline(wsConn* conn) {
    ws_session* session = conn->session;
    ws_conn_lock(conn);
    int64_t due = session->phase == WS_SESSION_ATTEMPT ? proof_due(session) : session->answered ? 0 : session->until;
    ws_conn_unlock(conn);
    return due;
}

bool ws_session_prove_due(wsConn* conn, int64_t now) {
    ws_session* session = conn->session;
    if (now < ws_session_deadline(conn)) return false;
    ws_conn_lock(conn);
    session->unproven_since = session->unproven || session->outbox.unsent ? now : 0; /* without memory: again then */
    ask_for_proof(conn);
    ws_conn_write_out(conn);
    ws_conn_unlock(conn);
    return true;
}

/* ---- into the stream ---- */

static int32_t encode(wsConn* conn, ws_letter* letter) {
    ws_writer* writer = &conn->protocol.writer;
    int32_t type = letter->type;
    uint8_t opcode = type & WS_TEXT ? WS_OPCODE_TEXT : WS_OPCODE_BINARY;
    ws_compress compress = type & WS_COMPRESS ? WS_COMPRESS_YES : type & WS_PLAIN ? WS_COMPRESS_NO : WS_COMPRESS_AUTO;
    letter->start = writer->total;
    int32_t rc = ws_writer_message(writer, opcode, letter->data, letter->length, compress);
    letter->end = writer->total;
    return rc;
}

static void count_unproven(ws_session* session, const ws_letter* letter) {
    session->unproven++;
    session->unproven_bytes += letter->length;
    if (!session->unproven_since) session->unproven_since = ws_sys_now();
}

bool ws_session_pump(wsConn* conn, size_t limit) {
    ws_session* session = conn->session;
    bool any = false;
    while (session->gate_open && conn->state == WS_STATE_OPEN && session->outbox.unsent &&
           ws_buf_len(&conn->protocol.writer.out) <= limit) {
        ws_letter* letter = session->outbox.unsent;
        if (encode(conn, letter)) { /* no memory: tried again by the next turn, or when a proof would be due */
            if (!session->unproven_since) session->unproven_since = ws_sys_now();
            return any;
        }
        session->outbox.unsent = letter->next;
        count_unproven(session, letter);
        if (wants_proof(session)) ask_for_proof(conn);
        any = true;
    }
    return any;
}

/* ---- accepted ---- */

/* With the gate open, what waits is bounded as it is without a session. */
static bool has_room(const wsConn* conn, size_t length) {
    const ws_session* session = conn->session;
    const ws_outbox* outbox = &session->outbox;
    bool behind = outbox->unsent || ws_buf_len(&conn->protocol.writer.out) > conn->settings->write_limit;
    if (session->gate_open && behind) return false;
    if (outbox->count == 0) return true;
    return outbox->count < session->terms.max_messages && outbox->bytes + length <= session->terms.max_bytes;
}

static int32_t check(const wsConn* conn) {
    bool over = conn->state == WS_STATE_CLOSED || conn->session->stopped;
    if (!over) return WS_OK;
    return conn->failure.code ? conn->failure.code : WS_ERR_CLOSED;
}

bool ws_session_has_room(wsConn* conn) {
    ws_conn_lock(conn);
    bool room = check(conn) || has_room(conn, 1);
    ws_conn_unlock(conn);
    return room;
}

static int32_t add_letter(wsConn* conn, int32_t type, const void* data, size_t length, ws_ticket* ticket) {
    ws_session* session = conn->session;
    ws_letter* letter = ws_outbox_add(&session->outbox, type, data, length);
    if (!letter) return WS_ERR_MEMORY;
    bool idle = proof_due(session) == INT64_MAX;
    *ticket = (ws_ticket){.number = letter->number, .start = session->epoch, .end = UINT64_MAX};
    conn->messages_sent++;
    ws_session_pump(conn, conn->settings->write_limit);
    if (idle && session->unproven_since) ws_conn_call_driver(conn); /* there is a deadline now */
    if (session->outbox.unsent == NULL && session->gate_open) ticket->end = conn->protocol.writer.total;
    return WS_OK;
}

int32_t ws_session_send(wsConn* conn, int32_t type, const void* data, size_t length, ws_ticket* ticket) {
    int32_t rc = check(conn);
    if (rc) return rc;
    if ((type & WS_TEXT) && !ws_utf8_valid(data, length)) return WS_ERR_UTF8;
    if (has_room(conn, length)) return add_letter(conn, type, data, length, ticket);
    ask_for_proof(conn);
    if (ws_conn_unsent(conn)) ws_conn_call_driver(conn);
    return WS_ERR_QUEUE_FULL;
}

int32_t ws_session_written(wsConn* conn, const ws_ticket* ticket) {
    ws_session* session = conn->session;
    if (conn->state == WS_STATE_CLOSED) {
        bool lost = session->lost.first && session->lost.last->number >= ticket->number;
        return lost ? (conn->failure.code ? conn->failure.code : WS_ERR_LOST) : 1;
    }
    bool kept = !session->gate_open || session->epoch != ticket->start; /* for another connection */
    if (kept) return 1;
    if (ticket->end == UINT64_MAX) return session->outbox.unsent ? 0 : ws_conn_unsent(conn) == 0;
    bool inside = conn->transport.ops && conn->transport.ops->unsent(&conn->transport);
    return ws_conn_written_up_to(conn) >= ticket->end && !inside;
}

bool ws_session_withdraw(wsConn* conn, const ws_ticket* ticket) {
    ws_outbox* outbox = &conn->session->outbox;
    ws_letter* last = outbox->last;
    ws_writer* writer = &conn->protocol.writer;
    if (!last || last->number != ticket->number) return false;
    bool in_stream = !outbox->unsent || outbox->unsent->number > last->number;
    bool untouched = last->start >= ws_conn_written_up_to(conn) && last->end == writer->total;
    if (in_stream && (!untouched || conn->session->epoch != ticket->start)) return false;
    if (in_stream) ws_writer_take_back(writer, (size_t)(last->end - last->start));
    ws_outbox_drop_last(outbox);
    conn->messages_sent--;
    ws_conn_wake_waiters(conn);
    return true;
}

int32_t wsConnSendAhead(wsConn* conn, int32_t type, const void* data, size_t length) {
    int32_t rc = WS_ERR_STATE;
    if (!ws_conn_type_ok(type) || (!data && length)) return WS_ERR_ARGUMENT;
    ws_conn_lock(conn);
    if (conn->session && conn->session->phase == WS_SESSION_ASKING_OPEN && conn->transport.ops) {
        uint8_t opcode = type & WS_TEXT ? WS_OPCODE_TEXT : WS_OPCODE_BINARY;
        ws_writer* writer = &conn->protocol.writer;
        bool full = ws_buf_len(&writer->out) > conn->settings->write_limit;
        rc = full ? WS_ERR_QUEUE_FULL : ws_writer_message(writer, opcode, data, length, WS_COMPRESS_AUTO);
        ws_conn_write_out(conn);
        if (ws_conn_unsent(conn)) ws_conn_call_driver(conn);
    }
    ws_conn_unlock(conn);
    return rc;
}

/* ---- lost ---- */

static void lose(wsConn* conn) {
    ws_session* session = conn->session;
    ws_outbox_move_first(&session->outbox, &session->lost);
    ws_conn_tell(conn, WS_DUE_LOST);
}

void ws_session_rewind(wsConn* conn) {
    ws_session* session = conn->session;
    uint64_t written = ws_conn_written_up_to(conn);
    while (session->terms.at_most_once && session->outbox.first && session->outbox.first != session->outbox.unsent &&
           session->outbox.first->start < written) {
        lose(conn);
    }
    ws_outbox_rewind(&session->outbox);
    session->proof_id = 0;
    session->unproven = session->unproven_bytes = 0;
    session->unproven_since = 0;
}

void ws_session_give_up(wsConn* conn) {
    ws_session* session = conn->session;
    bool agreed = conn->ending.clean && conn->ending.by == WS_BY_US;
    while (agreed && session->outbox.first && session->outbox.first != session->outbox.unsent) {
        ws_outbox_drop(&session->outbox, session->outbox.first->number); /* the answer to our close frame proves it */
    }
    while (session->outbox.first) {
        lose(conn);
    }
}

int32_t wsConnLost(wsConn* conn, wsMessage* message) {
    ws_session* session = conn->session;
    if (!session) return 0;
    ws_conn_lock(conn);
    free(session->lent);
    session->lent = session->lost.first;
    ws_letter* letter = session->lent;
    if (letter) {
        ws_outbox_take_first(&session->lost);
        *message = (wsMessage){letter->type & (WS_TEXT | WS_BINARY), letter->data, letter->length};
    }
    ws_conn_unlock(conn);
    return letter != NULL;
}

/* ---- flushed ---- */

uint64_t ws_session_newest(wsConn* conn) {
    ws_conn_lock(conn);
    uint64_t newest = conn->session->outbox.newest;
    ws_conn_unlock(conn);
    return newest;
}

int32_t ws_session_flushed(wsConn* conn, uint64_t number) {
    ws_session* session = conn->session;
    ws_conn_lock(conn);
    const ws_letter* first = session->outbox.first;
    int32_t rc = !first || first->number > number;
    if (!rc) ask_for_proof(conn);
    if (!rc) ws_conn_write_out(conn);
    if (!rc && ws_conn_unsent(conn)) ws_conn_call_driver(conn);
    ws_conn_unlock(conn);
    return rc;
}
