/* core: each allocation of a whole exchange fails once, and is reported as what it is; nothing leaks. */
#include "support.h"

#include <openssl/crypto.h>
#include <stdlib.h>
#include <zlib.h>

/* ---- allocations that fail: those of the core, and those that zlib and libcrypto make for it ---- */

static size_t allocations, failing; /* counted from 1; 0: none fails */
static bool crypto_failed;          /* it was one of libcrypto's */
static bool core_has_none;          /* all of the core's fail */

static bool fails(void) {
    return ++allocations == failing;
}

void* __real_malloc(size_t n);
void* __wrap_malloc(size_t n);
void* __real_calloc(size_t n, size_t size);
void* __wrap_calloc(size_t n, size_t size);
void* __real_aligned_alloc(size_t alignment, size_t n);
void* __wrap_aligned_alloc(size_t alignment, size_t n);
int __real_deflateInit2_(z_stream* stream, int level, int method, int window_bits, int memory_level, int strategy,
                         const char* version, int size);
int __wrap_deflateInit2_(z_stream* stream, int level, int method, int window_bits, int memory_level, int strategy,
                         const char* version, int size);
int __real_inflateInit2_(z_stream* stream, int window_bits, const char* version, int size);
int __wrap_inflateInit2_(z_stream* stream, int window_bits, const char* version, int size);

void* __wrap_malloc(size_t n) {
    return fails() || core_has_none ? NULL : __real_malloc(n);
}

void* __wrap_calloc(size_t n, size_t size) {
    return fails() ? NULL : __real_calloc(n, size);
}

void* __wrap_aligned_alloc(size_t alignment, size_t n) {
    return fails() ? NULL : __real_aligned_alloc(alignment, n);
}

static void* allocate_for_zlib(void* opaque, unsigned n, unsigned size) {
    (void)opaque;
    return __wrap_calloc(n, size);
}

static void free_for_zlib(void* opaque, void* memory) {
    (void)opaque;
    free(memory);
}

int __wrap_deflateInit2_(z_stream* stream, int level, int method, int window_bits, int memory_level, int strategy,
                         const char* version, int size) {
    stream->zalloc = allocate_for_zlib;
    stream->zfree = free_for_zlib;
    return __real_deflateInit2_(stream, level, method, window_bits, memory_level, strategy, version, size);
}

int __wrap_inflateInit2_(z_stream* stream, int window_bits, const char* version, int size) {
    stream->zalloc = allocate_for_zlib;
    stream->zfree = free_for_zlib;
    return __real_inflateInit2_(stream, window_bits, version, size);
}

static bool crypto_fails(void) {
    if (!fails()) return false;
    crypto_failed = true;
    return true;
}

static void* allocate_for_crypto(size_t n, const char* file, int line) {
    (void)file;
    (void)line;
    return n == 0 || crypto_fails() ? NULL : __real_malloc(n);
}

static void* reallocate_for_crypto(void* memory, size_t n, const char* file, int line) {
    (void)file;
    (void)line;
    return crypto_fails() ? NULL : realloc(memory, n);
}

static void free_for_crypto(void* memory, const char* file, int line) {
    (void)file;
    (void)line;
    free(memory);
}

/* Let each allocation of a run fail in turn. `fine` is how a run ends to which nothing happens. */
static void fail_each(int32_t (*run)(void), int32_t fine) {
    allocations = failing = 0;
    assert_int_equal(run(), fine);
    size_t all = allocations;
    assert_true(all > 10);
    for (size_t n = 1; n <= all; n++) {
        allocations = 0;
        failing = n;
        crypto_failed = false;
        int32_t rc = run();
        failing = 0;
        /* An error loses its words, and is still that error; libcrypto knows how to do without some of its memory. */
        bool copes = rc == fine && (fine || crypto_failed);
        int32_t expected = crypto_failed ? WS_ERR_SYSTEM : WS_ERR_MEMORY;
        if (rc != expected && !copes) fail_msg("allocation %zu of %zu: %s", n, all, wsErrorName(rc));
    }
}

