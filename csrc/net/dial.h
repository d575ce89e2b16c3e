/*
 * From what is to be reached to a transport that the opening handshake can run on: resolve, connect, go through the
 * proxy, begin TLS. Each phase is timed. Never waits.
 */
#ifndef WS_NET_DIAL_H
#define WS_NET_DIAL_H

#include "core/proxy.h"
#include "net/race.h"
#include "net/tls.h"

/* What is to be reached, and how. All borrowed until ws_dial_free. */
typedef struct ws_dial_plan {
    const char* host;
    bool ipv6; /* an IPv6 literal */
    uint16_t port;
    const char* unix_path; /* instead of resolving and connecting; NULL: none */
    ws_tcp_options tcp;
    const ws_proxy_url* proxy; /* NULL: none */
    const char* user_agent;    /* for the proxy */
    ws_tls_context* tls;       /* NULL: plain */
    const char* server_name;   /* what the certificate must be valid for */
    ws_tls_context* proxy_tls; /* for an https proxy */
} ws_dial_plan;

typedef enum ws_dial_phase {
    WS_DIAL_RESOLVE,
    WS_DIAL_TCP,
    WS_DIAL_PROXY, /* TLS to the proxy included */
    WS_DIAL_TLS,
    WS_DIAL_DONE,
} ws_dial_phase;

typedef struct ws_dial {
    const ws_dial_plan* plan;
    ws_dial_phase phase;
    int64_t phase_began;         /* ns */
    int64_t spent[WS_DIAL_DONE]; /* ns in each phase that is over */
    ws_resolve* job;
    bool target_resolved; /* SOCKS5: that was the first name */
    ws_proxy_target target;
    ws_race race;
    bool racing;
    ws_proxy proxy;
    bool proxy_secured, proxy_started, tls_started;
    ws_transport transport;
    uint32_t generation;
} ws_dial;

/*
 * Begin; `spent` is what dials before took, to be added to. 0, or WS_ERR_RESOLVE, _SYSTEM, _MEMORY, _ARGUMENT. Free
 * with ws_dial_free in any case.
 */
int32_t ws_dial_start(ws_dial* dial, const ws_dial_plan* plan, const int64_t spent[WS_DIAL_DONE], ws_error* error);

/* Go on: 1 and a transport that is the caller's, 0 while it waits, or the code of what failed, with its text. */
int32_t ws_dial_step(ws_dial* dial, int64_t now, ws_transport* transport, ws_error* error);

/* What to wait for: -1 for nothing; another generation: another descriptor. */
typedef struct ws_dial_wait {
    intptr_t fd;
    bool read, write;
    uint32_t generation;
} ws_dial_wait;

ws_dial_wait ws_dial_waits(const ws_dial* dial);

/* When a step is due though nothing is ready, ms; INT64_MAX: never. */
int64_t ws_dial_deadline(const ws_dial* dial);

/* What it is doing, for the message when time is up: "resolving h", "connecting to 127.0.0.1 port 80". */
const char* ws_dial_text(const ws_dial* dial, char* buf, size_t size);

/* ns in each phase so far. */
void ws_dial_times(const ws_dial* dial, int64_t spent[WS_DIAL_DONE]);

/* What the proxy answered to CONNECT; NULL if it did not. Valid until ws_dial_free. */
const char* ws_dial_proxy_head(const ws_dial* dial, size_t* len);

void ws_dial_free(ws_dial* dial);

#endif
