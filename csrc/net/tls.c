#include "net/tls.h"

#include <arpa/inet.h>
#include <errno.h>
#include <openssl/err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/buf.h"
#include "net/sys.h"
#include "net/tls_bio.h"
#include "net/tls_peer.h"
#include "net/tls_verify.h"

enum { MAX_NAME = 255 }; /* bytes of a name (RFC 1035 2.3.4) */
enum {
    RECORD = 16384,        /* most bytes of a record (RFC 8446 5.1) */
    OVERHEAD = 256,        /* more than a record adds (RFC 5246 6.2.3, RFC 8446 5.2) */
    TOGETHER = 4 * RECORD, /* most bytes that are handed to the socket at once */
};

/* One TLS connection. OpenSSL must not read and write it at once: the mutex keeps the two apart. */
typedef struct ws_tls {
    ws_mutex mutex;
    ws_tls_wire wire; /* what is below */
    SSL* ssl;
    ws_tls_peer peer;
    ws_error error;   /* what broke it */
    bool established; /* the handshake is done */
    bool ready;       /* the last read left something inside: bytes, or the end that came behind them */
    bool reset;       /* broken off: nothing is said at the end */
    char* session;    /* by what its sessions are kept */
    char* where;      /* "chat.example port 443" */
    char* name;
} ws_tls;

static ws_tls* tls_of(const ws_transport* transport) {
    return transport->state;
}

/* ---- what went wrong ---- */

/* Words for the reasons users meet; NULL: OpenSSL's own. */
static const char* meaning(int reason) {
    switch (reason) {
    case SSL_R_HTTP_REQUEST:
        return "it speaks HTTP without TLS: ws:// instead of wss://?";
    case SSL_R_WRONG_VERSION_NUMBER:
        return "it does not speak TLS there: another port, or ws:// instead of wss://?";
    case SSL_R_UNSUPPORTED_PROTOCOL:
    case SSL_R_TLSV1_ALERT_PROTOCOL_VERSION:
    case SSL_R_UNKNOWN_SSL_VERSION:
    case SSL_R_VERSION_TOO_LOW:
        return "the two sides have no TLS version in common: its versions are too old, or those allowed here too few";
    case SSL_R_SSLV3_ALERT_HANDSHAKE_FAILURE:
    case SSL_R_NO_CIPHERS_AVAILABLE:
    case SSL_R_NO_SHARED_CIPHER:
        return "the two sides have no cipher in common, or it wants another certificate of ours (handshake failure)";
    case SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED:
        return "it wants a certificate of ours: set certificate and key of the client";
    case SSL_R_SSLV3_ALERT_BAD_CERTIFICATE:
    case SSL_R_TLSV1_ALERT_UNKNOWN_CA:
    case SSL_R_SSLV3_ALERT_CERTIFICATE_UNKNOWN:
    case SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED:
    case SSL_R_SSLV3_ALERT_CERTIFICATE_REVOKED:
    case SSL_R_TLSV1_ALERT_ACCESS_DENIED:
        return "it does not accept our certificate";
    case SSL_R_TLSV1_ALERT_NO_APPLICATION_PROTOCOL:
        return "it speaks none of the ALPN protocols offered";
    case SSL_R_UNEXPECTED_EOF_WHILE_READING:
        return "the stream was cut off: it ended without TLS's closing alert";
    default:
        return NULL;
    }
}

static void set_lost(ws_tls* tls, int os_error) {
    char text[128];
    ws_sys_error_text(os_error, text, sizeof text);
    tls->error.os_error = os_error;
    if (tls->established) {
        ws_error_set(&tls->error, WS_ERR_LOST, "connection to %s lost: %s", tls->where, text);
    } else {
        ws_error_set(&tls->error, WS_ERR_TLS, "TLS with %s failed: %s", tls->where, text);
    }
}

static const char* reason_text(const ws_tls* tls, unsigned long code) {
    int reason = ERR_GET_LIB(code) == ERR_LIB_SSL ? ERR_GET_REASON(code) : 0;
    const char* text = meaning(reason);
    if (reason == SSL_R_WRONG_VERSION_NUMBER && tls->established) return "what came is not of TLS";
    if (!text && tls->wire.ended) text = meaning(SSL_R_UNEXPECTED_EOF_WHILE_READING);
    if (!text) text = ERR_reason_error_string(code);
    return text ? text : "unknown reason";
}

