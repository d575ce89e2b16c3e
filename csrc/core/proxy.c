#include "core/proxy.h"

#include <openssl/crypto.h>
#include <stdio.h>
#include <string.h>

#include "core/proxy_http.h"
#include "core/proxy_socks.h"

enum { PROXY_HOST_MAX = 255, SOCKS_KEPT = 512 }; /* SOCKS: more than all the answers together */

static const char* wrong_target(ws_proxy_kind kind, const ws_proxy_target* target) {
    size_t n = strlen(target->host), address = target->address_len;
    if (n == 0 || n > PROXY_HOST_MAX) return "the host behind a proxy has 1 to 255 characters";
    if (address != 0 && address != 4 && address != 16) return "the address behind a proxy has 4 or 16 bytes";
    return kind == WS_PROXY_SOCKS5 && address == 0 ? "a socks5 proxy is given the address, not the name" : NULL;
}

static void write_place(char* to, const char* host, bool ipv6, uint16_t port) {
    snprintf(to, WS_PROXY_PLACE, "%s%s%s:%u", ipv6 ? "[" : "", host, ipv6 ? "]" : "", port);
}

int32_t ws_proxy_start(ws_proxy* proxy, const ws_proxy_url* url, const ws_proxy_target* target, const char* user_agent,
                       ws_error* error) {
    *proxy = (ws_proxy){.http = url->kind == WS_PROXY_HTTP || url->kind == WS_PROXY_HTTPS, .has_login = url->user};
    const char* wrong = wrong_target(url->kind, target);
    if (wrong) return ws_error_set(error, WS_ERR_ARGUMENT, "%s", wrong);
    write_place(proxy->proxy, url->host, url->ipv6, url->port);
    write_place(proxy->target, target->host, target->ipv6, target->port);
    int32_t rc = proxy->http ? ws_proxy_http_start(proxy, url, user_agent) : ws_proxy_socks_start(proxy, url, target);
    return rc ? ws_error_set(error, rc, "no memory for the dialog with the proxy") : WS_OK;
}

const uint8_t* ws_proxy_output(const ws_proxy* proxy, size_t* len) {
    *len = proxy->turn;
    return ws_buf_head(&proxy->out);
}

void ws_proxy_written(ws_proxy* proxy, size_t n) {
    n = n < proxy->turn ? n : proxy->turn;
    ws_buf_consume(&proxy->out, n);
    proxy->turn -= n;
}

static bool something_behind(const ws_proxy* proxy) {
    return ws_buf_len(&proxy->in) > (proxy->http ? proxy->head_at + proxy->head_len : 0);
}

/* Nobody may speak in the tunnel before we do: TLS and WebSocket begin with the client. */
static int32_t excess(const ws_proxy* proxy, ws_error* error) {
    return ws_error_set(error, proxy->http ? WS_ERR_PROXY_HTTP : WS_ERR_PROXY,
                        "proxy %s sent more than the answer that the tunnel stands", proxy->proxy);
}

/* What is beyond the room decides nothing but whether there is too much. */
static int32_t take(ws_proxy* proxy, const uint8_t* bytes, size_t len, ws_error* error) {
    size_t room = (proxy->http ? WS_PROXY_MAX_HEAD : SOCKS_KEPT) - ws_buf_len(&proxy->in);
    size_t n = len < room ? len : room;
    if (ws_buf_append(&proxy->in, bytes, n)) return ws_error_set(error, WS_ERR_MEMORY, "no memory for the answer");
    int32_t rc = proxy->http ? ws_proxy_http_step(proxy, error) : ws_proxy_socks_step(proxy, error);
    return rc == 1 && (n < len || something_behind(proxy)) ? excess(proxy, error) : rc;
}

static int32_t fail(ws_proxy* proxy, int32_t code) {
    proxy->step = WS_PROXY_STEP_FAILED;
    proxy->turn = 0;
    return proxy->failed = code;
}

int32_t ws_proxy_feed(ws_proxy* proxy, const uint8_t* bytes, size_t len, ws_error* error) {
    if (proxy->step == WS_PROXY_STEP_FAILED) return proxy->failed;
    bool open = proxy->step == WS_PROXY_STEP_OPEN;
    if (len == 0) return open;
    int32_t rc = open ? excess(proxy, error) : take(proxy, bytes, len, error);
    if (rc == 1) proxy->step = WS_PROXY_STEP_OPEN;
    return rc < 0 ? fail(proxy, rc) : rc;
}

int32_t ws_proxy_end(ws_proxy* proxy, ws_error* error) {
    if (proxy->step == WS_PROXY_STEP_FAILED) return proxy->failed;
    bool spoke = proxy->step > WS_PROXY_STEP_METHOD || ws_buf_len(&proxy->in);
    return fail(proxy,
                ws_error_set(error, WS_ERR_PROXY, "proxy %s closed the connection before the tunnel to %s stood%s",
                             proxy->proxy, proxy->target, spoke ? "" : ": are scheme and port of its URL right?"));
}

const char* ws_proxy_head(const ws_proxy* proxy, size_t* len) {
    *len = proxy->head_len;
    return proxy->head_len ? (const char*)proxy->in.data + proxy->head_at : NULL;
}

void ws_proxy_free(ws_proxy* proxy) {
    if (proxy->out.data) OPENSSL_cleanse(proxy->out.data, proxy->out.cap);
    ws_buf_free(&proxy->out);
    ws_buf_free(&proxy->in);
    *proxy = (ws_proxy){0};
}
