/* Agreeing on permessage-deflate in the opening handshake (RFC 7692 5 and 7.1, RFC 6455 9.1). */
#ifndef WS_CORE_EXTENSION_H
#define WS_CORE_EXTENSION_H

#include "core/deflate.h"
#include "core/http1.h"

/* Client: append the header that offers it on these terms. 0 or WS_ERR_MEMORY. */
int32_t ws_extension_write_offer(const ws_deflate_terms* wanted, ws_buf* out);

/*
 * Client: read the server's answer. *agreed tells whether compression is used, on the *terms. WS_ERR_EXTENSION with a
 * text for what was not offered, what contradicts the offer, and what is malformed. `wanted` is NULL if nothing was
 * offered.
 */
int32_t ws_extension_check_answer(const ws_http_head* head, const ws_deflate_terms* wanted, bool* agreed,
                                  ws_deflate_terms* terms, ws_error* error);

/*
 * Server: choose among the client's offers the first that can be met; the limits of `wanted` are applied on top. False
 * if there is none: then the connection goes without. *ask_client: the client lets us set its window bits.
 */
bool ws_extension_choose(const ws_http_head* head, const ws_deflate_terms* wanted, ws_deflate_terms* terms,
                         bool* ask_client);

/* Server: append the header that answers the offer with these terms. 0 or WS_ERR_MEMORY. */
int32_t ws_extension_write_answer(const ws_deflate_terms* terms, bool ask_client, ws_buf* out);

#endif
