/*
 * The proxy that the environment names for a target. docs/proxies.md has the rules.
 *
 * wss: wss_proxy, socks_proxy, https_proxy, all_proxy; ws: ws_proxy, socks_proxy, https_proxy, http_proxy, all_proxy.
 * The first that is set and not empty counts, each in small letters before capitals. HTTP_PROXY does not count where
 * REQUEST_METHOD is set: in a CGI program it is a header of the client's. no_proxy or NO_PROXY lists targets that are
 * reached directly. localhost, *.localhost, 127.0.0.0/8 and ::1 always are.
 */
#ifndef WS_NET_PROXY_ENV_H
#define WS_NET_PROXY_ENV_H

#include "core/proxy_url.h"

/* A look-up like getenv's, NULL for what is not set. */
typedef char* (*ws_getenv)(const char* name);

/*
 * 1 and the proxy into *url, 0 if there is none for this target, WS_ERR_PROXY_URL with a text that names the variable,
 * or WS_ERR_MEMORY. `secure`: wss; `host` is without brackets. Free with ws_proxy_url_free in any case. Any thread, as
 * long as none changes the environment.
 */
int32_t ws_proxy_from_env(bool secure, const char* host, uint16_t port, ws_proxy_url* url, ws_error* error);

/* The same from any look-up. */
int32_t ws_proxy_choose(ws_getenv look_up, bool secure, const char* host, uint16_t port, ws_proxy_url* url,
                        ws_error* error);

#endif
