#include "core/authority.h"

#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

#include "core/error.h"

enum { URL_MAX = 65536 };

/* It could end a header line, or is not percent-encoded. */
const char* ws_authority_forbidden(const char* text, size_t n) {
    if (n > URL_MAX) return "it is longer than 65536 bytes";
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c <= ' ' || c == 0x7F) return "spaces and control characters are not allowed, percent-encode them";
        if (c > 0x7F) return "characters outside ASCII are not allowed, percent-encode them";
    }
    return NULL;
}

void ws_authority_wipe(char* secret) {
    if (secret) OPENSSL_cleanse(secret, strlen(secret));
    free(secret);
}

char* ws_authority_copy(const char* from, size_t n) {
    char* to = malloc(n + 1);
    if (!to) return NULL;
    memcpy(to, from, n);
    to[n] = '\0';
    return to;
}

/* ---- user and password ---- */

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
            return WS_ERR_URL;
        }
        *out++ = (char)c;
        if (from[i] == '%') i += 2;
    }
    *out = '\0';
    return WS_OK;
}

/* user or user:password in from[0..n) */
static int32_t parse_login(ws_authority* authority, const char* from, size_t n, const char** why) {
    const char* colon = memchr(from, ':', n);
    size_t user = colon ? (size_t)(colon - from) : n;
    int32_t rc = decode(from, user, &authority->user, why);
    if (!rc && colon) rc = decode(colon + 1, n - user - 1, &authority->password, why);
    if (rc) return rc;
    *why = "before the @ a user is missing";
    bool empty = !*authority->user && (!authority->password || !*authority->password);
    return empty ? WS_ERR_URL : WS_OK;
}

/* ---- host and port ---- */

/* Decimal, 1 to 65535, nothing else; 0 if not, and if there is nothing. */
static uint16_t port_number(const char* from, size_t n) {
    unsigned long value = 0;
    if (n > 5) return 0;
    for (size_t i = 0; i < n; i++) {
        if (from[i] < '0' || from[i] > '9') return 0;
        value = value * 10 + (unsigned)(from[i] - '0');
    }
    return value <= 65535 ? (uint16_t)value : 0;
}

static bool host_char_ok(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || (c && strchr("-._~%", c));
}

/* The length of the host at the start of the place, brackets included; 0 if it is malformed. */
static size_t host_length(const char* from, size_t n) {
    if (n && from[0] == '[') {
        const char* end = memchr(from, ']', n);
        size_t inner = end ? (size_t)(end - from) - 1 : 0;
        for (size_t i = 1; i <= inner; i++) {
            if (hex_value(from[i]) < 0 && from[i] != ':' && from[i] != '.') return 0;
        }
        return inner ? inner + 2 : 0;
    }
    size_t i = 0;
    while (i < n && from[i] != ':') {
        if (!host_char_ok(from[i++])) return 0;
    }
    return i;
}

int32_t ws_authority_parse_place(ws_authority* authority, const char* from, size_t n, const char** why) {
    size_t length = host_length(from, n);
    *why = "the host is missing or malformed";
    if (!length || length > 255) return WS_ERR_URL;
    authority->ipv6 = from[0] == '[';
    authority->host = ws_authority_copy(from + authority->ipv6, length - 2 * authority->ipv6);
    if (!authority->host) return WS_ERR_MEMORY;
    if (length == n) return WS_OK;
    authority->port = from[length] == ':' ? port_number(from + length + 1, n - length - 1) : 0;
    *why = "the port must be a number from 1 to 65535";
    return authority->port ? WS_OK : WS_ERR_URL;
}

int32_t ws_authority_parse(ws_authority* authority, const char* from, size_t n, const char** why) {
    const char* at = memrchr(from, '@', n);
    const char* place = at ? at + 1 : from;
    int32_t rc = at ? parse_login(authority, from, (size_t)(at - from), why) : WS_OK;
    return rc ? rc : ws_authority_parse_place(authority, place, n - (size_t)(place - from), why);
}
