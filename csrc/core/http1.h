/* Heads of HTTP/1.1 messages (RFC 9112), as far as an upgrade needs them. The strings point into the parsed bytes. */
#ifndef WS_CORE_HTTP1_H
#define WS_CORE_HTTP1_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { WS_HTTP_MAX_HEADERS = 128 };

typedef struct ws_slice {
    const char* at;
    size_t len;
} ws_slice;

typedef struct ws_http_header {
    ws_slice name, value; /* the value without white space around it */
} ws_http_header;

typedef struct ws_http_head {
    int status;              /* of a response, 0 for a request */
    ws_slice reason;         /* of a response */
    ws_slice method, target; /* of a request */
    size_t count;
    ws_http_header headers[WS_HTTP_MAX_HEADERS];
} ws_http_head;

/*
 * The length of the head at the start of text[0..n), its empty line included; 0 if that line is not there yet.
 * `*scanned` is where the search stood, so that a head that comes byte by byte is looked at once; it starts at 0.
 */
size_t ws_http_head_length(const char* text, size_t n, size_t* scanned);

/*
 * Could text[0..n) be the start of an HTTP/1.1 response (of a request with any method)? It lets a peer that speaks
 * something else be told from a slow one at its first bytes.
 */
bool ws_http_response_prefix(const char* text, size_t n);
bool ws_http_request_prefix(const char* text, size_t n);

/* Parse a whole head of `n` bytes. NULL if it is well-formed, else what is wrong with it (static text). */
const char* ws_http_parse_response(ws_http_head* head, const char* text, size_t n);
const char* ws_http_parse_request(ws_http_head* head, const char* text, size_t n);

/* The same two for a proxy's answer to CONNECT, which may be of HTTP/1.0 too. */
bool ws_http_proxy_response_prefix(const char* text, size_t n);
const char* ws_http_parse_proxy_response(ws_http_head* head, const char* text, size_t n);

/* Is it an interim response, before the one that counts (RFC 9110 15.2)? 101 is none: another protocol follows it. */
bool ws_http_interim(const ws_http_head* head);

/* The only header of that name (ASCII case ignored), NULL if there is none or more than one; *count is how many. */
const ws_slice* ws_http_header_value(const ws_http_head* head, const char* name, size_t* count);

/* Does the list in all headers of that name contain the token (ASCII case ignored, RFC 9110 5.6.1)? */
bool ws_http_has_token(const ws_http_head* head, const char* name, const char* token);

/* Walk a comma-separated list: the next element without white space around it into *item; false at its end. */
bool ws_http_list_next(ws_slice* list, ws_slice* item);

/* Without white space around it. */
ws_slice ws_slice_trim(ws_slice slice);

/*
 * Cut off what is before the first separator, or all where there is none, without white space around it into *item.
 * *rest is what follows; its `at` is NULL, and the next call false, when nothing does.
 */
bool ws_slice_cut(ws_slice* rest, char separator, ws_slice* item);

bool ws_slice_equal(ws_slice slice, const char* text);        /* exactly */
bool ws_slice_equal_nocase(ws_slice slice, const char* text); /* ASCII case ignored */

/* May `name` and `value` stand in a header we write? No control characters, no injection (RFC 9110 5.1, 5.5). */
bool ws_http_name_ok(const char* name);
bool ws_http_value_ok(const char* value);

#endif
