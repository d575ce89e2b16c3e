/*
 * The rules of the chat (docs/protocol.md): from a message and what is known of its sender to who gets what. Pure: no
 * sockets, no clock, no list of clients.
 */
#ifndef WS_SERVER_HUB_H
#define WS_SERVER_HUB_H

#include <stdbool.h>

#include "chat/envelope.h"

/*
 * Bytes of a message sent on. It may be longer than what came, because the server writes the name it holds; clients
 * commonly refuse more than this.
 */
enum { WS_HUB_MAX_MESSAGE = 1024 * 1024 };

/* What the server knows of a client. */
typedef struct ws_hub_member {
    char name[WS_NAME_MAX + 1];
} ws_hub_member;

/* What is to be done about a message. */
typedef struct ws_hub_verdict {
    bool to_others; /* every other client */
    bool to_sender;
    bool renamed;
    ws_buf json; /* what they get; empty if nobody does. Owned: free with ws_buf_free */
} ws_hub_verdict;

/* A client that has not announced its name. */
void ws_hub_join(ws_hub_member* member);

/*
 * Judge `n` bytes of text from `sender`, taking a new name over if that is what they ask for. 0; WS_ERR_ENVELOPE,
 * WS_ERR_USERNAME or WS_ERR_TOO_BIG for what is to be answered with nothing, or WS_ERR_MEMORY: in all of these the
 * member and the verdict say that nothing happened.
 */
int32_t ws_hub_judge(ws_hub_member* sender, const char* text, size_t n, ws_hub_verdict* verdict, ws_error* error);

#endif
