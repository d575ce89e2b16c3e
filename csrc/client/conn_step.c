/* What the owner of a connection does: open it, read, write, keep its deadlines, end it. */
#include <errno.h>

#include "client/conn.h"
#include "net/sys.h"
#include "net/tcp.h"

static int64_t earlier(int64_t a, int64_t b) {
    return a < b ? a : b;
}

static void count(_Atomic uint64_t* counter, uint64_t n) {
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + n, memory_order_relaxed);
}

/* ---- reading ---- */

/* The stream is over: by the peer's end (0) or an error (-errno). */
static void stream_ended(wsConn* conn, ssize_t how) {
    ws_conn_spill(conn, true);
    if (conn->ended || !conn->transport.ops) return; /* that was a redirect */
    if (conn->lingering || conn->ending.received) {
        ws_conn_finish(conn, NULL);
        return;
    }
    ws_error error = {0};
    if (how < 0 && !conn->refused) {
        ws_conn_explain(conn, how, &error);
    } else {
        if (conn->session) conn->session->cut_off = conn->protocol.phase == WS_PHASE_HEAD;
        ws_protocol_end(&conn->protocol);
    }
    ws_conn_finish(conn, error.code && !conn->refused ? &error : &conn->protocol.error);
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
    bool bare = conn->protocol.reader.in.cap == 0;
    if (ws_protocol_prepare(&conn->protocol, &at, &room)) return -ENOMEM;
    ssize_t n = conn->transport.ops->read(&conn->transport, at, room);
    conn->quiet = n > 0 && (size_t)n < room;
    if (n > 0) {
        ws_protocol_commit(&conn->protocol, (size_t)n);
        count(&conn->bytes_received, (uint64_t)n);
        conn->read_time = ws_sys_wall();
        conn->unparsed = true;
    }
    if (n == -EAGAIN && bare) ws_reader_trim(&conn->protocol.reader); /* the memory was made for nothing */
    return n;
}

/* At most `budget` reads. True if anything came; *drained if one found that there is no more. */
static bool read_in(wsConn* conn, int64_t now, uint32_t budget, bool* drained) {
    bool any = false;
    while (budget-- > 0 && conn->transport.ops && ws_conn_wants_bytes(conn)) {
        ssize_t n = receive(conn);
        *drained = n == -EAGAIN;
        if (*drained) break;
        any = true;
        if (n > 0) ws_keepalive_heard(&conn->keepalive, now);
        if (n <= 0) stream_ended(conn, n);
    }
    return any;
}

/* ---- keeping alive ---- */

/* One unwritten ping is enough; and one that cannot be queued is missed like one that is lost. */
static void send_ping(wsConn* conn, int64_t now) {
    uint8_t payload[8]; /* nobody else's ping has this */
    ws_conn_lock(conn);
    bool out = ws_conn_written_up_to(conn) >= conn->keepalive.end;
    if (out && ws_sys_random(payload, sizeof payload))
        ws_conn_queue_ping(conn, payload, sizeof payload, &(uint64_t){0});
    ws_keepalive_pinged(&conn->keepalive, now, out ? conn->protocol.writer.total : conn->keepalive.end,
                        ws_conn_written_up_to(conn));
    ws_conn_unlock(conn);
}

/* Say 1011 as far as that goes at once: a peer that does not answer is not waited for. */
static void give_up(wsConn* conn, int64_t now) {
    static const char reason[] = "keepalive ping timeout";
    ws_error error = {0};
    ws_error_set(&error, WS_ERR_PING_TIMEOUT,
                 "nothing was received for %.3g s, for the last %.3g of them in spite of a ping (ping_timeout)",
                 (double)(now - conn->keepalive.heard) / 1e3, (double)(now - conn->keepalive.pinged) / 1e3);
    ws_conn_lock(conn);
    ws_conn_set_failure(conn, &error);
    ws_conn_begin_close(conn, WS_BY_US, WS_CODE_INTERNAL_ERROR, reason, sizeof reason - 1, 0);
    if (ws_conn_unsent(conn)) conn->transport.ops->reset_on_close(&conn->transport);
    ws_conn_unlock(conn);
    ws_conn_finish(conn, NULL);
    ws_error_clear(&error);
}

