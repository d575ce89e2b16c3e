/* SOCKS5 (RFC 1928, RFC 1929): the part of core/proxy that speaks it. */
#ifndef WS_CORE_PROXY_SOCKS_H
#define WS_CORE_PROXY_SOCKS_H

#include "core/proxy.h"

/* Put all that may have to be said into proxy->out. 0 or WS_ERR_MEMORY. */
int32_t ws_proxy_socks_start(ws_proxy* proxy, const ws_proxy_url* url, const ws_proxy_target* target);

/* Deal with what is in proxy->in: 1 the tunnel stands, 0 more is needed, WS_ERR_PROXY. */
int32_t ws_proxy_socks_step(ws_proxy* proxy, ws_error* error);

#endif
