/* Redirects (RFC 9110 15.4), as a client of WebSocket follows them (RFC 6455 4.1). */
#ifndef WS_CORE_REDIRECT_H
#define WS_CORE_REDIRECT_H

#include "core/http1.h"
#include "core/url.h"

/* Has this status (301, 302, 303, 307, 308) one or more Locations to follow? */
bool ws_redirect_is_one(const ws_http_head* head);

/*
 * 1: it redirects, and *to, to be freed, is where; 0: it does not; WS_ERR_REDIRECT with a text that says why it must
 * not be followed (from wss to ws above all), WS_ERR_MEMORY.
 */
int32_t ws_redirect_target(const ws_http_head* head, const ws_url* from, ws_url* to, ws_error* error);

#endif
