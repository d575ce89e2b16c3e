/* The server: accepts clients, reads and writes when their sockets are ready, keeps the times and the limits. */
#ifndef WS_SERVER_LOOP_H
#define WS_SERVER_LOOP_H

#include <stdbool.h>

#include "core/error.h"

enum {
    WS_SERVER_PORT = 9999,
    WS_SERVER_MAX_SIZE = 1024 * 1024,    /* bytes of a message from a client */
    WS_SERVER_HANDSHAKE_TIMEOUT = 10000, /* ms for a client's request, TLS included, from being accepted */
};

typedef struct ws_server_options {
    const char* host; /* "" or NULL: loopback */
    uint16_t port;    /* 0: any */
    int64_t handshake_timeout;
    size_t max_size;      /* bytes of a message from a client */
    const char* tls_cert; /* PEM file: speak TLS with this certificate and those above it; NULL: without TLS */
    const char* tls_key;  /* PEM file; NULL: the key is in tls_cert */
    bool echo;            /* send every message back to its sender as it came, instead of the chat */
} ws_server_options;

typedef struct ws_server ws_server;

/* Listen. 0, or WS_ERR_SYSTEM, WS_ERR_TLS_OPTIONS or WS_ERR_MEMORY with a text. Free with ws_server_free. */
int32_t ws_server_new(ws_server** server, const ws_server_options* options, ws_error* error);

/* The port it listens on. */
uint16_t ws_server_port(const ws_server* server);

/* Serve until ws_server_stop; then every client has been said goodbye (1001), for at most two seconds. */
int32_t ws_server_run(ws_server* server, ws_error* error);

/* Have it stop. Any thread; async-signal-safe. */
void ws_server_stop(ws_server* server);

void ws_server_free(ws_server* server);

#endif
