/* What the I/O thread does with one connection at a time: drive it, or keep it alive while its callers are busy. */
#ifndef WS_CLIENT_IO_TURN_H
#define WS_CLIENT_IO_TURN_H

#include "client/engine.h"
#include "client/io_thread.h"
#include "net/poll.h"

struct ws_io_entry {
    wsConn* conn;
    ws_poll* set; /* the thread's */
    bool kept;    /* its callers drive it: to be stepped where they do not */
    void (*on_events)(void* arg);
    void* arg;
    /* guarded by io.mutex */
    ws_io_entry *previous, *next; /* among all, or next among the dead */
    ws_io_entry* behind;          /* in the line */
    bool in_line;
    bool removed;
    /* guarded by the connection's mutex */
    intptr_t fd; /* watched, -1: none */
    uint32_t wants, generation;
    /* the thread's */
    int64_t deadline; /* ms; when to step at the latest */
    int64_t idle_at;  /* when to give back buffers, INT64_MAX: done */
    int64_t tended;   /* of the connection, when last looked at */
};

/* What is to become of it after its turn. */
typedef enum ws_turn { WS_TURN_WAIT, WS_TURN_AGAIN, WS_TURN_ENDED } ws_turn;

/* A turn, or as much of one as others leave room for. On the thread, without locks. */
ws_turn ws_io_turn(ws_io_entry* entry);

/* When to see whether a connection is neglected that is not now. */
int64_t ws_io_next_look(int64_t now);

#endif
