/* Messages that were accepted and have not provably arrived: kept for the next connection. */
#ifndef WS_CLIENT_OUTBOX_H
#define WS_CLIENT_OUTBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A message, plain: compression and masks are a connection's own. */
typedef struct ws_letter {
    struct ws_letter* next;
    uint64_t number;     /* one more than that of the one before */
    uint64_t start, end; /* where it stands in the stream, once it is there */
    int32_t type;
    size_t length;
    uint8_t data[];
} ws_letter;

typedef struct ws_outbox {
    ws_letter *first, *last;
    ws_letter* unsent; /* the first that is not in the stream yet */
    size_t count, bytes;
    uint64_t newest; /* number of the last that was ever added */
} ws_outbox;

/* Add a copy at the end. NULL without memory. */
ws_letter* ws_outbox_add(ws_outbox* outbox, int32_t type, const void* data, size_t length);

/* Remove the last, which is not NULL. */
void ws_outbox_drop_last(ws_outbox* outbox);

/* Remove all up to that number. */
void ws_outbox_drop(ws_outbox* outbox, uint64_t up_to);

/* Take the first out: the caller's to free. There is one. */
ws_letter* ws_outbox_take_first(ws_outbox* outbox);

/* Move the first to the end of another; there is one. */
void ws_outbox_move_first(ws_outbox* outbox, ws_outbox* to);

/* Nothing is in the stream any more. */
void ws_outbox_rewind(ws_outbox* outbox);

void ws_outbox_free(ws_outbox* outbox);

#endif
