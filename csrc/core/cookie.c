#include "core/cookie.h"

#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "core/error.h"

typedef struct ws_cookie {
    struct ws_cookie* next;
    bool host_only, secure;
    ws_slice pair, name, domain, path; /* in `text`; the pair is name=value */
    size_t size;
    char text[];
} ws_cookie;

/* A Set-Cookie header taken apart (RFC 6265 5.2), pointing into it. */
typedef struct set_cookie {
    ws_slice name, value, domain, path;
    bool host_only, secure, expired;
} set_cookie;

/* ---- rules of matching ---- */

static bool same(ws_slice a, ws_slice b) {
    return a.len == b.len && memcmp(a.at, b.at, a.len) == 0;
}

static bool same_nocase(ws_slice a, ws_slice b) {
    return a.len == b.len && strncasecmp(a.at, b.at, a.len) == 0;
}

static ws_slice host_of(const ws_url* url) {
    return (ws_slice){url->host, strlen(url->host)};
}

/* Are the characters behind the last dot digits, as in an IPv4 address and in no name? */
static bool is_address(const ws_url* url) {
    const char* dot = strrchr(url->host, '.');
    const char* last = dot ? dot + 1 : url->host;
    return url->ipv6 || (*last && strspn(last, "0123456789") == strlen(last));
}

/* RFC 6265 5.1.3: the host is that domain, or a name below it. */
static bool domain_matches(const ws_url* url, ws_slice domain) {
    ws_slice host = host_of(url);
    if (same_nocase(host, domain)) return true;
    if (host.len <= domain.len || is_address(url)) return false;
    ws_slice end = {host.at + host.len - domain.len, domain.len};
    return end.at[-1] == '.' && same_nocase(end, domain);
}

static ws_slice path_of(const ws_url* url) {
    return (ws_slice){url->target, strcspn(url->target, "?")};
}

/* The path up to its last slash, without it (RFC 6265 5.1.4). */
static ws_slice default_path(const ws_url* url) {
    ws_slice path = path_of(url);
    while (path.at[path.len - 1] != '/') {
        path.len--;
    }
    return path.len > 1 ? (ws_slice){path.at, path.len - 1} : path;
}

/* RFC 6265 5.1.4: the request's path is that one, or below it. */
static bool path_matches(ws_slice request, ws_slice path) {
    if (request.len < path.len || memcmp(request.at, path.at, path.len) != 0) return false;
    return request.len == path.len || path.at[path.len - 1] == '/' || request.at[path.len] == '/';
}

/* ---- Set-Cookie ---- */

/* Is it a number, and at most 0 (RFC 6265 5.2.2)? */
static bool is_expired(ws_slice max_age, bool before) {
    bool minus = max_age.len && max_age.at[0] == '-', zero = true;
    if (max_age.len == minus) return before;
    for (size_t i = minus; i < max_age.len; i++) {
        if (max_age.at[i] < '0' || max_age.at[i] > '9') return before;
        zero &= max_age.at[i] == '0';
    }
    return minus || zero;
}

/* One attribute; of several with the same name the last counts (RFC 6265 5.3). */
static void take_attribute(set_cookie* set, ws_slice value, const ws_url* url) {
    ws_slice name;
    ws_slice_cut(&value, '=', &name);
    value = ws_slice_trim(value);
    if (ws_slice_equal_nocase(name, "Secure")) set->secure = true;
    if (ws_slice_equal_nocase(name, "Max-Age")) set->expired = is_expired(value, set->expired);
    if (ws_slice_equal_nocase(name, "Path")) set->path = value.len && *value.at == '/' ? value : default_path(url);
    if (ws_slice_equal_nocase(name, "Domain") && value.len) {
        bool dot = *value.at == '.';
        set->domain = (ws_slice){value.at + dot, value.len - dot};
    }
}

/* False: ignore it all. */
static bool take_apart(set_cookie* set, ws_slice header, const ws_url* url) {
    ws_slice pair, attribute, rest = header;
    *set = (set_cookie){.path = default_path(url)};
    if (header.len > WS_COOKIE_MAX_SIZE || !ws_slice_cut(&rest, ';', &pair)) return false;
    if (!ws_slice_cut(&pair, '=', &set->name) || !set->name.len || !pair.at) return false;
    set->value = ws_slice_trim(pair);
    while (ws_slice_cut(&rest, ';', &attribute)) {
        take_attribute(set, attribute, url);
    }
    return true;
}

