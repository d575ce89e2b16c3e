#include "client/pings.h"

#include <stdlib.h>
#include <string.h>
#include <wsclient/wsclient.h>

enum { MAX_PINGS = 64 };

struct ws_ping {
    ws_ping* older;
    uint64_t id;
    size_t len;
    uint8_t data[];
};

static void free_from(ws_ping** link) {
    while (*link) {
        ws_ping* ping = *link;
        *link = ping->older;
        free(ping);
    }
}

/* The link that points to the ping with this payload, to NULL if none has it. */
static ws_ping** find(ws_pings* pings, const void* data, size_t len) {
    ws_ping** link = &pings->latest;
    while (*link && ((*link)->len != len || (len && memcmp((*link)->data, data, len) != 0))) {
        link = &(*link)->older;
    }
    return link;
}

static void forget_oldest(ws_pings* pings) {
    ws_ping** link = &pings->latest;
    while ((*link)->older) {
        link = &(*link)->older;
    }
    free_from(link);
    pings->count--;
}

int32_t ws_pings_add(ws_pings* pings, const void* data, size_t len, int64_t now, uint64_t* id) {
    if (*find(pings, data, len)) return WS_ERR_CONCURRENCY;
    ws_ping* ping = malloc(sizeof *ping + len);
    if (!ping) return WS_ERR_MEMORY;
    ping->id = (uint64_t)now > pings->last_id ? (uint64_t)now : pings->last_id + 1;
    ping->len = len;
    if (len) memcpy(ping->data, data, len);
    ping->older = pings->latest;
    pings->latest = ping;
    pings->last_id = *id = ping->id;
    if (++pings->count > MAX_PINGS) forget_oldest(pings);
    return WS_OK;
}

bool ws_pings_answer(ws_pings* pings, const void* data, size_t len, int64_t now) {
    ws_ping** link = find(pings, data, len);
    if (!*link) return false;
    pings->answered = (*link)->id;
    pings->answered_at = now;
    pings->latency = ws_pings_time(pings, pings->answered);
    if (!pings->trips) pings->trips = calloc(1, sizeof *pings->trips);
    if (pings->trips) ws_round_trips_add(pings->trips, pings->latency); /* else that one is not counted */
    for (ws_ping* ping = *link; ping; ping = ping->older) {
        pings->count--;
    }
    free_from(link);
    return true;
}

double ws_pings_time(const ws_pings* pings, uint64_t id) {
    if (id > pings->answered) return -1;
    double seconds = (double)(pings->answered_at - (int64_t)id) / 1e9;
    return seconds > 0 ? seconds : 0;
}

void ws_pings_free(ws_pings* pings) {
    free_from(&pings->latest);
    free(pings->trips);
    pings->trips = NULL;
}
