/* Whatever takes a pointer and a length is given inputs of every length that end, and begin, at an inaccessible page.
 */
#include "support.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "chat/envelope.h"
#include "core/extension.h"
#include "core/mask.h"

typedef void (*reader_fn)(uint8_t* bytes, size_t n);

/* Let it read every beginning of the bytes, against either end of the memory, and every end of them likewise. */
static void read_all(reader_fn read, const void* bytes, size_t n) {
    for (size_t i = 0; i <= n; i++) {
        read(at_the_end(bytes, i), i);
        read(at_the_start(bytes, i), i);
        read(at_the_end((const uint8_t*)bytes + i, n - i), n - i);
        read(at_the_start((const uint8_t*)bytes + i, n - i), n - i);
    }
}

static void read_text(reader_fn read, const char* text) {
    read_all(read, text, strlen(text));
}

/* ---- the helper itself ---- */

/* Does a child that reads the byte die of it? */
static bool deadly(const uint8_t* byte) {
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        signal(SIGSEGV, SIG_DFL); /* nobody's handler makes words of it */
        signal(SIGBUS, SIG_DFL);
        _exit(*(const volatile uint8_t*)byte ? 1 : 2);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFSIGNALED(status) && (WTERMSIG(status) == SIGSEGV || WTERMSIG(status) == SIGBUS);
}

TEST(one_byte_further_is_death) {
    for (size_t n = 0; n <= GUARDED; n += n ? n : 1) {
        static const uint8_t bytes[GUARDED];
        uint8_t* end = at_the_end(bytes, n);
        uint8_t* start = at_the_start(bytes, n);
        assert_true(deadly(end + n));
        assert_true(deadly(start - 1));
        if (n) assert_false(deadly(end + n - 1) || deadly(start));
    }
}

/* ---- bytes ---- */

static void read_frame(uint8_t* bytes, size_t n) {
    ws_frame frame;
    int size = ws_frame_decode(&frame, bytes, n);
    assert_true(size <= (int)n);
    if (size <= 0) return;
    uint8_t written[WS_FRAME_MAX_HEADER];
    assert_int_equal(ws_frame_encode(&frame, written), size);
    ws_frame_encode(&frame, at_the_end(written, (size_t)size)); /* writes no more than it returns */
}

TEST(frame_headers) {
    static const char* const headers[] = {"\x81\x05",
                                          "\x81\x85\1\2\3\4",
                                          "\x82\x7e\1\0",
                                          "\x82\xfe\1\0\1\2\3\4",
                                          "\x82\x7f\0\0\0\0\0\1\0\0",
                                          "\x82\xff\0\0\0\0\0\1\0\0\1\2\3\4"};
    static const size_t sizes[] = {2, 6, 4, 8, 10, 14};
    for (size_t i = 0; i < COUNT(headers); i++) {
        read_all(read_frame, headers[i], sizes[i]);
    }
}

static void read_mask(uint8_t* bytes, size_t n) {
    static uint8_t to[100];
    for (uint64_t offset = 0; offset < 4; offset++) {
        ws_mask_copy(to, bytes, n, test_key, offset);
        ws_mask_copy(bytes, to, n, test_key, offset);
        ws_mask_copy(bytes, bytes, n, test_key, offset);
    }
}

TEST(masking) {
    uint8_t bytes[40];
    fill_pattern(bytes, sizeof bytes, false);
    read_all(read_mask, bytes, sizeof bytes);
}

static void read_utf8(uint8_t* bytes, size_t n) {
    ws_utf8 state = {0};
    bool fine = ws_utf8_feed(&state, bytes, n);
    assert_int_equal(fine && ws_utf8_complete(&state), ws_utf8_valid(bytes, n));
}

TEST(utf8) {
    read_text(read_utf8, "ASCII in words, \xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80 and \xed\xa0\x80");
    read_text(read_utf8, "\xf4\x8f\xbf\xbf\xe0\x9f");
}

