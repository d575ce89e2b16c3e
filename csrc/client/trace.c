#include "client/trace.h"

#include <stdlib.h>
#include <string.h>

ws_trace* ws_trace_new(void) {
    ws_trace* trace = malloc(sizeof *trace);
    if (!trace) return NULL;
    trace->first = trace->count = 0;
    trace->missed = 0;
    if (ws_mutex_init(&trace->mutex) == 0) return trace;
    free(trace);
    return NULL;
}

void ws_trace_free(ws_trace* trace) {
    if (!trace) return;
    ws_mutex_free(&trace->mutex);
    free(trace);
}

/* A place behind the newest. With the mutex. */
static ws_traced* next_place(ws_trace* trace) {
    if (trace->count == WS_TRACE_FRAMES) {
        trace->first = (trace->first + 1) % WS_TRACE_FRAMES;
        trace->count--;
        trace->missed++;
    }
    return &trace->frames[(trace->first + trace->count++) % WS_TRACE_FRAMES];
}

void ws_trace_note(ws_trace* trace, bool sent, double time, const ws_frame* frame, const uint8_t* payload) {
    ws_mutex_lock(&trace->mutex);
    ws_traced* traced = next_place(trace);
    traced->time = time;
    traced->length = frame->length;
    traced->sent = sent;
    traced->fin = frame->fin;
    traced->rsv1 = frame->rsv & WS_FRAME_RSV1;
    traced->opcode = frame->opcode;
    traced->payload_length = payload ? (uint8_t)frame->length : 0;
    if (traced->payload_length) memcpy(traced->payload, payload, traced->payload_length);
    ws_mutex_unlock(&trace->mutex);
}

size_t ws_trace_take(ws_trace* trace, ws_traced* out, size_t max) {
    ws_mutex_lock(&trace->mutex);
    size_t n = trace->count < max ? trace->count : max;
    for (size_t i = 0; i < n; i++) {
        out[i] = trace->frames[(trace->first + i) % WS_TRACE_FRAMES];
    }
    trace->first = (trace->first + n) % WS_TRACE_FRAMES;
    trace->count -= n;
    ws_mutex_unlock(&trace->mutex);
    return n;
}

uint64_t ws_trace_missed(ws_trace* trace) {
    ws_mutex_lock(&trace->mutex);
    uint64_t missed = trace->missed;
    ws_mutex_unlock(&trace->mutex);
    return missed;
}
