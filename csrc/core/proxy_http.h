/* CONNECT (RFC 9110 9.3.6): the part of core/proxy that speaks HTTP. */
#ifndef WS_CORE_PROXY_HTTP_H
#define WS_CORE_PROXY_HTTP_H

#include "core/proxy.h"

/* Put the request into proxy->out; `user_agent` may be NULL. 0 or WS_ERR_MEMORY. */
int32_t ws_proxy_http_start(ws_proxy* proxy, const ws_proxy_url* url, const char* user_agent);

/* Deal with what is in proxy->in: 1 the tunnel stands, 0 more is needed, WS_ERR_PROXY_HTTP, WS_ERR_PROXY_STATUS. */
int32_t ws_proxy_http_step(ws_proxy* proxy, ws_error* error);

#endif
