/* The opening handshake (RFC 6455 4): what both sides write, and what they check. */
#ifndef WS_CORE_HANDSHAKE_H
#define WS_CORE_HANDSHAKE_H

#include "core/buf.h"
#include "core/cookie.h"
#include "core/error.h"
#include "core/extension.h"
#include "core/http1.h"
#include "core/url.h"

enum { WS_KEY_SIZE = 24, WS_ACCEPT_SIZE = 28 }; /* base64 characters of Sec-WebSocket-Key and -Accept */

/* What the client asks for. All borrowed. */
typedef struct ws_request {
    const ws_url* url; /* its user and password go into Authorization, unless `headers` has one */
    const wsHeader* headers;
    size_t header_count;
    const char* origin;
    const char* const* subprotocols;
    size_t subprotocol_count;
    const char* user_agent;          /* NULL or "": none */
    const ws_deflate_terms* deflate; /* permessage-deflate on these terms; NULL: not offered */
    const ws_cookies* cookies;       /* sent behind those in the caller's Cookie header; NULL: none */
    bool foreign; /* a redirect has led to another host: Authorization and Cookie of `headers` stay behind */
} ws_request;

/* Make the key from 16 random bytes (RFC 6455 4.1, 7). */
void ws_handshake_key(char key[WS_KEY_SIZE + 1], const uint8_t random[16]);

/* The accept value to a key (RFC 6455 4.2.2, 5.4). WS_ERR_SYSTEM if libcrypto makes no SHA-1, as its policy may be. */
int32_t ws_handshake_accept(char accept[WS_ACCEPT_SIZE + 1], const char* key, size_t key_len);

/* Check what the caller wants in the request: WS_ERR_ARGUMENT with a text for injection and for headers of ours. */
int32_t ws_handshake_check_request(const ws_request* request, ws_error* error);

/* Append the client's request. 0 or WS_ERR_MEMORY. */
int32_t ws_handshake_write_request(const ws_request* request, const char* key, ws_buf* out);

/*
 * Client: check the server's answer. *subprotocol is the index of the chosen one among those offered, -1 for none.
 * WS_ERR_STATUS, _UPGRADE, _ACCEPT, _HEADER, _SUBPROTOCOL, _SYSTEM (no SHA-1) with a text. Extensions are
 * core/extension's.
 */
int32_t ws_handshake_check_response(const ws_http_head* head, const char* key, const char* const* offered,
                                    size_t offered_count, int* subprotocol, ws_error* error);

/*
 * Server: check a client's request. *key points into the head. On failure *status is the HTTP status to refuse it
 * with (400, 405, 426) and the code WS_ERR_HTTP, _UPGRADE or _HEADER.
 */
int32_t ws_handshake_check_upgrade(const ws_http_head* head, ws_slice* key, int* status, ws_error* error);

/* Server: does the client offer this subprotocol? */
bool ws_handshake_offers(const ws_http_head* head, const char* subprotocol);

/*
 * Server: append the 101 answer; `subprotocol` and `extension` (a whole header line) may be NULL. 0, WS_ERR_MEMORY, or
 * WS_ERR_SYSTEM (no SHA-1).
 */
int32_t ws_handshake_write_response(ws_slice key, const char* subprotocol, const ws_buf* extension, ws_buf* out);

/* Server: append a refusal that ends the connection, with `reason` as its plain-text body. */
int32_t ws_handshake_write_refusal(int status, const char* reason, ws_buf* out);

#endif
