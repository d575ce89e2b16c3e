#include "core/proxy_url.h"

#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "core/url.h"

enum { PROXY_URL_MAX = 65536, SOCKS_LOGIN_MAX = 255 };

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

static const char* forbidden(const char* text) {
    if (strlen(text) > PROXY_URL_MAX) return "it is longer than 65536 bytes";
    for (const unsigned char* c = (const unsigned char*)text; *c; c++) {
        if (*c <= ' ' || *c == 0x7F) return "spaces and control characters are not allowed, percent-encode them";
        if (*c > 0x7F) return "characters outside ASCII are not allowed, percent-encode them";
    }
    return NULL;
}

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

static int hex_value(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

/* The byte that "%XX" at `from` stands for, -1 if it is malformed or a control character. */
static int decode_byte(const char* from, size_t n) {
    int high = n > 2 ? hex_value(from[1]) : -1;
    int low = n > 2 ? hex_value(from[2]) : -1;
    int value = high * 16 + low;
    return high < 0 || low < 0 || value < ' ' || value == 0x7F ? -1 : value;
}

/* A copy of from[0..n) with %XX decoded (RFC 3986 2.1). */
static int32_t decode(const char* from, size_t n, char** to, const char** why) {
    char* out = *to = malloc(n + 1);
    if (!out) return WS_ERR_MEMORY;
    for (size_t i = 0; i < n; i++) {
        int c = from[i] == '%' ? decode_byte(from + i, n - i) : from[i];
        if (c < 0) {
            *out = '\0';
            *why = "in user and password a % is followed by two hexadecimal digits, which are no control character";
            return WS_ERR_PROXY_URL;
        }
        *out++ = (char)c;
        if (from[i] == '%') i += 2;
    }
    *out = '\0';
    return WS_OK;
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
    if (!*url->user && (!url->password || !*url->password)) return "before the @ a user is missing";
    return strchr(url->user, ':') ? "a user name for HTTP has no colon in it" : NULL;
}

/* user or user:password in from[0..n) */
static int32_t parse_login(ws_proxy_url* url, const char* from, size_t n, const char** why) {
    const char* colon = memchr(from, ':', n);
    size_t user = colon ? (size_t)(colon - from) : n;
    int32_t rc = decode(from, user, &url->user, why);
    if (!rc && colon) rc = decode(colon + 1, n - user - 1, &url->password, why);
    if (rc) return rc;
    *why = wrong_login(url);
    return *why ? WS_ERR_PROXY_URL : WS_OK;
}

static int32_t parse(ws_proxy_url* url, const char* text, const char** why) {
    *why = forbidden(text);
    if (*why) return WS_ERR_PROXY_URL;
    const char* authority = parse_scheme(url, text);
    *why = "it must begin with http://, https://, socks5:// or socks5h://";
    if (!authority) return WS_ERR_PROXY_URL;
    size_t n = strcspn(authority, "/?#");
    *why = "behind host and port nothing may follow (in user and password percent-encode / ? and #)";
    if (authority[n] && strcmp(authority + n, "/") != 0) return WS_ERR_PROXY_URL;
    const char* at = memrchr(authority, '@', n); /* the last: people forget to encode it in passwords */
    const char* host = at ? at + 1 : authority;
    int32_t rc = at ? parse_login(url, authority, (size_t)(at - authority), why) : WS_OK;
    if (rc) return rc;
    return ws_url_parse_place(host, n - (size_t)(host - authority), &url->host, &url->ipv6, &url->port, why);
}

int32_t ws_proxy_url_parse(ws_proxy_url* url, const char* text, ws_error* error) {
    const char* why = "";
    *url = (ws_proxy_url){0};
    int32_t rc = parse(url, text, &why);
    if (rc == WS_ERR_MEMORY) return ws_error_set(error, rc, "no memory for the proxy URL");
    return rc ? ws_error_set(error, WS_ERR_PROXY_URL, "proxy URL: %s", why) : WS_OK;
}

/* Written over, so that it stays in no memory that somebody else gets. */
static void wipe(char* text) {
    if (text) OPENSSL_cleanse(text, strlen(text));
    free(text);
}

void ws_proxy_url_free(ws_proxy_url* url) {
    free(url->host);
    wipe(url->user);
    wipe(url->password);
    *url = (ws_proxy_url){0};
}
