/*
 * A connection: one protocol, one transport, their deadlines. What is inside, for the files of this room.
 *
 * Two guards. The token (one owner at a time) guards receiving: the opening, the reader, the inbox. The mutex guards
 * sending and state: the writer, pings, waiters, close info, failure, the transport's life. Who holds the token may
 * take the mutex, never the other way round. While opening, only the token's owner touches the writer.
 */
#ifndef WS_CLIENT_CONN_H
#define WS_CLIENT_CONN_H

#include <stdatomic.h>

#include "client/engine.h"
#include "client/inbox.h"
#include "client/io_thread.h"
#include "client/keepalive.h"
#include "client/pings.h"
#include "client/redirects.h"
#include "client/session.h"
#include "client/settings.h"
#include "client/trace.h"
#include "core/protocol.h"
#include "net/forks.h"
#include "net/thread.h"
#include "net/transport.h"

/* A thread that waits in ws_inline_turn; lives on its stack. */
typedef struct ws_waiter {
    struct ws_waiter* next;
    intptr_t wake;
    bool woken;
} ws_waiter;

/* What opening needs until there is a transport. */
typedef struct ws_opening {
    ws_dial dial;
    ws_dial_plan plan;      /* of the dial: points at settings, url and env_proxy */
    ws_proxy_url env_proxy; /* what the environment says */
} ws_opening;

/* How it ended, or is ending: as ws_close_info. Without memory for a reason it is NULL, as if there were none. */
typedef struct ws_ending {
    ws_initiator by;
    uint16_t received, sent;
    char *received_reason, *sent_reason;
    bool clean;
} ws_ending;

struct wsConn {
    const ws_settings* settings;
    atomic_uintptr_t owner; /* the thread that holds the token, 0: free */
    ws_mutex mutex;
    atomic_int state;       /* wsState; changed under the mutex */
    atomic_int waiting;     /* how many waiters there are */
    atomic_int due;         /* WS_DUE_...: for whom it concerns */
    atomic_bool wanted;     /* a waiter found the token taken */
    atomic_bool missed;     /* the I/O thread did */
    atomic_bool driven;     /* by the I/O thread: of `io`, for who has no mutex */
    atomic_bool relieved;   /* another thread steps it for the I/O thread */
    atomic_bool keeping;    /* the I/O thread takes the token, or has it, to stand in for the callers */
    bool watched;           /* by somebody who wants news; set before the first step */
    bool torn;              /* a child's copy of what another thread was changing: not to be freed */
    _Atomic int64_t tended; /* when it was stepped last, ms */
    uint64_t id;            /* no other connection of the process has it */
    ws_trace* trace;        /* of frames, NULL: nobody looks at them; likewise */
    ws_session* session;    /* NULL: it does not reconnect */
    ws_fork_listener forks;
    _Atomic uint64_t news; /* goes up with all that somebody may wait for; no two connections share a number */

    /* -- guarded by the token -- */
    bool started;            /* the first step was made, and with it the opening begun */
    bool refused;            /* the answer is no upgrade: what is awaited is its body */
    bool unparsed;           /* bytes were read that `next` has not looked at */
    bool quiet;              /* the last read took less than there was room for: another would find nothing */
    bool ended;              /* nothing more will be read from the socket */
    bool close_pending;      /* WS_EVENT_CLOSED is still to be handed out */
    bool stirred;            /* something happened since the token was taken: waiters must look anew */
    const ws_request* asked; /* settings', or where a redirect has led, or with the session's headers */
    ws_opening* opening;     /* NULL: nothing is being dialled */
    int64_t upgrade_began;   /* ns */
    ws_redirects* redirects; /* NULL: there was none */
    ws_inbox inbox;
    double read_time; /* of the last read, seconds since the epoch */
    ws_keepalive keepalive;

    /* -- guarded by the mutex -- */
    ws_transport transport;
    uint32_t generation;    /* of the transport's descriptor */
    bool keep_socket;       /* when it ends, the transport is not closed but kept ... */
    bool write_broken;      /* the system refuses to write: what is queued is lost ... */
    bool lingering;         /* both sides are done talking: waiting only for the peer to end the stream */
    atomic_bool aborted;    /* break off at the next step */
    ws_transport kept;      /* ... here */
    ws_error write_failure; /* ... and why: what counts until the reader finds the end */
    int64_t posted;         /* ns; when a message that could be gathered with others came last */
    int64_t deadline;       /* of opening, closing or lingering, ms; INT64_MAX: none */
    ws_pings pings;
    ws_ending ending;
    ws_error failure;
    ws_waiter* waiters;
    ws_io_entry* io;                 /* its place with the I/O thread, which drives or keeps it; NULL: neither */
    int64_t spent[WS_DIAL_DONE + 1]; /* ns in each phase of opening, the upgrade last */
    wsTlsInfo* tls_info;             /* of who looked at it */

    ws_protocol protocol; /* its reader is the token's, its writer the mutex's */
    ws_buf request;       /* what we sent to upgrade; empty where conn_look.c makes it anew */
    _Atomic uint64_t messages_sent, messages_received, messages_dropped, frames_received, bytes_received;
    _Atomic uint64_t pings_received, pongs_received;
    uint64_t frames_sent_before, bytes_sent_before; /* by the protocols before this one; the mutex's */
};

/* ---- for the files of this room ---- */

static inline void ws_conn_lock(wsConn* conn) {
    ws_mutex_lock(&conn->mutex);
}

