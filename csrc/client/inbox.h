/* Messages that came while nobody asked for them, copied out of the receive buffer, in order. */
#ifndef WS_CLIENT_INBOX_H
#define WS_CLIENT_INBOX_H

#include <stdatomic.h>

#include "client/engine.h"

typedef struct ws_inbox_item ws_inbox_item;

typedef struct ws_inbox {
    ws_inbox_item *first, *last;
    ws_inbox_item* out;      /* handed out, kept until the next call that says otherwise */
    _Atomic size_t messages; /* how many wait; anybody may read that, */
    _Atomic size_t bytes;    /* and what they take, bookkeeping included */
} ws_inbox;

/* Keep a copy of the event. 0 or WS_ERR_MEMORY. */
int32_t ws_inbox_push(ws_inbox* inbox, const wsEvent* event);

/* Take the oldest out: true if there was one. Its data is valid until ws_inbox_forget. */
bool ws_inbox_pop(ws_inbox* inbox, wsEvent* event);

/* Throw away the oldest message that waits: true if there was one. */
bool ws_inbox_drop(ws_inbox* inbox);

/* Move all that waits in another to the end; what that has handed out is forgotten. */
void ws_inbox_append(ws_inbox* inbox, ws_inbox* from);

/* What was handed out is not needed any more. */
void ws_inbox_forget(ws_inbox* inbox);

void ws_inbox_free(ws_inbox* inbox);

#endif
