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
    uint16_t port; /* 80 or 443 where the URL names none */
    char* target;  /* path and query, at least "/" */
} ws_url;

/*
 * Parse; 0, or WS_ERR_URL (with a text that says which part is wrong) or WS_ERR_MEMORY. Refused: other schemes, user
 * names and passwords, fragments, control characters, spaces and non-ASCII bytes. Free with ws_url_free in any case.
 */
int32_t ws_url_parse(ws_url* url, const char* text, ws_error* error);

void ws_url_free(ws_url* url);

/*
 * host, host:port or [ipv6]:port in from[0..n). *host is a new string without brackets, *port stays what it is where
 * none is named. 0, WS_ERR_MEMORY, or WS_ERR_URL with what is wrong in *why (static text); *host may be set all the
 * same.
 */
int32_t ws_url_parse_place(const char* from, size_t n, char** host, bool* ipv6, uint16_t* port, const char** why);

/* Write the Host header's value: host, brackets for IPv6, port unless it is the scheme's own. 0 or WS_ERR_MEMORY. */
struct ws_buf;
int32_t ws_url_write_host(const ws_url* url, struct ws_buf* out);

#endif
