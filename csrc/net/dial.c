#include "net/dial.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "net/sys.h"

/* ---- phases ---- */

static void enter(ws_dial* dial, ws_dial_phase phase) {
    int64_t now = ws_sys_nanos();
    if (dial->phase < WS_DIAL_DONE) dial->spent[dial->phase] += now - dial->phase_began;
    dial->phase = phase;
    dial->phase_began = now;
}

/* Where the TCP connection leads to. */
static const char* next_hop(const ws_dial* dial, uint16_t* port) {
    const ws_dial_plan* plan = dial->plan;
    *port = plan->proxy ? plan->proxy->port : plan->port;
    return plan->proxy ? plan->proxy->host : plan->host;
}

/* ---- resolve ---- */

static int32_t start_race(ws_dial* dial, ws_address* addresses, size_t count, ws_error* error) {
    enter(dial, WS_DIAL_TCP);
    dial->racing = true;
    dial->generation++;
    return ws_race_start(&dial->race, addresses, count, &dial->plan->tcp, error);
}

static int32_t start_unix(ws_dial* dial, ws_error* error) {
    ws_address* address = calloc(1, sizeof *address);
    if (!address) return ws_error_set(error, WS_ERR_MEMORY, "no memory for an address");
    if (ws_address_unix(address, dial->plan->unix_path)) return start_race(dial, address, 1, error);
    free(address);
    return ws_error_set(error, WS_ERR_ARGUMENT, "the path of a unix socket has 1 to 107 bytes");
}

static int32_t resolve_next_hop(ws_dial* dial, ws_error* error) {
    uint16_t port;
    const char* host = next_hop(dial, &port);
    return ws_resolve_start(&dial->job, host, port, error);
}

int32_t ws_dial_start(ws_dial* dial, const ws_dial_plan* plan, const int64_t spent[WS_DIAL_DONE], ws_error* error) {
    *dial = (ws_dial){.plan = plan, .phase_began = ws_sys_nanos()};
    memcpy(dial->spent, spent, sizeof dial->spent);
    dial->target = (ws_proxy_target){.host = plan->host, .ipv6 = plan->ipv6, .port = plan->port};
    if (plan->unix_path) {
        dial->phase = WS_DIAL_TCP; /* there is nothing to resolve */
        return start_unix(dial, error);
    }
    /* SOCKS5 wants an address; SOCKS5H a name, but a literal is none. */
    ws_address literal;
    bool by_address = plan->proxy &&
                      (plan->proxy->kind == WS_PROXY_SOCKS5 ||
                       (plan->proxy->kind == WS_PROXY_SOCKS5H && ws_address_literal(&literal, plan->host, plan->port)));
    dial->target_resolved = !by_address;
    if (by_address) return ws_resolve_start(&dial->job, plan->host, plan->port, error);
    return resolve_next_hop(dial, error);
}

static void take_target(ws_proxy_target* target, const ws_address* address) {
    if (address->storage.ss_family == AF_INET6) {
        target->address_len = 16;
        memcpy(target->address, &((const struct sockaddr_in6*)&address->storage)->sin6_addr, 16);
    } else {
        target->address_len = 4;
        memcpy(target->address, &((const struct sockaddr_in*)&address->storage)->sin_addr, 4);
    }
}

/* The target's address for the proxy: IPv4 if there is one, which proxies can reach more often. */
static int32_t target_resolved(ws_dial* dial, ws_address* addresses, size_t count, ws_error* error) {
    size_t i = 0;
    while (i < count && addresses[i].storage.ss_family != AF_INET) {
        i++;
    }
    take_target(&dial->target, &addresses[i < count ? i : 0]);
    free(addresses);
    dial->target_resolved = true;
    return resolve_next_hop(dial, error);
}

static int32_t step_resolve(ws_dial* dial, ws_error* error) {
    ws_address* addresses;
    size_t count;
    int32_t rc = ws_resolve_result(dial->job, &addresses, &count, error);
    if (rc == 0) return 0;
    ws_resolve_drop(dial->job);
    dial->job = NULL;
    dial->generation++;
    if (rc < 0) return rc;
    rc = dial->target_resolved ? start_race(dial, addresses, count, error)
                               : target_resolved(dial, addresses, count, error);
    return rc ? rc : 1;
}

/* ---- TCP ---- */

static int32_t step_tcp(ws_dial* dial, int64_t now, ws_error* error) {
    intptr_t fd;
    uint16_t port;
    const char* host = next_hop(dial, &port);
    int32_t rc = ws_race_step(&dial->race, now, host, port, &fd, error);
    if (rc != 1) return rc;
    ws_transport_socket(&dial->transport, fd);
    dial->generation += dial->race.generation + 1;
    ws_race_free(&dial->race);
    dial->racing = false;
    enter(dial, dial->plan->proxy ? WS_DIAL_PROXY : dial->plan->tls ? WS_DIAL_TLS : WS_DIAL_DONE);
    return 1;
}

