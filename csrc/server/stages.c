#include "server/stages.h"

void ws_stages_enter(ws_stages* stages, ws_peer* peer, int64_t now) {
    ws_stage stage = ws_peer_stage(peer);
    peer->stage = stage;
    peer->deadline = now + stages->spans[stage];
    peer->before = stages->last[stage];
    peer->after = NULL;
    *(peer->before ? &peer->before->after : &stages->first[stage]) = peer;
    stages->last[stage] = peer;
}

void ws_stages_leave(ws_stages* stages, ws_peer* peer) {
    *(peer->before ? &peer->before->after : &stages->first[peer->stage]) = peer->after;
    *(peer->after ? &peer->after->before : &stages->last[peer->stage]) = peer->before;
}

int64_t ws_stages_next_deadline(const ws_stages* stages) {
    int64_t next = INT64_MAX;
    for (int i = 0; i < WS_STAGES; i++) {
        if (stages->first[i] && stages->first[i]->deadline < next) next = stages->first[i]->deadline;
    }
    return next;
}

ws_peer* ws_stages_due(const ws_stages* stages, int64_t now) {
    for (int i = 0; i < WS_STAGES; i++) {
        if (stages->first[i] && stages->first[i]->deadline <= now) return stages->first[i];
    }
    return NULL;
}
