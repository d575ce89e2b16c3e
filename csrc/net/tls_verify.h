/* Is that the server we wanted? Chain, name and pins, with words for what is wrong. */
#ifndef WS_NET_TLS_VERIFY_H
#define WS_NET_TLS_VERIFY_H

#include "net/tls_peer.h"

/* Have a client's SSL_CTX verify, or not, as the options say. */
void ws_tls_verify_set_up(SSL_CTX* ctx, const wsTls* options);

/* Before the handshake: the name (or IP address) the certificate must be valid for. False without memory. */
bool ws_tls_verify_expect(SSL* ssl, const char* name, bool is_ip);

/* After it: does the server's certificate, or its key, have one of the pins? 0 or WS_ERR_CERTIFICATE. */
int32_t ws_tls_verify_pins(const SSL* ssl, ws_error* error);

#endif