/* May this host set a cookie for that domain? Without one it is for the host alone (RFC 6265 5.3, 5 and 6). */
static bool settle_domain(set_cookie* set, const ws_url* url) {
    bool broad = set->domain.len && memchr(set->domain.at, '.', set->domain.len);
    if (set->domain.at && !(broad ? domain_matches(url, set->domain) : same_nocase(host_of(url), set->domain)))
        return false;
    set->host_only = !broad;
    if (!broad) set->domain = host_of(url);
    return true;
}

/* ---- the store ---- */

static bool is_for(const ws_cookie* cookie, const set_cookie* set) {
    return same(cookie->name, set->name) && same_nocase(cookie->domain, set->domain) && same(cookie->path, set->path);
}

static void free_cookie(ws_cookie* cookie) {
    OPENSSL_cleanse(cookie->text, cookie->size);
    free(cookie);
}

/* Copy a slice to *at, and move that behind it. */
static ws_slice copy(char** at, ws_slice from) {
    ws_slice to = {*at, from.len};
    memcpy(*at, from.at, from.len);
    *at += from.len;
    return to;
}

static ws_cookie* new_cookie(const set_cookie* set) {
    size_t size = set->name.len + 1 + set->value.len + set->domain.len + set->path.len;
    ws_cookie* cookie = malloc(sizeof *cookie + size);
    if (!cookie) return NULL;
    *cookie = (ws_cookie){.host_only = set->host_only, .secure = set->secure, .size = size};
    char* at = cookie->text;
    cookie->name = copy(&at, set->name);
    *at++ = '=';
    copy(&at, set->value);
    cookie->pair = (ws_slice){cookie->text, (size_t)(at - cookie->text)};
    cookie->domain = copy(&at, set->domain);
    cookie->path = copy(&at, set->path);
    return cookie;
}

/* Put it where `place` points, instead of the one that it replaces, if there is one. */
static int32_t put(ws_cookies* cookies, ws_cookie** place, bool replaces, const set_cookie* set) {
    ws_cookie* cookie = set->expired ? NULL : new_cookie(set);
    if (!cookie && !set->expired) return WS_ERR_MEMORY;
    if (replaces) {
        ws_cookie* old = *place;
        *place = old->next;
        free_cookie(old);
        cookies->count--;
    }
    if (!cookie) return WS_OK;
    cookie->next = *place;
    *place = cookie;
    cookies->count++;
    return WS_OK;
}

/* Longer paths come first, then older cookies; one that is replaced passes on its place (RFC 6265 5.3, 11, and 5.4). */
static int32_t store(ws_cookies* cookies, const set_cookie* set) {
    ws_cookie** place = &cookies->first;
    while (*place && (*place)->path.len >= set->path.len && !is_for(*place, set)) {
        place = &(*place)->next;
    }
    bool replaces = *place && is_for(*place, set);
    if (!replaces && (set->expired || cookies->count == WS_COOKIES_MAX)) return WS_OK;
    return put(cookies, place, replaces, set);
}

int32_t ws_cookies_take(ws_cookies* cookies, const ws_url* url, const ws_http_head* head) {
    for (size_t i = 0; i < head->count; i++) {
        set_cookie set;
        if (!ws_slice_equal_nocase(head->headers[i].name, "Set-Cookie")) continue;
        if (!take_apart(&set, head->headers[i].value, url) || !settle_domain(&set, url)) continue;
        if (store(cookies, &set)) return WS_ERR_MEMORY;
    }
    return WS_OK;
}

static bool goes_to(const ws_cookie* cookie, const ws_url* url) {
    if (cookie->secure && !url->secure) return false;
    if (!(cookie->host_only ? same_nocase(host_of(url), cookie->domain) : domain_matches(url, cookie->domain))) {
        return false;
    }
    return path_matches(path_of(url), cookie->path);
}

int32_t ws_cookies_write(const ws_cookies* cookies, const ws_url* url, ws_buf* out) {
    const char* between = "";
    for (const ws_cookie* cookie = cookies->first; cookie; cookie = cookie->next) {
        if (!goes_to(cookie, url)) continue;
        if (ws_buf_append_text(out, between) || ws_buf_append(out, cookie->pair.at, cookie->pair.len)) {
            return WS_ERR_MEMORY;
        }
        between = "; ";
    }
    return WS_OK;
}

void ws_cookies_free(ws_cookies* cookies) {
    for (ws_cookie* cookie = cookies->first; cookie;) {
        ws_cookie* next = cookie->next;
        free_cookie(cookie);
        cookie = next;
    }
    *cookies = (ws_cookies){0};
}