static void read_deflate(uint8_t* bytes, size_t n) {
    ws_deflater deflater = {.enabled = true, .window_bits = 9};
    ws_inflater inflater = {.enabled = true, .window_bits = 15};
    ws_buf packed = {0}, plain = {0};
    assert_int_equal(ws_deflater_run(&deflater, bytes, n, true, &packed), WS_OK);
    uint8_t* end = at_the_end(ws_buf_head(&packed), ws_buf_len(&packed));
    assert_int_equal(ws_inflater_run(&inflater, end, ws_buf_len(&packed), true, 1000, &plain), WS_OK);
    assert_int_equal(ws_buf_len(&plain), n);
    ws_deflater_reset(&deflater);
    ws_inflater_free(&inflater);
    ws_buf_free(&packed);
    ws_buf_free(&plain);
}

/* As if it came from a peer: it need not be DEFLATE. */
static void read_inflate(uint8_t* bytes, size_t n) {
    ws_inflater inflater = {.enabled = true, .window_bits = 15};
    ws_buf plain = {0};
    int32_t rc = ws_inflater_run(&inflater, bytes, n, true, 1000, &plain);
    assert_true(rc == WS_OK || rc == WS_ERR_PROTOCOL || rc == WS_ERR_TOO_BIG);
    ws_inflater_free(&inflater);
    ws_buf_free(&plain);
}

