/* A server's end of connections, one after another on the same port, which the test holds in its hand. */
#ifndef SERVER_END_H
#define SERVER_END_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <wsclient/wsclient.h>

enum { SERVER_DEADLINE = 20000, SERVER_PAYLOAD = 2048 }; /* ms for what must happen; bytes of a client's frame */

typedef struct server_end {
    intptr_t listener, peer; /* peer: -1 for none */
    char url[64];
    wsConn* client; /* stepped while this end waits; NULL: somebody else drives it */
    /* the frame that was read last, unmasked and NUL-terminated */
    uint8_t first;
    size_t length;
    char payload[SERVER_PAYLOAD + 1];
} server_end;

void server_open(server_end* server);
void server_close(server_end* server);

/* Accept and upgrade the next connection. False: there will be none, the client is closed or server_shut was called. */
bool server_accept(server_end* server);

/* From any thread: who waits in server_accept is told that there will be none. */
void server_shut(server_end* server);

/* Read a frame. False: the client has gone. */
bool server_hear(server_end* server);

/* Read on until a message; pings are answered. False as above, or it closes, which is answered. */
bool server_hear_message(server_end* server);

/* Send a frame. */
void server_say(server_end* server, uint8_t first, const void* payload, size_t length);

/* Let go of the peer: with RST, or FIN. */
void server_reset(server_end* server);
void server_drop(server_end* server);

#endif
