/* Where an HTTP redirect leads to (RFC 9110 15.4). */
#ifndef WS_CORE_REDIRECT_H
#define WS_CORE_REDIRECT_H

#include "core/http1.h"
#include "core/url.h"

/* Is it a redirect: 301, 302, 303, 307 or 308 with a Location? */
bool ws_redirect_is(const ws_http_head* head);

/*
 * Is this answer to a request for `from` a redirect? 1 and *to is where it leads; 0 if it is none; WS_ERR_REDIRECT for
 * several Locations, one that cannot be followed, and from wss to ws; WS_ERR_MEMORY. The text of an error has no user
 * and no password in it. Free `to` with ws_url_free in any case.
 */
int32_t ws_redirect_target(const ws_http_head* head, const ws_url* from, ws_url* to, ws_error* error);

#endif