static inline void ws_conn_unlock(wsConn* conn) {
    ws_mutex_unlock(&conn->mutex);
}

/* A moment `timeout` ms from now; INT64_MAX is never. */
static inline int64_t ws_conn_after(int64_t now, int64_t timeout) {
    return timeout == INT64_MAX ? INT64_MAX : now + timeout;
}

/* The I/O thread, if that drives it, has something to do: bytes to write, another deadline. With the mutex held. */
static inline void ws_conn_call_driver(wsConn* conn) {
    if (conn->driven) ws_io_call(conn->io);
}

/* Make the request that is asked for, and be ready for its answer, by another protocol. 0 or a code. (conn.c) */
int32_t ws_conn_start_protocol(wsConn* conn);

/* Set WS_DUE_... (news only for who watches). Any thread. (conn_watch.c) */
void ws_conn_tell(wsConn* conn, int32_t what);

/* Have frames of the protocol traced if they are to be. (conn_watch.c) */
void ws_conn_hook_frames(wsConn* conn);

/* From now on a child process has a closed copy. (conn_forked.c) */
void ws_conn_watch_forks(wsConn* conn);

/* Write what the socket takes now. With the mutex held. True if anything went out. (conn.c) */
bool ws_conn_write_out(wsConn* conn);

/* Nothing has come for a while: give back the memory that the next message can make anew. Any thread. (conn_step.c) */
void ws_conn_give_back(wsConn* conn);

/* The same by who holds the token. (conn_step.c) */
void ws_conn_trim(wsConn* conn);

/* Bytes that are not with the system yet; those inside the transport count as 1. With the mutex held. */
size_t ws_conn_unsent(wsConn* conn);

/* Is that what a message can be: one of the kinds, and at most one of the flags? (conn_send.c) */
bool ws_conn_type_ok(int32_t type);

/* ws_conn_ping with the mutex held. (conn_send.c) */
int32_t ws_conn_queue_ping(wsConn* conn, const void* data, size_t length, uint64_t* id);

/* Record what broke the connection, if nothing did before. With the mutex held. */
void ws_conn_set_failure(wsConn* conn, const ws_error* error);

/* A close frame was queued, or came. With the mutex held. (conn_look.c) */
void ws_conn_note_sent(wsConn* conn, uint16_t code, const char* reason, size_t len);
void ws_conn_note_received(wsConn* conn, uint16_t code, const char* reason, size_t len);

/* How it ended, copied out or forgotten. With the mutex held. (conn_look.c) */
void ws_conn_copy_ending(const wsConn* conn, ws_close_info* info);
void ws_conn_forget_ending(wsConn* conn);

/* Nothing is being dialled any more. By the token's owner. (conn_open.c) */
void ws_conn_stop_dialling(wsConn* conn);

/* An error, copied out. */
void ws_failure_of(const ws_error* error, ws_failure* failure);

/* The transport's -errno in words: WS_ERR_LOST, or what TLS says. */
void ws_conn_explain(wsConn* conn, ssize_t how, ws_error* error);

/* How many bytes of what we send were written, handshake included. With the mutex held. (conn_send.c) */
uint64_t ws_conn_written_up_to(const wsConn* conn);

/* Queue our close frame and set the deadline (in ms from now) for the peer's. With the mutex held. 0 or a code. */
int32_t ws_conn_begin_close(wsConn* conn, ws_initiator by, uint16_t code, const char* reason, size_t len,
                            int64_t timeout);

/*
 * Nothing more is to be said (`end_ours`: tell the peer so): from here on only the end of the stream is awaited. With
 * the mutex held.
 */
void ws_conn_linger(wsConn* conn, bool end_ours);

/* The connection is over: let go of the socket and tell everybody. `error` may be NULL. By the token's owner. */
void ws_conn_finish(wsConn* conn, const ws_error* error);

/* Go on with opening, and what it means that its time is up. By the token's owner. (conn_open.c) */
bool ws_conn_open_step(wsConn* conn, int64_t now);
void ws_conn_open_timed_out(wsConn* conn);

/* Opening has come to the next phase, or to its end: note how long it took. With the mutex held. */
void ws_conn_note_times(wsConn* conn);

/* The server has answered with something else than an upgrade: true if that is a redirect, which is now followed, or
 * one that must not be: then the connection has ended. By the token's owner. */
bool ws_conn_redirected(wsConn* conn);

/* The upgrade is refused, and the body that says why is on its way: it gets a moment. By the token's owner. */
void ws_conn_await_body(wsConn* conn);

/* wsConnRetryAfter with the mutex held. (conn_look.c) */
int64_t ws_conn_retry_after(const wsConn* conn);

/* The URL of the request: settings' or where a redirect has led. */
static inline const ws_url* ws_conn_url(const wsConn* conn) {
    return conn->asked->url;
}

/* The waiters: join and leave take the mutex, wake needs it held. It counts as news. */
void ws_conn_join(wsConn* conn, ws_waiter* waiter);
void ws_conn_leave(wsConn* conn, ws_waiter* waiter);
void ws_conn_wake_waiters(wsConn* conn);

/*
 * Parse what is there (`all`: whatever the limit), so that control frames are answered, and keep the messages. By the
 * token's owner. True if there was anything. (conn_events.c)
 */
bool ws_conn_spill(wsConn* conn, bool all);

/* Reading stops when the inbox is full; but while closing the peer's close frame lies behind what is surplus. */
bool ws_conn_wants_bytes(const wsConn* conn);

#endif
