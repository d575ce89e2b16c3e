#include "net/tls_verify.h"

#include <arpa/inet.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>

#include "net/tls_options.h"

/* ---- words for what is wrong ---- */

static void append(char* buf, size_t size, const char* text, size_t len) {
    size_t used = strlen(buf);
    snprintf(buf + used, size - used, "%s%.*s", used ? ", " : "", (int)len, text);
}

static void append_name(char* buf, size_t size, const GENERAL_NAME* name) {
    int type;
    const ASN1_STRING* value = GENERAL_NAME_get0_value(name, &type);
    if (type == GEN_DNS) {
        append(buf, size, (const char*)ASN1_STRING_get0_data(value), (size_t)ASN1_STRING_length(value));
    } else if (type == GEN_IPADD) {
        char text[INET6_ADDRSTRLEN] = "?";
        inet_ntop(ASN1_STRING_length(value) == 4 ? AF_INET : AF_INET6, ASN1_STRING_get0_data(value), text, sizeof text);
        append(buf, size, text, strlen(text));
    }
}

/* The names a certificate is valid for, cut to what fits. */
static const char* names(const X509* certificate, char* buf, size_t size) {
    GENERAL_NAMES* all = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
    buf[0] = '\0';
    for (int i = 0; i < sk_GENERAL_NAME_num(all); i++) {
        append_name(buf, size, sk_GENERAL_NAME_value(all, i));
    }
    GENERAL_NAMES_free(all);
    return buf[0] ? buf : "none";
}

static const char* day(const ASN1_TIME* time, char* buf, size_t size) {
    struct tm tm;
    if (!ASN1_TIME_to_tm(time, &tm) || !strftime(buf, size, "%Y-%m-%d %H:%M UTC", &tm)) return "an unknown day";
    return buf;
}

static const char* issuer(const X509* certificate, char* buf, size_t size) {
    X509_NAME_oneline(X509_get_issuer_name(certificate), buf, (int)size);
    return buf;
}

/* "TLS certificate of chat.example", or that of a CA above it. */
static const char* whose(X509_STORE_CTX* store, const X509* certificate, const char* host, char* buf, size_t size) {
    char subject[256];
    X509_NAME_oneline(X509_get_subject_name(certificate), subject, sizeof subject);
    if (X509_STORE_CTX_get_error_depth(store) == 0) {
        snprintf(buf, size, "TLS certificate of %s", host);
    } else {
        snprintf(buf, size, "CA certificate %s above that of %s", subject, host);
    }
    return buf;
}

static void explain(X509_STORE_CTX* store, ws_tls_peer* peer) {
    const X509* certificate = X509_STORE_CTX_get_current_cert(store);
    char buf[1024], text[512];
    const int32_t code = WS_ERR_CERTIFICATE;
    whose(store, certificate, peer->name, text, sizeof text);
    switch (X509_STORE_CTX_get_error(store)) {
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
        ws_error_set(&peer->failure, code, "%s is not valid for that name (it is for %s)", text,
                     names(certificate, buf, sizeof buf));
        break;
    case X509_V_ERR_CERT_HAS_EXPIRED:
        ws_error_set(&peer->failure, code, "%s expired on %s", text,
                     day(X509_get0_notAfter(certificate), buf, sizeof buf));
        break;
    case X509_V_ERR_CERT_NOT_YET_VALID:
        ws_error_set(&peer->failure, code, "%s is not valid before %s: is the clock of this machine right?", text,
                     day(X509_get0_notBefore(certificate), buf, sizeof buf));
        break;
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
        ws_error_set(&peer->failure, code, "%s is self-signed: to trust it, give it as a CA certificate", text);
        break;
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
        ws_error_set(&peer->failure, code, "%s was issued by %s, whom nothing here says to trust: give its CA", text,
                     issuer(certificate, buf, sizeof buf));
        break;
    default:
        ws_error_set(&peer->failure, code, "%s is not valid: %s", text,
                     X509_verify_cert_error_string(X509_STORE_CTX_get_error(store)));
    }
}

static int verified(int ok, X509_STORE_CTX* store) {
    const SSL* ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
    if (!ok) explain(store, ws_tls_peer_of(ssl));
    return ok;
}

/* ---- what is checked ---- */

void ws_tls_verify_set_up(SSL_CTX* ctx, const wsTls* options) {
    SSL_CTX_set_verify(ctx, options->insecure ? SSL_VERIFY_NONE : SSL_VERIFY_PEER, options->insecure ? NULL : verified);
    /* An intermediate CA that is trusted is enough, as Python and curl have it. */
    X509_VERIFY_PARAM_set_flags(SSL_CTX_get0_param(ctx), X509_V_FLAG_PARTIAL_CHAIN);
}

bool ws_tls_verify_expect(SSL* ssl, const char* name, bool is_ip) {
    X509_VERIFY_PARAM* param = SSL_get0_param(ssl);
    /* Names stand in subjectAltName (RFC 9525 2), and a wildcard is a whole label (6.3). */
    X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
    if (is_ip) return X509_VERIFY_PARAM_set1_ip_asc(param, name) == 1;
    return X509_VERIFY_PARAM_set1_host(param, name, 0) == 1;
}

static bool digests(const X509* certificate, uint8_t of_certificate[32], uint8_t of_key[32]) {
    unsigned char* key = NULL;
    int len = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(certificate), &key);
    bool done = len > 0 && X509_digest(certificate, EVP_sha256(), of_certificate, NULL) == 1 &&
                EVP_Digest(key, (size_t)len, of_key, NULL, EVP_sha256(), NULL) == 1;
    OPENSSL_free(key);
    return done;
}

static bool pinned(const char* pins, const uint8_t of_certificate[32], const uint8_t of_key[32]) {
    const char* pin;
    size_t len;
    uint8_t digest[32];
    bool is_key;
    while (ws_tls_options_next(&pins, &pin, &len)) {
        if (!ws_tls_options_pin(pin, len, &is_key, digest)) continue;
        if (memcmp(digest, is_key ? of_key : of_certificate, 32) == 0) return true;
    }
    return false;
}

static void hex(const uint8_t digest[32], char text[65]) {
    for (int i = 0; i < 32; i++) {
        snprintf(text + 2 * i, 3, "%02x", digest[i]);
    }
}

int32_t ws_tls_verify_pins(const SSL* ssl, ws_error* error) {
    const ws_tls_peer* peer = ws_tls_peer_of(ssl);
    const char* pins = ws_tls_context_options(peer->context)->pins;
    uint8_t of_certificate[32], of_key[32];
    char certificate_text[65], key_text[65];
    if (!pins) return WS_OK;
    const X509* certificate = SSL_get0_peer_certificate(ssl);
    if (!certificate || !digests(certificate, of_certificate, of_key)) {
        return ws_error_set(error, WS_ERR_CERTIFICATE, "%s has no certificate to be pinned", peer->name);
    }
    if (pinned(pins, of_certificate, of_key)) return WS_OK;
    hex(of_certificate, certificate_text);
    hex(of_key, key_text);
    return ws_error_set(error, WS_ERR_CERTIFICATE,
                        "TLS certificate of %s has none of the pins (it has cert:%s, key:%s)", peer->name,
                        certificate_text, key_text);
}