/* Record why OpenSSL gave up. */
static void set_failed(ws_tls* tls) {
    unsigned long code = ERR_peek_error(); /* the first is the nearest to the cause */
    int os_error = tls->wire.read_error;
    if (tls->peer.failure.code) {
        ws_error_set(&tls->error, tls->peer.failure.code, "%s", ws_error_text(&tls->peer.failure));
    } else if (os_error && os_error != EAGAIN) {
        set_lost(tls, os_error);
    } else {
        ws_error_set(&tls->error, WS_ERR_TLS, "TLS with %s failed: %s", tls->where, reason_text(tls, code));
    }
    ERR_clear_error();
}

/* ---- bytes ---- */

/* What SSL_read and SSL_write say, as a transport says it. With the mutex held. */
static ssize_t outcome(ws_tls* tls, int rc, size_t n) {
    if (SSL_is_init_finished(tls->ssl)) tls->established = true; /* reading may have done it, too */
    if (rc == 1) return (ssize_t)n;
    switch (SSL_get_error(tls->ssl, rc)) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE:
        return -EAGAIN;
    case SSL_ERROR_ZERO_RETURN:
        return 0;
    default:
        set_failed(tls);
        return -EPROTO;
    }
}

static bool has_pending(const ws_tls* tls) {
    const ws_transport* below = &tls->wire.below;
    return SSL_has_pending(tls->ssl) || below->ops->ready_now(below);
}

static ssize_t read_some(ws_tls* tls, uint8_t* to, size_t n) {
    size_t total = 0;
    ssize_t got;
    tls->ready = false;
    if (tls->error.code) return -EPROTO;
    do {
        size_t part = 0;
        ERR_clear_error();
        int rc = SSL_read_ex(tls->ssl, to + total, n - total, &part);
        got = outcome(tls, rc, part);
        if (got > 0) total += (size_t)got;
    } while (got > 0 && total < n && has_pending(tls));
    tls->ready = got > 0 ? has_pending(tls) : total > 0 && got != -EAGAIN;
    if (!tls->ready) SSL_free_buffers(tls->ssl); /* no-op where a part of a record is there */
    return total ? (ssize_t)total : got;
}

static ssize_t tls_read(ws_transport* transport, uint8_t* to, size_t n) {
    ws_tls* tls = tls_of(transport);
    ws_mutex_lock(&tls->mutex);
    ssize_t got = read_some(tls, to, n);
    ws_mutex_unlock(&tls->mutex);
    return got;
}

static ssize_t write_record(ws_tls* tls, const uint8_t* from, size_t n) {
    size_t part = 0;
    ERR_clear_error();
    int rc = SSL_write_ex(tls->ssl, from, n < RECORD ? n : RECORD, &part);
    ssize_t written = outcome(tls, rc, part);
    return written == 0 ? -EPIPE : written; /* 0: the peer has ended the stream */
}

/* Records that leave together, if there is memory to put them together. */
static ssize_t write_records(ws_tls* tls, const uint8_t* from, size_t n) {
    size_t total = 0;
    ssize_t written;
    if (ws_buf_reserve(&tls->wire.unsent, n + TOGETHER / RECORD * OVERHEAD)) return write_record(tls, from, n);
    tls->wire.corked = true;
    do {
        written = write_record(tls, from + total, n - total);
        if (written > 0) total += (size_t)written;
    } while (written > 0 && total < n);
    tls->wire.corked = false;
    ws_tls_wire_flush(&tls->wire);
    return total ? (ssize_t)total : written;
}

/* Some records are begun only when those before are out: what OpenSSL has taken cannot be taken back. */
static ssize_t write_some(ws_tls* tls, const uint8_t* from, size_t n) {
    if (tls->error.code) return -EPROTO;
    int failed = ws_tls_wire_flush(&tls->wire);
    if (failed || n == 0) return failed;
    ssize_t written = n <= RECORD ? write_record(tls, from, n) : write_records(tls, from, n < TOGETHER ? n : TOGETHER);
    return tls->wire.write_error ? -tls->wire.write_error : written;
}

static ssize_t tls_write(ws_transport* transport, const uint8_t* from, size_t n) {
    ws_tls* tls = tls_of(transport);
    ws_mutex_lock(&tls->mutex);
    ssize_t written = write_some(tls, from, n);
    ws_mutex_unlock(&tls->mutex);
    return written;
}

static bool tls_unsent(const ws_transport* transport) {
    ws_tls* tls = tls_of(transport);
    ws_mutex_lock(&tls->mutex);
    bool unsent = !tls->error.code && ws_tls_wire_unsent(&tls->wire);
    ws_mutex_unlock(&tls->mutex);
    return unsent;
}

static bool tls_ready_now(const ws_transport* transport) {
    return tls_of(transport)->ready;
}

