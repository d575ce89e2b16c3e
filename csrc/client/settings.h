/* What a connection was asked to be: a checked copy of wsOptions. */
#ifndef WS_CLIENT_SETTINGS_H
#define WS_CLIENT_SETTINGS_H

#include "client/keepalive.h"
#include "core/handshake.h"
#include "core/reader.h"
#include "net/dial.h"

typedef struct ws_settings {
    ws_url url;
    ws_request request;   /* points into this struct and at what it owns */
    int64_t open_timeout; /* ms, INT64_MAX for none */
    int64_t close_timeout;
    ws_keepalive_terms keepalive;
    size_t write_limit;
    size_t max_buffer;
    bool drop_oldest; /* else reading stops */
    size_t max_queue; /* messages, if it does */
    ws_limits limits;
    ws_deflate_terms deflate; /* what request.deflate points to if it is offered */
    size_t compress_threshold;
    ws_tls_context *tls, *proxy_tls;
    bool proxy_from_env; /* else `proxy`, if it has a host */
    ws_proxy_url proxy;
    char *server_hostname, *unix_path; /* NULL: none */
    int32_t max_redirects;
    ws_tcp_options tcp; /* its socket options are ours */
} ws_settings;

/* Copy and check. WS_ERR_ARGUMENT, WS_ERR_URL, WS_ERR_MEMORY with a text; *settings is to be freed in any case. */
int32_t ws_settings_init(ws_settings* settings, const wsOptions* options, ws_error* error);
void ws_settings_free(ws_settings* settings);

/* Other headers for the next request: as ws_settings_init; on error they are what they were. */
int32_t ws_settings_set_headers(ws_settings* settings, const wsHeader* headers, size_t count, ws_error* error);

#endif
