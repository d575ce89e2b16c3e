/*
 * The second driver: one thread that steps many connections, whatever their callers are busy with; and the keeper of
 * those that their callers drive. ws_io_add, ws_io_keep, ws_io_remove and ws_io_stop are in engine.h; this is what a
 * connection asks of its driver.
 */
#ifndef WS_CLIENT_IO_THREAD_H
#define WS_CLIENT_IO_THREAD_H

typedef struct ws_io_entry ws_io_entry; /* a connection's place with the thread */

/* Have the thread step this one now; or if it is only kept, see that it has ended, half a second later at the latest.
 * With the connection's mutex held. */
void ws_io_call(ws_io_entry* entry);

/* Stop watching its descriptor, which is about to be closed. With the connection's mutex held. */
void ws_io_unwatch(ws_io_entry* entry);

#endif
