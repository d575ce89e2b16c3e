#include "client/settings.h"

#include <stdlib.h>
#include <string.h>

static char* copy(const char* text) {
    return text ? strdup(text) : NULL;
}

/* Zero is the default, a negative time is none. */
static int64_t timeout_or(int64_t ms, int64_t fallback) {
    return ms < 0 ? INT64_MAX : ms == 0 ? fallback : ms;
}

static int32_t read_queue(ws_settings* settings, const wsOptions* options, ws_error* error) {
    if (options->queuePolicy != WS_QUEUE_BLOCK && options->queuePolicy != WS_QUEUE_DROP_OLDEST) {
        return ws_error_set(error, WS_ERR_ARGUMENT, "queuePolicy must be one of WS_QUEUE_...");
    }
    settings->drop_oldest = options->queuePolicy == WS_QUEUE_DROP_OLDEST;
    settings->max_queue = options->maxQueue ? options->maxQueue : 16;
    settings->max_buffer = options->maxBuffer ? options->maxBuffer : (size_t)16 << 20;
    return WS_OK;
}

static void read_limits(ws_settings* settings, const wsOptions* options) {
    settings->open_timeout = timeout_or(options->openTimeout, 10000);
    settings->close_timeout = timeout_or(options->closeTimeout, 10000);
    settings->keepalive.interval = timeout_or(options->pingInterval, 20000);
    settings->keepalive.timeout = timeout_or(options->pingTimeout, 20000);
    settings->max_redirects = options->maxRedirects < 0 ? 0 : options->maxRedirects ? options->maxRedirects : 10;
    settings->write_limit = options->writeLimit ? options->writeLimit : 32768;
    settings->limits.max_size = options->maxSize ? options->maxSize : (uint64_t)1 << 20;
    settings->limits.max_fragments = options->maxFragments ? options->maxFragments : 131072;
    settings->limits.max_head = options->maxHead ? options->maxHead : 65536;
}

static uint8_t bits_or_default(int32_t bits) {
    return bits ? (uint8_t)bits : 12;
}

static bool bits_ok(int32_t bits) {
    return bits == 0 || (bits >= 9 && bits <= WS_MAX_WINDOW_BITS);
}

static int32_t read_deflate(ws_settings* settings, const wsDeflate* deflate, ws_error* error) {
    if (!bits_ok(deflate->serverMaxWindowBits) || !bits_ok(deflate->clientMaxWindowBits)) {
        return ws_error_set(error, WS_ERR_ARGUMENT, "window bits must be 9 to 15");
    }
    settings->deflate = (ws_deflate_terms){deflate->serverNoContextTakeover, deflate->clientNoContextTakeover,
                                           bits_or_default(deflate->serverMaxWindowBits),
                                           bits_or_default(deflate->clientMaxWindowBits)};
    settings->request.deflate = deflate->off ? NULL : &settings->deflate;
    settings->compress_threshold = deflate->threshold ? (size_t)deflate->threshold : 256;
    if (deflate->threshold < 0) settings->compress_threshold = 0;
    return WS_OK;
}

int32_t ws_headers_copy(wsHeader** copies, const wsHeader* given, size_t count) {
    bool complete = true;
    *copies = count ? calloc(count, sizeof **copies) : NULL;
    if (count && !*copies) return WS_ERR_MEMORY;
    for (size_t i = 0; i < count; i++) {
        (*copies)[i].name = copy(given[i].name);
        (*copies)[i].value = copy(given[i].value);
        complete = complete && (*copies)[i].name && (*copies)[i].value;
    }
    return complete ? WS_OK : WS_ERR_MEMORY;
}

void ws_headers_free(wsHeader* headers, size_t count) {
    for (size_t i = 0; headers && i < count; i++) {
        free((char*)headers[i].name);
        free((char*)headers[i].value);
    }
    free(headers);
}

/* False if there was no memory. What could be copied is in place to be freed. */
static bool copy_headers(ws_request* request, const wsOptions* options) {
    wsHeader* headers;
    int32_t rc = ws_headers_copy(&headers, options->headers, options->headerCount);
    request->headers = headers;
    request->header_count = headers ? options->headerCount : 0;
    return rc == WS_OK;
}

static bool copy_subprotocols(ws_request* request, const wsOptions* options) {
    if (options->subprotocolCount == 0) return true;
    const char** subprotocols = calloc(options->subprotocolCount, sizeof *subprotocols);
    if (!subprotocols) return false;
    request->subprotocols = subprotocols;
    request->subprotocol_count = options->subprotocolCount;
    bool complete = true;
    for (size_t i = 0; i < options->subprotocolCount; i++) {
        subprotocols[i] = copy(options->subprotocols[i]);
        complete = complete && subprotocols[i];
    }
    return complete;
}

static bool copy_request(ws_settings* settings, const wsOptions* options) {
    ws_request* request = &settings->request;
    const char* user_agent = options->userAgent ? options->userAgent : "wsclient/" WS_VERSION;
    request->url = &settings->url;
    request->origin = copy(options->origin);
    request->user_agent = copy(user_agent);
    return copy_headers(request, options) && copy_subprotocols(request, options) && request->user_agent &&
           (request->origin || !options->origin);
}

