#include "core/protocol.h"

#include <string.h>

#include "core/redirect.h"

enum { HEAD_READ = 1024 }; /* bytes that are read at first: more than most heads have */

static const ws_event no_event = {WS_PROTOCOL_NONE, NULL, 0, 0};

void ws_protocol_init_client(ws_protocol* protocol, const ws_limits* limits, ws_random_fn random) {
    *protocol = (ws_protocol){.limits = *limits, .subprotocol = -1};
    ws_reader_init(&protocol->reader, false, &protocol->limits);
    ws_writer_init(&protocol->writer, random);
}

void ws_protocol_init_server(ws_protocol* protocol, const ws_limits* limits) {
    *protocol = (ws_protocol){.server = true, .limits = *limits, .subprotocol = -1};
    ws_reader_init(&protocol->reader, true, &protocol->limits);
    ws_writer_init(&protocol->writer, NULL);
}

void ws_protocol_free(ws_protocol* protocol) {
    ws_reader_free(&protocol->reader);
    ws_writer_free(&protocol->writer);
    ws_buf_free(&protocol->head);
    ws_buf_free(protocol->server ? &protocol->extension : &protocol->body);
    ws_error_clear(&protocol->error);
}

/* ---- the opening handshake ---- */

/* The handshake's bytes go through the writer's queue: count those that `rc` says were appended. */
static int32_t count_written(ws_writer* writer, size_t before, int32_t rc) {
    if (rc) {
        writer->out.end = writer->out.start + before;
    } else {
        writer->total += ws_buf_len(&writer->out) - before;
    }
    return rc;
}

int32_t ws_protocol_start(ws_protocol* protocol, const ws_request* request) {
    uint8_t random[16];
    int32_t rc = ws_handshake_check_request(request, &protocol->error);
    if (rc) return rc;
    if (!protocol->writer.random(random, sizeof random)) {
        return ws_error_set(&protocol->error, WS_ERR_SYSTEM, "the system has no random bytes");
    }
    ws_handshake_key(protocol->key, random);
    protocol->subprotocols = request->subprotocols;
    protocol->subprotocol_count = request->subprotocol_count;
    protocol->offers_deflate = request->deflate != NULL;
    if (request->deflate) protocol->deflate = *request->deflate;
    size_t before = ws_buf_len(&protocol->writer.out);
    rc = ws_handshake_write_request(request, protocol->key, &protocol->writer.out);
    return count_written(&protocol->writer, before, rc);
}

void ws_protocol_offer_deflate(ws_protocol* protocol, const ws_deflate_terms* terms) {
    protocol->offers_deflate = true;
    protocol->deflate = *terms;
}

int32_t ws_protocol_accept(ws_protocol* protocol, const char* subprotocol) {
    if (protocol->phase != WS_PHASE_REQUEST) return WS_ERR_STATE;
    size_t before = ws_buf_len(&protocol->writer.out);
    ws_slice key = {protocol->key, strlen(protocol->key)};
    int32_t rc = ws_handshake_write_response(key, subprotocol, &protocol->extension, &protocol->writer.out);
    if (!rc) {
        protocol->phase = WS_PHASE_FRAMES;
        ws_buf_free(&protocol->extension);
    }
    return count_written(&protocol->writer, before, rc);
}

int32_t ws_protocol_refuse(ws_protocol* protocol, int status, const char* reason) {
    if (!protocol->server || protocol->phase == WS_PHASE_FRAMES || protocol->writer.closed) return WS_ERR_STATE;
    size_t before = ws_buf_len(&protocol->writer.out);
    int32_t rc = ws_handshake_write_refusal(status, reason, &protocol->writer.out);
    if (!rc) protocol->writer.closed = true;
    protocol->phase = WS_PHASE_FAILED;
    return count_written(&protocol->writer, before, rc);
}

