/* The inline driver: the thread that wants something from a connection does the work itself; and the loop-less API. */
#include <errno.h>

#include "client/conn.h"
#include "net/poll.h"
#include "net/sys.h"
#include "net/wake.h"

enum {
    MAX_INTERESTS = 4,
    THREADS_TURN = 500, /* ms that the I/O thread has a token at most; a few are usual */
    OVERTIME = 20,      /* ms beyond a deadline for what is coming in: it may be what was waited for, or a flood */
};

/* What one turn waits for; of a connection that the I/O thread drives nothing but news. */
typedef struct turn {
    ws_poll_item items[MAX_INTERESTS + 1];
    size_t n;
    int64_t now, until;
} turn;

static int64_t earlier(int64_t a, int64_t b) {
    return a < b ? a : b;
}

static void add_item(turn* t, intptr_t fd, uint32_t events) {
    t->items[t->n++] = (ws_poll_item){.fd = fd, .events = events};
}

/* One read, unless it would find nothing: the next one will be made after a wait. */
static bool step_once(wsConn* conn, int64_t now) {
    bool reads = !conn->quiet || ws_conn_ready_now(conn);
    conn->quiet = false;
    return ws_conn_step(conn, now, reads);
}

/* Step, and note what to wait for. True if it brought something: then there is no need to wait. */
static bool take_step(wsConn* conn, turn* t, bool for_events) {
    ws_interest interests[MAX_INTERESTS];
    if (step_once(conn, t->now) || (for_events && ws_conn_ready_now(conn))) return true;
    size_t n = ws_conn_interests(conn, interests, MAX_INTERESTS);
    for (size_t i = 0; i < n; i++) {
        uint32_t events = (interests[i].wants & WS_WANT_READ ? WS_POLL_READ : 0) |
                          (interests[i].wants & WS_WANT_WRITE ? WS_POLL_WRITE : 0);
        add_item(t, interests[i].fd, events);
    }
    t->until = earlier(t->until, ws_conn_next_deadline(conn));
    return false;
}

/* The wait is over and something has come: what, saves the caller a turn. */
static void read_after_wait(wsConn* conn) {
    if (atomic_load(&conn->driven) || !ws_conn_take(conn)) return;
    ws_conn_step(conn, ws_sys_now(), 1);
    ws_conn_release(conn);
}

/* Wait for what was noted. As ws_poll_few. */
static int wait_for(wsConn* conn, turn* t) {
    int64_t timeout = t->until == INT64_MAX ? -1 : t->until > t->now ? t->until - t->now : 0;
    int rc = ws_poll_few(t->items, t->n, timeout);
    if (rc == 0 && timeout > 0) ws_conn_give_back(conn); /* nothing came for the whole of a wait */
    return rc;
}

/* Has the token been let go of? If not, its holder will wake us when that happens. With the waiter joined. */
static bool token_is_free(wsConn* conn) {
    atomic_store(&conn->wanted, true);
    return atomic_load(&conn->owner) == 0;
}

/* Wait, unless there have been news since `known`: from the moment of joining on, news wake us. */
static int32_t wait_joined(wsConn* conn, turn* t, bool looked, uint64_t known) {
    ws_waiter waiter;
    int rc = 0;
    ws_conn_join(conn, &waiter);
    bool can_wait = waiter.wake >= 0;
    if (can_wait && atomic_load(&conn->news) == known && (looked || !token_is_free(conn))) {
        add_item(t, waiter.wake, WS_POLL_READ);
        rc = wait_for(conn, t);
    }
    ws_conn_leave(conn, &waiter); /* first: a waiter would be woken by what it reads */
    if (rc > 0) read_after_wait(conn);
    return !can_wait ? WS_ERR_SYSTEM : rc == -EINTR ? WS_ERR_INTERRUPTED : WS_OK;
}

/* The news when this thread's last turn ended. The caller has looked since: only what came later may be unseen. */
static _Thread_local uint64_t seen;

