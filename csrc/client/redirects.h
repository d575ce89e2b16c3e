/* The redirects of one opening: where they led from, and the cookies they set. */
#ifndef WS_CLIENT_REDIRECTS_H
#define WS_CLIENT_REDIRECTS_H

#include "core/cookie.h"
#include "core/handshake.h"
#include "core/redirect.h"

typedef struct ws_hop {
    char* url; /* without user and password */
    char* head;
    size_t head_len;
} ws_hop;

typedef struct ws_redirects {
    ws_hop* hops;
    size_t count;
    ws_url url;     /* where the last led to, if there was one ... */
    char* url_text; /* ... and in words */
    ws_cookies cookies;
    ws_request request; /* the next one, which is the caller's to make */
} ws_redirects;

/*
 * Does this answer to `from` redirect? 1: it does, and redirects->url is where to; 0: it does not, or `max` is 0; or
 * WS_ERR_REDIRECT, also beyond `max` redirects, or WS_ERR_MEMORY.
 */
int32_t ws_redirects_follow(ws_redirects* redirects, const ws_url* from, const char* head, size_t len, int32_t max,
                            ws_error* error);

/* With all that is in it; NULL is fine. */
void ws_redirects_free(ws_redirects* redirects);

#endif
