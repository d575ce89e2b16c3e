/* From options to an SSL_CTX of OpenSSL's: files read, versions, ciphers and checks set. */
#ifndef WS_NET_TLS_CTX_H
#define WS_NET_TLS_CTX_H

#include "net/tls_trust.h"

/* *ctx is the caller's; *files are those it was made from. 0, WS_ERR_TLS_OPTIONS, WS_ERR_MEMORY. */
int32_t ws_tls_ctx_client(const wsTls* options, SSL_CTX** ctx, ws_tls_files* files, ws_error* error);
int32_t ws_tls_ctx_server(const wsTls* options, SSL_CTX** ctx, ws_tls_files* files, ws_error* error);

#endif
