#include "core/proxy_http.h"

#include <string.h>

#include "core/basic_auth.h"
#include "core/http1.h"

static void write_line(ws_buf* out, const char* before, const char* value, const char* after) {
    ws_buf_append_text(out, before);
    ws_buf_append_text(out, value);
    ws_buf_append_text(out, after);
}

int32_t ws_proxy_http_start(ws_proxy* proxy, const ws_proxy_url* url, const char* user_agent) {
    enum { FIXED = 256 }; /* more than the words between the values */
    size_t agent = user_agent ? strlen(user_agent) : 0;
    ws_buf* out = &proxy->out;
    size_t login = ws_basic_auth_length(url->user, url->password);
    if (ws_buf_reserve(out, FIXED + 2 * WS_PROXY_PLACE + agent + login)) return WS_ERR_MEMORY;
    write_line(out, "CONNECT ", proxy->target, " HTTP/1.1\r\n");
    write_line(out, "Host: ", proxy->target, "\r\n");
    if (url->user) {
        ws_buf_append_text(out, "Proxy-Authorization: ");
        if (ws_basic_auth_write(url->user, url->password, out)) return WS_ERR_MEMORY;
        ws_buf_append_text(out, "\r\n");
    }
    if (agent) write_line(out, "User-Agent: ", user_agent, "\r\n");
    ws_buf_append_text(out, "\r\n");
    proxy->turn = ws_buf_len(out);
    proxy->step = WS_PROXY_STEP_HEAD;
    return WS_OK;
}

static int32_t foreign(const ws_proxy* proxy, uint8_t first, ws_error* error) {
    const char* hint = first == 5                   ? ": is it a SOCKS proxy?"
                       : first == 21 || first == 22 ? ": does it want TLS, an https:// URL?" /* RFC 8446 5.1 */
                                                    : "";
    return ws_error_set(error, WS_ERR_PROXY_HTTP, "proxy %s does not speak HTTP%s", proxy->proxy, hint);
}

static const char* refusal_hint(const ws_proxy* proxy, int status) {
    switch (status) {
    case 401: /* for a wrong login, of some */
        return proxy->has_login ? ": it does not take the user and password in its URL" : "";
    case 403:
        return ": its rules do not allow that";
    case 405:
    case 501:
        return ": it makes no tunnels";
    case 407:
        return proxy->has_login ? ": it does not take the user and password in its URL"
                                : ": it wants a user and a password, write them into its URL";
    case 500: /* of some for a name that does not resolve */
        return ": perhaps it does not reach that server";
    case 502:
    case 503:
    case 504:
        return ": it does not reach that server";
    default:
        return "";
    }
}

static int32_t refused(const ws_proxy* proxy, const ws_http_head* head, ws_error* error) {
    ws_slice reason = head->reason;
    error->http_status = head->status;
    return ws_error_set(error, WS_ERR_PROXY_STATUS, "proxy %s refused the tunnel to %s with HTTP %d%s%.*s%s",
                        proxy->proxy, proxy->target, head->status, reason.len ? " " : "",
                        (int)(reason.len < 200 ? reason.len : 200), reason.at, refusal_hint(proxy, head->status));
}

static int32_t decide(ws_proxy* proxy, const ws_http_head* head, ws_error* error) {
    if (head->status / 100 != 2) return refused(proxy, head, error);
    if (proxy->turn == 0) return 1;
    return ws_error_set(error, WS_ERR_PROXY_HTTP, "proxy %s answered before it was asked", proxy->proxy);
}

int32_t ws_proxy_http_step(ws_proxy* proxy, ws_error* error) {
    for (;;) {
        ws_http_head head;
        const char* text = (const char*)proxy->in.data + proxy->head_at;
        size_t n = proxy->in.end - proxy->head_at;
        if (!ws_http_proxy_response_prefix(text, n)) return foreign(proxy, (uint8_t)text[0], error);
        size_t length = ws_http_head_length(text, n, &proxy->scanned);
        if (!length && proxy->in.end < WS_PROXY_MAX_HEAD) return 0;
        const char* wrong = length ? ws_http_parse_proxy_response(&head, text, length) : "its head is too big";
        if (wrong) {
            return ws_error_set(error, WS_ERR_PROXY_HTTP, "proxy %s gave no HTTP answer: %s", proxy->proxy, wrong);
        }
        proxy->head_len = length;
        if (!ws_http_interim(&head)) return decide(proxy, &head, error);
        proxy->head_at += length;
        proxy->head_len = proxy->scanned = 0;
    }
}
