/*
 * When a silent peer is pinged, and when it is given up. No clock: the time is an argument, in ms. Guarded by the
 * token.
 *
 * Whatever comes from the peer is a sign of life. It is judged only after a read that found nothing, so that what lies
 * in the socket since nobody looked counts.
 */
#ifndef WS_CLIENT_KEEPALIVE_H
#define WS_CLIENT_KEEPALIVE_H

#include <stdbool.h>
#include <stdint.h>

typedef struct ws_keepalive {
    int64_t heard;    /* when something came last */
    int64_t pinged;   /* when we pinged since then, or the ping moved on towards the peer ... */
    bool waiting;     /* ... if we did */
    uint64_t end;     /* where the ping ends, */
    uint64_t written; /* and how much was with the system when last looked at */
} ws_keepalive;

typedef struct ws_keepalive_terms {
    int64_t interval; /* of silence before a ping; INT64_MAX: none is sent */
    int64_t timeout;  /* of silence after it before the peer is given up; INT64_MAX: it never is */
} ws_keepalive_terms;

typedef enum ws_verdict { WS_WAIT, WS_PING, WS_GIVE_UP } ws_verdict;

/* Something came. */
void ws_keepalive_heard(ws_keepalive* keepalive, int64_t now);

/*
 * A ping was queued (or could not be: the peer has its time all the same) that ends at `end` in the stream of what we
 * send, of which `written` bytes are with the system.
 */
void ws_keepalive_pinged(ws_keepalive* keepalive, int64_t now, uint64_t end, uint64_t written);

/* A read found nothing. A ping's time begins anew as long as what is before it moves on. */
ws_verdict ws_keepalive_judge(ws_keepalive* keepalive, const ws_keepalive_terms* terms, int64_t now, uint64_t written);

/* When there will be something else to do than wait; INT64_MAX: never. */
int64_t ws_keepalive_due(const ws_keepalive* keepalive, const ws_keepalive_terms* terms);

#endif
