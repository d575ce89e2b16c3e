/*
 * The thread lingers after its last connection, since another one often follows: to start and end a thread for each
 * costs more than the opening.
 *
 * Locks, in the order in which they are taken: a connection's token, its mutex, the mutex of `io`, under which nothing
 * is locked and nobody is called. `serving` says which connection the thread is at: who takes one away waits until it
 * is another, so that the thread holds no lock while it works. Entries are freed by the thread alone, where no event
 * that was polled can name them any more.
 *
 * Deadlines have no heap: `earliest` is a lower bound of them all, and when it is reached all entries are looked at,
 * some nanoseconds each. That is a scan at each deadline that comes true and at most 8 a second for idle connections.
 */
#include <errno.h>
#include <stdlib.h>

#include "client/conn.h"
#include "client/io_turn.h"
#include "net/poll.h"
#include "net/sys.h"
#include "net/tls_context.h"
#include "net/wake.h"

enum {
    EVENTS = 256,
    LINGER = 100, /* ms without a connection until the thread ends, */
    LATE = 400    /* or that much later, if it need not be woken for it */
};

typedef enum io_state { NOT_STARTED, RUNNING, ENDED /* and to be joined */ } io_state;

static struct {
    ws_mutex mutex;
    ws_cond changed; /* serving, state, all */
    io_state state;
    bool stopping;
    uint32_t serial; /* of the thread: another one may have been started since one looked */
    ws_thread thread;
    ws_poll* set;
    intptr_t wake;
    int64_t sleeps_until; /* ms; 0: it is awake, or has been woken */
    ws_io_entry* all;
    ws_io_entry* dead;         /* removed, to be freed */
    ws_io_entry *first, *last; /* the line of those to be stepped */
    size_t length;             /* of the line */
    ws_io_entry* serving;
    int64_t earliest; /* no entry's deadline is before */
    int64_t ends_at;  /* once there is no connection */
} io = {.mutex = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static _Thread_local bool on_io_thread;

static void lock_io(void) {
    ws_mutex_lock(&io.mutex);
}

static void unlock_io(void) {
    ws_mutex_unlock(&io.mutex);
}

/* ---- the line; with io.mutex ---- */

static void line_up(ws_io_entry* entry) {
    if (entry->in_line || entry->removed) return;
    entry->in_line = true;
    entry->behind = NULL;
    if (io.last) {
        io.last->behind = entry;
    } else {
        io.first = entry;
    }
    io.last = entry;
    io.length++;
}

static ws_io_entry* pop_line(void) {
    ws_io_entry* entry = io.first;
    if (!entry) return NULL;
    io.first = entry->behind;
    if (!io.first) io.last = NULL;
    entry->in_line = false;
    io.length--;
    return entry;
}

/* Unless it comes by itself until then. */
static void wake_thread(int64_t latest) {
    if (io.state == RUNNING && io.sleeps_until > latest) {
        io.sleeps_until = 0;
        ws_wake_signal(io.wake);
    }
}

/* When to have done what nobody waits for. */
static int64_t soon(void) {
    return ws_sys_now() + LINGER + LATE;
}

void ws_io_call(ws_io_entry* entry) {
    lock_io();
    line_up(entry);
    wake_thread(entry->kept ? soon() : 0);
    unlock_io();
}

/* ---- all entries; with io.mutex ---- */

static void link_entry(ws_io_entry* entry) {
    entry->next = io.all;
    if (io.all) io.all->previous = entry;
    io.all = entry;
    ws_cond_wake_all(&io.changed);
}

/* From among all to the dead. */
static void bury(ws_io_entry* entry) {
    entry->removed = true;
    if (entry->previous) entry->previous->next = entry->next;
    if (entry->next) entry->next->previous = entry->previous;
    if (io.all == entry) io.all = entry->next;
    entry->next = io.dead;
    io.dead = entry;
    if (!io.all) io.ends_at = ws_sys_now() + LINGER;
    ws_cond_wake_all(&io.changed);
}

/* Free the dead that do not stand in the line. By the thread, before it polls. */
static void free_dead(void) {
    ws_io_entry** link = &io.dead;
    while (*link) {
        ws_io_entry* entry = *link;
        if (entry->in_line) {
            link = &entry->next;
        } else {
            *link = entry->next;
            free(entry);
        }
    }
}

static void expect(const ws_io_entry* entry) {
    if (entry->deadline < io.earliest) io.earliest = entry->deadline;
}

/* ---- begun and ended turns ---- */

static bool begin(ws_io_entry* entry) {
    if (entry->removed) return false;
    io.serving = entry;
    return true;
}

static void end(void) {
    io.serving = NULL;
    ws_cond_wake_all(&io.changed);
}

/* The thread is done with it, unless somebody is just taking it away. Between begin and end. */
static void let_go(ws_io_entry* entry) {
    wsConn* conn = entry->conn;
    ws_conn_lock(conn);
    bool ours = conn->io == entry;
    if (ours) {
        ws_conn_write_out(conn); /* what was gathered for us to write */
        ws_io_unwatch(entry);
        conn->io = NULL;
        conn->driven = false;
        ws_conn_wake_waiters(conn); /* they must drive now */
    }
    ws_conn_unlock(conn);
    lock_io();
    if (ours) bury(entry);
    unlock_io();
}

/* The line as it is now, each once: who lines up anew waits for the next round. */
static void serve_line(size_t length) {
    lock_io();
    while (length-- > 0) {
        ws_io_entry* entry = pop_line();
        if (!entry || !begin(entry)) continue;
        unlock_io();
        ws_turn turn = ws_io_turn(entry);
        lock_io();
        expect(entry);
        if (turn == WS_TURN_AGAIN) line_up(entry);
        if (turn == WS_TURN_ENDED && !entry->removed) { /* removed on this thread, the connection may be gone */
            unlock_io();
            let_go(entry);
            lock_io();
        }
        end();
    }
    unlock_io();
}

/* ---- the thread ---- */

/* Everything whose time has come lines up. With io.mutex. */
static void line_up_due(int64_t now) {
    if (now < io.earliest) return;
    io.earliest = INT64_MAX;
    for (ws_io_entry* entry = io.all; entry; entry = entry->next) {
        if (entry->deadline <= now) {
            line_up(entry);
        } else if (entry->deadline < io.earliest) {
            io.earliest = entry->deadline;
        }
    }
}

/* How long to poll; -1: for ever. With io.mutex. */
static int64_t poll_time(void) {
    int64_t now = ws_sys_now();
    int64_t until = io.all ? io.earliest : io.ends_at;
    if (io.first || until <= now) return 0;
    io.sleeps_until = until;
    return until == INT64_MAX ? -1 : until - now;
}

/* Poll, and line up what is ready. How many stand in the line. */
static size_t wait_for_work(int64_t timeout) {
    ws_poll_event events[EVENTS];
    int n = ws_poll_wait(io.set, events, EVENTS, timeout);
    lock_io();
    io.sleeps_until = 0;
    for (int i = 0; i < n; i++) {
        if (events[i].tag) {
            line_up(events[i].tag);
        } else {
            ws_wake_clear(io.wake);
        }
    }
    line_up_due(ws_sys_now());
    size_t length = io.length;
    unlock_io();
    return length;
}

/* Give all back. One that somebody is taking away is waited for. With io.mutex. */
static void let_all_go(void) {
    while (io.all) {
        ws_io_entry* entry = io.all;
        begin(entry);
        unlock_io();
        let_go(entry);
        lock_io();
        end();
        if (io.all == entry) ws_cond_wait(&io.changed, &io.mutex);
    }
}

/* With io.mutex. */
static void tear_down(void) {
    while (pop_line()) {
    }
    free_dead();
    ws_poll_free(io.set);
    ws_wake_close(io.wake);
    io.set = NULL;
    io.state = ENDED;
    ws_cond_wake_all(&io.changed);
}

/* With io.mutex. */
static bool is_wanted(void) {
    return !io.stopping && (io.all || ws_sys_now() < io.ends_at);
}

static void* run(void* unused) {
    (void)unused;
    on_io_thread = true;
    ws_thread_name("wsclient-io");
    lock_io();
    while (is_wanted()) {
        free_dead();
        int64_t timeout = poll_time();
        unlock_io();
        serve_line(wait_for_work(timeout));
        lock_io();
    }
    let_all_go();
    tear_down();
    unlock_io();
    return NULL;
}

/* With io.mutex. 0 or WS_ERR_SYSTEM. */
static int32_t start_thread(void) {
    io.wake = ws_wake_new();
    io.set = ws_poll_new();
    io.sleeps_until = 0;
    io.earliest = INT64_MAX;
    io.stopping = false;
    bool ready = io.wake >= 0 && io.set && ws_poll_add(io.set, io.wake, WS_POLL_READ, NULL) == 0 &&
                 ws_thread_start(&io.thread, run, NULL) == 0;
    if (ready) {
        io.state = RUNNING;
        io.serial++;
        return WS_OK;
    }
    if (io.wake >= 0) ws_wake_close(io.wake);
    ws_poll_free(io.set);
    io.set = NULL;
    return WS_ERR_SYSTEM;
}

/* It has ended, and needs no lock any more. With io.mutex. */
static void join_ended(void) {
    if (io.state != ENDED || on_io_thread) return;
    ws_thread_join(io.thread);
    io.state = NOT_STARTED;
}

/* ---- fork ---- */

/* Who forks without a connection shall not be told that there is another thread. With io.mutex. */
static void end_lingering(void) {
    io.ends_at = 0;
    if (!io.all) wake_thread(0);
    while (!io.all && io.state == RUNNING) {
        ws_cond_wait(&io.changed, &io.mutex);
    }
    join_ended();
}

/* No fork while the thread is inside a connection, with whatever locks: it is waited for, and kept from going on. */
static void before_fork(void) {
    lock_io();
    if (!on_io_thread) end_lingering();
    while (io.serving && !on_io_thread) {
        ws_cond_wait(&io.changed, &io.mutex);
    }
}

static void after_fork_here(void) {
    unlock_io();
}

/* The child has no such thread. */
static void after_fork_in_child(void) {
    io.changed = (ws_cond)PTHREAD_COND_INITIALIZER;
    for (ws_io_entry* entry = io.all; entry; entry = entry->next) {
        entry->conn->io = NULL;
        entry->conn->driven = false;
    }
    while (io.all) {
        bury(io.all);
    }
    io.serving = NULL;
    if (io.state == RUNNING) tear_down();
    io.state = NOT_STARTED;
    on_io_thread = false;
    unlock_io();
}

/* ---- the end of the process ---- */

static void at_exit(void) {
    if (!on_io_thread) ws_io_stop();
}

/* Exit handlers run in the reverse order of their registration: OpenSSL's, which frees what the thread uses, last. */
static void prepare(void) {
    pthread_atfork(before_fork, after_fork_here, after_fork_in_child);
    ws_tls_init();
    atexit(at_exit);
}

/* ---- from outside ---- */

static ws_io_entry* new_entry(wsConn* conn, bool kept, void (*on_events)(void*), void* arg) {
    ws_io_entry* entry = calloc(1, sizeof *entry);
    if (!entry) return NULL;
    entry->conn = conn;
    entry->kept = kept;
    entry->tended = atomic_load(&conn->tended);
    entry->on_events = on_events;
    entry->arg = arg;
    entry->fd = -1;
    entry->idle_at = INT64_MAX;
    entry->deadline = kept ? ws_io_next_look(ws_sys_now()) : INT64_MAX;
    return entry;
}

/* A thread that is just being stopped may need any connection's mutex until it has ended. */
static void await_stopped(void) {
    lock_io();
    while (io.state == RUNNING && io.stopping && !on_io_thread) {
        ws_cond_wait(&io.changed, &io.mutex);
    }
    unlock_io();
}

/* With the connection's mutex. WS_ERR_SYSTEM, too, while the thread is being stopped. */
static int32_t enlist(ws_io_entry* entry) {
    lock_io();
    join_ended();
    int32_t rc = io.state == NOT_STARTED ? start_thread() : io.stopping ? WS_ERR_SYSTEM : WS_OK;
    if (rc == WS_OK) {
        entry->set = io.set;
        link_entry(entry);
        if (entry->kept) {
            expect(entry);
            wake_thread(entry->deadline);
        } else {
            line_up(entry);
            wake_thread(0);
        }
    }
    unlock_io();
    return rc;
}

static int32_t add(wsConn* conn, bool kept, void (*on_events)(void* arg), void* arg) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, prepare);
    ws_io_entry* entry = new_entry(conn, kept, on_events, arg);
    if (!entry) return WS_ERR_MEMORY;
    await_stopped();
    ws_conn_lock(conn);
    int32_t rc = conn->io ? WS_ERR_STATE : enlist(entry);
    if (rc == WS_OK) {
        conn->io = entry;
        conn->driven = !kept;
        conn->relieved = false;
        ws_conn_wake_waiters(conn); /* they need not drive any more */
    }
    ws_conn_unlock(conn);
    if (rc != WS_OK) free(entry);
    return rc;
}

