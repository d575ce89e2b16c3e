#include "core/http1.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* tchar, RFC 9110 5.6.2 */
static bool token_char(unsigned char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c && strchr("!#$%&'*+-.^_`|~", c));
}

/* field-vchar, space and tab, RFC 9110 5.5 */
static bool value_char(unsigned char c) {
    return c == '\t' || (c >= ' ' && c != 0x7F);
}

static bool blank(char c) {
    return c == ' ' || c == '\t';
}

size_t ws_http_head_length(const char* text, size_t n, size_t* scanned) {
    size_t from = *scanned > 3 ? *scanned - 3 : 0; /* the empty line may lie across two pieces */
    const char* end = n > from ? memmem(text + from, n - from, "\r\n\r\n", 4) : NULL;
    *scanned = n;
    return end ? (size_t)(end - text) + 4 : 0;
}

static bool begins_with(const char* text, size_t n, const char* start) {
    size_t len = strlen(start);
    return memcmp(text, start, n < len ? n : len) == 0;
}

bool ws_http_response_prefix(const char* text, size_t n) {
    return begins_with(text, n, "HTTP/1.1 ");
}

bool ws_http_proxy_response_prefix(const char* text, size_t n) {
    return begins_with(text, n, "HTTP/1.1 ") || begins_with(text, n, "HTTP/1.0 ");
}

bool ws_http_request_prefix(const char* text, size_t n) {
    for (size_t i = 0; i < n && (i == 0 || text[i] != ' '); i++) {
        if (!token_char((unsigned char)text[i]) || i >= 32) return false;
    }
    return true;
}

/* Cut the line at *at out of the text up to `end`; false if it does not end in CRLF. */
static bool next_line(const char** at, const char* end, ws_slice* line) {
    const char* cr = memchr(*at, '\r', (size_t)(end - *at));
    if (!cr || cr + 1 >= end || cr[1] != '\n') return false;
    *line = (ws_slice){*at, (size_t)(cr - *at)};
    *at = cr + 2;
    return true;
}

ws_slice ws_slice_trim(ws_slice slice) {
    while (slice.len && blank(slice.at[0])) {
        slice.at++;
        slice.len--;
    }
    while (slice.len && blank(slice.at[slice.len - 1])) {
        slice.len--;
    }
    return slice;
}

static bool all_values(ws_slice slice) {
    for (size_t i = 0; i < slice.len; i++) {
        if (!value_char((unsigned char)slice.at[i])) return false;
    }
    return true;
}

/* How many characters of a token the slice begins with. */
static size_t token_length(ws_slice slice) {
    size_t i = 0;
    while (i < slice.len && token_char((unsigned char)slice.at[i])) {
        i++;
    }
    return i;
}

/* field-name ":" OWS field-value OWS; no white space before the colon, no folding (RFC 9112 5) */
static bool parse_header(ws_http_header* header, ws_slice line) {
    size_t i = token_length(line);
    if (i == 0 || i == line.len || line.at[i] != ':') return false;
    header->name = (ws_slice){line.at, i};
    header->value = ws_slice_trim((ws_slice){line.at + i + 1, line.len - i - 1});
    return all_values(header->value);
}

static const char* parse_headers(ws_http_head* head, const char* at, const char* end) {
    ws_slice line;
    for (head->count = 0; next_line(&at, end, &line); head->count++) {
        if (line.len == 0) return NULL;
        if (head->count == WS_HTTP_MAX_HEADERS) return "it has more than 128 headers";
        if (!parse_header(&head->headers[head->count], line)) return "it has a malformed header line";
    }
    return "a header line does not end in CRLF";
}

/* HTTP-version SP 3DIGIT SP reason (RFC 9112 4; the second space is often left out); the version is for the caller. */
static bool parse_status_line(ws_http_head* head, ws_slice line) {
    if (line.len < 12) return false;
    head->status = 0;
    for (size_t i = 9; i < 12; i++) {
        if (line.at[i] < '0' || line.at[i] > '9') return false;
        head->status = head->status * 10 + (line.at[i] - '0');
    }
    if (head->status < 100 || (line.len > 12 && line.at[12] != ' ')) return false;
    head->reason = ws_slice_trim((ws_slice){line.at + 12, line.len - 12});
    return all_values(head->reason);
}

