/*
 * Frames that passed, noted for who wants to look at them, bounded: the oldest make way. Those received are noted under
 * the token, those sent under the connection's mutex, so that it has a lock of its own, the last in order.
 */
#ifndef WS_CLIENT_TRACE_H
#define WS_CLIENT_TRACE_H

#include "client/engine.h"
#include "core/frame.h"
#include "net/thread.h"

enum { WS_TRACE_FRAMES = 1024 };

typedef struct ws_trace {
    ws_mutex mutex;
    size_t first, count;
    uint64_t missed; /* frames that made way */
    ws_traced frames[WS_TRACE_FRAMES];
} ws_trace;

/* NULL without memory. */
ws_trace* ws_trace_new(void);
void ws_trace_free(ws_trace* trace);

/* `payload` is that of a control frame, else NULL. */
void ws_trace_note(ws_trace* trace, bool sent, double time, const ws_frame* frame, const uint8_t* payload);

/* Take the oldest out: how many of out[0..max) were filled. */
size_t ws_trace_take(ws_trace* trace, ws_traced* out, size_t max);

uint64_t ws_trace_missed(ws_trace* trace);

#endif
