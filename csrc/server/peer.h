/*
 * One client of the server: a transport, the protocol in the server's role, and what the chat knows of it. It never
 * waits. Time is the loop's: a peer says in which stage it is, and each stage has its own time.
 */
#ifndef WS_SERVER_PEER_H
#define WS_SERVER_PEER_H

#include "core/protocol.h"
#include "net/transport.h"
#include "server/hub.h"

enum {
    WS_PEER_MAX_HEAD = 16 * 1024,   /* bytes of the HTTP head of a request */
    WS_PEER_MIN_ROOM = 1024 * 1024, /* bytes; see ws_peer_new */
    WS_PEER_FRAGMENT = 64,          /* bytes of room for each frame that a message may come in */
    WS_PEER_COMPRESS_FROM = 256,    /* bytes of a message below which compressing it is not worth it */
};

/* What a client is waited for to do, each with its own time (loop.c). */
typedef enum ws_stage {
    WS_STAGE_HANDSHAKE, /* send its request */
    WS_STAGE_ACTIVE,    /* anything: it is heard from now and then */
    WS_STAGE_PINGED,    /* give a sign of life */
    WS_STAGE_CLOSING,   /* end the closing handshake, or take its refusal */
    WS_STAGES,
} ws_stage;

typedef struct ws_peer {
    ws_transport transport;
    ws_protocol protocol;
    size_t max_unsent; /* bytes waiting for it beyond which it gets no more and is dropped */
    ws_hub_member member;
    bool pinged;      /* and not heard from since */
    bool said_all;    /* all is written and the stream ended: only the peer's end is awaited */
    bool gone;        /* to be dropped now */
    char reason[160]; /* why it ends, for the log; "" while nothing has ended it */
    uint64_t ignored; /* messages answered with nothing */
    char address[96];

    /* The loop's. */
    uint32_t watched;                /* events asked for */
    ws_stage stage;                  /* whose list it is in */
    int64_t deadline;                /* of that stage */
    struct ws_peer *before, *after;  /* in that list */
    struct ws_peer *previous, *next; /* among all */
    struct ws_peer* next_touched;
    bool touched;
    struct ws_peer *next_unread, **unread_link; /* among those to be read again; the link that leads to it */
} ws_peer;

/*
 * A client on an accepted socket, which it then owns; its messages have at most `max_message` bytes. The other limits
 * follow: so much (but no less than WS_PEER_MIN_ROOM) may wait for it, and one frame of a message for every
 * WS_PEER_FRAGMENT bytes of that. NULL without memory: the socket is still the caller's.
 */
ws_peer* ws_peer_new(intptr_t fd, size_t max_message);
void ws_peer_free(ws_peer* peer);

/* It is to be dropped, for this reason, unless there was one before. */
void ws_peer_drop(ws_peer* peer, const char* format, ...) __attribute__((format(printf, 2, 3)));

ws_stage ws_peer_stage(const ws_peer* peer);

/* May messages be sent to it? */
bool ws_peer_is_open(const ws_peer* peer);

/* Read once, as much as there is a place for. Was there anything? */
bool ws_peer_read(ws_peer* peer);

/*
 * Handle what was read, answering what the protocol wants answered, up to the next message: true, and *message is
 * valid until the next call on the peer's receiving half. False when there is none (yet).
 */
bool ws_peer_next(ws_peer* peer, ws_event* message);

/* Queue a message (opcode text or binary), or drop the client that does not read what it is sent. */
void ws_peer_send(ws_peer* peer, uint8_t opcode, const void* data, size_t len);

/* It has been silent: ask for a sign of life, and give back the memory that can be made anew. */
void ws_peer_ping(ws_peer* peer);

/* Start the closing handshake, or drop a client that is not open. */
void ws_peer_close(ws_peer* peer, uint16_t code, const char* reason);

/* Write what the socket takes, and behind the last word end the stream. Is anything left? */
bool ws_peer_flush(ws_peer* peer);

#endif
