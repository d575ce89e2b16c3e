/* What has to hear of it when the process forks: told in the child, before fork() returns there. */
#ifndef WS_NET_FORKS_H
#define WS_NET_FORKS_H

#include <stdint.h>

/* Part of what has to hear; `told` must only touch its own: other threads are gone, wherever they were. */
typedef struct ws_fork_listener {
    struct ws_fork_listener *next, **link;
    void (*told)(struct ws_fork_listener* listener);
} ws_fork_listener;

void ws_forks_join(ws_fork_listener* listener, void (*told)(ws_fork_listener* listener));

/* No-op for a zeroed one, and for one that has left. */
void ws_forks_leave(ws_fork_listener* listener);

#endif