TEST(compression) {
    uint8_t bytes[60];
    fill_pattern(bytes, sizeof bytes, false);
    read_all(read_deflate, bytes, sizeof bytes);
    read_text(read_deflate, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab");
    read_all(read_inflate, bytes, sizeof bytes);
    read_all(read_inflate, "\xf2\x48\xcd\xc9\xc9\x07\x00\xf2\x48\xcd\xc9\xc9\x07\x00", 14);
}

/* ---- the opening handshake ---- */

static ws_http_head parsed;
static const ws_deflate_terms wanted = {.server_max_window_bits = 12, .client_max_window_bits = 12};

/* All that looks into a head. */
static void look_into(const ws_http_head* head) {
    static const char* const offered[] = {"chat", "v2"};
    ws_error error = {0};
    ws_deflate_terms terms;
    bool flag;
    ws_slice key;
    int status, chosen;
    ws_handshake_check_upgrade(head, &key, &status, &error);
    ws_error_clear(&error);
    ws_handshake_check_response(head, "dGhlIHNhbXBsZSBub25jZQ==", offered, COUNT(offered), &chosen, &error);
    ws_error_clear(&error);
    ws_extension_check_answer(head, &wanted, &flag, &terms, &error);
    ws_error_clear(&error);
    ws_extension_choose(head, &wanted, &terms, &flag);
    ws_handshake_offers(head, "chat");
}

static void read_response(uint8_t* bytes, size_t n) {
    size_t scanned = 0;
    const char* text = (const char*)bytes;
    ws_http_response_prefix(text, n);
    assert_true(ws_http_head_length(text, n, &scanned) <= n);
    if (!ws_http_parse_response(&parsed, text, n)) look_into(&parsed);
}

static void read_request(uint8_t* bytes, size_t n) {
    size_t scanned = n / 2; /* as if half of it had been searched before */
    const char* text = (const char*)bytes;
    ws_http_request_prefix(text, n);
    assert_true(ws_http_head_length(text, n, &scanned) <= n);
    if (!ws_http_parse_request(&parsed, text, n)) look_into(&parsed);
}

#define UPGRADE "Upgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n"

TEST(http_heads) {
    read_text(read_response, "HTTP/1.1 101 Switching Protocols\r\n" UPGRADE
                             "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSec-WebSocket-Protocol: chat\r\n"
                             "Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=\"12\"\r\n\r\n");
    read_text(read_response, "HTTP/1.1 404\r\nServer:\t x \t\r\n\r\n");
    read_text(read_request,
              "GET /chat HTTP/1.1\r\nHost: h\r\n" UPGRADE
              "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
              "Sec-WebSocket-Protocol: v1, chat\r\nSec-WebSocket-Extensions: a, permessage-deflate\r\n\r\n");
}

/* A head in which everything a peer can choose is these bytes: the parser's slices are never followed by so little. */
static void read_value(uint8_t* bytes, size_t n) {
    static const char* const names[] = {"Host",
                                        "Upgrade",
                                        "Connection",
                                        "Sec-WebSocket-Accept",
                                        "Sec-WebSocket-Key",
                                        "Sec-WebSocket-Version",
                                        "Sec-WebSocket-Protocol",
                                        "Sec-WebSocket-Extensions"};
    ws_slice value = {(const char*)bytes, n};
    for (int status = 101; status <= 404; status += 303) {
        parsed = (ws_http_head){.status = status, .reason = value, .method = value, .target = value};
        for (size_t i = 0; i < COUNT(names); i++) {
            parsed.headers[i] = (ws_http_header){{names[i], strlen(names[i])}, value};
        }
        parsed.count = COUNT(names);
        look_into(&parsed);
        parsed.headers[0].name = value; /* who looks for a name must not read on either */
        look_into(&parsed);
    }
    char accept[WS_ACCEPT_SIZE + 1];
    ws_handshake_accept(accept, value.at, value.len);
}

/* The same where the rest of the handshake is right, so that the check of this one value is reached. */
static void read_right_value(const char* name, const char* text) {
    static const char* const right[][2] = {{"Host", "h"},
                                           {"Upgrade", "websocket"},
                                           {"Connection", "Upgrade"},
                                           {"Sec-WebSocket-Version", "13"},
                                           {"Sec-WebSocket-Accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="},
                                           {"Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="}};
    parsed = (ws_http_head){.status = 101, .method = {"GET", 3}, .target = {"/", 1}, .reason = {"", 0}};
    for (size_t i = 0; i < COUNT(right); i++) {
        if (strcmp(right[i][0], name) == 0) continue;
        parsed.headers[parsed.count++] =
            (ws_http_header){{right[i][0], strlen(right[i][0])}, {right[i][1], strlen(right[i][1])}};
    }
    ws_http_header* last = &parsed.headers[parsed.count++];
    last->name = (ws_slice){name, strlen(name)};
    for (size_t n = 0; n <= strlen(text); n++) {
        last->value = (ws_slice){at_the_end(text, n), n};
        look_into(&parsed);
        last->value = (ws_slice){at_the_start(text, n), n};
        look_into(&parsed);
    }
}

TEST(values_of_headers) {
    static const char offers[] = " a ; b=\"c\" ,permessage-deflate; server_max_window_bits=\"12\"; "
                                 "client_max_window_bits ,, permessage-deflate;client_no_context_takeover ";
    static const char answer[] = "permessage-deflate; server_no_context_takeover; server_max_window_bits=\"10\"";
    read_text(read_value, offers);
    read_text(read_value, "dGhlIHNhbXBsZSBub25jZQ==");
    read_text(read_value, "\t v1 ,\tchat\t,websocket,Upgrade");
    read_right_value("Host", "example.com");
    read_right_value("Upgrade", "h2c , websocket");
    read_right_value("Connection", "keep-alive,Upgrade");
    read_right_value("Sec-WebSocket-Version", "13");
    read_right_value("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==");
    read_right_value("Sec-WebSocket-Accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    read_right_value("Sec-WebSocket-Protocol", "v2, chat");
    read_right_value("Sec-WebSocket-Extensions", offers);
    read_right_value("Sec-WebSocket-Extensions", answer);
}

/* Every beginning of the text as a string whose NUL is the last byte of memory. */
static void read_strings(void (*read)(const char* text), const char* text) {
    char copy[256];
    for (size_t n = 0; n <= strlen(text); n++) {
        memcpy(copy, text, n);
        copy[n] = '\0';
        read(at_the_end(copy, n + 1));
        read(at_the_start(copy, n + 1));
    }
}

static void read_url(const char* text) {
    ws_url url;
    ws_error error = {0};
    ws_buf host = {0};
    if (!ws_url_parse(&url, text, &error)) assert_int_equal(ws_url_write_host(&url, &host), WS_OK);
    ws_url_free(&url);
    ws_buf_free(&host);
    ws_error_clear(&error);
}

TEST(urls) {
    read_strings(read_url, "wss://[::1]:8443/path?query");
    read_strings(read_url, "ws://example.com:65535?q#f");
    read_strings(read_url, "WS://user:password@h");
    read_strings(read_url, "ws://[::1");
    read_strings(read_url, "ws://h:123456/\xc3");
}

static void read_asked(const char* text) {
    ws_url url = {.host = (char*)text, .target = (char*)text, .port = 8080};
    const char* const subprotocols[] = {"v1", text};
    wsHeader header = {text, text};
    ws_request request = {.url = &url, .headers = &header, .header_count = 1, .origin = text, .user_agent = text};
    ws_error error = {0};
    ws_buf out = {0};
    request.subprotocols = subprotocols;
    request.subprotocol_count = 2;
    ws_handshake_check_request(&request, &error);
    assert_int_equal(ws_handshake_write_request(&request, text, &out), WS_OK);
    assert_int_equal(ws_handshake_write_refusal(400, text, &out), WS_OK);
    assert_int_equal(ws_handshake_write_response((ws_slice){text, strlen(text)}, text, NULL, &out), WS_OK);
    ws_buf_free(&out);
    ws_error_clear(&error);
    ws_error_set(&error, WS_ERR_STATE, "%s", text);
    ws_error_clear(&error);
}

TEST(what_a_caller_asks_for) {
    read_strings(read_asked, "X-Header");
    read_strings(read_asked, " a\tvalue \x7f");
}

/* ---- connections ---- */

/* A protocol whose receive buffer holds these bytes and not one more. */
static void run(ws_protocol* protocol, uint8_t* bytes, size_t n) {
    protocol->reader.in = (ws_buf){.data = bytes, .end = n, .cap = n};
    for (ws_event event; (event = ws_protocol_next(protocol)).type != WS_PROTOCOL_NONE;) {
        assert_int_equal(ws_protocol_reply(protocol, &event), WS_OK);
    }
    protocol->reader.in = (ws_buf){0}; /* it is not the heap's */
    ws_protocol_free(protocol);
}

static void read_frames(uint8_t* bytes, size_t n, bool server) {
    static const ws_limits limits = {.max_size = 200, .max_fragments = 3, .max_head = 100};
    ws_protocol protocol;
    init_open(&protocol, server, &limits);
    protocol.reader.inflater = (ws_inflater){.enabled = true, .window_bits = 15};
    run(&protocol, bytes, n);
}

static void read_as_client(uint8_t* bytes, size_t n) {
    read_frames(bytes, n, false);
}

static void read_as_server(uint8_t* bytes, size_t n) {
    read_frames(bytes, n, true);
}

static void read_frames_of(ws_role role, reader_fn read) {
    ws_buf input = {0};
    add_text(&input, role, FIN | 1, "whole, in place \xe2\x82\xac");
    add_text(&input, role, FIN | 9, "ping");
    add_text(&input, role, 1, "gathered ");
    add_text(&input, role, FIN | 10, "");
    add_text(&input, role, FIN | 0, "\xe2\x82\xac");
    add_text(&input, role, FIN | 0x40 | 1, "\xf2\x48\xcd\xc9\xc9\x07");
    add_pattern(&input, role, FIN | 2, 126, false);
    add_text(&input, role, FIN | 8, "\x03\xe8 bye");
    read_all(read, input.data, ws_buf_len(&input));
    ws_buf_free(&input);
    add_text(&input, role, FIN | 8, "\x03"); /* half a code */
    read_all(read, input.data, ws_buf_len(&input));
    ws_buf_free(&input);
}

TEST(frames) {
    read_frames_of(CLIENT, read_as_client);
    read_frames_of(SERVER, read_as_server);
}

static void read_head_as_client(uint8_t* bytes, size_t n) {
    ws_protocol protocol;
    start_client(&protocol, &wide_limits);
    run(&protocol, bytes, n);
}

static void read_head_as_server(uint8_t* bytes, size_t n) {
    ws_protocol protocol;
    ws_protocol_init_server(&protocol, &wide_limits);
    ws_protocol_offer_deflate(&protocol, &wanted);
    run(&protocol, bytes, n);
}

TEST(heads_on_a_connection) {
    read_text(read_head_as_client, "HTTP/1.1 101 ok\r\n" UPGRADE "Sec-WebSocket-Accept: x\r\n\r\n");
    read_text(read_head_as_server, "GET / HTTP/1.1\r\nHost: h\r\n" UPGRADE
                                   "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
                                   "Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n");
}

static void write_payload(uint8_t* bytes, size_t n) {
    ws_writer writer;
    ws_writer_init(&writer, test_random);
    writer.deflater = (ws_deflater){.enabled = true, .window_bits = 15};
    assert_int_equal(ws_writer_message(&writer, WS_OPCODE_BINARY, bytes, n, WS_COMPRESS_NO), WS_OK);
    assert_int_equal(ws_writer_message(&writer, WS_OPCODE_BINARY, bytes, n, WS_COMPRESS_YES), WS_OK);
    ws_writer_message(&writer, WS_OPCODE_TEXT, bytes, n, WS_COMPRESS_NO);
    ws_writer_control(&writer, WS_OPCODE_PING, bytes, n);
    ws_writer_answer_ping(&writer, bytes, n < WS_FRAME_MAX_CONTROL ? n : WS_FRAME_MAX_CONTROL);
    ws_writer_close(&writer, WS_CODE_NORMAL, (const char*)bytes, n);
    ws_writer_free(&writer);
}

TEST(payloads) {
    uint8_t bytes[140];
    fill_pattern(bytes, sizeof bytes, true);
    read_all(write_payload, bytes, sizeof bytes);
    read_text(write_payload, "cut inside \xf0\x9f\x98\x80");
}

/* ---- chat ---- */

static void read_envelope(uint8_t* bytes, size_t n) {
    ws_envelope envelope;
    ws_error error = {0};
    ws_envelope_parse(&envelope, (const char*)bytes, n, &error);
    ws_envelope_free(&envelope);
    ws_error_clear(&error);
}

static void read_name(const char* text) {
    ws_buf out = {0};
    ws_envelope_name_ok(text);
    ws_envelope_write(text, text, 0, &out);
    ws_buf_free(&out);
}

TEST(envelopes) {
    read_text(read_envelope, "{\"user\": {\"name\": \"A\\\"l\\u00e9\"}, \"message\": {\"text\": \"h\xc3\xa9\\\\\", "
                             "\"text_len\": 2, \"info\": 5, \"more\": [[1.5e3, null]]}}");
    read_text(read_envelope,
              "{\"user\":{\"name\":\"a plain one\"},\"message\":{\"text\":\"h\xc3\xa9 and more\",\"info\":5}}");
    read_strings(read_name, "name \xc3\xa9 \xc2\x80");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_byte_further_is_death),
        cmocka_unit_test(frame_headers),
        cmocka_unit_test(masking),
        cmocka_unit_test(utf8),
        cmocka_unit_test(compression),
        cmocka_unit_test(http_heads),
        cmocka_unit_test(values_of_headers),
        cmocka_unit_test(urls),
        cmocka_unit_test(what_a_caller_asks_for),
        cmocka_unit_test(frames),
        cmocka_unit_test(heads_on_a_connection),
        cmocka_unit_test(payloads),
        cmocka_unit_test(envelopes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
