/*
 * The cookies of one opening handshake: what a chain of redirects sets is sent along it (RFC 6265 5.2 to 5.4). They do
 * not outlive it, so there is no clock: Max-Age is looked at for whether it deletes, and Expires is ignored. There is
 * no list of public suffixes: a Domain without a dot is refused.
 */
#ifndef WS_CORE_COOKIE_H
#define WS_CORE_COOKIE_H

#include "core/buf.h"
#include "core/http1.h"
#include "core/url.h"

enum {
    WS_COOKIES_MAX = 50,      /* cookies kept; more are ignored */
    WS_COOKIE_MAX_SIZE = 4096 /* bytes of a Set-Cookie header's value; a longer one is ignored */
};

/* Only the functions below look inside. Zero is an empty store. */
typedef struct ws_cookies {
    struct ws_cookie* first; /* in the order in which they are sent */
    size_t count;
} ws_cookies;

/* Take what the Set-Cookie headers in the answer from `url` say; those that are not allowed are ignored. 0 or
 * WS_ERR_MEMORY, with the earlier ones taken. */
int32_t ws_cookies_take(ws_cookies* cookies, const ws_url* url, const ws_http_head* head);

/* Append the value of the Cookie header for a request to `url`; nothing if no cookie is for it. 0 or WS_ERR_MEMORY. */
int32_t ws_cookies_write(const ws_cookies* cookies, const ws_url* url, ws_buf* out);

/* Wipe and free; the store is empty and usable. */
void ws_cookies_free(ws_cookies* cookies);

#endif
