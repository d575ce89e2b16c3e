/* The part of core/url that follows references (RFC 3986 5). */
#include <string.h>
#include <strings.h>

#include "core/authority.h"
#include "core/buf.h"
#include "core/url.h"

/* A Location taken apart (RFC 3986 5.2.2). What is missing has NULL in it. */
typedef struct reference {
    const char* scheme; /* "ws" or "wss" */
    const char* place;  /* host and port */
    size_t place_len;
    const char* path;
    size_t path_len;
    const char* query; /* with its '?' */
    size_t query_len;
} reference;

static size_t length_before(const char* from, size_t n, const char* stops) {
    size_t i = 0;
    while (i < n && !strchr(stops, from[i])) {
        i++;
    }
    return i;
}

static int32_t bad(ws_error* error, const char* location, size_t len, const char* why) {
    bool secret = memchr(location, '@', len) || memmem(location, len, "%40", 3); /* a password is for no log */
    size_t n = secret ? 0 : length_before(location, len, "?#");                  /* and a query may hold a token */
    return ws_error_set(error, WS_ERR_REDIRECT, "the redirect's Location%s%.*s: %s", n ? " " : "",
                        (int)(n < 200 ? n : 200), location, why);
}

/* ---- taking it apart ---- */

static const char* websocket_scheme(const char* from, size_t n) {
    static const char* const names[][2] = {{"ws", "ws"}, {"http", "ws"}, {"wss", "wss"}, {"https", "wss"}};
    for (size_t i = 0; i < 4; i++) {
        if (n == strlen(names[i][0]) && strncasecmp(from, names[i][0], n) == 0) return names[i][1];
    }
    return NULL;
}

/* NULL, or what is wrong with it. */
static const char* take_apart(reference* parts, const char* from, size_t n) {
    n = length_before(from, n, "#");
    size_t scheme = length_before(from, n, ":/?");
    if (scheme < n && from[scheme] == ':') {
        parts->scheme = websocket_scheme(from, scheme);
        if (!parts->scheme) return "it leads to no ws, wss, http or https URL";
        from += scheme + 1;
        n -= scheme + 1;
        if (n < 2 || memcmp(from, "//", 2) != 0) return "behind the scheme // is missing";
    }
    if (n >= 2 && memcmp(from, "//", 2) == 0) {
        size_t authority = length_before(from + 2, n - 2, "/?");
        const char* at = memrchr(from + 2, '@', authority);
        parts->place = at ? at + 1 : from + 2;
        parts->place_len = (size_t)(from + 2 + authority - parts->place);
        from += 2 + authority;
        n -= 2 + authority;
    }
    parts->path = from;
    parts->path_len = length_before(from, n, "?");
    parts->query = parts->path_len < n ? from + parts->path_len : NULL;
    parts->query_len = n - parts->path_len;
    return NULL;
}

/* ---- putting it together ---- */

/* Remove the segments "." and ".." from a path that begins with '/'; its new length (RFC 3986 5.2.4). */
static size_t remove_dots(char* path, size_t n) {
    size_t out = 0;
    for (size_t at = 0, end; at < n; at = end) {
        end = at + 1 + length_before(path + at + 1, n - at - 1, "/");
        bool dot = end - at == 2 && path[at + 1] == '.';
        bool dots = end - at == 3 && path[at + 1] == '.' && path[at + 2] == '.';
        if (!dot && !dots) {
            memmove(path + out, path + at, end - at);
            out += end - at;
            continue;
        }
        while (dots && out > 0 && path[--out] != '/') {
        }
        if (end == n) path[out++] = '/';
    }
    return out;
}

/* The path, merged with that of the base if it is relative, without dots (RFC 3986 5.2.3). */
static int32_t write_path(const reference* parts, const ws_url* base, ws_buf* out) {
    size_t start = ws_buf_len(out);
    bool absolute = parts->place || (parts->path_len && parts->path[0] == '/');
    size_t kept = absolute ? 0 : strcspn(base->target, "?");
    while (parts->path_len && kept > 0 && base->target[kept - 1] != '/') {
        kept--;
    }
    if (ws_buf_append(out, base->target, kept) || ws_buf_append(out, parts->path, parts->path_len)) {
        return WS_ERR_MEMORY;
    }
    char* path = (char*)ws_buf_head(out) + start;
    if (parts->path_len) out->end -= ws_buf_len(out) - start - remove_dots(path, ws_buf_len(out) - start);
    return WS_OK;
}

static int32_t write_query(const reference* parts, const ws_url* base, ws_buf* out) {
    if (parts->query) return ws_buf_append(out, parts->query, parts->query_len);
    if (parts->place || parts->path_len) return WS_OK;
    return ws_buf_append_text(out, base->target + strcspn(base->target, "?"));
}

static int32_t write_whole(const reference* parts, const ws_url* base, ws_buf* out) {
    const char* scheme = parts->scheme ? parts->scheme : base->secure ? "wss" : "ws";
    if (ws_buf_append_text(out, scheme) || ws_buf_append_text(out, "://")) return WS_ERR_MEMORY;
    int32_t rc = parts->place ? ws_buf_append(out, parts->place, parts->place_len) : ws_url_write_host(base, out);
    if (rc || write_path(parts, base, out) || write_query(parts, base, out)) return WS_ERR_MEMORY;
    return ws_buf_append(out, "", 1);
}

/* ---- all of it ---- */

static int32_t carry_login(ws_url* out, const ws_url* base) {
    if (!base->user || !ws_url_same_host(base, out)) return WS_OK;
    out->user = ws_authority_copy(base->user, strlen(base->user));
    if (base->password) out->password = ws_authority_copy(base->password, strlen(base->password));
    return out->user && (out->password || !base->password) ? WS_OK : WS_ERR_MEMORY;
}

int32_t ws_url_resolve(ws_url* out, const ws_url* base, const char* location, size_t len, ws_error* error) {
    *out = (ws_url){0};
    reference parts = {0};
    ws_buf text = {0};
    ws_error wrong = {0};
    const char* why = ws_authority_forbidden(location, len);
    if (!why) why = take_apart(&parts, location, len);
    if (why) return bad(error, location, len, why);
    int32_t rc = write_whole(&parts, base, &text);
    if (!rc) rc = ws_url_parse(out, (const char*)text.data, &wrong);
    if (!rc) rc = carry_login(out, base);
    if (rc == WS_ERR_MEMORY) ws_error_set(error, rc, "no memory for the redirect's URL");
    if (rc == WS_ERR_URL) rc = ws_error_set(error, WS_ERR_REDIRECT, "the redirect leads to %s", ws_error_text(&wrong));
    ws_buf_free(&text);
    ws_error_clear(&wrong);
    return rc;
}
