/* What a connection was asked to be: a checked copy of wsOptions, one for all connections of the same options. */
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
    /* of settings_shared.c */
    struct ws_settings *next, **link;
    size_t refs;
} ws_settings;

/*
 * A checked copy, shared with other connections of the same options: WS_ERR_ARGUMENT, WS_ERR_URL, WS_ERR_MEMORY with a
 * text. To be given back by ws_settings_drop, for which NULL is fine. (settings_shared.c)
 */
int32_t ws_settings_get(const wsOptions* options, const ws_settings** settings, ws_error* error);
void ws_settings_drop(const ws_settings* settings);

/* A copy of its own, to be freed in any case. */
int32_t ws_settings_init(ws_settings* settings, const wsOptions* options, ws_error* error);
void ws_settings_free(ws_settings* settings);

/* A copy; NULL for none at all. 0 or WS_ERR_MEMORY; to be freed in any case. */
int32_t ws_headers_copy(wsHeader** copies, const wsHeader* headers, size_t count);
void ws_headers_free(wsHeader* headers, size_t count);

#endif
