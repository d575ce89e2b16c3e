#include "core/basic_auth.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/error.h"

static const char scheme[] = "Basic ";

static size_t login_length(const char* user, const char* password) {
    return strlen(user) + 1 + (password ? strlen(password) : 0);
}

static size_t base64_length(size_t n) {
    return (n + 2) / 3 * 4;
}

size_t ws_basic_auth_length(const char* user, const char* password) {
    return user ? sizeof scheme - 1 + base64_length(login_length(user, password)) : 0;
}

int32_t ws_basic_auth_write(const char* user, const char* password, ws_buf* out) {
    size_t n = login_length(user, password);
    if (ws_buf_reserve(out, sizeof scheme + base64_length(n))) return WS_ERR_MEMORY; /* base64 ends in a NUL */
    char* login = malloc(n + 1);
    if (!login) return WS_ERR_MEMORY;
    snprintf(login, n + 1, "%s:%s", user, password ? password : "");
    ws_buf_append_text(out, scheme);
    EVP_EncodeBlock(ws_buf_tail(out), (const unsigned char*)login, (int)n);
    out->end += base64_length(n);
    OPENSSL_cleanse(login, n);
    free(login);
    return WS_OK;
}
