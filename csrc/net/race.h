/*
 * From addresses to one connected socket: IPv6 and IPv4 are tried in turn, a new attempt a quarter of a second after
 * the one before or as soon as one fails, and the first to succeed wins (RFC 8305). Never waits.
 */
#ifndef WS_NET_RACE_H
#define WS_NET_RACE_H

#include "net/poll.h"
#include "net/tcp.h"

enum { WS_RACE_MAX = 8 }; /* attempts at once; the oldest makes way for another */

typedef struct ws_race_attempt {
    intptr_t fd;
    size_t address;
} ws_race_attempt;

typedef struct ws_race {
    const ws_tcp_options* options; /* borrowed */
    ws_address* addresses;
    int* results; /* of each address: 0 while it is not decided, an errno */
    size_t count, next;
    ws_race_attempt attempts[WS_RACE_MAX]; /* oldest first */
    size_t running;
    int64_t next_at;     /* when to begin with the next address, ms */
    ws_poll* set;        /* all attempts in one descriptor, as soon as there is a second */
    uint32_t generation; /* counts the descriptors to watch */
} ws_race;

/* Begin with `count` > 0 addresses, which are then the race's own. 0 or WS_ERR_MEMORY. Free it in any case. */
int32_t ws_race_start(ws_race* race, ws_address* addresses, size_t count, const ws_tcp_options* options,
                      ws_error* error);

/* Go on: 1 and a connected *fd, the caller's; 0 while it waits; WS_ERR_CONNECT when no address is left: `host` is for
 * its text, unless it was a unix socket. */
int32_t ws_race_step(ws_race* race, int64_t now, const char* host, uint16_t port, intptr_t* fd, ws_error* error);

/* What to watch, and what for (WS_POLL_...); when a step is due, INT64_MAX for never. */
intptr_t ws_race_fd(const ws_race* race, uint32_t* events);
int64_t ws_race_deadline(const ws_race* race);

/* The address tried last. */
const ws_address* ws_race_latest(const ws_race* race);

void ws_race_free(ws_race* race);

#endif
