/*
 * One WebSocket connection without I/O, in either role: handshake, then frames. Bytes in (prepare, commit), events out
 * (next), bytes to write out (output, written). No clock, no socket; randomness is an argument.
 *
 * Receiving functions touch only the receiving half and sending functions only the sending half, so that a caller
 * may guard the two by different locks. ws_protocol_reply is a sending function: what `next` returned must be handed
 * to it, and is then answered as RFC 6455 says. While the handshake lasts both halves belong to one thread.
 */
#ifndef WS_CORE_PROTOCOL_H
#define WS_CORE_PROTOCOL_H

#include "core/handshake.h"
#include "core/http_body.h"
#include "core/reader.h"
#include "core/writer.h"

typedef enum ws_phase {
    WS_PHASE_HEAD,    /* waiting for the other side's HTTP head */
    WS_PHASE_REQUEST, /* server: a request is there, waiting for accept or refuse */
    WS_PHASE_BODY,    /* client: the upgrade was refused, waiting for what the server has to say about it */
    WS_PHASE_FRAMES,
    WS_PHASE_FAILED, /* the handshake failed */
} ws_phase;

typedef enum ws_event_type {
    WS_PROTOCOL_NONE,
    WS_PROTOCOL_REQUEST, /* server: the client's request is fine; accept or refuse it */
    WS_PROTOCOL_OPEN,    /* client: the server has accepted */
    WS_PROTOCOL_TEXT,
    WS_PROTOCOL_BINARY,
    WS_PROTOCOL_PING,
    WS_PROTOCOL_PONG,
    WS_PROTOCOL_CLOSE,  /* the peer's close frame: nothing more will be read */
    WS_PROTOCOL_FAILED, /* see `error`: nothing more will be read */
} ws_event_type;

typedef struct ws_event {
    ws_event_type type;
    const uint8_t* data; /* payload, or the reason of a close frame; valid until the next receiving call */
    size_t len;
    uint16_t code; /* CLOSE: the peer's (1005: none); FAILED: the one to close with, 0 while opening */
} ws_event;

typedef struct ws_protocol {
    bool server;
    ws_phase phase;
    ws_limits limits;
    ws_error error; /* of the receiving half; from WS_PHASE_BODY on it is WS_ERR_STATUS */
    size_t scanned; /* how far the search for the head's end has come */
    size_t interim; /* client: bytes of the heads before the one that counts (RFC 9110 15.2) */
    ws_buf head;    /* the other side's head, kept for who wants to look at it */
    union {
        ws_buf body;      /* client: of a refused upgrade, its first WS_BODY_MAX bytes */
        ws_buf extension; /* server: the header line that answers the offer */
    };
    ws_http_body rest; /* where in the body it stands */
    char key[WS_KEY_SIZE + 1];
    int status;                      /* server: what to refuse with */
    const char* const* subprotocols; /* client: offered; borrowed until OPEN */
    size_t subprotocol_count;
    int subprotocol;     /* client: index of the chosen one, -1 for none */
    bool offers_deflate; /* permessage-deflate may be agreed on, within `deflate` */
    bool deflates;       /* it was agreed on, and `deflate` is how */
    ws_deflate_terms deflate;
    ws_reader reader;
    ws_writer writer;
} ws_protocol;

/* The address of a protocol must not change after init. */
void ws_protocol_init_client(ws_protocol* protocol, const ws_limits* limits, ws_random_fn random);
void ws_protocol_init_server(ws_protocol* protocol, const ws_limits* limits);
void ws_protocol_free(ws_protocol* protocol);

/* Client: queue the request. The subprotocols must live until OPEN. WS_ERR_ARGUMENT, _SYSTEM (no randomness), _MEMORY.
 */
int32_t ws_protocol_start(ws_protocol* protocol, const ws_request* request);

/* Server, before the request is read: let clients use permessage-deflate, on these terms at the most. */
void ws_protocol_offer_deflate(ws_protocol* protocol, const ws_deflate_terms* terms);

/* Server, after REQUEST: answer 101. `subprotocol` may be NULL. WS_ERR_STATE, _MEMORY, _SYSTEM (no SHA-1). */
int32_t ws_protocol_accept(ws_protocol* protocol, const char* subprotocol);

/* Server, after REQUEST or FAILED: refuse with this status and text. */
int32_t ws_protocol_refuse(ws_protocol* protocol, int status, const char* reason);

/* -- the receiving half -- */

/* Lend a place for up to *len > 0 bytes; 0 or WS_ERR_MEMORY. Events handed out are gone. */
int32_t ws_protocol_prepare(ws_protocol* protocol, uint8_t** at, size_t* len);
void ws_protocol_commit(ws_protocol* protocol, size_t n);

/*
 * The next event; its type is NONE when more bytes are needed, or after CLOSE or FAILED. When the server refuses the
 * upgrade, FAILED comes when `body` is complete or full; at once on a redirect (core/redirect), whose body says
 * nothing.
 */
ws_event ws_protocol_next(ws_protocol* protocol);

/*
 * The other side ended its stream, or in WS_PHASE_BODY there is no time for more of it: an event if that is an error
 * (FAILED), else NONE.
 */
ws_event ws_protocol_end(ws_protocol* protocol);

/* Have CLOSE or FAILED been handed out? */
bool ws_protocol_finished(const ws_protocol* protocol);

/* -- the sending half -- */

/*
 * Answer an event: pong to a ping, the same code to a close frame, a close frame with the right code to a failure (or,
 * server, an HTTP refusal), nothing to the rest. WS_ERR_MEMORY or WS_ERR_SYSTEM if that was not possible.
 */
int32_t ws_protocol_reply(ws_protocol* protocol, const ws_event* event);

/* The reason that a failure's close frame carries: the error's text where it fits, else the code's. */
const char* ws_protocol_failure_reason(const ws_protocol* protocol);

/* For all else that is sent: ws_writer_... on &protocol->writer. */

#endif
