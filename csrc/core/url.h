/* WebSocket URLs (RFC 6455 3, RFC 3986). */
#ifndef WS_CORE_URL_H
#define WS_CORE_URL_H

#include <stdbool.h>

#include "core/error.h"

/* The parts, each its own NUL-terminated heap string. */
typedef struct ws_url {
    bool secure; /* wss */
    bool ipv6;   /* the host is an IPv6 literal (kept without brackets) */
    char* host;
    uint16_t port;         /* 80 or 443 where the URL names none */
    char* target;          /* path and query, at least "/" */
    char *user, *password; /* percent-decoded; NULL: none */
} ws_url;

/*
 * Parse; 0, or WS_ERR_URL (with a text that says which part is wrong, and never repeats user, password or query) or
 * WS_ERR_MEMORY. Refused: other schemes, fragments, control characters (percent-encoded ones in user and password too),
 * spaces and non-ASCII bytes, and a user name with a colon in it (RFC 7617 2). Free with ws_url_free in any case.
 */
int32_t ws_url_parse(ws_url* url, const char* text, ws_error* error);

/*
 * Resolve the value of a Location header, location[0..len), against the URL that was asked for (RFC 9110 10.2.2,
 * RFC 3986 5.2). http stands for ws and https for wss; a fragment, and a user and a password there, are left out. Those
 * of `base` go along to where ws_url_same_host allows it. 0, WS_ERR_REDIRECT or WS_ERR_MEMORY, with a text. Free `out`
 * with ws_url_free in any case.
 */
int32_t ws_url_resolve(ws_url* out, const ws_url* base, const char* location, size_t len, ws_error* error);

/*
 * May credentials for `a` be sent to `b`? To the same host and port, but from wss to wss only; and from ws on port 80
 * to wss on port 443 of the same host.
 */
bool ws_url_same_host(const ws_url* a, const ws_url* b);

/* Wipe and free. */
void ws_url_free(ws_url* url);

/* Write the Host header's value: host, brackets for IPv6, port unless it is the scheme's own. 0 or WS_ERR_MEMORY. */
struct ws_buf;
int32_t ws_url_write_host(const ws_url* url, struct ws_buf* out);

#endif
