/* Our pings that have not been answered yet, and the last round trip. */
#ifndef WS_CLIENT_PINGS_H
#define WS_CLIENT_PINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "client/round_trips.h"

typedef struct ws_ping ws_ping;

typedef struct ws_pings {
    ws_ping* latest;       /* newest first */
    size_t count;          /* at most 64: what is older still counts as answered by a later pong */
    uint64_t last_id;      /* of the newest ever */
    uint64_t answered;     /* id of the newest that was answered ... */
    int64_t answered_at;   /* ... and when, ns */
    double latency;        /* seconds of the last round trip */
    ws_round_trips* trips; /* NULL before the first */
} ws_pings;

/*
 * Remember a ping sent at `now` (ns). Its id, greater than all before, is the time it was sent at. WS_ERR_CONCURRENCY
 * if that payload is out already, WS_ERR_MEMORY.
 */
int32_t ws_pings_add(ws_pings* pings, const void* data, size_t len, int64_t now, uint64_t* id);

/* A pong came: it answers the ping with its payload and all before (as RFC 6455 5.5.3 allows). False if there is none.
 */
bool ws_pings_answer(ws_pings* pings, const void* data, size_t len, int64_t now);

/* Seconds from the ping to the pong that answered it, negative if none has. */
double ws_pings_time(const ws_pings* pings, uint64_t id);

void ws_pings_free(ws_pings* pings);

#endif
