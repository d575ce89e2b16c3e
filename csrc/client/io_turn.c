#include "client/io_turn.h"

#include "client/conn.h"
#include "net/sys.h"

enum {
    TURN_MESSAGES = 256, /* of one connection before the next one's turn ... */
    TURN_NANOS = 1000000,
    IDLE = 500,        /* ms without anything until buffers are given back, */
    IDLE_COARSE = 128, /* rounded up to a multiple of this */
    KEEP_AFTER = 250,  /* ms that the callers of a kept connection have for what comes, */
    KEEP_COARSE = 32   /* rounded up likewise: each moment that differs costs a look at all entries */
};

/* ---- what is watched; with the connection's mutex ---- */

void ws_io_unwatch(ws_io_entry* entry) {
    if (entry->fd >= 0) ws_poll_remove(entry->set, entry->fd);
    entry->fd = -1;
}

/* Nothing wanted is nothing watched: a hang-up would be reported all the same, again and again. 0 or -errno. */
static int set_watch(ws_io_entry* entry, const ws_interest* interest) {
    uint32_t events =
        (interest->wants & WS_WANT_READ ? WS_POLL_READ : 0) | (interest->wants & WS_WANT_WRITE ? WS_POLL_WRITE : 0);
    bool same = entry->fd == interest->fd && entry->generation == interest->generation;
    if (!same || !events) ws_io_unwatch(entry);
    if (!events || (same && entry->wants == events)) return 0;
    int rc = same ? ws_poll_change(entry->set, interest->fd, events, entry)
                  : ws_poll_add(entry->set, interest->fd, events, entry);
    if (rc) return rc;
    entry->fd = interest->fd;
    entry->generation = interest->generation;
    entry->wants = events;
    return 0;
}

static void refused(wsConn* conn) {
    ws_conn_fail(conn, WS_ERR_SYSTEM, "the system refuses to watch the connection's socket");
}

/* Watch what the connection wants now. With its token. */
static void watch(ws_io_entry* entry) {
    wsConn* conn = entry->conn;
    ws_interest interest = {.fd = -1};
    int rc = 0;
    ws_conn_interests(conn, &interest, 1);
    ws_conn_lock(conn);
    if (conn->io == entry) rc = set_watch(entry, &interest);
    ws_conn_unlock(conn);
    if (rc) refused(conn);
}

static void unwatch(ws_io_entry* entry) {
    ws_conn_lock(entry->conn);
    ws_io_unwatch(entry);
    ws_conn_unlock(entry->conn);
}

/* ---- steps; with the token ---- */

/* While it is being opened any step may close a descriptor and open another of the same number. */
static bool step_once(ws_io_entry* entry) {
    if (wsConnState(entry->conn) == WS_STATE_CONNECTING) unwatch(entry);
    return ws_conn_step(entry->conn, ws_sys_now(), 1);
}

/* Must the callers of a kept connection have it now? They wait for the token, or are to open it anew. */
static bool is_theirs(const ws_io_entry* entry) {
    const wsConn* conn = entry->conn;
    return entry->kept && (atomic_load(&conn->wanted) || conn->state == WS_STATE_CONNECTING);
}

/* Step until there is nothing to do, or others must have their turn: then true. */
static bool step_on(ws_io_entry* entry, bool* any) {
    const wsConn* conn = entry->conn;
    int64_t end = ws_sys_nanos() + TURN_NANOS;
    uint64_t most = conn->messages_received + TURN_MESSAGES;
    *any = false;
    while (step_once(entry)) {
        *any = true;
        if (conn->messages_received >= most || ws_sys_nanos() >= end || is_theirs(entry)) return true;
    }
    return false;
}

/* ---- a driven connection's turn ---- */

/* When to come again. */
static void set_deadline(ws_io_entry* entry, bool any) {
    int64_t now = ws_sys_now();
    if (any) {
        entry->idle_at = (now + IDLE + IDLE_COARSE) / IDLE_COARSE * IDLE_COARSE;
    } else if (now >= entry->idle_at) {
        ws_conn_trim(entry->conn);
        entry->idle_at = INT64_MAX;
    }
    int64_t due = ws_conn_next_deadline(entry->conn);
    entry->deadline = due < entry->idle_at ? due : entry->idle_at;
}

/* Or have whoever holds it call us when he lets go. */
static bool take(wsConn* conn) {
    if (ws_conn_take(conn)) return true;
    atomic_store(&conn->missed, true);
    return ws_conn_take(conn);
}

static ws_turn drive(ws_io_entry* entry) {
    wsConn* conn = entry->conn;
    bool any;
    if (!take(conn)) return WS_TURN_WAIT;
    bool more = step_on(entry, &any);
    watch(entry);
    set_deadline(entry, any);
    entry->tended = conn->tended;
    bool events = ws_conn_has_events(conn) || ws_conn_due(conn);
    bool ended = conn->ended;
    ws_conn_release(conn);
    if (events && entry->on_events) entry->on_events(entry->arg);
    return ended ? WS_TURN_ENDED : more ? WS_TURN_AGAIN : WS_TURN_WAIT;
}