static int32_t take_turn(wsConn* conn, int64_t deadline, int64_t longest, bool for_events) {
    int64_t now = ws_sys_now();
    turn t = {.now = now, .until = earlier(deadline, ws_conn_after(now, longest))};
    uint64_t known = atomic_load(&conn->news);
    bool driven = atomic_load(&conn->driven);
    bool looks = for_events || !driven; /* with the token: else only what the mutex guards is waited for */
    bool taken = looks && ws_conn_take(conn);
    bool any = taken && (driven ? ws_conn_has_events(conn) : take_step(conn, &t, for_events));
    if (taken) ws_conn_release(conn);
    if (any) return now - OVERTIME < deadline ? WS_OK : WS_ERR_RECEIVE_TIMEOUT;
    if (looks && !taken && (driven || atomic_load(&conn->keeping))) {
        t.until = now + THREADS_TURN; /* who asks only for what is there must have seen it */
    } else if (now >= deadline) {
        return WS_ERR_RECEIVE_TIMEOUT;
    }
    return known == seen ? wait_joined(conn, &t, taken || !looks, known) : WS_OK;
}

int32_t ws_inline_turn(wsConn* conn, int64_t deadline, int64_t longest, bool for_events) {
    if (ws_conn_is_mine(conn)) return WS_ERR_CONCURRENCY;
    int32_t rc = take_turn(conn, deadline, longest, for_events);
    seen = atomic_load(&conn->news);
    return rc;
}

bool ws_inline_take(wsConn* conn) {
    int64_t now = ws_sys_now(), end = now + THREADS_TURN;
    for (; !ws_conn_take(conn); now = ws_sys_now()) {
        if (!atomic_load(&conn->keeping) || now >= end) return ws_conn_take(conn);
        turn t = {.now = now, .until = end};
        if (wait_joined(conn, &t, false, atomic_load(&conn->news)) == WS_ERR_SYSTEM) return false;
    }
    return true;
}

/* ---- the public steps ---- */

int32_t wsConnStep(wsConn* conn, int64_t now) {
    if (!ws_conn_take(conn)) return WS_ERR_CONCURRENCY;
    ws_conn_step(conn, now, 1);
    ws_conn_release(conn);
    return WS_OK;
}

int32_t wsConnNext(wsConn* conn, wsEvent* event) {
    if (!ws_conn_take(conn)) return 0;
    size_t n = ws_conn_next(conn, event, 1);
    ws_conn_release(conn);
    return (int32_t)n;
}

int32_t wsConnWait(wsConn* conn, int64_t timeout) {
    int64_t deadline = timeout < 0 ? INT64_MAX : ws_sys_now() + timeout;
    int32_t rc = ws_inline_turn(conn, deadline, INT64_MAX, true);
    return rc == WS_ERR_RECEIVE_TIMEOUT ? WS_OK : rc;
}

/* The only interest of a connection today; racing connects will have several. */
static bool interest(wsConn* conn, ws_interest* out) {
    if (!ws_conn_take(conn)) return false;
    size_t n = ws_conn_interests(conn, out, 1);
    ws_conn_release(conn);
    return n == 1;
}

intptr_t wsConnFd(wsConn* conn) {
    ws_interest out;
    ws_conn_lock(conn);
    intptr_t socket = conn->transport.ops ? conn->transport.fd : -1;
    ws_conn_unlock(conn);
    if (socket >= 0) return socket; /* known also while another thread is stepping */
    return interest(conn, &out) ? out.fd : -1;
}

int32_t wsConnWants(wsConn* conn) {
    ws_interest out;
    return interest(conn, &out) ? (int32_t)out.wants : 0;
}

int64_t wsConnTimeout(wsConn* conn, int64_t now) {
    if (!ws_conn_take(conn)) return -1;
    int64_t due = ws_conn_ready_now(conn) ? now : ws_conn_next_deadline(conn);
    ws_conn_release(conn);
    if (due == INT64_MAX) return -1;
    return due > now ? due - now : 0;
}