/* ---- TLS, to the proxy and to the server ---- */

static int32_t start_tls(ws_dial* dial, ws_tls_context* context, const ws_tls_server_id* server, bool* started,
                         ws_error* error) {
    if (*started) return WS_OK;
    *started = true;
    return ws_tls_start(&dial->transport, context, server, error);
}

static int32_t secure_proxy(ws_dial* dial, ws_error* error) {
    const ws_proxy_url* proxy = dial->plan->proxy;
    ws_tls_server_id id = {proxy->host, proxy->host, proxy->port};
    int32_t rc = start_tls(dial, dial->plan->proxy_tls, &id, &dial->proxy_secured, error);
    return rc ? rc : ws_tls_handshake(&dial->transport, error);
}

static int32_t step_tls(ws_dial* dial, ws_error* error) {
    ws_tls_server_id id = {dial->plan->server_name, dial->plan->host, dial->plan->port};
    int32_t rc = start_tls(dial, dial->plan->tls, &id, &dial->tls_started, error);
    if (!rc) rc = ws_tls_handshake(&dial->transport, error);
    if (rc == 1) enter(dial, WS_DIAL_DONE);
    return rc;
}

/* ---- the proxy ---- */

static int32_t proxy_lost(const ws_dial* dial, ssize_t how, ws_error* error) {
    char text[128];
    if (how == -EPROTO) dial->transport.ops->explain(&dial->transport, error);
    if (error->code) return error->code;
    error->os_error = (int)-how;
    return ws_error_set(error, WS_ERR_PROXY, "connection to proxy %s port %u lost: %s", dial->plan->proxy->host,
                        dial->plan->proxy->port, ws_sys_error_text((int)-how, text, sizeof text));
}

/* 0, or the -errno of why it cannot be written. */
static ssize_t write_to_proxy(ws_dial* dial) {
    size_t n;
    for (;;) {
        const uint8_t* from = ws_proxy_output(&dial->proxy, &n);
        if (n == 0 && !dial->transport.ops->unsent(&dial->transport)) return 0;
        ssize_t written = dial->transport.ops->write(&dial->transport, from, n);
        if (written == -EAGAIN) return 0;
        if (written < 0) return written;
        if (n == 0) return 0;
        ws_proxy_written(&dial->proxy, (size_t)written);
    }
}

/*
 * 1 when the tunnel stands, 0 when there is no more to read now. What the proxy said before it stopped listening tells
 * more than that it did.
 */
static int32_t converse(ws_dial* dial, ws_error* error) {
    uint8_t bytes[2048];
    ssize_t broken = write_to_proxy(dial);
    for (;;) {
        ssize_t n = dial->transport.ops->read(&dial->transport, bytes, sizeof bytes);
        if (n == -EAGAIN) return broken ? proxy_lost(dial, broken, error) : 0;
        if (n < 0) return proxy_lost(dial, n, error);
        if (n == 0) return ws_proxy_end(&dial->proxy, error);
        int32_t rc = ws_proxy_feed(&dial->proxy, bytes, (size_t)n, error);
        if (rc) return rc;
        if (!broken) broken = write_to_proxy(dial);
    }
}

static int32_t start_dialog(ws_dial* dial, ws_error* error) {
    if (dial->proxy_started) return WS_OK;
    dial->proxy_started = true;
    return ws_proxy_start(&dial->proxy, dial->plan->proxy, &dial->target, dial->plan->user_agent, error);
}

static int32_t step_proxy(ws_dial* dial, ws_error* error) {
    int32_t rc = 1;
    if (dial->plan->proxy->kind == WS_PROXY_HTTPS && !dial->proxy_started) rc = secure_proxy(dial, error);
    if (rc != 1) return rc;
    rc = start_dialog(dial, error);
    if (!rc) rc = converse(dial, error);
    if (rc == 1) enter(dial, dial->plan->tls ? WS_DIAL_TLS : WS_DIAL_DONE);
    return rc;
}

/* ---- a step ---- */

static int32_t step(ws_dial* dial, int64_t now, ws_error* error) {
    switch (dial->phase) {
    case WS_DIAL_RESOLVE:
        return step_resolve(dial, error);
    case WS_DIAL_TCP:
        return step_tcp(dial, now, error);
    case WS_DIAL_PROXY:
        return step_proxy(dial, error);
    default:
        return step_tls(dial, error);
    }
}