/* The handshake is over, badly. */
static ws_event fail_opening(ws_protocol* protocol) {
    protocol->phase = WS_PHASE_FAILED;
    if (!protocol->status) protocol->status = 400;
    return (ws_event){.type = WS_PROTOCOL_FAILED};
}

static ws_event head_error(ws_protocol* protocol, int32_t code, const char* text, const char* detail) {
    ws_error_set(&protocol->error, code, "%s%s", text, detail);
    return fail_opening(protocol);
}

/* Compression in both directions, as agreed. */
static void start_deflate(ws_protocol* protocol) {
    const ws_deflate_terms* terms = &protocol->deflate;
    uint8_t ours = protocol->server ? terms->server_max_window_bits : terms->client_max_window_bits;
    uint8_t theirs = protocol->server ? terms->client_max_window_bits : terms->server_max_window_bits;
    bool ours_afresh = protocol->server ? terms->server_no_context_takeover : terms->client_no_context_takeover;
    bool theirs_afresh = protocol->server ? terms->client_no_context_takeover : terms->server_no_context_takeover;
    protocol->deflates = true;
    protocol->reader.inflater =
        (ws_inflater){.enabled = true, .no_context_takeover = theirs_afresh, .window_bits = theirs};
    /* zlib cannot compress with a window of 2^8 bytes: then all we send goes plain, which is always allowed. */
    protocol->writer.deflater =
        (ws_deflater){.enabled = ours > 8, .no_context_takeover = ours_afresh, .window_bits = ours};
}

/* Does the server's answer fit what was asked for? 0 or a code. */
static int32_t check_answer(ws_protocol* protocol, const ws_http_head* head) {
    bool agreed = false;
    ws_deflate_terms wanted = protocol->deflate;
    int32_t rc = ws_handshake_check_response(head, protocol->key, protocol->subprotocols, protocol->subprotocol_count,
                                             &protocol->subprotocol, &protocol->error);
    if (rc) return rc;
    rc = ws_extension_check_answer(head, protocol->offers_deflate ? &wanted : NULL, &agreed, &protocol->deflate,
                                   &protocol->error);
    if (agreed && !rc) start_deflate(protocol);
    return rc;
}

/* Why the upgrade was refused; that there is no memory for it, or it is cut short, makes no other error of it. */
static ws_event next_body(ws_protocol* protocol) {
    ws_buf* in = &protocol->reader.in;
    int32_t rc = ws_http_body_take(&protocol->rest, ws_buf_head(in), ws_buf_len(in), &protocol->body);
    ws_buf_consume(in, ws_buf_len(in));
    return rc ? fail_opening(protocol) : no_event;
}

static ws_event client_opened(ws_protocol* protocol, const ws_http_head* head) {
    int32_t rc = check_answer(protocol, head);
    protocol->subprotocols = NULL;
    if (rc == WS_ERR_STATUS && !ws_redirect_is(head) && ws_http_body_start(&protocol->rest, head)) {
        protocol->phase = WS_PHASE_BODY;
        return next_body(protocol);
    }
    if (rc) return fail_opening(protocol);
    protocol->phase = WS_PHASE_FRAMES;
    if (ws_buf_len(&protocol->reader.in) == 0) ws_buf_free(&protocol->reader.in);
    ws_buf_fit(&protocol->head);
    return (ws_event){.type = WS_PROTOCOL_OPEN};
}

/* Take the first offer of compression that can be met, and prepare the answer to it. */
static int32_t agree_on_deflate(ws_protocol* protocol, const ws_http_head* head) {
    ws_deflate_terms wanted = protocol->deflate;
    bool ask_client;
    if (!protocol->offers_deflate) return WS_OK;
    if (!ws_extension_choose(head, &wanted, &protocol->deflate, &ask_client)) return WS_OK;
    start_deflate(protocol);
    return ws_extension_write_answer(&protocol->deflate, ask_client, &protocol->extension);
}

