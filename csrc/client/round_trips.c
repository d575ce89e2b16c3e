#include "client/round_trips.h"

enum { SHORTEST = 16 }; /* us */

/* The bucket of so many us: the doubling they are in, and which quarter of it. */
static unsigned bucket_of(uint64_t us) {
    unsigned doubling = 0;
    if (us < SHORTEST) return 0;
    while (us >= 2 * SHORTEST) {
        us /= 2;
        doubling++;
    }
    unsigned bucket = doubling * 4 + (unsigned)(us - SHORTEST) / (SHORTEST / 4);
    return bucket < WS_ROUND_TRIP_BUCKETS ? bucket : WS_ROUND_TRIP_BUCKETS - 1;
}

/* Its middle, in us. */
static double middle_of(unsigned bucket) {
    return (double)((uint64_t)1 << (bucket / 4)) * (SHORTEST + (SHORTEST / 4) * (bucket % 4 + 0.5));
}

static void halve(ws_round_trips* trips) {
    for (unsigned i = 0; i < WS_ROUND_TRIP_BUCKETS; i++) {
        trips->counts[i] /= 2;
    }
}

void ws_round_trips_add(ws_round_trips* trips, double seconds) {
    double us = seconds * 1e6;
    uint16_t* count = &trips->counts[bucket_of(us < 1e9 ? (uint64_t)us : 1000000000)];
    if (*count == UINT16_MAX) halve(trips);
    ++*count;
}

double ws_round_trips_quantile(const ws_round_trips* trips, double share) {
    uint64_t seen = 0, total = 0;
    for (unsigned i = 0; trips && i < WS_ROUND_TRIP_BUCKETS; i++) {
        total += trips->counts[i];
    }
    if (!total) return 0;
    for (unsigned i = 0; i < WS_ROUND_TRIP_BUCKETS; i++) {
        seen += trips->counts[i];
        if (seen && (double)seen >= share * (double)total) return middle_of(i) / 1e6;
    }
    return 0;
}