/* A read found nothing: is the peer there? True if the connection has ended. */
static bool keep_alive(wsConn* conn, int64_t now) {
    const ws_keepalive_terms* terms = &conn->settings->keepalive;
    if (conn->state != WS_STATE_OPEN || now < ws_keepalive_due(&conn->keepalive, terms)) return false;
    ws_conn_lock(conn);
    ws_verdict verdict = ws_keepalive_judge(&conn->keepalive, terms, now, ws_conn_written_up_to(conn));
    ws_conn_unlock(conn);
    if (verdict == WS_PING) send_ping(conn, now);
    if (verdict == WS_GIVE_UP) give_up(conn, now);
    return verdict == WS_GIVE_UP;
}

/* ---- deadlines ---- */

static void close_timed_out(wsConn* conn) {
    ws_error error = {0};
    if (!conn->lingering) {
        conn->transport.ops->reset_on_close(
            &conn->transport); /* a peer that does not read must not keep the system busy */
        ws_error_set(&error, WS_ERR_CLOSE_TIMEOUT, "the peer did not answer the closing handshake in time");
    }
    ws_conn_finish(conn, error.code ? &error : NULL);
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
        ws_conn_finish(conn, NULL);
    } else if (conn->state == WS_STATE_CONNECTING) {
        ws_conn_open_timed_out(conn);
    } else {
        close_timed_out(conn);
    }
    return true;
}

/* ---- a step ---- */

static bool step(wsConn* conn, int64_t now, uint32_t budget) {
    bool opening = conn->state == WS_STATE_CONNECTING;
    bool drained = false;
    bool any = ws_conn_spill(conn, false);
    if (opening && conn->state == WS_STATE_OPEN) return true;
    if (keep_deadlines(conn, now)) return true;
    if (conn->ended) return any;
    if (conn->session && ws_session_pauses(conn)) any |= ws_session_step(conn, now);
    if (conn->ended || (conn->session && ws_session_down(conn))) return any;
    if (!conn->transport.ops) return ws_conn_open_step(conn, now) || any;
    ws_conn_lock(conn);
    any |= ws_conn_write_out(conn);
    ws_conn_unlock(conn);
    any |= read_in(conn, now, budget, &drained);
    if (drained) any |= keep_alive(conn, now);
    if (conn->session && conn->state == WS_STATE_OPEN) any |= ws_session_prove_due(conn, now);
    return any;
}

bool ws_conn_step(wsConn* conn, int64_t now, uint32_t budget) {
    atomic_store_explicit(&conn->tended, now, memory_order_relaxed);
    bool any = step(conn, now, budget);
    if (any) conn->stirred = true;
    return any;
}

/* ---- what to wait for ---- */

size_t ws_conn_interests(wsConn* conn, ws_interest* out, size_t max) {
    if (conn->ended || max == 0) return 0;
    if (!conn->transport.ops) {
        if (!conn->opening) return 0;
        ws_dial_wait wait = ws_dial_waits(&conn->opening->dial);
        *out =
            (ws_interest){wait.fd, (wait.read ? WS_WANT_READ : 0) | (wait.write ? WS_WANT_WRITE : 0), wait.generation};
        return out->fd >= 0;
    }
    ws_conn_lock(conn);
    size_t queued;
    ws_writer_output(&conn->protocol.writer, &queued);
    *out = (ws_interest){conn->transport.fd, 0, conn->generation};
    if (ws_conn_wants_bytes(conn)) out->wants |= WS_WANT_READ;
    if ((queued || ws_conn_unsent(conn)) && !conn->write_broken) out->wants |= WS_WANT_WRITE;
    ws_conn_unlock(conn);
    return 1;
}

