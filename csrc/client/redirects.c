#include "client/redirects.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int32_t no_memory(ws_error* error) {
    return ws_error_set(error, WS_ERR_MEMORY, "no memory for a redirect");
}

static char* url_text(const ws_url* url) {
    ws_buf text = {0};
    if (ws_buf_append_text(&text, url->secure ? "wss://" : "ws://") || ws_url_write_host(url, &text) ||
        ws_buf_append_text(&text, url->target) || ws_buf_append(&text, "", 1)) {
        ws_buf_free(&text);
    }
    return (char*)text.data; /* nothing was consumed: it begins where the memory does */
}

static int32_t add_hop(ws_redirects* redirects, const ws_url* from, const char* head, size_t len, ws_error* error) {
    ws_hop* hops = realloc(redirects->hops, (redirects->count + 1) * sizeof *hops);
    if (!hops) return no_memory(error);
    redirects->hops = hops;
    ws_hop hop = {url_text(from), malloc(len), len};
    if (!hop.url || !hop.head) {
        free(hop.url);
        free(hop.head);
        return no_memory(error);
    }
    memcpy(hop.head, head, len);
    hops[redirects->count++] = hop;
    return WS_OK;
}

/* What it sets, and where it leads; `from` may be where the last one led. */
static int32_t take(ws_redirects* redirects, const ws_url* from, const ws_http_head* head, ws_url* to,
                    ws_error* error) {
    if (ws_cookies_take(&redirects->cookies, from, head)) return no_memory(error);
    ws_url_free(&redirects->url);
    redirects->url = *to;
    *to = (ws_url){0};
    free(redirects->url_text);
    redirects->url_text = url_text(&redirects->url);
    return redirects->url_text ? WS_OK : no_memory(error);
}

int32_t ws_redirects_follow(ws_redirects* redirects, const ws_url* from, const char* text, size_t len, int32_t max,
                            ws_error* error) {
    ws_http_head head;
    ws_url to = {0};
    if (max == 0 || ws_http_parse_response(&head, text, len)) return 0;
    int32_t rc = ws_redirect_target(&head, from, &to, error);
    if (rc != 1) return rc;
    rc = redirects->count < (size_t)max
             ? add_hop(redirects, from, text, len, error)
             : ws_error_set(error, WS_ERR_REDIRECT, "the server redirects more than %d times (max_redirects)", max);
    if (!rc) rc = take(redirects, from, &head, &to, error);
    ws_url_free(&to);
    return rc ? rc : 1;
}

void ws_redirects_free(ws_redirects* redirects) {
    if (!redirects) return;
    for (size_t i = 0; i < redirects->count; i++) {
        free(redirects->hops[i].url);
        free(redirects->hops[i].head);
    }
    free(redirects->hops);
    free(redirects->url_text);
    ws_url_free(&redirects->url);
    ws_cookies_free(&redirects->cookies);
    free(redirects);
}