static void tls_explain(const ws_transport* transport, ws_error* error) {
    ws_tls* tls = tls_of(transport);
    ws_mutex_lock(&tls->mutex);
    error->os_error = tls->error.os_error;
    if (tls->error.code) ws_error_set(error, tls->error.code, "%s", ws_error_text(&tls->error));
    ws_mutex_unlock(&tls->mutex);
}

/* ---- the end ---- */

/* Say that we are done (RFC 8446 6.1). What is under way is not resumed else. With the mutex held. */
static void say_goodbye(ws_tls* tls) {
    if (tls->error.code || tls->reset || SSL_in_init(tls->ssl) || (SSL_get_shutdown(tls->ssl) & SSL_SENT_SHUTDOWN))
        return;
    SSL_shutdown(tls->ssl);
    ERR_clear_error();
    ws_tls_wire_flush(&tls->wire);
}

static void tls_shutdown(ws_transport* transport) {
    ws_tls* tls = tls_of(transport);
    ws_mutex_lock(&tls->mutex);
    say_goodbye(tls);
    if (!ws_tls_wire_unsent(&tls->wire)) tls->wire.below.ops->shutdown(&tls->wire.below);
    ws_mutex_unlock(&tls->mutex);
}

static void tls_reset_on_close(ws_transport* transport) {
    ws_tls* tls = tls_of(transport);
    ws_mutex_lock(&tls->mutex);
    tls->reset = true;
    tls->wire.below.ops->reset_on_close(&tls->wire.below);
    ws_mutex_unlock(&tls->mutex);
}

static void tls_free(ws_tls* tls) {
    SSL_free(tls->ssl);
    ws_buf_free(&tls->wire.unsent);
    ws_error_clear(&tls->error);
    ws_error_clear(&tls->peer.failure);
    ws_tls_context_drop(tls->peer.context);
    ws_mutex_free(&tls->mutex);
    free(tls->session);
    free(tls->where);
    free(tls->name);
    free(tls);
}

static void tls_close(ws_transport* transport) {
    ws_tls* tls = tls_of(transport);
    say_goodbye(tls);
    SSL_set_shutdown(tls->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN); /* else its session counts as broken */
    tls->wire.below.ops->close(&tls->wire.below);
    tls_free(tls);
    *transport = (ws_transport){.fd = -1};
}

static const ws_transport_ops ops = {
    .read = tls_read,
    .write = tls_write,
    .unsent = tls_unsent,
    .ready_now = tls_ready_now,
    .explain = tls_explain,
    .shutdown = tls_shutdown,
    .reset_on_close = tls_reset_on_close,
    .close = tls_close,
};

/* ---- the beginning ---- */

static bool is_ip(const char* name) {
    uint8_t bytes[16];
    return inet_pton(AF_INET, name, bytes) == 1 || inet_pton(AF_INET6, name, bytes) == 1;
}

/* A name is sent and compared without the dot that makes it absolute. */
static bool set_name(ws_tls* tls, const char* name) {
    size_t n = strlen(name);
    if (n > 1 && name[n - 1] == '.') n--;
    tls->name = strndup(name, n);
    tls->peer.name = tls->name;
    return tls->name != NULL;
}

static bool set_where(ws_tls* tls, const ws_tls_server_id* server) {
    size_t size = strlen(server->host) + sizeof " port 65535";
    tls->where = malloc(size);
    if (tls->where) snprintf(tls->where, size, "%s port %u", server->host, server->port);
    return tls->where != NULL;
}

static bool set_session(ws_tls* tls, const ws_tls_server_id* server) {
    int n = snprintf(NULL, 0, "%s|%s|%u", tls->name, server->host, server->port);
    tls->session = malloc((size_t)n + 1);
    if (!tls->session) return false;
    snprintf(tls->session, (size_t)n + 1, "%s|%s|%u", tls->name, server->host, server->port);
    tls->peer.session = tls->session;
    SSL_SESSION* session = ws_tls_sessions_take(ws_tls_context_sessions(tls->peer.context), tls->session);
    if (session) SSL_set_session(tls->ssl, session);
    SSL_SESSION_free(session);
    return true;
}

static bool set_up_client(ws_tls* tls, const ws_tls_server_id* server) {
    if (!set_where(tls, server) || !set_name(tls, server->name)) return false;
    bool literal = is_ip(tls->name);
    SSL_set_connect_state(tls->ssl);
    if (!literal && SSL_set_tlsext_host_name(tls->ssl, tls->name) != 1) return false;
    return ws_tls_verify_expect(tls->ssl, tls->name, literal) && set_session(tls, server);
}