static ws_event server_requested(ws_protocol* protocol, const ws_http_head* head) {
    ws_slice key;
    if (ws_handshake_check_upgrade(head, &key, &protocol->status, &protocol->error)) return fail_opening(protocol);
    if (agree_on_deflate(protocol, head)) return head_error(protocol, WS_ERR_MEMORY, "no memory for the answer", "");
    memcpy(protocol->key, key.at, key.len);
    protocol->key[key.len] = '\0';
    protocol->phase = WS_PHASE_REQUEST;
    return (ws_event){.type = WS_PROTOCOL_REQUEST};
}

/* Another head follows this one. */
static ws_event skip_head(ws_protocol* protocol, size_t n) {
    ws_buf_consume(&protocol->head, n);
    protocol->interim += n;
    protocol->scanned = 0;
    return no_event;
}

/* The whole head is there: keep it, and judge it. */
static ws_event head_arrived(ws_protocol* protocol, size_t n) {
    ws_http_head head;
    if (ws_buf_append(&protocol->head, ws_buf_head(&protocol->reader.in), n)) {
        return head_error(protocol, WS_ERR_MEMORY, "no memory for the HTTP head", "");
    }
    ws_buf_consume(&protocol->reader.in, n);
    const char* text = (const char*)ws_buf_head(&protocol->head);
    const char* wrong =
        protocol->server ? ws_http_parse_request(&head, text, n) : ws_http_parse_response(&head, text, n);
    if (wrong) return head_error(protocol, WS_ERR_HTTP, "the peer's HTTP head is malformed: ", wrong);
    if (protocol->server) return server_requested(protocol, &head);
    return ws_http_interim(&head) ? skip_head(protocol, n) : client_opened(protocol, &head);
}

/* What does not look like HTTP; TLS has these two types of record first (RFC 8446 5.1, alert and handshake). */
static ws_event foreign_bytes(ws_protocol* protocol, uint8_t first) {
    bool tls = !protocol->server && (first == 21 || first == 22);
    return head_error(protocol, WS_ERR_HTTP,
                      tls ? "the peer speaks TLS there: use wss://" : "the peer does not speak HTTP/1.1", "");
}

static ws_event one_head(ws_protocol* protocol) {
    const char* text = (const char*)ws_buf_head(&protocol->reader.in);
    size_t have = ws_buf_len(&protocol->reader.in);
    if (have == 0) return no_event;
    if (!(protocol->server ? ws_http_request_prefix(text, have) : ws_http_response_prefix(text, have))) {
        return foreign_bytes(protocol, (uint8_t)text[0]);
    }
    size_t n = ws_http_head_length(text, have, &protocol->scanned);
    if (protocol->interim + (n ? n : have) > protocol->limits.max_head) {
        protocol->status = 431;
        return head_error(protocol, WS_ERR_HEAD_TOO_BIG, "the peer's HTTP head is longer than max_head allows", "");
    }
    return n ? head_arrived(protocol, n) : no_event;
}

/* Behind an interim response comes another one. */
static ws_event next_head(ws_protocol* protocol) {
    for (;;) {
        size_t before = protocol->interim;
        ws_event event = one_head(protocol);
        if (protocol->interim == before) return event;
    }
}

/* ---- receiving ---- */

/* A head is small, as a rule, and many connections may be opened that have nothing to receive for long. */
static int32_t prepare_for_head(ws_buf* in, uint8_t** at, size_t* len) {
    if (ws_buf_reserve(in, HEAD_READ)) return WS_ERR_MEMORY;
    *at = ws_buf_tail(in);
    *len = ws_buf_room(in);
    return WS_OK;
}

int32_t ws_protocol_prepare(ws_protocol* protocol, uint8_t** at, size_t* len) {
    ws_buf* in = &protocol->reader.in;
    if (protocol->phase == WS_PHASE_HEAD && in->cap == 0) return prepare_for_head(in, at, len);
    return ws_reader_prepare(&protocol->reader, at, len);
}

void ws_protocol_commit(ws_protocol* protocol, size_t n) {
    ws_reader_commit(&protocol->reader, n);
}

