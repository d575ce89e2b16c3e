/*
 * Settings are shared: thousands of connections to one place have the same. The few used last are looked at: who
 * connects to ever other places shares nothing, and must not pay for the search either.
 */
#include <stdlib.h>
#include <string.h>

#include "client/settings.h"
#include "net/thread.h"

enum { LOOKED_AT = 8 };

/* Those that somebody has, the one asked for last first. */
static ws_settings* shared;
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

/* ---- the same? ---- */

static bool same_text(const char* a, const char* b) {
    return a == b || (a && b && strcmp(a, b) == 0);
}

static bool same_url(const ws_url* a, const ws_url* b) {
    return a->secure == b->secure && a->ipv6 == b->ipv6 && a->port == b->port && same_text(a->target, b->target) &&
           same_text(a->host, b->host) && same_text(a->user, b->user) && same_text(a->password, b->password);
}

static bool same_proxy(const ws_settings* a, const ws_settings* b) {
    const ws_proxy_url *p = &a->proxy, *q = &b->proxy;
    return a->proxy_from_env == b->proxy_from_env && p->kind == q->kind && p->ipv6 == q->ipv6 && p->port == q->port &&
           same_text(p->host, q->host) && same_text(p->user, q->user) && same_text(p->password, q->password);
}

static bool same_request(const ws_request* a, const ws_request* b) {
    bool same = a->header_count == b->header_count && a->subprotocol_count == b->subprotocol_count &&
                same_text(a->origin, b->origin) && same_text(a->user_agent, b->user_agent) &&
                !a->deflate == !b->deflate;
    for (size_t i = 0; same && i < a->header_count; i++) {
        same = same_text(a->headers[i].name, b->headers[i].name) && same_text(a->headers[i].value, b->headers[i].value);
    }
    for (size_t i = 0; same && i < a->subprotocol_count; i++) {
        same = same_text(a->subprotocols[i], b->subprotocols[i]);
    }
    return same;
}

static bool same_deflate(const ws_settings* a, const ws_settings* b) {
    const ws_deflate_terms *p = &a->deflate, *q = &b->deflate;
    return p->server_no_context_takeover == q->server_no_context_takeover &&
           p->client_no_context_takeover == q->client_no_context_takeover &&
           p->server_max_window_bits == q->server_max_window_bits &&
           p->client_max_window_bits == q->client_max_window_bits && a->compress_threshold == b->compress_threshold;
}

static bool same_limits(const ws_settings* a, const ws_settings* b) {
    return a->open_timeout == b->open_timeout && a->close_timeout == b->close_timeout &&
           a->keepalive.interval == b->keepalive.interval && a->keepalive.timeout == b->keepalive.timeout &&
           a->write_limit == b->write_limit && a->max_buffer == b->max_buffer && a->drop_oldest == b->drop_oldest &&
           a->max_queue == b->max_queue && a->limits.max_size == b->limits.max_size &&
           a->limits.max_fragments == b->limits.max_fragments && a->limits.max_head == b->limits.max_head &&
           a->max_redirects == b->max_redirects;
}

static bool same_socket(const ws_settings* a, const ws_settings* b) {
    const ws_tcp_options *p = &a->tcp, *q = &b->tcp;
    bool same = same_text(a->unix_path, b->unix_path) && p->local.len == q->local.len &&
                memcmp(&p->local.storage, &q->local.storage, p->local.len) == 0 &&
                p->socket_option_count == q->socket_option_count;
    for (size_t i = 0; same && i < p->socket_option_count; i++) {
        const wsSocketOption *s = &p->socket_options[i], *t = &q->socket_options[i];
        same = s->level == t->level && s->name == t->name && s->length == t->length &&
               memcmp(s->value, t->value, s->length) == 0;
    }
    return same;
}

static bool same(const ws_settings* a, const ws_settings* b) {
    return same_url(&a->url, &b->url) && same_request(&a->request, &b->request) && same_limits(a, b) &&
           same_deflate(a, b) && same_socket(a, b) && same_proxy(a, b) && a->tls == b->tls &&
           a->proxy_tls == b->proxy_tls && same_text(a->server_hostname, b->server_hostname);
}

/* ---- the list; with the lock ---- */

static void link_first(ws_settings* settings) {
    settings->next = shared;
    settings->link = &shared;
    if (shared) shared->link = &settings->next;
    shared = settings;
}

static void unlink_from_list(ws_settings* settings) {
    *settings->link = settings->next;
    if (settings->next) settings->next->link = settings->link;
}

/* NULL: none of those looked at. */
static ws_settings* find(const ws_settings* like) {
    ws_settings* settings = shared;
    for (int i = 0; settings && i < LOOKED_AT; i++, settings = settings->next) {
        if (same(settings, like)) return settings;
    }
    return NULL;
}

/* The one to be used: `made`, or another that is the same. */
static ws_settings* take(ws_settings* made) {
    ws_settings* settings = find(made);
    if (settings) {
        unlink_from_list(settings);
    } else {
        settings = made;
    }
    link_first(settings);
    settings->refs++;
    return settings;
}

/* ---- got and dropped ---- */

static void discard(ws_settings* settings) {
    ws_settings_free(settings);
    free(settings);
}

int32_t ws_settings_get(const wsOptions* options, const ws_settings** out, ws_error* error) {
    pthread_once(&fork_once, watch_forks);
    ws_settings* made = malloc(sizeof *made);
    if (!made) return ws_error_set(error, WS_ERR_MEMORY, "no memory for the options");
    int32_t rc = ws_settings_init(made, options, error);
    if (rc) {
        discard(made);
        return rc;
    }
    ws_mutex_lock(&lock);
    ws_settings* taken = take(made);
    ws_mutex_unlock(&lock);
    if (taken != made) discard(made);
    *out = taken;
    return WS_OK;
}

void ws_settings_drop(const ws_settings* dropped) {
    ws_settings* settings = (ws_settings*)dropped;
    if (!settings) return;
    ws_mutex_lock(&lock);
    bool last = --settings->refs == 0;
    if (last) unlink_from_list(settings);
    ws_mutex_unlock(&lock);
    if (last) discard(settings);
}
