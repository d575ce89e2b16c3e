#include "server/peer.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "net/sys.h"
#include "net/tcp.h"

/* Windows of 4 KiB: a sixth of the memory of the largest, and chat messages compress hardly less. */
static const ws_deflate_terms deflate = {.server_max_window_bits = 12, .client_max_window_bits = 12};

ws_peer* ws_peer_new(intptr_t fd, size_t max_message) {
    ws_peer* peer = calloc(1, sizeof *peer);
    if (!peer) return NULL;
    peer->max_unsent = max_message > WS_PEER_MIN_ROOM ? max_message : WS_PEER_MIN_ROOM;
    ws_limits limits = {max_message, (uint32_t)(peer->max_unsent / WS_PEER_FRAGMENT), WS_PEER_MAX_HEAD};
    ws_transport_socket(&peer->transport, fd);
    ws_protocol_init_server(&peer->protocol, &limits);
    ws_protocol_offer_deflate(&peer->protocol, &deflate);
    peer->protocol.writer.threshold = WS_PEER_COMPRESS_FROM;
    ws_hub_join(&peer->member);
    ws_address address;
    if (ws_tcp_remote(fd, &address) == 0) ws_address_text(&address, peer->address, sizeof peer->address);
    return peer;
}

void ws_peer_free(ws_peer* peer) {
    ws_transport* transport = &peer->transport;
    if (ws_buf_len(&peer->protocol.writer.out) > 0 || transport->ops->unsent(transport)) {
        transport->ops->reset_on_close(transport); /* the stream is torn; else the system would try on for minutes */
    }
    ws_protocol_free(&peer->protocol);
    transport->ops->close(transport);
    free(peer);
}

/* Remember why it ends: what came first is the cause. */
static void note_reason(ws_peer* peer, const char* format, va_list args) {
    if (!peer->reason[0]) vsnprintf(peer->reason, sizeof peer->reason, format, args);
}

static void because(ws_peer* peer, const char* format, ...) __attribute__((format(printf, 2, 3)));

static void because(ws_peer* peer, const char* format, ...) {
    va_list args;
    va_start(args, format);
    note_reason(peer, format, args);
    va_end(args);
}

void ws_peer_drop(ws_peer* peer, const char* format, ...) {
    va_list args;
    va_start(args, format);
    note_reason(peer, format, args);
    va_end(args);
    peer->gone = true;
}

/* Reading or writing has failed with this -errno. */
static void drop_lost(ws_peer* peer, ssize_t failed) {
    char text[96];
    ws_error error = {0};
    if (failed == -EPROTO) peer->transport.ops->explain(&peer->transport, &error);
    if (error.code)
        ws_peer_drop(peer, "%s", ws_error_text(&error));
    else
        ws_peer_drop(peer, "connection lost: %s", ws_sys_error_text((int)-failed, text, sizeof text));
    ws_error_clear(&error);
}

ws_stage ws_peer_stage(const ws_peer* peer) {
    if (ws_protocol_finished(&peer->protocol) || peer->protocol.writer.closed) return WS_STAGE_CLOSING;
    if (peer->protocol.phase != WS_PHASE_FRAMES) return WS_STAGE_HANDSHAKE;
    return peer->pinged ? WS_STAGE_PINGED : WS_STAGE_ACTIVE;
}

bool ws_peer_is_open(const ws_peer* peer) {
    ws_stage stage = ws_peer_stage(peer);
    return !peer->gone && (stage == WS_STAGE_ACTIVE || stage == WS_STAGE_PINGED);
}

/* ---- receiving ---- */

/* What comes behind the end of the conversation is read and forgotten: a socket closed over unread bytes sends a reset,
 * which may overtake our last words. */
static bool discard(ws_peer* peer) {
    uint8_t scrap[4096];
    ssize_t got = peer->transport.ops->read(&peer->transport, scrap, sizeof scrap);
    if (got == 0) ws_peer_drop(peer, "closed");
    if (got < 0 && got != -EAGAIN) drop_lost(peer, got);
    return got > 0;
}

bool ws_peer_read(ws_peer* peer) {
    uint8_t* at;
    size_t len;
    if (ws_protocol_finished(&peer->protocol)) return discard(peer);
    if (ws_protocol_prepare(&peer->protocol, &at, &len) != 0) {
        ws_peer_drop(peer, "no memory to read");
        return false;
    }
    ssize_t got = peer->transport.ops->read(&peer->transport, at, len);
    if (got > 0) {
        ws_protocol_commit(&peer->protocol, (size_t)got);
        peer->pinged = false;
        return true;
    }
    if (got == 0) ws_peer_drop(peer, "ended the stream without a closing handshake");
    if (got < 0 && got != -EAGAIN) drop_lost(peer, got);
    return false;
}

