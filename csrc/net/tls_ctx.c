#include "net/tls_ctx.h"

#include <openssl/err.h>
#include <openssl/x509.h>
#include <string.h>

#include "net/sys.h"
#include "net/tls_options.h"
#include "net/tls_peer.h"
#include "net/tls_verify.h"

enum { READ_AHEAD = 65536 }; /* bytes of records that one read of the socket takes in; not kept while nothing comes */

static int32_t fail(ws_error* error, const char* what, const char* which) {
    return ws_error_set(error, WS_ERR_TLS_OPTIONS, "%s%s: %s", what, which, ws_tls_reason(NULL));
}

/* ---- the certificate and key of our own ---- */

static int give_password(char* buf, int size, int writing, void* arg) {
    const char* password = arg;
    size_t n = password ? strlen(password) : 0;
    (void)writing;
    if (n > (size_t)size) return -1;
    if (n) memcpy(buf, password, n);
    return (int)n;
}

/* The certificate before it is of another key; if that is of another kind, OpenSSL says that it has none. */
static bool is_mismatch(unsigned long code) {
    int reason = ERR_GET_REASON(code);
    if (ERR_GET_LIB(code) == ERR_LIB_SSL) return reason == SSL_R_NO_CERTIFICATE_ASSIGNED;
    return ERR_GET_LIB(code) == ERR_LIB_X509 &&
           (reason == X509_R_KEY_VALUES_MISMATCH || reason == X509_R_KEY_TYPE_MISMATCH);
}

/* Why a file of ours cannot be used. `otherwise` is for reasons about the parts of a decoder, which do not help. */
static int32_t unusable(ws_error* error, const char* what, const char* path, const char* otherwise) {
    char text[128];
    unsigned long code = ERR_peek_error(); /* the first is the nearest to the cause */
    const char* why = otherwise;
    if (ERR_SYSTEM_ERROR(code)) {
        why = ws_sys_error_text(ERR_GET_REASON(code), text, sizeof text);
    } else if (is_mismatch(code)) {
        why = "it does not go with the certificate";
    } else if (ERR_GET_LIB(code) == ERR_LIB_SSL && ERR_reason_error_string(code)) {
        why = ERR_reason_error_string(code);
    }
    ERR_clear_error();
    return ws_error_set(error, WS_ERR_TLS_OPTIONS, "cannot use the %s file %s: %s", what, path, why);
}

static int32_t load_own(SSL_CTX* ctx, const wsTls* options, ws_tls_files* files, ws_error* error) {
    if (!options->certFile) return WS_OK;
    const char* key = options->keyFile ? options->keyFile : options->certFile;
    if (!ws_tls_files_add(files, options->certFile) || !ws_tls_files_add(files, key)) {
        return ws_error_set(error, WS_ERR_MEMORY, "no memory for TLS");
    }
    SSL_CTX_set_default_passwd_cb(ctx, give_password);
    SSL_CTX_set_default_passwd_cb_userdata(ctx, (void*)options->keyPassword);
    ERR_clear_error();
    if (SSL_CTX_use_certificate_chain_file(ctx, options->certFile) != 1) {
        return unusable(error, "certificate", options->certFile, "it has no certificate in PEM form");
    }
    if (SSL_CTX_use_PrivateKey_file(ctx, key, SSL_FILETYPE_PEM) != 1 || SSL_CTX_check_private_key(ctx) != 1) {
        return unusable(error, "key", key,
                        options->keyPassword ? "it is no key in PEM form, or its password is another"
                                             : "it is no key in PEM form, or needs a password");
    }
    return WS_OK;
}

/* ---- versions, ciphers, ALPN ---- */

static int32_t set_ciphers(SSL_CTX* ctx, const wsTls* options, ws_error* error) {
    int lowest = options->minVersion ? options->minVersion : TLS1_2_VERSION;
    if (SSL_CTX_set_min_proto_version(ctx, lowest) != 1 ||
        SSL_CTX_set_max_proto_version(ctx, options->maxVersion) != 1) {
        return fail(error, "cannot allow only these TLS versions", "");
    }
    if (options->ciphers && SSL_CTX_set_cipher_list(ctx, options->ciphers) != 1) {
        return fail(error, "cannot use the ciphers ", options->ciphers);
    }
    if (options->ciphersuites && SSL_CTX_set_ciphersuites(ctx, options->ciphersuites) != 1) {
        return fail(error, "cannot use the cipher suites ", options->ciphersuites);
    }
    return WS_OK;
}

/* As on the wire: each name behind its length (RFC 7301 3.1). */
static int32_t set_alpn(SSL_CTX* ctx, const char* list, ws_error* error) {
    unsigned char wire[1024];
    size_t used = 0, len;
    const char* item;
    while (ws_tls_options_next(&list, &item, &len)) {
        if (used + 1 + len > sizeof wire) {
            return ws_error_set(error, WS_ERR_TLS_OPTIONS, "the ALPN protocols are more than 1024 bytes");
        }
        wire[used++] = (unsigned char)len;
        memcpy(wire + used, item, len);
        used += len;
    }
    if (used && SSL_CTX_set_alpn_protos(ctx, wire, (unsigned)used) != 0) return fail(error, "cannot offer ALPN", "");
    return WS_OK;
}

/* ---- the whole ---- */

static SSL_CTX* new_ctx(const SSL_METHOD* method, ws_error* error) {
    SSL_CTX* ctx = SSL_CTX_new(method);
    if (!ctx) {
        fail(error, "cannot set up TLS", "");
        return NULL;
    }
    SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
    SSL_CTX_set_mode(ctx,
                     SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_read_ahead(ctx, 1);
    SSL_CTX_set_default_read_buffer_len(ctx, READ_AHEAD);
    return ctx;
}

static int32_t set_up_client(SSL_CTX* ctx, const wsTls* options, ws_tls_files* files, ws_error* error) {
    int32_t rc = set_ciphers(ctx, options, error);
    if (!rc) rc = set_alpn(ctx, options->alpn, error);
    if (!rc) rc = load_own(ctx, options, files, error);
    if (!rc && !options->insecure) rc = ws_tls_trust_load(ctx, options, files, error);
    if (rc) return rc;
    ws_tls_verify_set_up(ctx, options);
    ws_tls_peer_set_up(ctx, options);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    if (!options->noResumption) {
        SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    }
    return WS_OK;
}

int32_t ws_tls_ctx_client(const wsTls* options, SSL_CTX** out, ws_tls_files* files, ws_error* error) {
    SSL_CTX* ctx = new_ctx(TLS_client_method(), error);
    int32_t rc = ctx ? set_up_client(ctx, options, files, error) : error->code;
    if (rc) {
        SSL_CTX_free(ctx);
        ctx = NULL;
    }
    *out = ctx;
    return rc;
}

int32_t ws_tls_ctx_server(const wsTls* options, SSL_CTX** out, ws_tls_files* files, ws_error* error) {
    SSL_CTX* ctx = new_ctx(TLS_server_method(), error);
    int32_t rc = ctx ? set_ciphers(ctx, options, error) : error->code;
    if (!rc) rc = load_own(ctx, options, files, error);
    if (rc) {
        SSL_CTX_free(ctx);
        ctx = NULL;
    } else {
        SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF); /* tickets do not need it */
    }
    *out = ctx;
    return rc;
}