/* OpenSSL takes an empty name for none to be verified, and one that begins with a dot for all names that end so. */
static bool can_be_verified(const char* name) {
    return name[0] && name[0] != '.' && strlen(name) <= MAX_NAME;
}

static bool set_up(ws_tls* tls, const ws_tls_server_id* server) {
    if (!ws_tls_peer_attach(&tls->peer, tls->ssl) || !ws_tls_wire_attach(&tls->wire, tls->ssl)) return false;
    if (server) return set_up_client(tls, server);
    tls->where = strdup("a client");
    SSL_set_accept_state(tls->ssl);
    return tls->where != NULL;
}

static ws_tls* tls_new(ws_tls_context* context) {
    ws_tls* tls = calloc(1, sizeof *tls);
    if (!tls) return NULL;
    if (ws_mutex_init(&tls->mutex) != 0) {
        free(tls);
        return NULL;
    }
    ws_tls_context_use(context);
    tls->peer.context = context;
    return tls;
}

int32_t ws_tls_start(ws_transport* transport, ws_tls_context* context, const ws_tls_server_id* server,
                     ws_error* error) {
    if (server && !can_be_verified(server->name)) {
        return ws_error_set(error, WS_ERR_TLS_OPTIONS, "no certificate can be valid for the name \"%s\"", server->name);
    }
    ws_tls* tls = tls_new(context);
    if (!tls) return ws_error_set(error, WS_ERR_MEMORY, "no memory for TLS");
    int32_t rc = ws_tls_context_ssl(context, &tls->ssl, error);
    tls->wire.below = *transport;
    if (!rc && !set_up(tls, server)) rc = ws_error_set(error, WS_ERR_MEMORY, "no memory for TLS");
    ERR_clear_error();
    if (rc) {
        tls_free(tls);
        return rc;
    }
    *transport = (ws_transport){.ops = &ops, .fd = tls->wire.below.fd, .state = tls};
    return WS_OK;
}

/* The handshake is done: OpenSSL has looked at chain and name. */
static int32_t done(ws_tls* tls) {
    if (ws_tls_context_is_server(tls->peer.context)) return 1;
    int32_t rc = ws_tls_verify_pins(tls->ssl, &tls->error);
    return rc ? rc : 1;
}

static int32_t go_on(ws_tls* tls) {
    if (ws_tls_wire_flush(&tls->wire) == -EAGAIN) return 0;
    ERR_clear_error();
    ssize_t rc = outcome(tls, SSL_do_handshake(tls->ssl), 1);
    if (rc == -EAGAIN) return 0;
    if (rc == 0) ws_error_set(&tls->error, WS_ERR_TLS, "TLS with %s failed: it ended the stream", tls->where);
    return rc == 1 ? done(tls) : tls->error.code;
}

int32_t ws_tls_handshake(ws_transport* transport, ws_error* error) {
    ws_tls* tls = tls_of(transport);
    ws_mutex_lock(&tls->mutex);
    int32_t rc = go_on(tls);
    ws_mutex_unlock(&tls->mutex);
    if (rc < 0) tls_explain(transport, error);
    return rc;
}

/* ---- looking ---- */

static void look(const SSL* ssl, wsTlsInfo* info) {
    const unsigned char* alpn;
    unsigned len;
    unsigned char* der = NULL;
    const X509* certificate = SSL_get0_peer_certificate(ssl);
    int size = certificate ? i2d_X509(certificate, &der) : 0;
    *info = (wsTlsInfo){.resumed = SSL_session_reused(ssl), .certificate = der};
    info->certificateLength = size > 0 ? (size_t)size : 0;
    snprintf(info->version, sizeof info->version, "%s", SSL_get_version(ssl));
    snprintf(info->cipher, sizeof info->cipher, "%s", SSL_get_cipher_name(ssl));
    SSL_get0_alpn_selected(ssl, &alpn, &len);
    if (len) memcpy(info->alpn, alpn, len);
}

int32_t ws_tls_look(const ws_transport* transport, wsTlsInfo** info) {
    if (transport->ops != &ops) return WS_ERR_STATE;
    *info = malloc(sizeof **info);
    if (!*info) return WS_ERR_MEMORY;
    ws_tls* tls = tls_of(transport);
    ws_mutex_lock(&tls->mutex);
    look(tls->ssl, *info);
    ws_mutex_unlock(&tls->mutex);
    return WS_OK;
}

void ws_tls_info_free(wsTlsInfo* info) {
    if (!info) return;
    OPENSSL_free((void*)info->certificate);
    free(info);
}
