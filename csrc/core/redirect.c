#include "core/redirect.h"

static size_t locations(const ws_http_head* head, const ws_slice** only) {
    size_t count;
    *only = ws_http_header_value(head, "Location", &count);
    return count;
}

bool ws_redirect_is_one(const ws_http_head* head) {
    const ws_slice* only;
    int status = head->status;
    bool redirects = (status >= 301 && status <= 303) || status == 307 || status == 308;
    return redirects && locations(head, &only) > 0;
}

int32_t ws_redirect_target(const ws_http_head* head, const ws_url* from, ws_url* to, ws_error* error) {
    const ws_slice* location;
    if (!ws_redirect_is_one(head)) return 0;
    if (locations(head, &location) > 1) {
        return ws_error_set(error, WS_ERR_REDIRECT, "the redirect from %s has more than one Location", from->host);
    }
    int32_t rc = ws_url_resolve(to, from, location->at, location->len, error);
    if (!rc && from->secure && !to->secure) {
        rc = ws_error_set(error, WS_ERR_REDIRECT,
                          "the redirect from wss://%s to ws://%s is not followed: it would lead out of TLS", from->host,
                          to->host);
    }
    if (!rc) return 1;
    ws_url_free(to);
    return rc;
}
