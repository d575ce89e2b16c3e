/*
 * Deadlines of many clients. Every client is in one stage, and all in a stage have the same time for it: so each stage
 * is a list in the order of entering, the first is the first that is due, and nobody ever looks through all of them.
 */
#ifndef WS_SERVER_STAGES_H
#define WS_SERVER_STAGES_H

#include "server/peer.h"

typedef struct ws_stages {
    int64_t spans[WS_STAGES]; /* ms */
    ws_peer *first[WS_STAGES], *last[WS_STAGES];
} ws_stages;

/* Let the client's time for its present stage begin. It must be in no list. */
void ws_stages_enter(ws_stages* stages, ws_peer* peer, int64_t now);

/* Take it out of the list it is in. */
void ws_stages_leave(ws_stages* stages, ws_peer* peer);

/* When the next client is due; INT64_MAX: there is none. */
int64_t ws_stages_next_deadline(const ws_stages* stages);

/* A client that is due, NULL if there is none. */
ws_peer* ws_stages_due(const ws_stages* stages, int64_t now);

#endif
