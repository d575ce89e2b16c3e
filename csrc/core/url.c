#include "core/url.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "core/authority.h"
#include "core/buf.h"

static int32_t bad(ws_error* error, const char* text, const char* why) {
    bool secret = strchr(text, '@') || strstr(text, "%40"); /* a password is for no log */
    const char* shown = secret ? "this URL" : text;
    size_t n = strcspn(shown, "?#"); /* and a query may hold a token */
    return ws_error_set(error, WS_ERR_URL, "%.*s: %s", (int)(n < 200 ? n : 200), shown, why);
}

static const char* forbidden(const char* text) {
    const char* why = ws_authority_forbidden(text, strlen(text));
    if (why) return why;
    return strchr(text, '#') ? "a WebSocket URL has no fragment (#...)" : NULL;
}

static int32_t parse_authority(ws_url* url, const char* text, const char* from, size_t n, ws_error* error) {
    const char* why;
    ws_authority authority = {.port = url->secure ? 443 : 80};
    int32_t rc = ws_authority_parse(&authority, from, n, &why);
    url->user = authority.user;
    url->password = authority.password;
    url->host = authority.host;
    url->ipv6 = authority.ipv6;
    url->port = authority.port;
    if (rc == WS_ERR_MEMORY) return ws_error_set(error, rc, "no memory for the URL");
    if (rc) return bad(error, text, why);
    bool colon = url->user && strchr(url->user, ':');
    return colon ? bad(error, text, "a user name has no colon in it (RFC 7617 2)") : WS_OK;
}

/* Path and query; "/" stands for an empty path (RFC 6455 3). */
static int32_t parse_target(ws_url* url, const char* from, ws_error* error) {
    size_t n = strlen(from);
    size_t slash = from[0] != '/';
    url->target = malloc(n + slash + 1);
    if (!url->target) return ws_error_set(error, WS_ERR_MEMORY, "no memory for the URL");
    url->target[0] = '/';
    memcpy(url->target + slash, from, n + 1);
    return WS_OK;
}

int32_t ws_url_parse(ws_url* url, const char* text, ws_error* error) {
    *url = (ws_url){0};
    const char* why = forbidden(text);
    if (why) return bad(error, text, why);
    url->secure = strncasecmp(text, "wss://", 6) == 0;
    if (!url->secure && strncasecmp(text, "ws://", 5) != 0)
        return bad(error, text, "it must begin with ws:// or wss://");
    const char* authority = strstr(text, "://") + 3;
    size_t n = strcspn(authority, "/?");
    int32_t rc = parse_authority(url, text, authority, n, error);
    return rc ? rc : parse_target(url, authority + n, error);
}

void ws_url_free(ws_url* url) {
    ws_authority_wipe(url->user);
    ws_authority_wipe(url->password);
    free(url->host);
    free(url->target);
    *url = (ws_url){0};
}

int32_t ws_url_write_host(const ws_url* url, ws_buf* out) {
    char port[8] = "";
    if (url->port != (url->secure ? 443 : 80)) snprintf(port, sizeof port, ":%u", url->port);
    if (ws_buf_append_text(out, url->ipv6 ? "[" : "") || ws_buf_append_text(out, url->host) ||
        ws_buf_append_text(out, url->ipv6 ? "]" : "") || ws_buf_append_text(out, port)) {
        return WS_ERR_MEMORY;
    }
    return WS_OK;
}

bool ws_url_same_host(const ws_url* a, const ws_url* b) {
    if (a->ipv6 != b->ipv6 || strcasecmp(a->host, b->host) != 0) return false;
    if (a->secure && !b->secure) return false;
    return a->port == b->port || (!a->secure && a->port == 80 && b->secure && b->port == 443);
}
