#include "net/tls_trust.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "net/sys.h"

/* Where distributions keep all trusted CAs in one file: Debian and Alpine, Fedora, SUSE, old RHEL, Alpine. */
static const char* const well_known[] = {"/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt",
                                         "/etc/ssl/ca-bundle.pem", "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
                                         "/etc/ssl/cert.pem"};

/* ---- files as they were ---- */

static void look(const char* path, struct stat* found) {
    if (stat(path, found) != 0) memset(found, 0, sizeof *found);
}

bool ws_tls_files_add(ws_tls_files* files, const char* path) {
    if (files->count == WS_TLS_MAX_FILES) return true;
    char* copy = strdup(path);
    if (!copy) return false;
    look(path, &files->stats[files->count]);
    files->paths[files->count++] = copy;
    return true;
}

bool ws_tls_files_changed(const ws_tls_files* files) {
    for (size_t i = 0; i < files->count; i++) {
        const struct stat* then = &files->stats[i];
        struct stat now;
        look(files->paths[i], &now);
        if (now.st_dev != then->st_dev || now.st_ino != then->st_ino || now.st_size != then->st_size ||
            now.st_mtim.tv_sec != then->st_mtim.tv_sec || now.st_mtim.tv_nsec != then->st_mtim.tv_nsec) {
            return true;
        }
    }
    return false;
}

void ws_tls_files_free(ws_tls_files* files) {
    for (size_t i = 0; i < files->count; i++) {
        free(files->paths[i]);
    }
    *files = (ws_tls_files){0};
}

const char* ws_tls_reason(const char* otherwise) {
    const char *system = NULL, *newest = NULL;
    unsigned long code;
    while ((code = ERR_get_error())) {
        if (ERR_SYSTEM_ERROR(code)) system = strerror(ERR_GET_REASON(code));
        newest = ERR_reason_error_string(code);
    }
    if (system) return system;
    if (otherwise) return otherwise;
    return newest ? newest : "unknown error";
}

/* ---- certificates into the store ---- */

static int count(SSL_CTX* ctx) {
    return sk_X509_OBJECT_num(X509_STORE_get0_objects(SSL_CTX_get_cert_store(ctx)));
}

static bool load_file(SSL_CTX* ctx, const char* path) {
    bool loaded = X509_STORE_load_file(SSL_CTX_get_cert_store(ctx), path) == 1;
    if (loaded) ERR_clear_error();
    return loaded;
}

/* Every file of the folder that has certificates in it. False if none has, or the folder cannot be read. */
static bool load_folder(SSL_CTX* ctx, const char* path) {
    DIR* folder = opendir(path);
    if (!folder) return false;
    const struct dirent* entry;
    char file[PATH_MAX];
    bool any = false;
    while ((entry = readdir(folder))) {
        int n = snprintf(file, sizeof file, "%s/%s", path, entry->d_name);
        if (entry->d_name[0] != '.' && n > 0 && (size_t)n < sizeof file) any = load_file(ctx, file) || any;
    }
    closedir(folder);
    ERR_clear_error();
    if (!any) errno = 0; /* what the last of the files met is not the reason */
    return any;
}

static bool load_text(SSL_CTX* ctx, const char* pem) {
    BIO* bio = BIO_new_mem_buf(pem, -1);
    X509* certificate;
    bool any = false;
    while (bio && (certificate = PEM_read_bio_X509(bio, NULL, NULL, NULL))) {
        any = X509_STORE_add_cert(SSL_CTX_get_cert_store(ctx), certificate) == 1 || any;
        X509_free(certificate);
    }
    BIO_free(bio);
    if (any) ERR_clear_error();
    return any;
}

/* ---- where to look ---- */

static int32_t unusable(ws_error* error, const char* what, const char* path) {
    char reason[128];
    const char* why = errno ? ws_sys_error_text(errno, reason, sizeof reason) : "it has no certificate in PEM form";
    ERR_clear_error();
    return ws_error_set(error, WS_ERR_TLS_OPTIONS, "no CA certificates in %s %s: %s", what, path, why);
}

/* One source that was asked for: it must be usable. */
static int32_t load_named(SSL_CTX* ctx, bool (*load)(SSL_CTX*, const char*), const char* what, const char* path,
                          ws_tls_files* files, ws_error* error) {
    if (!path) return WS_OK;
    if (!ws_tls_files_add(files, path)) return ws_error_set(error, WS_ERR_MEMORY, "no memory for CA certificates");
    errno = 0;
    return load(ctx, path) ? WS_OK : unusable(error, what, path);
}

/* What the environment names: folders with colons between them, of which one must be usable. */
static int32_t load_folders(SSL_CTX* ctx, const char* paths, ws_tls_files* files, ws_error* error) {
    bool any = false;
    char path[PATH_MAX];
    ws_error failure = {0};
    while (paths) {
        size_t n = strcspn(paths, ":");
        snprintf(path, sizeof path, "%.*s", (int)n, paths);
        paths = paths[n] ? paths + n + 1 : NULL;
        any = load_named(ctx, load_folder, "SSL_CERT_DIR", path, files, &failure) == WS_OK || any;
    }
    int32_t rc = any || !failure.code ? WS_OK : ws_error_set(error, failure.code, "%s", ws_error_text(&failure));
    ws_error_clear(&failure);
    return rc;
}

/* Set to nothing is not set. */
static const char* environment(const char* name) {
    const char* value = secure_getenv(name);
    return value && *value ? value : NULL;
}

/* One that may be there. */
static bool load_if_there(SSL_CTX* ctx, const char* path, ws_tls_files* files) {
    return path && ws_tls_files_add(files, path) && load_file(ctx, path);
}

static int32_t load_system(SSL_CTX* ctx, const wsTls* options, ws_tls_files* files, ws_error* error) {
    const char* file = environment(X509_get_default_cert_file_env());
    const char* folders = environment(X509_get_default_cert_dir_env());
    int32_t rc = load_named(ctx, load_file, "SSL_CERT_FILE", file, files, error);
    if (!rc) rc = load_folders(ctx, folders, files, error);
    if (rc || count(ctx)) return rc;
    bool found =
        load_if_there(ctx, options->systemCaFile, files) || load_if_there(ctx, X509_get_default_cert_file(), files);
    for (size_t i = 0; !found && i < sizeof well_known / sizeof well_known[0]; i++) {
        found = load_if_there(ctx, well_known[i], files);
    }
    ERR_clear_error();
    if (found) return WS_OK;
    return ws_error_set(error, WS_ERR_TLS_OPTIONS,
                        "no CA certificates found to verify servers by: install ca-certificates, set SSL_CERT_FILE, or "
                        "name a file of them (looked at %s and where Linux distributions have them)",
                        X509_get_default_cert_file());
}

int32_t ws_tls_trust_load(SSL_CTX* ctx, const wsTls* options, ws_tls_files* files, ws_error* error) {
    if (!options->caFile && !options->caPath && !options->caData) return load_system(ctx, options, files, error);
    int32_t rc = load_named(ctx, load_file, "file", options->caFile, files, error);
    if (!rc) rc = load_named(ctx, load_folder, "folder", options->caPath, files, error);
    if (rc || !options->caData) return rc;
    if (load_text(ctx, options->caData)) return WS_OK;
    ERR_clear_error();
    return ws_error_set(error, WS_ERR_TLS_OPTIONS, "the CA certificates given as text are not in PEM form");
}