#define RFC_KEY "dGhlIHNhbXBsZSBub25jZQ==" /* RFC 6455 1.3 */

/* ---- exchanges in which every step may fail ---- */

/* `big` is hard to compress, and followed by what is easy. */
static uint8_t big[200000];

static const ws_deflate_terms terms = {.server_no_context_takeover = true,
                                       .client_no_context_takeover = false,
                                       .server_max_window_bits = 12,
                                       .client_max_window_bits = 15};

/* Two ends of a connection, and the text of what went wrong before there was one. */
typedef struct ends {
    ws_protocol client, server;
    ws_url url;
    ws_error error;
} ends;

static int32_t begin(ends* both, const char* url, const ws_limits* limits) {
    ws_protocol_init_client(&both->client, limits, test_random);
    ws_protocol_init_server(&both->server, limits);
    both->error = (ws_error){0};
    return ws_url_parse(&both->url, url, &both->error);
}

static int32_t end(ends* both, int32_t rc) {
    ws_protocol_free(&both->client);
    ws_protocol_free(&both->server);
    ws_url_free(&both->url);
    ws_error_clear(&both->error);
    return rc;
}

static int32_t take_events(ws_protocol* protocol) {
    for (ws_event event; (event = ws_protocol_next(protocol)).type != WS_PROTOCOL_NONE;) {
        int32_t rc = ws_protocol_reply(protocol, &event);
        if (event.type == WS_PROTOCOL_FAILED) return rc ? rc : protocol->error.code;
        if (event.type == WS_PROTOCOL_REQUEST) rc = ws_protocol_accept(protocol, "v1");
        if (rc) return rc;
    }
    return WS_OK;
}

/* In pieces of 30000 bytes, so that big messages are gathered and lent. */
static int32_t carry(ws_protocol* from, ws_protocol* to) {
    for (;;) {
        size_t len, room;
        uint8_t* at;
        const uint8_t* bytes = ws_writer_output(&from->writer, &len);
        if (len == 0) return WS_OK;
        if (ws_protocol_prepare(to, &at, &room)) return WS_ERR_MEMORY;
        size_t n = len < 30000 ? len : 30000;
        n = n < room ? n : room;
        memcpy(at, bytes, n);
        ws_protocol_commit(to, n);
        ws_writer_written(&from->writer, n);
        int32_t rc = take_events(to);
        if (rc) return rc;
    }
}

/* Everything a request can have. */
static int32_t start(ends* both, const ws_deflate_terms* deflate) {
    static const char* const subprotocols[] = {"v1", "v2"};
    static const wsHeader headers[] = {{"Authorization", "Bearer x"}, {"X-More", ""}};
    ws_request request = {.url = &both->url,
                          .headers = headers,
                          .header_count = COUNT(headers),
                          .origin = "http://h",
                          .subprotocols = subprotocols,
                          .subprotocol_count = COUNT(subprotocols),
                          .user_agent = "test",
                          .deflate = deflate};
    if (deflate) ws_protocol_offer_deflate(&both->server, deflate);
    return ws_protocol_start(&both->client, &request);
}

static int32_t open_both(ends* both, const ws_deflate_terms* deflate) {
    int32_t rc = start(both, deflate);
    if (!rc) rc = carry(&both->client, &both->server);
    return rc ? rc : carry(&both->server, &both->client);
}

static int32_t send_all(ws_protocol* client, ws_protocol* server) {
    int32_t rc = ws_writer_message(&client->writer, WS_OPCODE_BINARY, big, sizeof big, WS_COMPRESS_AUTO);
    if (!rc) rc = ws_writer_fragment(&client->writer, WS_OPCODE_TEXT, big, 5000, false, WS_COMPRESS_AUTO);
    if (!rc) rc = ws_writer_control(&client->writer, WS_OPCODE_PING, "ping", 4);
    if (!rc) rc = ws_writer_fragment(&client->writer, WS_OPCODE_TEXT, big, 50000, true, WS_COMPRESS_AUTO);
    if (!rc) rc = carry(client, server);
    if (!rc) rc = ws_writer_message(&server->writer, WS_OPCODE_TEXT, big, 60000, WS_COMPRESS_AUTO);
    if (!rc) ws_writer_trim(&server->writer);
    if (!rc) rc = ws_writer_message(&server->writer, WS_OPCODE_TEXT, big, 3000, WS_COMPRESS_YES);
    if (!rc) rc = ws_writer_close(&server->writer, 1000, "bye", 3);
    if (!rc) rc = carry(server, client);
    return rc ? rc : carry(client, server);
}