int64_t ws_conn_next_deadline(wsConn* conn) {
    if (conn->ended) return INT64_MAX;
    int64_t of_session = conn->session ? ws_session_deadline(conn) : INT64_MAX;
    if (conn->session && ws_session_down(conn)) return conn->aborted ? 0 : of_session;
    if (!conn->started) return 0;
    ws_conn_lock(conn);
    int64_t deadline = conn->aborted ? 0 : conn->deadline;
    ws_conn_unlock(conn);
    deadline = earlier(deadline, of_session);
    if (conn->opening) return earlier(deadline, ws_dial_deadline(&conn->opening->dial));
    bool judged = conn->state == WS_STATE_OPEN && ws_conn_wants_bytes(conn); /* what we do not read, we cannot miss */
    return judged ? earlier(deadline, ws_keepalive_due(&conn->keepalive, &conn->settings->keepalive)) : deadline;
}

bool ws_conn_ready_now(wsConn* conn) {
    if (ws_conn_has_events(conn)) return true;
    return conn->transport.ops && conn->transport.ops->ready_now(&conn->transport);
}

bool ws_conn_unseen(wsConn* conn) {
    return conn->transport.ops && ws_conn_wants_bytes(conn) && conn->transport.ops->ready_now(&conn->transport);
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

static void call_driver(wsConn* conn) {
    ws_conn_lock(conn);
    ws_conn_call_driver(conn);
    ws_conn_unlock(conn);
}

/* Who wakes others for nothing is woken by them for nothing: only news and a token that was asked for are told. */
void ws_conn_release(wsConn* conn) {
    bool stirred = conn->stirred;
    conn->stirred = false;
    if (stirred) atomic_fetch_add(&conn->news, 1);
    atomic_store(&conn->owner, 0);
    if (atomic_load(&conn->aborted) && wsConnState(conn) != WS_STATE_CLOSED) end_aborted(conn);
    /* A waiter counts itself before it looks at the owner: one of us two sees the other. */
    bool wanted = atomic_exchange(&conn->wanted, false);
    if ((stirred || wanted) && atomic_load(&conn->waiting) > 0) ws_inline_wake(conn);
    if (atomic_load(&conn->missed) && atomic_exchange(&conn->missed, false)) call_driver(conn);
}

void ws_conn_trim(wsConn* conn) {
    ws_reader_trim(&conn->protocol.reader);
    ws_conn_lock(conn);
    ws_writer_trim(&conn->protocol.writer);
    ws_conn_unlock(conn);
}

void ws_conn_give_back(wsConn* conn) {
    if (!ws_conn_take(conn)) return;
    ws_conn_trim(conn);
    ws_conn_release(conn);
}

/* ---- broken off ---- */

/* Break off, at once or when the token's owner lets go. */
static void break_off(wsConn* conn, const ws_error* error) {
    ws_conn_lock(conn);
    if (conn->state != WS_STATE_CLOSED && !conn->aborted) {
        ws_conn_set_failure(conn, error);
        if (conn->ending.by == WS_BY_NOBODY) conn->ending.by = WS_BY_US;
        conn->aborted = true;
        if (conn->transport.ops) conn->transport.ops->reset_on_close(&conn->transport);
        ws_conn_wake_waiters(conn);
    }
    ws_conn_unlock(conn);
    end_aborted(conn);
    call_driver(conn);
}

void ws_conn_fail(wsConn* conn, int32_t code, const char* text) {
    ws_error error = {.code = code, .text = (char*)text};
    break_off(conn, &error);
}

void wsConnAbort(wsConn* conn) {
    if (conn->session) {
        ws_conn_lock(conn);
        if (conn->state != WS_STATE_CLOSED) ws_session_stop(conn);
        ws_conn_unlock(conn);
    }
    ws_conn_fail(conn, WS_ERR_CLOSED, "connection broken off by this side");
}