/* What concerns the socket. False if there was no memory. */
static bool copy_socket(ws_settings* settings, const wsOptions* options) {
    settings->server_hostname = copy(options->serverHostname);
    settings->unix_path = copy(options->unixPath);
    bool complete =
        (settings->server_hostname || !options->serverHostname) && (settings->unix_path || !options->unixPath);
    if (!complete || options->socketOptionCount == 0) return complete;
    wsSocketOption* copies = calloc(options->socketOptionCount, sizeof *copies);
    if (!copies) return false;
    settings->tcp.socket_options = copies;
    settings->tcp.socket_option_count = options->socketOptionCount;
    for (size_t i = 0; i < options->socketOptionCount; i++) {
        copies[i] = options->socketOptions[i];
        void* value = malloc(copies[i].length + 1);
        if (value) memcpy(value, options->socketOptions[i].value, copies[i].length);
        copies[i].value = value;
        complete = complete && value;
    }
    return complete;
}

static int32_t read_local(ws_settings* settings, const wsOptions* options, ws_error* error) {
    const char* host = options->localHost;
    if (!host && !options->localPort) return WS_OK;
    if (ws_address_literal(&settings->tcp.local, host ? host : "0.0.0.0", options->localPort)) return WS_OK;
    return ws_error_set(error, WS_ERR_ARGUMENT, "the local address must be an IP address");
}

/* How the server is reached: addresses, proxy, TLS. */
static int32_t read_route(ws_settings* settings, const wsOptions* options, ws_error* error) {
    const char* proxy = options->proxy;
    int32_t rc = read_local(settings, options, error);
    settings->proxy_from_env = !proxy && !options->unixPath;
    if (!rc && settings->unix_path && !ws_address_unix(&(ws_address){0}, settings->unix_path)) {
        rc = ws_error_set(error, WS_ERR_ARGUMENT, "the path of a unix socket has 1 to 107 bytes");
    }
    if (!rc && proxy && *proxy && options->unixPath) {
        rc = ws_error_set(error, WS_ERR_ARGUMENT, "there is no proxy to a unix socket");
    }
    if (!rc && proxy && *proxy) rc = ws_proxy_url_parse(&settings->proxy, proxy, error);
    if (!rc) rc = ws_tls_context_get(&options->tls, &settings->tls, error);
    return rc ? rc : ws_tls_context_get(&options->proxyTls, &settings->proxy_tls, error);
}

/* No pointer in the arrays may be missing: only then is a missing copy a lack of memory. */
static int32_t check_pointers(const wsOptions* options, ws_error* error) {
    if (!options || options->size != sizeof *options) {
        return ws_error_set(error, WS_ERR_ARGUMENT, "wsOptions.size must be sizeof(wsOptions)");
    }
    if (!options->url) return ws_error_set(error, WS_ERR_ARGUMENT, "wsOptions.url is missing");
    bool missing = (options->headerCount && !options->headers) || (options->subprotocolCount && !options->subprotocols);
    for (size_t i = 0; i < options->headerCount && !missing; i++) {
        missing = !options->headers[i].name || !options->headers[i].value;
    }
    for (size_t i = 0; i < options->subprotocolCount && !missing; i++) {
        missing = !options->subprotocols[i];
    }
    missing = missing || (options->socketOptionCount && !options->socketOptions);
    for (size_t i = 0; i < options->socketOptionCount && !missing; i++) {
        missing = !options->socketOptions[i].value;
    }
    return missing ? ws_error_set(error, WS_ERR_ARGUMENT, "a header, subprotocol or socket option is NULL") : WS_OK;
}

int32_t ws_settings_init(ws_settings* settings, const wsOptions* options, ws_error* error) {
    *settings = (ws_settings){0};
    int32_t rc = check_pointers(options, error);
    if (!rc) rc = ws_url_parse(&settings->url, options->url, error);
    if (rc) return rc;
    read_limits(settings, options);
    rc = read_queue(settings, options, error);
    if (!rc) rc = read_deflate(settings, &options->deflate, error);
    if (rc) return rc;
    if (!copy_request(settings, options) || !copy_socket(settings, options)) {
        return ws_error_set(error, WS_ERR_MEMORY, "no memory for the options");
    }
    rc = ws_handshake_check_request(&settings->request, error);
    return rc ? rc : read_route(settings, options, error);
}

void ws_settings_free(ws_settings* settings) {
    ws_request* request = &settings->request;
    ws_headers_free((wsHeader*)request->headers, request->header_count);
    for (size_t i = 0; i < request->subprotocol_count; i++) {
        free((char*)request->subprotocols[i]);
    }
    free((const char**)request->subprotocols);
    free((char*)request->origin);
    free((char*)request->user_agent);
    for (size_t i = 0; i < settings->tcp.socket_option_count; i++) {
        free((void*)settings->tcp.socket_options[i].value);
    }
    free((wsSocketOption*)settings->tcp.socket_options);
    free(settings->server_hostname);
    free(settings->unix_path);
    ws_proxy_url_free(&settings->proxy);
    ws_tls_context_drop(settings->tls);
    ws_tls_context_drop(settings->proxy_tls);
    ws_url_free(&settings->url);
    *settings = (ws_settings){0};
}
