#include "core/proxy_url.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "core/authority.h"

enum { SOCKS_LOGIN_MAX = 255 };

typedef struct scheme {
    const char* start;
    ws_proxy_kind kind;
    uint16_t port;
} scheme;

static const scheme schemes[] = {
    {"http://", WS_PROXY_HTTP, 80},
    {"https://", WS_PROXY_HTTPS, 443},
    {"socks5://", WS_PROXY_SOCKS5, 1080},
    {"socks5h://", WS_PROXY_SOCKS5H, 1080},
};

/* What follows the scheme, with kind and default port taken from it; NULL if it is none of ours. */
static const char* parse_scheme(ws_proxy_url* url, const char* text) {
    for (size_t i = 0; i < sizeof schemes / sizeof schemes[0]; i++) {
        size_t len = strlen(schemes[i].start);
        if (strncasecmp(text, schemes[i].start, len) != 0) continue;
        url->kind = schemes[i].kind;
        url->port = schemes[i].port;
        return text + len;
    }
    url->kind = WS_PROXY_HTTP;
    url->port = 80;
    return strstr(text, "://") ? NULL : text;
}

static bool socks_length_ok(const char* text) {
    return text && *text && strlen(text) <= SOCKS_LOGIN_MAX;
}

/* What is wrong with user and password for this kind of proxy, NULL if nothing. */
static const char* wrong_login(const ws_proxy_url* url) {
    if (url->kind == WS_PROXY_SOCKS5 || url->kind == WS_PROXY_SOCKS5H) {
        bool ok = socks_length_ok(url->user) && socks_length_ok(url->password);
        return ok ? NULL : "for SOCKS user and password must be 1 to 255 bytes long";
    }
    return strchr(url->user, ':') ? "a user name for HTTP has no colon in it" : NULL;
}

static int32_t parse(ws_proxy_url* url, const char* text, const char** why) {
    *why = ws_authority_forbidden(text, strlen(text));
    if (*why) return WS_ERR_PROXY_URL;
    const char* from = parse_scheme(url, text);
    *why = "it must begin with http://, https://, socks5:// or socks5h://";
    if (!from) return WS_ERR_PROXY_URL;
    size_t n = strcspn(from, "/?#");
    *why = "behind host and port nothing may follow (in user and password percent-encode / ? and #)";
    if (from[n] && strcmp(from + n, "/") != 0) return WS_ERR_PROXY_URL;
    ws_authority authority = {.port = url->port};
    int32_t rc = ws_authority_parse(&authority, from, n, why);
    url->user = authority.user;
    url->password = authority.password;
    url->host = authority.host;
    url->ipv6 = authority.ipv6;
    url->port = authority.port;
    if (rc || !url->user) return rc;
    *why = wrong_login(url);
    return *why ? WS_ERR_PROXY_URL : WS_OK;
}

int32_t ws_proxy_url_parse(ws_proxy_url* url, const char* text, ws_error* error) {
    const char* why = "";
    *url = (ws_proxy_url){0};
    int32_t rc = parse(url, text, &why);
    if (rc == WS_ERR_MEMORY) return ws_error_set(error, rc, "no memory for the proxy URL");
    return rc ? ws_error_set(error, WS_ERR_PROXY_URL, "proxy URL: %s", why) : WS_OK;
}

void ws_proxy_url_free(ws_proxy_url* url) {
    free(url->host);
    ws_authority_wipe(url->user);
    ws_authority_wipe(url->password);
    *url = (ws_proxy_url){0};
}