/* Does this code's text speak of the proxy, or is it said of a connection to just anybody? */
static bool names_proxy(int32_t code) {
    return code == WS_ERR_PROXY || code == WS_ERR_PROXY_HTTP || code == WS_ERR_PROXY_STATUS;
}

static bool before_tunnel(const ws_dial* dial) {
    return dial->plan->proxy && dial->target_resolved && dial->phase <= WS_DIAL_PROXY;
}

/* Say that it is the proxy's connection that failed, not the server's. */
static int32_t blame_proxy(const ws_dial* dial, int32_t code, ws_error* error) {
    const ws_proxy_url* proxy = dial->plan->proxy;
    ws_error said = *error;
    bool secured = code == WS_ERR_TLS || code == WS_ERR_CERTIFICATE;
    if (code == WS_ERR_LOST) code = WS_ERR_PROXY;
    *error = (ws_error){.os_error = said.os_error};
    ws_error_set(error, code, "proxy %s port %u%s: %s", proxy->host, proxy->port,
                 secured ? " (https://, with the TLS options proxy_tls)" : "", ws_error_text(&said));
    ws_error_clear(&said);
    return code;
}

int32_t ws_dial_step(ws_dial* dial, int64_t now, ws_transport* transport, ws_error* error) {
    int32_t rc = 1;
    while (rc == 1 && dial->phase != WS_DIAL_DONE) {
        rc = step(dial, now, error);
    }
    if (rc < 0 && before_tunnel(dial) && !names_proxy(rc)) return blame_proxy(dial, rc, error);
    if (rc != 1) return rc;
    *transport = dial->transport;
    dial->transport.ops = NULL;
    return 1;
}

/* ---- what to wait for ---- */

static bool wants_write(const ws_dial* dial) {
    size_t n = 0;
    if (dial->phase == WS_DIAL_PROXY && dial->proxy_started) ws_proxy_output(&dial->proxy, &n);
    return n > 0 || dial->transport.ops->unsent(&dial->transport);
}

ws_dial_wait ws_dial_waits(const ws_dial* dial) {
    uint32_t events;
    if (dial->transport.ops) return (ws_dial_wait){dial->transport.fd, true, wants_write(dial), dial->generation};
    if (dial->racing) {
        intptr_t fd = ws_race_fd(&dial->race, &events);
        bool read = events & WS_POLL_READ;
        return (ws_dial_wait){fd, read, !read, dial->generation + dial->race.generation};
    }
    return (ws_dial_wait){dial->job ? ws_resolve_fd(dial->job) : -1, true, false, dial->generation};
}

int64_t ws_dial_deadline(const ws_dial* dial) {
    if (dial->transport.ops) return INT64_MAX;
    if (dial->racing) return dial->race.running ? ws_race_deadline(&dial->race) : 0;
    return dial->job && ws_resolve_fd(dial->job) < 0 ? 0 : INT64_MAX; /* a literal is resolved at once */
}

const char* ws_dial_text(const ws_dial* dial, char* buf, size_t size) {
    char where[160];
    uint16_t port;
    const char* host = next_hop(dial, &port);
    switch (dial->phase) {
    case WS_DIAL_RESOLVE:
        snprintf(buf, size, "resolving %s%s", dial->target_resolved && dial->plan->proxy ? "the proxy, " : "",
                 dial->target_resolved ? host : dial->plan->host);
        break;
    case WS_DIAL_TCP:
        snprintf(buf, size, "connecting to %s%s", dial->plan->proxy ? "the proxy, " : "",
                 ws_address_text(ws_race_latest(&dial->race), where, sizeof where));
        break;
    case WS_DIAL_PROXY:
        snprintf(buf, size, "waiting for the proxy %s port %u", host, port);
        break;
    default:
        snprintf(buf, size, "in the TLS handshake with %s port %u", dial->plan->host, dial->plan->port);
    }
    return buf;
}

void ws_dial_times(const ws_dial* dial, int64_t spent[WS_DIAL_DONE]) {
    memcpy(spent, dial->spent, sizeof dial->spent);
    if (dial->phase < WS_DIAL_DONE) spent[dial->phase] += ws_sys_nanos() - dial->phase_began;
}

const char* ws_dial_proxy_head(const ws_dial* dial, size_t* len) {
    return ws_proxy_head(&dial->proxy, len);
}

void ws_dial_free(ws_dial* dial) {
    ws_resolve_drop(dial->job);
    if (dial->racing) ws_race_free(&dial->race);
    if (dial->transport.ops) dial->transport.ops->close(&dial->transport);
    ws_proxy_free(&dial->proxy);
    *dial = (ws_dial){.phase = WS_DIAL_DONE};
}
