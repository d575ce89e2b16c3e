/* One connection of the server, and the work that its path asks for:
 *   /echo                                  sends every message back
 *   /flood?count=&size=[&kind=][&deflate=1]  answers every message with `count` messages, as fast as they are taken
 *   /sink?count=[&deflate=1]               answers every `count`th message with a short one
 *   /clock?count=&every=[&size=]           answers a message with `count` times `size` (default 1) messages, `every`
 *                                          microseconds apart, that hold the time: nanoseconds of CLOCK_MONOTONIC
 *   anything else                          reads and does nothing
 * With &after= it does so only after that many messages. */
#ifndef BENCH_PEER_H
#define BENCH_PEER_H

#include <stdint.h>

#include "block.h"
#include "upgrade.h"
#include "wire.h"

typedef struct {
    Stream stream;
    int epoll;
    uint32_t events; /* what epoll watches for */
    int upgraded, closing;
    Wish wish;
    uint8_t* in; /* the beginning of what is not all there yet */
    size_t in_len, in_cap;
    uint8_t* out; /* what the socket did not take */
    size_t out_len, out_sent, out_cap;
    Block block;
    uint64_t flood_len, flood_sent; /* bytes */
    uint64_t seen;                  /* messages */
    uint64_t clock_left, clock_next;
} Peer;

/* Goes on with reading and writing. Returns 0 when the connection is over. */
int peer_step(Peer* peer);

/* Sends what a /clock has to send now; returns when it goes on, in nanoseconds of CLOCK_MONOTONIC, or 0. */
uint64_t peer_tick(Peer* peer);

void peer_free(Peer* peer);

#endif