/* ---- neglect ---- */

int64_t ws_io_next_look(int64_t now) {
    return (now + KEEP_AFTER + KEEP_COARSE) / KEEP_COARSE * KEEP_COARSE;
}

/* Leave it to its callers, and look again later, whatever comes before. */
static void rest(ws_io_entry* entry, int64_t now) {
    unwatch(entry);
    entry->deadline = ws_io_next_look(now);
}

/* Has nobody stepped it since the last look? And if it has only just become readable, its callers have time for it. */
static bool neglected(ws_io_entry* entry, int64_t now) {
    int64_t tended = atomic_load_explicit(&entry->conn->tended, memory_order_relaxed);
    bool untouched = tended == entry->tended;
    entry->tended = tended;
    return untouched && now >= entry->deadline && wsConnState(entry->conn) != WS_STATE_CONNECTING;
}

/* ---- a turn with a driven connection that another thread steps ---- */

/* Write what there is, and watch for room for the rest. */
static void write_only(ws_io_entry* entry) {
    wsConn* conn = entry->conn;
    int rc = 0;
    ws_conn_lock(conn);
    if (conn->io == entry && conn->transport.ops) {
        if (ws_conn_write_out(conn)) ws_conn_wake_waiters(conn);
        bool wants = ws_conn_unsent(conn) && !conn->write_broken;
        ws_interest interest = {conn->transport.fd, wants ? WS_WANT_WRITE : 0, conn->generation};
        rc = set_watch(entry, &interest);
    }
    ws_conn_unlock(conn);
    if (rc) refused(conn);
}

static ws_turn assist(ws_io_entry* entry) {
    int64_t now = ws_sys_now();
    if (neglected(entry, now)) return drive(entry);
    write_only(entry);
    entry->deadline = ws_io_next_look(now);
    return WS_TURN_WAIT;
}

bool ws_io_relieve(wsConn* conn) {
    bool may = conn->state == WS_STATE_OPEN && conn->driven;
    if (may) atomic_store(&conn->relieved, true);
    return may;
}

void ws_io_resume(wsConn* conn) {
    if (!atomic_exchange(&conn->relieved, false)) return;
    ws_conn_lock(conn);
    ws_conn_call_driver(conn);
    ws_conn_unlock(conn);
}

/* ---- the keeper: a turn with a connection that its callers drive ---- */

/* When there may be something to do again: what comes meanwhile, and the callers take unseen, is followed by a ping. */
static int64_t next_due(wsConn* conn, int64_t now) {
    int64_t due = ws_conn_next_deadline(conn), interval = conn->settings->keepalive.interval;
    return interval < due - now ? now + interval : due;
}

/* Do what its callers have left undone, for as long as a turn may take. With the token. */
static ws_turn stand_in(ws_io_entry* entry, int64_t now, bool* any) {
    wsConn* conn = entry->conn;
    bool more = step_on(entry, any);
    bool theirs = is_theirs(entry), full = !ws_conn_wants_bytes(conn);
    if (!*any) ws_conn_trim(conn);
    conn->quiet = false; /* that was long ago for who steps next */
    entry->tended = conn->tended;
    entry->deadline = now;
    if (conn->ended) return WS_TURN_ENDED;
    if (more && !theirs) return WS_TURN_AGAIN;
    if (theirs || full) {
        rest(entry, now);
    } else {
        watch(entry);
        int64_t due = next_due(conn, now);
        entry->deadline = due == INT64_MAX ? due : ws_io_next_look(due); /* who waits inline is woken by it, too */
    }
    return WS_TURN_WAIT;
}

static ws_turn keep(ws_io_entry* entry) {
    wsConn* conn = entry->conn;
    int64_t now = ws_sys_now();
    bool any = false;
    ws_turn turn = WS_TURN_WAIT;
    if (wsConnState(conn) == WS_STATE_CLOSED) return WS_TURN_ENDED;
    atomic_store(&conn->keeping, true);
    bool taken = neglected(entry, now) && ws_conn_take(conn);
    if (taken) {
        turn = stand_in(entry, now, &any);
        ws_conn_release(conn);
    } else {
        rest(entry, now);
    }
    atomic_store(&conn->keeping, false);
    if ((any || wsConnState(conn) == WS_STATE_CLOSED) && entry->on_events) entry->on_events(entry->arg);
    return turn;
}

ws_turn ws_io_turn(ws_io_entry* entry) {
    if (entry->kept) return keep(entry);
    return atomic_load(&entry->conn->relieved) ? assist(entry) : drive(entry);
}