/* Do what the protocol wants done about an event that is no message. */
static void handle(ws_peer* peer, const ws_event* event) {
    int32_t failed = 0;
    if (event->type == WS_PROTOCOL_REQUEST) {
        failed = ws_protocol_accept(&peer->protocol, NULL);
        ws_buf_free(&peer->protocol.head);
    } else {
        failed = ws_protocol_reply(&peer->protocol, event);
    }
    if (event->type == WS_PROTOCOL_CLOSE) because(peer, "closed with code %u", event->code);
    if (event->type == WS_PROTOCOL_FAILED) because(peer, "%s", ws_error_text(&peer->protocol.error));
    if (failed) ws_peer_drop(peer, "cannot be answered: %s", wsErrorString(failed));
}

bool ws_peer_next(ws_peer* peer, ws_event* message) {
    while (!peer->gone) {
        *message = ws_protocol_next(&peer->protocol);
        if (message->type == WS_PROTOCOL_TEXT || message->type == WS_PROTOCOL_BINARY) return true;
        if (message->type == WS_PROTOCOL_NONE) break;
        handle(peer, message);
    }
    ws_reader_trim(&peer->protocol.reader);
    return false;
}

/* ---- sending ---- */

void ws_peer_send(ws_peer* peer, uint8_t opcode, const void* data, size_t len) {
    ws_writer* writer = &peer->protocol.writer;
    if (ws_buf_len(&writer->out) > peer->max_unsent) ws_peer_flush(peer); /* much of it may be of this very turn */
    if (ws_buf_len(&writer->out) > peer->max_unsent) {
        ws_peer_drop(peer, "does not read: over %zu bytes are waiting for it", peer->max_unsent);
        return;
    }
    int32_t failed = ws_writer_message(writer, opcode, data, len, WS_COMPRESS_AUTO);
    if (failed) ws_peer_drop(peer, "cannot be sent to: %s", wsErrorString(failed));
}

void ws_peer_ping(ws_peer* peer) {
    peer->pinged = true;
    ws_writer_trim(&peer->protocol.writer);
    int32_t failed = ws_writer_control(&peer->protocol.writer, WS_OPCODE_PING, NULL, 0);
    if (failed) ws_peer_drop(peer, "cannot be pinged: %s", wsErrorString(failed));
}

void ws_peer_close(ws_peer* peer, uint16_t code, const char* reason) {
    if (ws_peer_stage(peer) == WS_STAGE_CLOSING) return;
    if (!ws_peer_is_open(peer)) {
        ws_peer_drop(peer, "%s", reason);
    } else if (ws_writer_close(&peer->protocol.writer, code, reason, strlen(reason)) != 0) {
        ws_peer_drop(peer, "%s, and no memory to tell it", reason);
    }
    because(peer, "%s", reason);
}

/* The bytes to write now. */
static size_t output(ws_peer* peer, const uint8_t** at) {
    size_t len;
    *at = ws_writer_output(&peer->protocol.writer, &len);
    return len;
}

/* Let what is inside the transport out. Is anything left of it? */
static bool push(ws_peer* peer) {
    ws_transport* transport = &peer->transport;
    if (peer->gone || !transport->ops->unsent(transport)) return false;
    ssize_t failed = transport->ops->write(transport, NULL, 0);
    if (failed < 0 && failed != -EAGAIN) drop_lost(peer, failed);
    return !peer->gone && transport->ops->unsent(transport);
}

/* All is written: the server ends the stream first, RFC 6455 7.1.1. Is what says so still inside? */
static bool end_stream(ws_peer* peer) {
    ws_transport* transport = &peer->transport;
    transport->ops->shutdown(transport);
    peer->said_all = !transport->ops->unsent(transport);
    return !peer->said_all;
}

bool ws_peer_flush(ws_peer* peer) {
    const uint8_t* at;
    size_t len = 0;
    while (!peer->gone && (len = output(peer, &at)) > 0) {
        ssize_t sent = peer->transport.ops->write(&peer->transport, at, len);
        if (sent == -EAGAIN) break;
        if (sent < 0)
            drop_lost(peer, sent);
        else
            ws_writer_written(&peer->protocol.writer, (size_t)sent);
    }
    if (len > 0 || push(peer)) return true;
    return !peer->gone && !peer->said_all && ws_protocol_finished(&peer->protocol) && end_stream(peer);
}