int32_t ws_io_keep(wsConn* conn, void (*on_events)(void* arg), void* arg) {
    return add(conn, true, on_events, arg);
}

int32_t ws_io_add(wsConn* conn, void (*on_events)(void* arg), void* arg) {
    ws_conn_lock(conn);
    bool kept = conn->io && conn->io->kept;
    ws_conn_unlock(conn);
    if (kept) ws_io_remove(conn);
    return add(conn, false, on_events, arg);
}

/* Take the entry away from the connection. */
static ws_io_entry* detach(wsConn* conn) {
    ws_conn_lock(conn);
    ws_io_entry* entry = conn->io;
    if (entry) {
        ws_conn_write_out(conn); /* what was gathered for the thread to write */
        ws_io_unwatch(entry);
        conn->io = NULL;
        conn->driven = false;
        ws_conn_wake_waiters(conn);
    }
    ws_conn_unlock(conn);
    return entry;
}

void ws_io_remove(wsConn* conn) {
    ws_io_entry* entry = detach(conn);
    lock_io();
    if (entry) {
        bury(entry);
        wake_thread(soon());
    }
    while (!on_io_thread && io.serving && io.serving->conn == conn) {
        ws_cond_wait(&io.changed, &io.mutex);
    }
    unlock_io();
}

void ws_io_stop(void) {
    lock_io();
    uint32_t this_one = io.serial;
    io.stopping = true;
    wake_thread(0);
    while (io.state == RUNNING && io.serial == this_one) {
        ws_cond_wait(&io.changed, &io.mutex);
    }
    join_ended();
    unlock_io();
}
