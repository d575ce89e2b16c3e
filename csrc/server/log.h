/* The server's log: lines on standard error. */
#ifndef WS_SERVER_LOG_H
#define WS_SERVER_LOG_H

/*
 * Write one line (a newline is added), without control characters, whatever is in it. Never waits: while nobody reads
 * the other end of a full pipe lines are dropped, and the next one that fits says how many.
 */
void ws_log(const char* format, ...) __attribute__((format(printf, 1, 2)));

#endif
