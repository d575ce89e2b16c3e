/* A descriptor that another thread, or a signal handler, can make readable: eventfd here. */
#ifndef WS_NET_WAKE_H
#define WS_NET_WAKE_H

#include <stdint.h>

/* A new one, -1 if there is none to be had (errno says why). Close it with ws_wake_close. */
intptr_t ws_wake_new(void);
void ws_wake_close(intptr_t wake);

/* Make it readable. Any thread; async-signal-safe. */
void ws_wake_signal(intptr_t wake);

/* Make it unreadable again. */
void ws_wake_clear(intptr_t wake);

/*
 * The calling thread's own, made at first use and closed when the thread ends: what a thread that waits for a
 * connection is woken by, so that no connection needs one of its own. -1 if there is none to be had.
 */
intptr_t ws_wake_of_thread(void);

#endif
