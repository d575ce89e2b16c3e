/* Waiting for descriptors behind one face: epoll here; kqueue and WSAPoll have their place behind it. */
#ifndef WS_NET_POLL_H
#define WS_NET_POLL_H

#include <stddef.h>
#include <stdint.h>

enum { WS_POLL_READ = 1, WS_POLL_WRITE = 2, WS_POLL_HANGUP = 4 }; /* the last is only ever reported */

typedef struct ws_poll ws_poll; /* a set of descriptors, for loops over many connections */

typedef struct ws_poll_event {
    void* tag;
    uint32_t events;
} ws_poll_event;

/* NULL if the system refuses (errno says why). */
ws_poll* ws_poll_new(void);
void ws_poll_free(ws_poll* set);

/* Watch fd for a mask of events (level-triggered), or change what it is watched for. 0 or -errno. */
int ws_poll_add(ws_poll* set, intptr_t fd, uint32_t events, void* tag);
int ws_poll_change(ws_poll* set, intptr_t fd, uint32_t events, void* tag);

/* Stop watching; before the descriptor is closed. */
void ws_poll_remove(ws_poll* set, intptr_t fd);

/* Wait up to timeout ms (< 0: for ever). How many of out[0..max) were filled; 0 on timeout; -errno, -EINTR included. */
int ws_poll_wait(ws_poll* set, ws_poll_event* out, int max, int64_t timeout);

/* A descriptor that is readable while something in the set is ready; the set's own. */
intptr_t ws_poll_descriptor(const ws_poll* set);

/* One wait for few descriptors without a set. `ready` is filled in. As ws_poll_wait in what it returns. */
typedef struct ws_poll_item {
    intptr_t fd;
    uint32_t events, ready;
} ws_poll_item;

int ws_poll_few(ws_poll_item* items, size_t n, int64_t timeout);

#endif