static const char* parse_response(ws_http_head* head, const char* text, size_t n, bool version_ok) {
    const char* end = text + n;
    ws_slice line;
    head->method = head->target = (ws_slice){"", 0};
    if (!version_ok || !next_line(&text, end, &line) || !parse_status_line(head, line))
        return "it does not begin with HTTP/1.1 and a status";
    return parse_headers(head, text, end);
}

const char* ws_http_parse_response(ws_http_head* head, const char* text, size_t n) {
    return parse_response(head, text, n, ws_http_response_prefix(text, n));
}

const char* ws_http_parse_proxy_response(ws_http_head* head, const char* text, size_t n) {
    return parse_response(head, text, n, ws_http_proxy_response_prefix(text, n));
}

/* method SP target SP HTTP/1.1 (RFC 9112 3) */
static bool parse_request_line(ws_http_head* head, ws_slice line) {
    const char* end = line.at + line.len;
    const char* first = memchr(line.at, ' ', line.len);
    const char* second = first ? memchr(first + 1, ' ', (size_t)(end - first - 1)) : NULL;
    if (!second || second == first + 1) return false;
    head->method = (ws_slice){line.at, (size_t)(first - line.at)};
    head->target = (ws_slice){first + 1, (size_t)(second - first - 1)};
    ws_slice version = {second + 1, (size_t)(end - second - 1)};
    return token_length(head->method) == head->method.len && head->method.len && all_values(head->target) &&
           ws_slice_equal(version, "HTTP/1.1");
}

const char* ws_http_parse_request(ws_http_head* head, const char* text, size_t n) {
    const char* end = text + n;
    ws_slice line;
    head->status = 0;
    head->reason = (ws_slice){"", 0};
    if (!next_line(&text, end, &line) || !parse_request_line(head, line))
        return "it does not begin with an HTTP/1.1 request line";
    return parse_headers(head, text, end);
}

const ws_slice* ws_http_header_value(const ws_http_head* head, const char* name, size_t* count) {
    const ws_slice* value = NULL;
    *count = 0;
    for (size_t i = 0; i < head->count; i++) {
        if (!ws_slice_equal_nocase(head->headers[i].name, name)) continue;
        value = &head->headers[i].value;
        ++*count;
    }
    return *count == 1 ? value : NULL;
}

bool ws_slice_cut(ws_slice* rest, char separator, ws_slice* item) {
    if (!rest->at) return false;
    const char* at = rest->len ? memchr(rest->at, separator, rest->len) : NULL;
    size_t n = at ? (size_t)(at - rest->at) : rest->len;
    *item = ws_slice_trim((ws_slice){rest->at, n});
    *rest = at ? (ws_slice){at + 1, rest->len - n - 1} : (ws_slice){NULL, 0};
    return true;
}

bool ws_http_list_next(ws_slice* list, ws_slice* item) {
    return ws_slice_cut(list, ',', item);
}

bool ws_http_interim(const ws_http_head* head) {
    return head->status < 200 && head->status != 101;
}

bool ws_http_has_token(const ws_http_head* head, const char* name, const char* token) {
    for (size_t i = 0; i < head->count; i++) {
        if (!ws_slice_equal_nocase(head->headers[i].name, name)) continue;
        ws_slice list = head->headers[i].value, item;
        while (ws_http_list_next(&list, &item)) {
            if (ws_slice_equal_nocase(item, token)) return true;
        }
    }
    return false;
}

bool ws_slice_equal(ws_slice slice, const char* text) {
    return slice.len == strlen(text) && memcmp(slice.at, text, slice.len) == 0;
}

bool ws_slice_equal_nocase(ws_slice slice, const char* text) {
    return slice.len == strlen(text) && strncasecmp(slice.at, text, slice.len) == 0;
}

bool ws_http_name_ok(const char* name) {
    ws_slice slice = {name, strlen(name)};
    return slice.len && token_length(slice) == slice.len;
}

bool ws_http_value_ok(const char* value) {
    ws_slice slice = {value, strlen(value)};
    return all_values(slice) && ws_slice_trim(slice).len == slice.len;
}
