/*
 * The dialog with a proxy until it has made a tunnel: CONNECT (RFC 9110 9.3.6) or SOCKS5 (RFC 1928, 1929). Bytes in,
 * bytes to send out. With an https proxy it runs inside the TLS to the proxy.
 *
 *   ws_proxy_start; then as long as ws_proxy_feed returns 0: write what ws_proxy_output has, feed what comes.
 */
#ifndef WS_CORE_PROXY_H
#define WS_CORE_PROXY_H

#include "core/buf.h"
#include "core/proxy_url.h"

enum { WS_PROXY_MAX_HEAD = 65536 }; /* bytes of an HTTP answer's head, interim answers before it included */

/* Where the tunnel is to lead. All borrowed, until ws_proxy_start returns. */
typedef struct ws_proxy_target {
    const char* host; /* a name, or a literal without brackets; 1 to 255 characters */
    bool ipv6;        /* it is an IPv6 literal */
    uint16_t port;
    /*
     * For SOCKS: the address in network order, and how many bytes it has: 4, 16, or 0: the proxy resolves the name.
     * WS_PROXY_SOCKS5 needs one; for WS_PROXY_SOCKS5H give that of a literal (net/literal), nothing for a name. HTTP
     * ignores it.
     */
    size_t address_len;
    uint8_t address[16];
} ws_proxy_target;

typedef enum ws_proxy_step {
    WS_PROXY_STEP_HEAD = 1, /* HTTP: waiting for the head of the answer */
    WS_PROXY_STEP_METHOD,   /* SOCKS: waiting for the method it chooses (RFC 1928 3) */
    WS_PROXY_STEP_LOGIN,    /* SOCKS: waiting for the verdict on user and password (RFC 1929 2) */
    WS_PROXY_STEP_REPLY,    /* SOCKS: waiting for the reply to the request (RFC 1928 6) */
    WS_PROXY_STEP_OPEN,     /* the tunnel stands */
    WS_PROXY_STEP_FAILED,
} ws_proxy_step;

enum { WS_PROXY_PLACE = 264 }; /* "[host]:port" and its NUL */

/* Only the functions below look inside. Zero is a dialog that has not begun. */
typedef struct ws_proxy {
    ws_proxy_step step;
    int32_t failed; /* the code of WS_PROXY_STEP_FAILED */
    bool http;
    bool has_login; /* a user was given */
    ws_buf out;     /* all that we may have to say ... */
    size_t turn;    /* ... and how much of it may be written now: the rest waits for the proxy's answer */
    size_t login;   /* SOCKS: bytes of `out` that are user and password, left out if the proxy does not ask */
    ws_buf in;      /* what the proxy said and is not dealt with; of HTTP: all */
    size_t head_at, head_len, scanned;                  /* HTTP: where in `in` the last head is */
    char proxy[WS_PROXY_PLACE], target[WS_PROXY_PLACE]; /* host:port of both, for the words of errors */
} ws_proxy;

/*
 * Begin, with the first bytes to write; `user_agent` (HTTP only; NULL or "": none) is one that may stand in a header.
 * 0, WS_ERR_MEMORY, or WS_ERR_ARGUMENT for a host of 0 or more than 255 characters, or an address_len that is not as
 * above. Free with ws_proxy_free in any case.
 */
int32_t ws_proxy_start(ws_proxy* proxy, const ws_proxy_url* url, const ws_proxy_target* target, const char* user_agent,
                       ws_error* error);

/* What is to be written now, valid until the next call; *len 0: nothing, the proxy has the word. */
const uint8_t* ws_proxy_output(const ws_proxy* proxy, size_t* len);

/* That many bytes of it were written. */
void ws_proxy_written(ws_proxy* proxy, size_t n);

/*
 * Bytes from the proxy, any number at a time: 1 when the tunnel stands, 0 when more is needed, or
 *   WS_ERR_PROXY         SOCKS: what went wrong, with error->os_error ECONNREFUSED, ENETUNREACH or EHOSTUNREACH where
 *                        the proxy says so
 *   WS_ERR_PROXY_HTTP    it does not speak HTTP, its head is too big, or it speaks before us in the tunnel
 *   WS_ERR_PROXY_STATUS  it refused, with error->http_status; the head is kept
 *   WS_ERR_MEMORY
 * After a failure every call returns the same code. No text has a user or a password in it.
 */
int32_t ws_proxy_feed(ws_proxy* proxy, const uint8_t* bytes, size_t len, ws_error* error);

/* The stream ended before the tunnel stood: WS_ERR_PROXY, or the code of the failure before. */
int32_t ws_proxy_end(ws_proxy* proxy, ws_error* error);

/*
 * The head of the HTTP answer that decided, whole, as ws_http_parse_proxy_response takes it apart; NULL and 0 if there
 * is none. Valid until ws_proxy_free.
 */
const char* ws_proxy_head(const ws_proxy* proxy, size_t* len);

/* Wipe and free. */
void ws_proxy_free(ws_proxy* proxy);

#endif
