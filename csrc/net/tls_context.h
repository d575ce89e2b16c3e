/*
 * What all TLS connections of one set of options share: one SSL_CTX, its CA certificates read once, its sessions. A
 * context is counted by references and found again by its options while anybody has it, and a little longer.
 */
#ifndef WS_NET_TLS_CONTEXT_H
#define WS_NET_TLS_CONTEXT_H

#include <stdbool.h>

#include "core/error.h"
#include "net/tls_sessions.h"

typedef struct ws_tls_context ws_tls_context;

/* OpenSSL's exit handler is registered, at the latest now. */
void ws_tls_init(void);

/* For a client: the one for these options, made if need be; no file is read yet. WS_ERR_TLS_OPTIONS, WS_ERR_MEMORY. */
int32_t ws_tls_context_get(const wsTls* options, ws_tls_context** context, ws_error* error);

/* For a server with this certificate chain and key, PEM files, which are read now. The same codes. */
int32_t ws_tls_context_server(const char* cert_file, const char* key_file, ws_tls_context** context, ws_error* error);

/* Another reference, and one given back (NULL is fine). */
void ws_tls_context_use(ws_tls_context* context);
void ws_tls_context_drop(ws_tls_context* context);

/*
 * A connection's SSL. What the options name is read at the first, and again when a file has changed. *ssl is the
 * caller's. WS_ERR_TLS_OPTIONS (which says what cannot be used), WS_ERR_MEMORY.
 */
int32_t ws_tls_context_ssl(ws_tls_context* context, SSL** ssl, ws_error* error);

const wsTls* ws_tls_context_options(const ws_tls_context* context);
bool ws_tls_context_is_server(const ws_tls_context* context);
ws_tls_sessions* ws_tls_context_sessions(ws_tls_context* context);

#endif
