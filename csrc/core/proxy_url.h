/* The URLs of proxies: scheme://[user[:password]@]host[:port][/] */
#ifndef WS_CORE_PROXY_URL_H
#define WS_CORE_PROXY_URL_H

#include <stdbool.h>

#include "core/error.h"

typedef enum ws_proxy_kind {
    WS_PROXY_HTTP = 1, /* http://: CONNECT (RFC 9110 9.3.6); port 80 unless named */
    WS_PROXY_HTTPS,    /* https://: the same inside TLS; port 443 unless named */
    WS_PROXY_SOCKS5,   /* socks5://: RFC 1928, names are resolved here; port 1080 unless named */
    WS_PROXY_SOCKS5H,  /* socks5h://: the same, names are resolved by the proxy */
} ws_proxy_kind;

/* The parts; the strings are on the heap and NUL-terminated. */
typedef struct ws_proxy_url {
    ws_proxy_kind kind;
    bool ipv6;  /* the host is an IPv6 literal (kept without brackets) */
    char* host; /* 1 to 255 characters */
    uint16_t port;
    char *user, *password; /* percent-decoded; NULL: none */
} ws_proxy_url;

/*
 * Parse; 0, WS_ERR_PROXY_URL (with a text that says which part is wrong, and repeats nothing of the URL: it may hold a
 * password) or WS_ERR_MEMORY. Without a scheme it is http. Refused: other schemes, a path, a query, a fragment, spaces,
 * control characters (percent-encoded ones in user and password too) and non-ASCII bytes; for http(s) a user name
 * with a colon in it (RFC 7617 2); for SOCKS a user or a password that is not 1 to 255 bytes long (RFC 1929 2). Free
 * with ws_proxy_url_free in any case.
 */
int32_t ws_proxy_url_parse(ws_proxy_url* url, const char* text, ws_error* error);

/* Wipe and free. */
void ws_proxy_url_free(ws_proxy_url* url);

#endif
