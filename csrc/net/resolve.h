/*
 * Host names to addresses without blocking. Literals are answered at once; names are resolved on a detached thread (at
 * most 4 at a time, the others wait their turn), which wakes a descriptor when it is done. A job that nobody waits for
 * any more is abandoned, not joined.
 */
#ifndef WS_NET_RESOLVE_H
#define WS_NET_RESOLVE_H

#include <stdbool.h>
#include <sys/socket.h>

#include "core/error.h"

typedef struct ws_address {
    struct sockaddr_storage storage;
    socklen_t len;
} ws_address;

typedef struct ws_resolve ws_resolve;

/* Start. *job is to be given back with ws_resolve_drop. 0, WS_ERR_MEMORY or WS_ERR_SYSTEM. */
int32_t ws_resolve_start(ws_resolve** job, const char* host, uint16_t port, ws_error* error);

/* Readable when there is a result; -1 if there was one from the start. */
intptr_t ws_resolve_fd(const ws_resolve* job);

/*
 * The result: 1 and a new array (the caller frees it) of *count > 0 addresses in the system's order, 0 if it is not
 * there yet, or WS_ERR_RESOLVE / WS_ERR_MEMORY.
 */
int32_t ws_resolve_result(ws_resolve* job, ws_address** addresses, size_t* count, ws_error* error);

/* Done with it, finished or not. NULL is fine. Never waits. */
void ws_resolve_drop(ws_resolve* job);

/* An IP literal and a port as an address, and a unix socket's path; false if it is none (a path is too long). */
bool ws_address_literal(ws_address* address, const char* host, uint16_t port);
bool ws_address_unix(ws_address* address, const char* path);

/* "127.0.0.1 port 80", "[::1] port 80", "unix socket /run/x" into buf, which is returned. */
const char* ws_address_text(const ws_address* address, char* buf, size_t size);

#endif
