/* Whom to trust: CA certificates from where the caller, the environment or the system has them. */
#ifndef WS_NET_TLS_TRUST_H
#define WS_NET_TLS_TRUST_H

#include <openssl/ssl.h>
#include <stdbool.h>
#include <sys/stat.h>

#include "core/error.h"

enum { WS_TLS_MAX_FILES = 12 };

/* The files that were read, as they were then: when one is another now, it must be read anew. */
typedef struct ws_tls_files {
    size_t count;
    char* paths[WS_TLS_MAX_FILES];
    struct stat stats[WS_TLS_MAX_FILES];
} ws_tls_files;

/* Remember a file before it is read. False without memory. */
bool ws_tls_files_add(ws_tls_files* files, const char* path);
bool ws_tls_files_changed(const ws_tls_files* files);
void ws_tls_files_free(ws_tls_files* files);

/*
 * Load caFile, caPath and caData; without them what SSL_CERT_FILE and SSL_CERT_DIR name, else systemCaFile, else where
 * OpenSSL was built to look, else where Linux distributions have it. SSL_CERT_DIR may be several folders with colons
 * between them, of which one must be usable. Nothing found, or one of the first two unusable: WS_ERR_TLS_OPTIONS, which
 * says what was looked at.
 */
int32_t ws_tls_trust_load(SSL_CTX* ctx, const wsTls* options, ws_tls_files* files, ws_error* error);

/*
 * Why OpenSSL failed: the system's reason if its queue has one, else `otherwise`, else (NULL) the newest in the queue,
 * which is emptied. Never NULL.
 */
const char* ws_tls_reason(const char* otherwise);

#endif
