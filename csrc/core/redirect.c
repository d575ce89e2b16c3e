#include "core/redirect.h"

#include <stdio.h>
#include <string.h>

static bool redirects(int status) {
    return (status >= 301 && status <= 303) || status == 307 || status == 308;
}

bool ws_redirect_is(const ws_http_head* head) {
    size_t count;
    ws_http_header_value(head, "Location", &count);
    return redirects(head->status) && count > 0;
}

/* How an error names a URL: without user, password and query, for these may be secrets. */
typedef struct shown {
    char text[512];
} shown;

static shown show(const ws_url* url) {
    shown as;
    size_t path = strcspn(url->target, "?");
    snprintf(as.text, sizeof as.text, "%s://%s%s%s:%u%.*s", url->secure ? "wss" : "ws", url->ipv6 ? "[" : "", url->host,
             url->ipv6 ? "]" : "", url->port, (int)(path < 200 ? path : 200), url->target);
    return as;
}

int32_t ws_redirect_target(const ws_http_head* head, const ws_url* from, ws_url* to, ws_error* error) {
    size_t count;
    const ws_slice* location = ws_http_header_value(head, "Location", &count);
    *to = (ws_url){0};
    if (!ws_redirect_is(head)) return 0;
    if (!location) return ws_error_set(error, WS_ERR_REDIRECT, "the redirect has %zu headers Location", count);
    int32_t rc = ws_url_resolve(to, from, location->at, location->len, error);
    if (rc) return rc;
    if (from->secure && !to->secure) {
        return ws_error_set(error, WS_ERR_REDIRECT, "the redirect from %s to %s would leave TLS", show(from).text,
                            show(to).text);
    }
    return 1;
}
