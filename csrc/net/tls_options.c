#include "net/tls_options.h"

#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

/* The strings of wsTls, by where they lie. */
static const size_t strings[] = {
    offsetof(wsTls, caFile),       offsetof(wsTls, caPath),   offsetof(wsTls, caData),
    offsetof(wsTls, systemCaFile), offsetof(wsTls, certFile), offsetof(wsTls, keyFile),
    offsetof(wsTls, keyPassword),  offsetof(wsTls, alpn),     offsetof(wsTls, ciphers),
    offsetof(wsTls, ciphersuites), offsetof(wsTls, pins),     offsetof(wsTls, keyLogFile),
};
enum { STRINGS = sizeof strings / sizeof strings[0] };

static const char** string_at(wsTls* options, size_t i) {
    return (const char**)((char*)options + strings[i]);
}

static const char* string_of(const wsTls* options, size_t i) {
    return *(const char* const*)((const char*)options + strings[i]);
}

bool ws_tls_options_copy(wsTls* copy, const wsTls* options) {
    bool complete = true;
    *copy = *options;
    for (size_t i = 0; i < STRINGS; i++) {
        const char* from = string_of(options, i);
        *string_at(copy, i) = from ? strdup(from) : NULL;
        complete = complete && (!from || string_of(copy, i));
    }
    return complete;
}

static bool same_text(const char* a, const char* b) {
    return a && b ? strcmp(a, b) == 0 : a == b;
}

bool ws_tls_options_equal(const wsTls* a, const wsTls* b) {
    for (size_t i = 0; i < STRINGS; i++) {
        if (!same_text(string_of(a, i), string_of(b, i))) return false;
    }
    return a->minVersion == b->minVersion && a->maxVersion == b->maxVersion && a->insecure == b->insecure &&
           a->noResumption == b->noResumption;
}

void ws_tls_options_free(wsTls* copy) {
    if (copy->keyPassword) OPENSSL_cleanse((char*)copy->keyPassword, strlen(copy->keyPassword));
    for (size_t i = 0; i < STRINGS; i++) {
        free((char*)string_of(copy, i));
    }
    *copy = (wsTls){0};
}

/* ---- checked ---- */

static bool version_ok(int32_t version) {
    return version == 0 || version == WS_TLS_1_2 || version == WS_TLS_1_3;
}

static int32_t bad(ws_error* error, const char* text) {
    return ws_error_set(error, WS_ERR_TLS_OPTIONS, "%s", text);
}

static int32_t check_lists(const wsTls* options, ws_error* error) {
    const char *list = options->alpn, *item;
    size_t len;
    while (ws_tls_options_next(&list, &item, &len)) {
        if (len == 0 || len > 255) return bad(error, "an ALPN protocol has 1 to 255 bytes");
    }
    list = options->pins;
    while (ws_tls_options_next(&list, &item, &len)) {
        bool of_key;
        uint8_t digest[32];
        if (!ws_tls_options_pin(item, len, &of_key, digest)) {
            return bad(error, "a pin is cert: or key: and the 64 hexadecimal digits of a SHA-256");
        }
    }
    return WS_OK;
}

int32_t ws_tls_options_check(const wsTls* options, ws_error* error) {
    if (!version_ok(options->minVersion) || !version_ok(options->maxVersion)) {
        return bad(error, "a TLS version is WS_TLS_1_2, WS_TLS_1_3 or 0");
    }
    if (options->maxVersion && options->minVersion > options->maxVersion) {
        return bad(error, "the lowest TLS version allowed is higher than the highest");
    }
    if (options->keyFile && !options->certFile) return bad(error, "a client's key needs its certificate, too");
    return check_lists(options, error);
}

bool ws_tls_options_next(const char** list, const char** item, size_t* len) {
    if (!*list) return false;
    *item = *list + strspn(*list, " ");
    size_t n = strcspn(*item, ",");
    *list = (*item)[n] == ',' ? *item + n + 1 : NULL;
    while (n && (*item)[n - 1] == ' ')
        n--;
    *len = n;
    return true;
}

static int hex_digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool ws_tls_options_pin(const char* text, size_t len, bool* of_key, uint8_t digest[32]) {
    *of_key = len > 4 && strncmp(text, "key:", 4) == 0;
    size_t prefix = *of_key ? 4 : 5;
    if (len != prefix + 64 || (!*of_key && strncmp(text, "cert:", 5) != 0)) return false;
    for (size_t i = 0; i < 32; i++) {
        int high = hex_digit(text[prefix + 2 * i]), low = hex_digit(text[prefix + 2 * i + 1]);
        if (high < 0 || low < 0) return false;
        digest[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}
