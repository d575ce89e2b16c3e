#include "net/tls_context.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "net/tls_ctx.h"
#include "net/tls_options.h"
#include "net/tls_trust.h"

enum { MAX_IDLE = 8 }; /* contexts kept though nobody has them: the next connection finds its CAs and sessions */

struct ws_tls_context {
    wsTls options;
    bool server;
    ws_tls_sessions sessions;
    /* -- guarded by `lock` -- */
    int refs; /* the list's own is not counted */
    ws_tls_context* next;
    SSL_CTX* ctx; /* NULL before the first use */
    ws_tls_files files;
};

/* All clients' contexts, the one used last first. Reading CA files happens under the lock: others want them, too. */
static ws_tls_context* contexts;
static ws_mutex lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t fork_once = PTHREAD_ONCE_INIT;

static void before_fork(void) {
    ws_mutex_lock(&lock);
}

static void after_fork(void) {
    ws_mutex_unlock(&lock);
}

static void watch_forks(void) {
    pthread_atfork(before_fork, after_fork, after_fork);
}

static void context_free(ws_tls_context* context) {
    ws_tls_sessions_free(&context->sessions);
    ws_tls_options_free(&context->options);
    ws_tls_files_free(&context->files);
    SSL_CTX_free(context->ctx);
    free(context);
}

static ws_tls_context* context_new(const wsTls* options, bool server) {
    ws_tls_context* context = calloc(1, sizeof *context);
    if (!context) return NULL;
    context->server = server;
    context->refs = 1;
    bool ready = ws_tls_sessions_init(&context->sessions) == 0;
    if (ready && ws_tls_options_copy(&context->options, options)) return context;
    if (ready) {
        context_free(context);
    } else {
        free(context);
    }
    return NULL;
}

void ws_tls_init(void) {
    OPENSSL_init_ssl(0, NULL);
}

/* The link to the context of these options, or to the end. With the lock held. */
static ws_tls_context** find(const wsTls* options) {
    ws_tls_context** link = &contexts;
    while (*link && !ws_tls_options_equal(&(*link)->options, options)) {
        link = &(*link)->next;
    }
    return link;
}

/* The one in the list, moved to its front; NULL without memory. With the lock held. */
static ws_tls_context* find_or_make(const wsTls* options) {
    ws_tls_context** link = find(options);
    ws_tls_context* context = *link;
    if (context) {
        *link = context->next;
        context->refs++;
    } else {
        context = context_new(options, false);
        if (!context) return NULL;
    }
    context->next = contexts;
    contexts = context;
    return context;
}

int32_t ws_tls_context_get(const wsTls* options, ws_tls_context** out, ws_error* error) {
    *out = NULL;
    int32_t rc = ws_tls_options_check(options, error);
    if (rc) return rc;
    pthread_once(&fork_once, watch_forks);
    ws_mutex_lock(&lock);
    *out = find_or_make(options);
    ws_mutex_unlock(&lock);
    return *out ? WS_OK : ws_error_set(error, WS_ERR_MEMORY, "no memory for TLS");
}

/* Unlink the idle contexts beyond MAX_IDLE, the longest unused. With the lock held; the caller frees them. */
static ws_tls_context* take_surplus(void) {
    ws_tls_context *surplus = NULL, **link = &contexts;
    int idle = 0;
    while (*link) {
        ws_tls_context* context = *link;
        if (context->refs > 0 || ++idle <= MAX_IDLE) {
            link = &context->next;
            continue;
        }
        *link = context->next;
        context->next = surplus;
        surplus = context;
    }
    return surplus;
}

void ws_tls_context_use(ws_tls_context* context) {
    ws_mutex_lock(&lock);
    context->refs++;
    ws_mutex_unlock(&lock);
}

void ws_tls_context_drop(ws_tls_context* context) {
    if (!context) return;
    ws_mutex_lock(&lock);
    bool last = --context->refs == 0;
    ws_tls_context* surplus = last && !context->server ? take_surplus() : NULL;
    ws_mutex_unlock(&lock);
    if (last && context->server) context_free(context);
    while (surplus) {
        ws_tls_context* next = surplus->next;
        context_free(surplus);
        surplus = next;
    }
}

/* Read all that the options name into a new SSL_CTX, in place of one read before. With the lock held. */
static int32_t build(ws_tls_context* context, ws_error* error) {
    ws_tls_files files = {0};
    SSL_CTX* ctx = NULL;
    int32_t rc = context->server ? ws_tls_ctx_server(&context->options, &ctx, &files, error)
                                 : ws_tls_ctx_client(&context->options, &ctx, &files, error);
    if (rc) {
        ws_tls_files_free(&files);
        return rc;
    }
    SSL_CTX_free(context->ctx); /* connections that use it have references of their own */
    ws_tls_files_free(&context->files);
    ws_tls_sessions_clear(&context->sessions); /* they were verified by what has changed */
    context->ctx = ctx;
    context->files = files;
    return WS_OK;
}

int32_t ws_tls_context_ssl(ws_tls_context* context, SSL** ssl, ws_error* error) {
    ws_mutex_lock(&lock);
    bool stale = !context->ctx || (!context->server && ws_tls_files_changed(&context->files));
    int32_t rc = stale ? build(context, error) : WS_OK;
    *ssl = rc ? NULL : SSL_new(context->ctx);
    ws_mutex_unlock(&lock);
    if (rc || *ssl) return rc;
    ERR_clear_error();
    return ws_error_set(error, WS_ERR_MEMORY, "no memory for TLS");
}

int32_t ws_tls_context_server(const char* cert_file, const char* key_file, ws_tls_context** context, ws_error* error) {
    wsTls options = {.certFile = cert_file, .keyFile = key_file};
    *context = context_new(&options, true);
    int32_t rc = *context ? build(*context, error) : ws_error_set(error, WS_ERR_MEMORY, "no memory for TLS");
    if (rc && *context) {
        context_free(*context);
        *context = NULL;
    }
    return rc;
}

const wsTls* ws_tls_context_options(const ws_tls_context* context) {
    return &context->options;
}

bool ws_tls_context_is_server(const ws_tls_context* context) {
    return context->server;
}

ws_tls_sessions* ws_tls_context_sessions(ws_tls_context* context) {
    return &context->sessions;
}