static int32_t exchange(const ws_deflate_terms* deflate) {
    ends both;
    int32_t rc = begin(&both, "ws://[::1]:8080/path", &wide_limits);
    if (!rc) rc = open_both(&both, deflate);
    if (!rc) assert_int_equal(both.client.deflates && both.server.deflates, deflate != NULL);
    if (!rc) rc = send_all(&both.client, &both.server);
    if (!rc) assert_true(ws_protocol_finished(&both.client) && ws_protocol_finished(&both.server));
    return end(&both, rc);
}

static int32_t plain(void) {
    return exchange(NULL);
}

static int32_t compressed(void) {
    return exchange(&terms);
}

TEST(an_exchange) {
    fail_each(plain, WS_OK);
}

TEST(a_compressed_exchange) {
    fail_each(compressed, WS_OK);
}

/* ---- what ends badly anyhow ---- */

/* Have the client write these bytes in place of what it was about to. */
static int32_t write_instead(ws_protocol* client, const void* bytes, size_t n) {
    ws_buf_consume(&client->writer.out, ws_buf_len(&client->writer.out));
    return ws_buf_append(&client->writer.out, bytes, n);
}

/* The server refuses, and the client reads why. */
static int32_t refused(void) {
    static const char request[] = "GET / HTTP/1.1\r\nHost: h\r\nX: much to be kept, so that it is more than one "
                                  "allocation of a buffer takes: much to be kept, so that it is more than one\r\n\r\n";
    ends both;
    int32_t rc = begin(&both, "wss://h", &wide_limits);
    if (!rc) rc = start(&both, &terms);
    if (!rc) rc = write_instead(&both.client, request, strlen(request));
    if (!rc) rc = carry(&both.client, &both.server);
    if (rc == WS_ERR_UPGRADE) rc = carry(&both.server, &both.client);
    return end(&both, rc);
}

/* After these bytes of the client the server closes, and the client reads its close frame. */
static int32_t closed_after(const void* bytes, size_t n, const ws_limits* limits) {
    ends both;
    int32_t rc = begin(&both, "ws://h", limits);
    if (!rc) rc = open_both(&both, &terms);
    if (!rc) rc = write_instead(&both.client, bytes, n);
    if (!rc) rc = carry(&both.client, &both.server);
    if (rc && rc != WS_ERR_MEMORY && rc != WS_ERR_SYSTEM) {
        int32_t close = carry(&both.server, &both.client);
        if (close) rc = close;
    }
    return end(&both, rc);
}

static int32_t reserved_bits(void) {
    return closed_after("\xb1\x80\0\0\0\0", 6, &wide_limits);
}

static int32_t bad_text(void) {
    return closed_after("\x81\x81\0\0\0\0\xff", 7, &wide_limits);
}

static int32_t not_deflate(void) {
    return closed_after("\xc1\x81\0\0\0\0\xff", 7, &wide_limits);
}

static int32_t too_big(void) {
    static const ws_limits limits = {.max_size = 4, .max_fragments = 4, .max_head = 4096};
    return closed_after("\xc1\x87\0\0\0\0\xf2\x48\xcd\xc9\xc9\x07\0", 13, &limits); /* Hello, RFC 7692 7.2.3.1 */
}

static int32_t bad_url(void) {
    ends both;
    return end(&both, begin(&both, "ws://", &wide_limits));
}

