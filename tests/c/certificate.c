#include "certificate.h"

#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "support.h"

static void add_name(GENERAL_NAMES* all, const char* name, size_t len) {
    GENERAL_NAME* made = GENERAL_NAME_new();
    char text[256];
    snprintf(text, sizeof text, "%.*s", (int)len, name);
    if (strncmp(text, "ip:", 3) == 0) {
        GENERAL_NAME_set0_value(made, GEN_IPADD, a2i_IPADDRESS(text + 3));
    } else {
        ASN1_IA5STRING* value = ASN1_IA5STRING_new();
        assert_int_equal(ASN1_STRING_set(value, text, -1), 1);
        GENERAL_NAME_set0_value(made, GEN_DNS, value);
    }
    assert_true(sk_GENERAL_NAME_push(all, made) > 0);
}

static void add_names(X509* x509, const char* names) {
    GENERAL_NAMES* all = sk_GENERAL_NAME_new_null();
    while (*names) {
        size_t n = strcspn(names, ",");
        add_name(all, names, n);
        names += n + (names[n] == ',');
    }
    assert_int_equal(X509_add1_ext_i2d(x509, NID_subject_alt_name, all, 0, 0), 1);
    GENERAL_NAMES_free(all);
}

static X509* sign(EVP_PKEY* key, const char* names) {
    X509* x509 = X509_new();
    X509_NAME* subject = X509_get_subject_name(x509);
    assert_int_equal(X509_set_version(x509, X509_VERSION_3), 1);
    ASN1_INTEGER_set(X509_get_serialNumber(x509), 1);
    X509_gmtime_adj(X509_getm_notBefore(x509), -3600);
    X509_gmtime_adj(X509_getm_notAfter(x509), 3600);
    X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, (const unsigned char*)"test", -1, -1, 0);
    X509_set_issuer_name(x509, subject);
    X509_set_pubkey(x509, key);
    add_names(x509, names);
    assert_true(X509_sign(x509, key, EVP_sha256()) > 0);
    return x509;
}

static void set_pin(test_certificate* certificate, const X509* x509) {
    unsigned char digest[32];
    assert_int_equal(X509_digest(x509, EVP_sha256(), digest, NULL), 1);
    strcpy(certificate->pin, "cert:");
    for (int i = 0; i < 32; i++) {
        sprintf(certificate->pin + 5 + 2 * i, "%02x", digest[i]);
    }
}

void test_certificate_make(test_certificate* certificate, const char* names) {
    const char* given = getenv("TMPDIR");
    snprintf(certificate->folder, sizeof certificate->folder, "%s/wsclient-test-XXXXXX", given ? given : P_tmpdir);
    assert_non_null(mkdtemp(certificate->folder));
    snprintf(certificate->file, sizeof certificate->file, "%s/cert.pem", certificate->folder);
    snprintf(certificate->key, sizeof certificate->key, "%s/key.pem", certificate->folder);
    EVP_PKEY* key = EVP_EC_gen("P-256");
    X509* x509 = sign(key, names);
    FILE* file = fopen(certificate->file, "w");
    assert_int_equal(PEM_write_X509(file, x509), 1);
    fclose(file);
    file = fopen(certificate->key, "w");
    assert_int_equal(PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL), 1);
    fclose(file);
    set_pin(certificate, x509);
    X509_free(x509);
    EVP_PKEY_free(key);
}

void test_certificate_remove(const test_certificate* certificate) {
    unlink(certificate->file);
    unlink(certificate->key);
    rmdir(certificate->folder);
}
