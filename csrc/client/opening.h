/* From a host name to a connected socket: resolve, then try the addresses one after the other. Never waits. */
#ifndef WS_CLIENT_OPENING_H
#define WS_CLIENT_OPENING_H

#include "client/engine.h"
#include "net/resolve.h"

typedef struct ws_opening {
    const char* host; /* borrowed */
    uint16_t port;
    int64_t deadline; /* of the whole opening, ms; INT64_MAX: none */
    ws_resolve* job;  /* while resolving */
    ws_address* addresses;
    size_t count, next;
    intptr_t fd;              /* the attempt going on, -1 if none */
    int64_t attempt_deadline; /* when to go on to the next address */
    int os_error;             /* of the last attempt that failed */
    uint32_t generation;      /* counts descriptors */
} ws_opening;

/* Begin. 0, or WS_ERR_RESOLVE, _SYSTEM, _MEMORY. Free with ws_opening_free in any case. */
int32_t ws_opening_start(ws_opening* opening, const char* host, uint16_t port, int64_t deadline, ws_error* error);

/* Go on: 1 and a connected *fd that is the caller's, 0 if it has to wait, or WS_ERR_RESOLVE, _CONNECT, _MEMORY. */
int32_t ws_opening_step(ws_opening* opening, int64_t now, intptr_t* fd, ws_error* error);

/* What to wait for, and until when a step is due (INT64_MAX: never). */
ws_interest ws_opening_interest(const ws_opening* opening);
int64_t ws_opening_deadline(const ws_opening* opening);

/* What it is doing, for the message when time is up: "resolving h", "connecting to 127.0.0.1 port 80". */
const char* ws_opening_text(const ws_opening* opening, char* buf, size_t size);

void ws_opening_free(ws_opening* opening);

#endif
