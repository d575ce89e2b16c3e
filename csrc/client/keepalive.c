#include "client/keepalive.h"

static int64_t after(int64_t moment, int64_t span) {
    return span == INT64_MAX ? INT64_MAX : moment + span;
}

void ws_keepalive_heard(ws_keepalive* keepalive, int64_t now) {
    keepalive->heard = now;
    keepalive->waiting = false;
}

void ws_keepalive_pinged(ws_keepalive* keepalive, int64_t now, uint64_t end, uint64_t written) {
    keepalive->pinged = now;
    keepalive->waiting = true;
    keepalive->end = end;
    keepalive->written = written;
}

/* A peer that takes what lies before the ping, however slowly, cannot have answered yet. */
static void look_at_output(ws_keepalive* keepalive, int64_t now, uint64_t written) {
    bool moved = written > keepalive->written && keepalive->written < keepalive->end;
    if (keepalive->waiting && moved) keepalive->pinged = now;
    keepalive->written = written;
}

ws_verdict ws_keepalive_judge(ws_keepalive* keepalive, const ws_keepalive_terms* terms, int64_t now, uint64_t written) {
    look_at_output(keepalive, now, written);
    if (now < ws_keepalive_due(keepalive, terms)) return WS_WAIT;
    return keepalive->waiting && terms->timeout != INT64_MAX ? WS_GIVE_UP : WS_PING;
}

int64_t ws_keepalive_due(const ws_keepalive* keepalive, const ws_keepalive_terms* terms) {
    if (terms->interval == INT64_MAX || !keepalive->waiting) return after(keepalive->heard, terms->interval);
    return after(keepalive->pinged, terms->timeout == INT64_MAX ? terms->interval : terms->timeout);
}
