/*
 * What the Python module needs of the engine beyond the public header. Installed for nobody.
 *
 * Owner and lock. A connection has one owner at a time: who steps it or asks for events takes the token for just that
 * long (ws_conn_take, ws_conn_release). Sending, closing and looking need no token: they take the lock inside. Threads
 * that wait are woken when the token is let go or the state changes.
 */
#ifndef WS_CLIENT_ENGINE_H
#define WS_CLIENT_ENGINE_H

#include <stdbool.h>
#include <wsclient/wsclient.h>

#include "chat/plain.h"

#ifdef __cplusplus
extern "C" {
#endif

/* wsConnNew, and on failure why in `text` (a line, cut to size). */
int32_t ws_conn_new(const wsOptions* options, wsConn** conn, char* text, size_t size);

/* -- the owner token -- */

/* Take it: true if it was free. The calling thread's own second take fails too (ws_conn_is_mine tells). */
bool ws_conn_take(wsConn* conn);
void ws_conn_release(wsConn* conn);
bool ws_conn_is_mine(wsConn* conn);

/* -- for loops; with the token held, but for ws_conn_keep_socket and ws_conn_drop_socket -- */

typedef struct ws_interest {
    intptr_t fd;
    uint32_t wants;      /* WS_WANT_READ | WS_WANT_WRITE */
    uint32_t generation; /* another one: another socket, though the number may be the same */
} ws_interest;

/* What to watch: how many of out[0..max) were filled. A descriptor is unregistered before the step that closes it. */
size_t ws_conn_interests(wsConn* conn, ws_interest* out, size_t max);

/* When ws_conn_step must be called at the latest (ms of wsNow), INT64_MAX for never. */
int64_t ws_conn_next_deadline(wsConn* conn);

/* Is there something for ws_conn_next? With the token held. */
bool ws_conn_has_events(const wsConn* conn);

/* Is there something that polling the descriptors would not show: an event, or bytes inside the transport? */
bool ws_conn_ready_now(wsConn* conn);

/* Would a step read more at once, though polling the descriptors does not show it? */
bool ws_conn_unseen(wsConn* conn);

/*
 * For loops that cannot unregister a descriptor before every step: from now on the socket of a connection that ends
 * stays open (though nothing uses it any more) until ws_conn_drop_socket or wsConnFree. Descriptors that opening needs
 * are closed at once all the same.
 */
void ws_conn_keep_socket(wsConn* conn);
void ws_conn_drop_socket(wsConn* conn);

/*
 * wsConnStep for who holds the token; at most `budget` reads. What was not asked for since the last step is kept. True
 * if anything came of it: bytes, an event, another state.
 */
bool ws_conn_step(wsConn* conn, int64_t now, uint32_t budget);

/*
 * wsConnNext for who holds the token, several at once: how many of out[0..max) were filled. Their data is valid until
 * the next call of this or of ws_conn_step. It ends early where an event's memory cannot outlast the next one's.
 */
size_t ws_conn_next(wsConn* conn, wsEvent* out, size_t max);

/*
 * How long the message is that is on its way, if it may be received into the caller's memory (a big binary one, see
 * core/reader), else 0; and have it received there. The memory is lent: it must stay until the next call of
 * ws_conn_next or ws_conn_step after the message was handed out, whose data then is `at`, or until wsConnFree. What
 * goes through the queue is copied all the same. With the token held, after ws_conn_next has found nothing more.
 */
size_t ws_conn_coming(const wsConn* conn);
void ws_conn_place(wsConn* conn, void* at);
bool ws_conn_placed(const wsConn* conn); /* is memory lent? */

/* Does it drop what is not asked for in time (WS_QUEUE_DROP_OLDEST)? Then who asks for more than he needs gets it old.
 */
bool ws_conn_drops(const wsConn* conn);

/* -- the inline driver: the calling thread does the work itself -- */

/*
 * One turn of a call that waits: step if nobody else does, and if that brought nothing wait until the connection has
 * something, another thread woke us, or `deadline` (ms of wsNow; INT64_MAX: none), but no more than `longest` ms.
 * `for_events`: what is there for ws_conn_next is something, too. 0: look again; WS_ERR_RECEIVE_TIMEOUT: the deadline
 * has passed; WS_ERR_INTERRUPTED: a signal came; WS_ERR_CONCURRENCY: this very thread holds the token. Needs no token
 * and no GIL; call it in a loop around the condition waited for.
 */
int32_t ws_inline_turn(wsConn* conn, int64_t deadline, int64_t longest, bool for_events);

/* Wake every thread that is inside ws_inline_turn. Any thread. */
void ws_inline_wake(wsConn* conn);

/*
 * ws_conn_take for who does not wait otherwise: the keeper (below), should it have the token, is waited for, some ms at
 * most. Better without the GIL.
 */
bool ws_inline_take(wsConn* conn);

/* -- the I/O thread: one in a process for all connections that are driven in the background -- */

/*
 * Have the I/O thread drive the connection from now on, open or not yet begun: it steps it and keeps what arrives;
 * ws_inline_turn then only waits. The thread starts with its first connection and ends half a second after its last at
 * the latest, or before a fork; a closed one is let go of. Unless NULL, on_events(arg) is called on it, without lock
 * and token, each time that something waits for ws_conn_next. It must not block; what it may do is all of this header
 * but wait, and ws_io_stop. 0; WS_ERR_STATE: it is driven already; WS_ERR_MEMORY; WS_ERR_SYSTEM: no thread or
 * descriptor to be had.
 */
int32_t ws_io_add(wsConn* conn, void (*on_events)(void* arg), void* arg);

/*
 * Have the I/O thread keep a connection that its callers drive: where they have not stepped it for a quarter of a
 * second though there was something to do, it stands in. It answers pings, keeps what arrives up to maxBuffer bytes and
 * sees to deadlines; it opens nothing. Events are valid only as long as the token is held. Unless NULL, on_events(arg)
 * is called where that has brought anything; it and the result are as for ws_io_add, which may take over from here.
 */
int32_t ws_io_keep(wsConn* conn, void (*on_events)(void* arg), void* arg);

/*
 * Have a driven connection left to its caller, who steps it where much of it is handed out: that needs no copies and no
 * change of threads. From now on the thread only writes, and drives where nobody else has stepped it for a quarter of a
 * second; ws_io_resume has it drive again. With the token; false: it is not open, or not driven.
 */
bool ws_io_relieve(wsConn* conn);
void ws_io_resume(wsConn* conn); /* any thread, without the token */

/*
 * What wakes a loop that was busy while the keeper did something for its connections: one for all of a loop. Each has a
 * mark, which ws_waker_set(mark), an on_events, puts in line; the descriptor is readable while one is there.
 */
typedef struct ws_waker ws_waker;
typedef struct ws_waker_mark {
    ws_waker* waker;
    uint64_t number; /* the loop's name for the connection, not 0 */
    struct ws_waker_mark* next;
    bool in_line;
} ws_waker_mark;

ws_waker* ws_waker_new(void); /* NULL: no memory or descriptor to be had */
void ws_waker_free(ws_waker* waker);
intptr_t ws_waker_fd(const ws_waker* waker);
void ws_waker_set(void* mark);               /* any thread */
uint64_t ws_waker_take(ws_waker* waker);     /* the number of the first in line; 0: there is none */
void ws_waker_withdraw(ws_waker_mark* mark); /* before its end */

/*
 * Take it back: its callers drive it again, and nobody keeps it. When this returns the thread does not touch it, and
 * on_events is not running and will not be called (within on_events: except this very call). Any thread without the
 * token; nothing to do is fine. wsConnFree does it, too.
 */
void ws_io_remove(wsConn* conn);

/* Take all back and wait for the thread's end: exit() does so before OpenSSL's end. Not within on_events. */
void ws_io_stop(void);

/* -- sending that can be waited for -- */

/* Where a message stands in the stream of bytes that we send; `number`: in the outbox, 0 without one. */
typedef struct ws_ticket {
    uint64_t start, end, number;
    bool settled; /* nobody needs to wait for it: it is written, or will be soon and little is */
} ws_ticket;

/*
 * Queue one message (or, with ws_conn_send_fragment, a part of one) as wsConnSend does, and say where it stands.
 * WS_ERR_QUEUE_FULL when more than writeLimit bytes wait already.
 */
int32_t ws_conn_send(wsConn* conn, int32_t type, const void* data, size_t length, ws_ticket* ticket);
int32_t ws_conn_send_fragment(wsConn* conn, int32_t type, const void* data, size_t length, bool final,
                              ws_ticket* ticket);

/*
 * ws_conn_send, but in a burst (the last message went out less than 20 us before, or bytes wait) it is only queued, for
 * many to go out in one write: by the I/O thread, or by a loop's ws_conn_flush. ws_conn_send does so where the I/O
 * thread drives.
 */
int32_t ws_conn_post(wsConn* conn, int32_t type, const void* data, size_t length, ws_ticket* ticket);

/* ws_conn_send without writing: for many messages in one write, which ws_conn_flush then does. */
int32_t ws_conn_queue(wsConn* conn, int32_t type, const void* data, size_t length, ws_ticket* ticket);
void ws_conn_flush(wsConn* conn);

/* ws_conn_queue for *count messages in order, up to one that is refused, for the reason that is returned; *count says
 * how many were accepted, and *last is the ticket of the last of them. */
int32_t ws_conn_queue_many(wsConn* conn, const wsMessage* messages, size_t* count, ws_ticket* last);

/* Is it written? 1 yes, 0 not yet; WS_ERR_LOST, WS_ERR_CLOSED or what broke the connection: it never will be. */
int32_t ws_conn_written(wsConn* conn, const ws_ticket* ticket);

/* Take a whole message back: true if none of it is written and none is queued behind it. Else it counts as accepted. */
bool ws_conn_withdraw(wsConn* conn, const ws_ticket* ticket);

/* -- pings that can be waited for -- */

/* Ping with `data`, or with 4 random bytes if it is NULL. *id is its number. WS_ERR_CONCURRENCY: that payload is out.
 */
int32_t ws_conn_ping(wsConn* conn, const void* data, size_t length, uint64_t* id);

/* The round trip in seconds, negative while the pong (its own or a later one's) has not come. */
double ws_conn_pong_time(wsConn* conn, uint64_t id);

/* -- reconnecting -- */

bool ws_session_reconnects(const wsConn* conn);

/* Would a message be accepted now, or refused for good? Of a connection that reconnects. */
bool ws_session_has_room(wsConn* conn);

/* wsConnAnswer with words for why not, which are copied; NULL: none. */
int32_t ws_session_answer(wsConn* conn, int32_t ask, int32_t answer, const char* text);

/*
 * From now on this thread is on_open's: ws_conn_next and those who wait for it find what comes on the new connection,
 * and nobody else does until WS_ASK_OPEN is answered.
 */
void ws_session_go_ahead(bool on_open);
bool ws_session_is_ahead(void);

/* The number of the last message accepted; has everything up to one provably arrived, or is it lost: 1, else 0. */
uint64_t ws_session_newest(wsConn* conn);
int32_t ws_session_flushed(wsConn* conn, uint64_t number);

/* -- closing -- */

/* wsConnClose with a deadline of its own: `timeout` in ms, INT64_MAX for none. */
int32_t ws_conn_close(wsConn* conn, uint16_t code, const char* reason, size_t length, int64_t timeout);

/* -- what should be looked after -- */

/* As bits: what a connection that reconnects wants done, and news for who watches one. */
enum {
    WS_DUE_ASK = 1,     /* wsConnAsked */
    WS_DUE_DOWN = 2,    /* it will be opened anew */
    WS_DUE_LOST = 4,    /* wsConnLost */
    WS_DUE_OPENED = 8,  /* it is open, or open anew */
    WS_DUE_CLOSED = 16, /* it has ended, for good */
    WS_DUE_FRAMES = 32, /* ws_conn_take_frames */
    WS_DUE_TO_DO = WS_DUE_ASK | WS_DUE_DOWN | WS_DUE_LOST,
    WS_DUE_NEWS = WS_DUE_OPENED | WS_DUE_CLOSED | WS_DUE_FRAMES
};

/* Any thread. Taking clears those asked for. */
int32_t ws_conn_due(const wsConn* conn);
int32_t ws_conn_take_due(wsConn* conn, int32_t of);

/* Watch it: from now on there are news, those of frames if they are wanted. Before the first step. 0, WS_ERR_MEMORY. */
int32_t ws_conn_watch(wsConn* conn, bool frames);

/* A frame that passed (RFC 6455 5.2). */
typedef struct ws_traced {
    double time;     /* when it was read, or queued to be written; seconds since the epoch */
    uint64_t length; /* of its payload on the wire */
    bool sent, fin, rsv1;
    uint8_t opcode;
    uint8_t payload_length, payload[125]; /* of a control frame */
} ws_traced;

/* The oldest of those not taken yet, up to the last 1024: how many of out[0..max) were filled. Any thread. */
size_t ws_conn_take_frames(wsConn* conn, ws_traced* out, size_t max);

/* -- looking -- */

/* A number that no other connection of this process has. */
uint64_t ws_conn_id(const wsConn* conn);

typedef enum ws_initiator { WS_BY_NOBODY = 0, WS_BY_US = 1, WS_BY_PEER = 2 } ws_initiator;

/* Has the upgrade succeeded, whatever came after? False while connecting. */
bool ws_conn_opened(wsConn* conn);

/* How it ended, or is ending; copied out. `received` and `sent` are 0 where there was no close frame. */
typedef struct ws_close_info {
    ws_initiator by;
    uint16_t received, sent; /* close codes; 1005: an empty close frame */
    char received_reason[124], sent_reason[124];
    bool clean; /* both close frames were exchanged */
} ws_close_info;

void ws_conn_close_info(wsConn* conn, ws_close_info* info);

/* Break off because of `code` (a WS_ERR_...): as wsConnAbort, with that as the error. */
void ws_conn_fail(wsConn* conn, int32_t code, const char* text);

/* What broke the connection: copied out, 0 where a part does not apply. */
typedef struct ws_failure {
    int32_t code;
    int os_error;
    int http_status;
    uint64_t size, max_size;
    char text[512]; /* as wsConnError, cut to size */
} ws_failure;

void ws_conn_failure(wsConn* conn, ws_failure* failure);

/* By what a connection that reconnects was lost last, whether it had been open, and the pause after that in ms; copied
 * out, all 0 if it never was. Losses that follow faster than one looks leave the last one. */
typedef struct ws_down {
    ws_failure failure;
    ws_close_info close;
    bool opened;
    int64_t pause;
} ws_down;

void ws_session_down_info(wsConn* conn, ws_down* down);

/* Texts of the opening handshake. */
typedef enum ws_part { WS_PART_REQUEST, WS_PART_RESPONSE, WS_PART_BODY } ws_part;

/* How long it is, 0: not there. Copied to `out` if it fits into `room`. Any thread, also while it reconnects. */
size_t ws_conn_copy(wsConn* conn, ws_part part, void* out, size_t room);

/* The agreed subprotocol, NULL for none. Valid until wsConnFree. */
const char* ws_conn_subprotocol(wsConn* conn);

/* An end's IP address and port into `host`, *port; false if there is no socket. */
bool ws_conn_address(wsConn* conn, bool remote, char* host, size_t size, uint16_t* port);

/* What went over the connection so far. */
typedef struct ws_counters {
    uint64_t messages_sent, messages_received;
    uint64_t messages_dropped;                /* of those received: nobody gets them any more */
    uint64_t messages_waiting, bytes_waiting; /* for ws_conn_next, bookkeeping included */
    uint64_t frames_sent, frames_received;
    uint64_t bytes_sent, bytes_received; /* of the stream, headers and handshake included */
    uint64_t bytes_queued;               /* not yet with the system */
    uint64_t pings_received, pongs_received;
    double latency;                      /* the last round trip, seconds; 0 before the first */
    double ping_p50, ping_p90, ping_p99; /* what half, 90 and 99 percent of them did not exceed, within an eighth */
    uint64_t frames_missed;              /* that made way before ws_conn_take_frames */
    uint64_t reconnects;
    uint64_t outbox_messages, outbox_bytes; /* accepted, and not yet proved to have arrived */
} ws_counters;

void ws_conn_counters(wsConn* conn, ws_counters* counters);

/* One of them, for who asks often. */
uint64_t ws_conn_bytes_received(wsConn* conn);

#ifdef __cplusplus
}
#endif
#endif
