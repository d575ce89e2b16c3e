#include "core/url.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "core/buf.h"

enum { URL_MAX = 65536 };

static char* copy(const char* from, size_t n) {
    char* to = malloc(n + 1);
    if (!to) return NULL;
    memcpy(to, from, n);
    to[n] = '\0';
    return to;
}

static int32_t bad(ws_error* error, const char* text, const char* why) {
    const char* shown = strchr(text, '@') ? "this URL" : text; /* a password is for no log */
    return ws_error_set(error, WS_ERR_URL, "%.200s: %s", shown, why);
}

/* What may not stand anywhere in a URL: it could end a header line, or is not percent-encoded. */
static const char* forbidden(const char* text) {
    if (strlen(text) > URL_MAX) return "the URL is longer than 65536 bytes";
    for (const unsigned char* c = (const unsigned char*)text; *c; c++) {
        if (*c <= ' ' || *c == 0x7F) return "spaces and control characters are not allowed, percent-encode them";
        if (*c > 0x7F) return "characters outside ASCII are not allowed, percent-encode them";
    }
    if (strchr(text, '#')) return "a WebSocket URL has no fragment (#...)";
    return NULL;
}

/* Decimal, 1 to 65535, nothing else; 0 if not. */
static uint16_t port_number(const char* from, size_t n) {
    unsigned long value = 0;
    if (n == 0 || n > 5) return 0;
    for (size_t i = 0; i < n; i++) {
        if (from[i] < '0' || from[i] > '9') return 0;
        value = value * 10 + (unsigned)(from[i] - '0');
    }
    return value <= 65535 ? (uint16_t)value : 0;
}

static bool host_char_ok(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || strchr("-._~%", c);
}

/* The length of the host at the start of the authority, brackets included; 0 if it is malformed. */
static size_t host_length(const char* from, size_t n) {
    if (n && from[0] == '[') {
        const char* end = memchr(from, ']', n);
        size_t inner = end ? (size_t)(end - from) - 1 : 0;
        if (strspn(from + 1, "0123456789abcdefABCDEF:.") != inner) return 0;
        return inner ? inner + 2 : 0;
    }
    size_t i = 0;
    while (i < n && from[i] != ':') {
        if (!host_char_ok(from[i++])) return 0;
    }
    return i;
}

int32_t ws_url_parse_place(const char* from, size_t n, char** host, bool* ipv6, uint16_t* port, const char** why) {
    size_t length = host_length(from, n);
    *why = "the host is missing or malformed";
    if (!length || length > 255) return WS_ERR_URL;
    *ipv6 = from[0] == '[';
    *host = *ipv6 ? copy(from + 1, length - 2) : copy(from, length);
    if (!*host) return WS_ERR_MEMORY;
    if (length == n) return WS_OK;
    *port = from[length] == ':' ? port_number(from + length + 1, n - length - 1) : 0;
    *why = "the port must be a number from 1 to 65535";
    return *port ? WS_OK : WS_ERR_URL;
}

static int32_t parse_authority(ws_url* url, const char* text, const char* from, size_t n, ws_error* error) {
    const char* why;
    if (memchr(from, '@', n)) {
        return bad(error, text, "a user name or password in the URL is not supported, send an Authorization header");
    }
    url->port = url->secure ? 443 : 80;
    int32_t rc = ws_url_parse_place(from, n, &url->host, &url->ipv6, &url->port, &why);
    if (rc == WS_ERR_MEMORY) return ws_error_set(error, rc, "no memory for the URL");
    return rc ? bad(error, text, why) : WS_OK;
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