/* The close code that names what went wrong (RFC 6455 7.4.1). */
static uint16_t failure_code(int32_t error) {
    switch (error) {
    case WS_ERR_UTF8:
        return WS_CODE_INVALID_DATA;
    case WS_ERR_TOO_BIG:
    case WS_ERR_TOO_MANY_FRAGMENTS:
        return WS_CODE_TOO_BIG;
    case WS_ERR_MEMORY:
        return WS_CODE_INTERNAL_ERROR;
    default:
        return WS_CODE_PROTOCOL_ERROR;
    }
}

static const ws_event_type event_types[] = {[WS_OPCODE_TEXT] = WS_PROTOCOL_TEXT,
                                            [WS_OPCODE_BINARY] = WS_PROTOCOL_BINARY,
                                            [WS_OPCODE_CLOSE] = WS_PROTOCOL_CLOSE,
                                            [WS_OPCODE_PING] = WS_PROTOCOL_PING,
                                            [WS_OPCODE_PONG] = WS_PROTOCOL_PONG};

ws_event ws_protocol_next(ws_protocol* protocol) {
    if (protocol->phase == WS_PHASE_HEAD) return next_head(protocol);
    if (protocol->phase == WS_PHASE_BODY) return next_body(protocol);
    if (protocol->phase != WS_PHASE_FRAMES) return no_event;
    ws_incoming incoming = {0};
    int32_t rc = ws_reader_next(&protocol->reader, &incoming, &protocol->error);
    if (rc == 0) return no_event;
    if (rc < 0) return (ws_event){.type = WS_PROTOCOL_FAILED, .code = failure_code(rc)};
    return (ws_event){event_types[incoming.opcode], incoming.data, incoming.len, incoming.code};
}

ws_event ws_protocol_end(ws_protocol* protocol) {
    if (ws_protocol_finished(protocol)) return no_event;
    if (protocol->phase == WS_PHASE_FRAMES) {
        protocol->reader.done = true;
        ws_error_set(&protocol->error, WS_ERR_LOST, "the peer ended the stream without a closing handshake");
        return (ws_event){.type = WS_PROTOCOL_FAILED};
    }
    if (protocol->phase == WS_PHASE_BODY) return fail_opening(protocol);
    return head_error(protocol, WS_ERR_HTTP, "the peer closed the connection during the opening handshake", "");
}

bool ws_protocol_finished(const ws_protocol* protocol) {
    return protocol->phase == WS_PHASE_FAILED || protocol->reader.done;
}

/* ---- replying ---- */

/* A close frame that cannot follow another one is no failure: ours was sent first. */
static int32_t reply_close(ws_protocol* protocol, uint16_t code, const char* reason) {
    if (protocol->writer.closed) return WS_OK;
    return ws_writer_close(&protocol->writer, code, reason, strlen(reason));
}

const char* ws_protocol_failure_reason(const ws_protocol* protocol) {
    const char* text = ws_error_text(&protocol->error);
    return strlen(text) <= WS_FRAME_MAX_CONTROL - 2 ? text : wsErrorString(protocol->error.code);
}

static int32_t reply_failure(ws_protocol* protocol, uint16_t code) {
    if (protocol->server && protocol->phase == WS_PHASE_FAILED) {
        return ws_protocol_refuse(protocol, protocol->status, ws_error_text(&protocol->error));
    }
    if (code == 0) return WS_OK;
    return reply_close(protocol, code, ws_protocol_failure_reason(protocol));
}

int32_t ws_protocol_reply(ws_protocol* protocol, const ws_event* event) {
    switch (event->type) {
    case WS_PROTOCOL_PING:
        return ws_writer_answer_ping(&protocol->writer, event->data, event->len);
    case WS_PROTOCOL_CLOSE:
        return reply_close(protocol, event->code, "");
    case WS_PROTOCOL_FAILED:
        return reply_failure(protocol, event->code);
    default:
        return WS_OK;
    }
}
