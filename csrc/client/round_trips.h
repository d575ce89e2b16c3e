/* How long round trips took, counted in buckets whose width grows with the time. */
#ifndef WS_CLIENT_ROUND_TRIPS_H
#define WS_CLIENT_ROUND_TRIPS_H

#include <stdint.h>

/* Four buckets for each doubling, from 16 us to 67 s: what they say is right within an eighth. */
enum { WS_ROUND_TRIP_BUCKETS = 4 * 23 };

typedef struct ws_round_trips {
    uint16_t counts[WS_ROUND_TRIP_BUCKETS]; /* when one is full, all are halved */
} ws_round_trips;

void ws_round_trips_add(ws_round_trips* trips, double seconds);

/* The time in seconds that `share` (0 to 1) of the round trips did not exceed; 0 before the first, and for NULL. */
double ws_round_trips_quantile(const ws_round_trips* trips, double share);

#endif
