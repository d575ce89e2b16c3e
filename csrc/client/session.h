/*
 * What makes a connection outlive its loss: it is opened anew in place, so that whoever drives it notices nothing but
 * the state CONNECTING. A connection without reconnecting has no session.
 *
 * Phases. While down: (ask whether to retry,) pause, (ask for headers,) attempt. Once upgraded: greet (, ask the
 * program to do its part), then the gate opens: what is in the outbox goes out in order, before anything new.
 *
 * Guards: the phase is the token's; outbox, gate and answers are the mutex's.
 */
#ifndef WS_CLIENT_SESSION_H
#define WS_CLIENT_SESSION_H

#include <stdatomic.h>

#include "client/engine.h"
#include "client/inbox.h"
#include "client/outbox.h"
#include "client/retry.h"
#include "core/handshake.h"

typedef enum ws_session_phase {
    WS_SESSION_ATTEMPT, /* being opened, or open */
    WS_SESSION_ASKING_RETRY,
    WS_SESSION_PAUSE,
    WS_SESSION_ASKING_HEADERS,
    WS_SESSION_ASKING_OPEN, /* upgraded, and the gate is shut */
} ws_session_phase;

/* A checked copy of wsReconnect. */
typedef struct ws_session_terms {
    ws_retry_terms retry;
    bool at_most_once;
    size_t max_messages, max_bytes;
    uint32_t asks;
    int64_t ask_timeout; /* ms */
} ws_session_terms;

typedef struct ws_session {
    ws_session_terms terms;
    ws_outbox greeting; /* never emptied */

    /* -- the token's -- */
    _Atomic ws_session_phase phase;
    int64_t until; /* ms: of the pause, or for the answer */
    ws_retry retry;
    _Atomic int64_t opened; /* ms, 0: the gate of this connection was never open */
    ws_inbox held;          /* what came before the connection that on_open is at */
    bool cut_off;           /* the peer ended the stream in the middle of the opening handshake */

    /* -- the mutex's -- */
    bool stopped;   /* by this side, or for good */
    bool gate_open; /* messages go into the stream */
    bool answered;
    int32_t answer;
    char* answer_text;  /* why not, NULL: no words */
    bool has_request;   /* one with headers that the program has given since, ... */
    ws_request request; /* ... which are ours */
    uint64_t epoch;     /* how many connections there were */
    ws_outbox outbox, lost;
    ws_letter* lent;                 /* of what was lost, until the next is asked for */
    uint64_t proof_id, proof_of;     /* the ping that is out, 0: none; the letter it proves */
    size_t unproven_bytes, unproven; /* in the stream since that ping */
    int64_t unproven_since;          /* ms, 0: none */
    wsTlsInfo* tls_before;           /* somebody may still look at it */
    uint64_t reconnects;
    ws_down down; /* the last loss */
} ws_session;

/* *session is NULL if that is not wanted. 0, WS_ERR_ARGUMENT or WS_ERR_MEMORY, with a text. */
int32_t ws_session_new(const wsReconnect* options, ws_session** session, ws_error* error);
void ws_session_free(ws_session* session);

/* ---- for the files of this room; `conn` has a session ---- */

/* The connection was upgraded: greet. True if the gate is open now; else the program is asked first. By the token's
 * owner, with the mutex. */
bool ws_session_upgraded(wsConn* conn);

/* The transport is gone. True if there will be another one. By the token's owner, with the mutex. */
bool ws_session_fell(wsConn* conn);

/* Nobody wants another one any more. With the mutex. */
void ws_session_stop(wsConn* conn);

/* Is it doing something else than a connection without a session would? Then ws_session_step is its step: true if
 * that changed anything. By the token's owner. */
bool ws_session_pauses(const wsConn* conn);
bool ws_session_down(const wsConn* conn); /* without a transport at that */
bool ws_session_step(wsConn* conn, int64_t now);

/* When that is due at the latest. By the token's owner. */
int64_t ws_session_deadline(wsConn* conn);

/* Is what came for on_open alone, and this thread not on_open's? */
bool ws_session_holds_back(const wsConn* conn);

/* Accept a message. 0; WS_ERR_QUEUE_FULL; WS_ERR_UTF8, WS_ERR_MEMORY or what ended it. With the mutex. */
int32_t ws_session_send(wsConn* conn, int32_t type, const void* data, size_t length, ws_ticket* ticket);

/* As ws_conn_written and ws_conn_withdraw. With the mutex. */
int32_t ws_session_written(wsConn* conn, const ws_ticket* ticket);
bool ws_session_withdraw(wsConn* conn, const ws_ticket* ticket);

/* Put letters into the stream while no more than `limit` bytes wait there. True if there were any. With the mutex. */
bool ws_session_pump(wsConn* conn, size_t limit);

/* A pong has come that answers a ping of ours. With the mutex. */
void ws_session_proved(wsConn* conn);

/* Ask for a proof if that is due. True if so. By the token's owner. */
bool ws_session_prove_due(wsConn* conn, int64_t now);

/* The transport is gone: all is to be sent again, or, at most once, what was not yet. With the mutex. */
void ws_session_rewind(wsConn* conn);

/* What is not proved by now never will be: into `lost`. With the mutex. */
void ws_session_give_up(wsConn* conn);

#endif