TEST(errors) {
    fail_each(refused, WS_ERR_STATUS);
    fail_each(reserved_bits, WS_ERR_PROTOCOL);
    fail_each(bad_text, WS_ERR_UTF8);
    fail_each(not_deflate, WS_ERR_PROTOCOL);
    fail_each(too_big, WS_ERR_TOO_BIG);
}

TEST(a_bad_url_is_one_without_memory_too) {
    failing = allocations + 1;
    assert_int_equal(bad_url(), WS_ERR_URL);
    failing = 0;
}

/* libcrypto may do without what failed, but what it makes then is right. */
TEST(no_answer_without_a_hash) {
    char accept[WS_ACCEPT_SIZE + 1];
    size_t before = allocations, refusals = 0;
    assert_int_equal(ws_handshake_accept(accept, RFC_KEY, WS_KEY_SIZE), WS_OK);
    size_t all = allocations - before;
    for (size_t n = 1; n <= all; n++) {
        memset(accept, 0, sizeof accept);
        failing = allocations + n;
        int32_t rc = ws_handshake_accept(accept, RFC_KEY, WS_KEY_SIZE);
        failing = 0;
        assert_true(rc == WS_OK || rc == WS_ERR_SYSTEM);
        assert_string_equal(accept, rc ? "" : "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        refusals += rc != WS_OK;
    }
    assert_true(refusals > 0);
}

/* ---- no memory in the midst of something ---- */

typedef int32_t (*write_fn)(ws_protocol* protocol);

static int32_t write_request(ws_protocol* client) {
    static const char* const subprotocols[] = {"v1", "v2"};
    static const wsHeader headers[] = {{"Authorization", "Bearer x"}};
    ws_url url = {.ipv6 = true, .host = "::1", .port = 8080, .target = "/path"};
    ws_request request = {.url = &url,
                          .headers = headers,
                          .header_count = COUNT(headers),
                          .origin = "http://h",
                          .subprotocols = subprotocols,
                          .subprotocol_count = COUNT(subprotocols),
                          .user_agent = "test",
                          .deflate = &terms};
    return ws_protocol_start(client, &request);
}

static int32_t write_answer(ws_protocol* server) {
    server->phase = WS_PHASE_REQUEST;
    strcpy(server->key, RFC_KEY);
    put_text(&server->extension, "Sec-WebSocket-Extensions: permessage-deflate\r\n");
    core_has_none = true;
    return ws_protocol_accept(server, "v1");
}

static int32_t write_refusal(ws_protocol* server) {
    return ws_protocol_refuse(server, 426, "not so");
}

/* Let it write where there is room for ever more of it: whichever piece does not fit, no other stays. */
static void write_with_little_room(write_fn write, bool server) {
    static const uint8_t waiting[4096];
    int32_t rc = WS_ERR_MEMORY;
    size_t room = 0;
    for (; rc; room++) {
        ws_protocol protocol;
        if (server) {
            ws_protocol_init_server(&protocol, &wide_limits);
        } else {
            ws_protocol_init_client(&protocol, &wide_limits, test_random);
        }
        ws_buf* out = &protocol.writer.out;
        assert_int_equal(ws_buf_reserve(out, sizeof waiting), WS_OK);
        put(out, waiting, ws_buf_room(out) - room);
        size_t before = ws_buf_len(out);
        core_has_none = write != write_answer; /* which turns it on itself */
        rc = write(&protocol);
        core_has_none = false;
        assert_true(rc == WS_OK || rc == WS_ERR_MEMORY);
        assert_int_equal(ws_buf_len(out), rc ? before : before + room);
        assert_int_equal(protocol.writer.total, rc ? 0 : room);
        ws_protocol_free(&protocol);
    }
    assert_true(room > 100);
}

TEST(what_does_not_fit_leaves_nothing_of_it) {
    write_with_little_room(write_request, false);
    write_with_little_room(write_answer, true);
    write_with_little_room(write_refusal, true);
}

TEST(a_request_that_found_no_memory_leaves_nothing_to_write) {
    static char path[2000]; /* longer than the first allocation of a buffer */
    memset(path, 'a', sizeof path - 1);
    memcpy(path, "ws://h/", 7);
    ws_url url;
    ws_error error = {0};
    assert_int_equal(ws_url_parse(&url, path, &error), WS_OK);
    for (size_t n = 1; n <= 2; n++) {
        ws_protocol client;
        size_t len;
        ws_protocol_init_client(&client, &wide_limits, test_random);
        failing = allocations + n;
        assert_int_equal(ws_protocol_start(&client, &(ws_request){.url = &url}), WS_ERR_MEMORY);
        failing = 0;
        ws_writer_output(&client.writer, &len);
        assert_int_equal(len, 0);
        assert_int_equal(client.writer.total, 0);
        ws_protocol_free(&client);
    }
    ws_url_free(&url);
}

TEST(an_error_whose_text_finds_no_memory_has_the_tables) {
    ws_error error = {0};
    failing = allocations + 1;
    ws_error_set(&error, WS_ERR_URL, "a text");
    failing = 0;
    assert_int_equal(error.code, WS_ERR_URL);
    assert_string_equal(ws_error_text(&error), wsErrorString(WS_ERR_URL));
    ws_error_clear(&error);
}

TEST(a_message_that_found_no_memory_can_be_sent_again) {
    static const uint8_t payload[1000];
    ws_writer writer;
    ws_writer_init(&writer, test_random);
    failing = allocations + 1;
    assert_int_equal(ws_writer_message(&writer, WS_OPCODE_BINARY, payload, sizeof payload, WS_COMPRESS_AUTO),
                     WS_ERR_MEMORY);
    failing = 0;
    assert_int_equal(writer.total, 0);
    assert_int_equal(ws_writer_message(&writer, WS_OPCODE_BINARY, payload, sizeof payload, WS_COMPRESS_AUTO), WS_OK);
    assert_int_equal(writer.total, 1008);
    ws_writer_free(&writer);
}

TEST(a_message_that_finds_no_memory_closes_with_1011) {
    ws_protocol server;
    ws_buf input = {0};
    uint8_t* at;
    size_t room;
    init_open(&server, true, &wide_limits);
    add_text(&input, SERVER, 1, "a fragment, which is gathered");
    assert_int_equal(ws_protocol_prepare(&server, &at, &room), WS_OK);
    memcpy(at, input.data, ws_buf_len(&input));
    ws_protocol_commit(&server, ws_buf_len(&input));
    failing = allocations + 1;
    ws_event event = ws_protocol_next(&server);
    failing = 0;
    assert_int_equal(event.type, WS_PROTOCOL_FAILED);
    assert_int_equal(event.code, 1011);
    assert_int_equal(server.error.code, WS_ERR_MEMORY);
    ws_protocol_free(&server);
    ws_buf_free(&input);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_exchange),
        cmocka_unit_test(a_compressed_exchange),
        cmocka_unit_test(errors),
        cmocka_unit_test(a_bad_url_is_one_without_memory_too),
        cmocka_unit_test(no_answer_without_a_hash),
        cmocka_unit_test(what_does_not_fit_leaves_nothing_of_it),
        cmocka_unit_test(a_request_that_found_no_memory_leaves_nothing_to_write),
        cmocka_unit_test(an_error_whose_text_finds_no_memory_has_the_tables),
        cmocka_unit_test(a_message_that_found_no_memory_can_be_sent_again),
        cmocka_unit_test(a_message_that_finds_no_memory_closes_with_1011),
    };
    char accept[WS_ACCEPT_SIZE + 1];
    if (!CRYPTO_set_mem_functions(allocate_for_crypto, reallocate_for_crypto, free_for_crypto)) return 2;
    ws_handshake_accept(accept, "", 0); /* what libcrypto makes once, for itself, is not ours to fail */
    for (uint32_t i = 0, chance = 1; i < sizeof big / 4; i++) {
        chance = chance * 1664525u + 1013904223u;
        big[i] = chance >> 25; /* ASCII */
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
