/* permessage-deflate between a client and a server: every combination of terms, and when a message is compressed. */
#include "support.h"

enum { RSV1 = 0x40 };

typedef struct ws_pair {
    ws_protocol client, server;
} ws_pair;

static uint32_t next_random(uint32_t* seed) {
    *seed = *seed * 1664525u + 1013904223u;
    return *seed >> 8;
}

/* A message as it is kept for comparison: its opcode, length and bytes. */
static void note(ws_buf* messages, uint8_t opcode, const void* data, size_t n) {
    put(messages, &opcode, 1);
    put(messages, &n, sizeof n);
    put(messages, data, n);
}

/* All that was sent was read; frees both. */
static void assert_same(ws_buf* sent, ws_buf* read) {
    assert_int_equal(ws_buf_len(sent), ws_buf_len(read));
    assert_memory_equal(ws_buf_head(sent), ws_buf_head(read), ws_buf_len(sent));
    ws_buf_free(sent);
    ws_buf_free(read);
}

static void take_events(ws_protocol* to, ws_buf* messages) {
    for (ws_event event; (event = ws_protocol_next(to)).type != WS_PROTOCOL_NONE;) {
        assert_int_not_equal(event.type, WS_PROTOCOL_FAILED);
        if (event.type == WS_PROTOCOL_REQUEST) assert_int_equal(ws_protocol_accept(to, NULL), WS_OK);
        if (event.type == WS_PROTOCOL_TEXT) note(messages, WS_OPCODE_TEXT, event.data, event.len);
        if (event.type == WS_PROTOCOL_BINARY) note(messages, WS_OPCODE_BINARY, event.data, event.len);
    }
}

/* Carry all that waits over, in pieces of up to `portion` bytes. */
static void carry_all(ws_protocol* to, ws_protocol* from, size_t portion, uint32_t* seed, ws_buf* messages) {
    size_t len, room;
    uint8_t* at;
    for (const uint8_t* bytes; (bytes = ws_writer_output(&from->writer, &len)), len > 0;) {
        assert_int_equal(ws_protocol_prepare(to, &at, &room), WS_OK);
        size_t n = 1 + next_random(seed) % portion;
        if (n > len) n = len;
        if (n > room) n = room;
        memcpy(at, bytes, n);
        ws_protocol_commit(to, n);
        ws_writer_written(&from->writer, n);
        take_events(to, messages);
    }
}

/* Open with the client's offer and the server's limits; either may be NULL. */
static void open_pair(ws_pair* pair, const ws_deflate_terms* offer, const ws_deflate_terms* limits) {
    ws_url url;
    ws_error error = {0};
    ws_protocol_init_client(&pair->client, &wide_limits, test_random);
    ws_protocol_init_server(&pair->server, &wide_limits);
    assert_int_equal(ws_url_parse(&url, "ws://h/", &error), WS_OK);
    ws_request request = {.url = &url, .deflate = offer};
    assert_int_equal(ws_protocol_start(&pair->client, &request), WS_OK);
    ws_url_free(&url);
    if (limits) ws_protocol_offer_deflate(&pair->server, limits);
    uint32_t seed = 0;
    carry_all(&pair->server, &pair->client, 4096, &seed, NULL);
    carry_all(&pair->client, &pair->server, 4096, &seed, NULL);
    assert_int_equal(pair->client.phase, WS_PHASE_FRAMES);
    assert_int_equal(pair->server.phase, WS_PHASE_FRAMES);
    assert_int_equal(pair->client.deflates, offer && limits);
    assert_int_equal(pair->server.deflates, offer && limits);
}

static void free_pair(ws_pair* pair) {
    ws_protocol_free(&pair->client);
    ws_protocol_free(&pair->server);
}

/* ---- all terms ---- */

/* Letters or bytes, of few kinds or of many, some of it as in the message before. */
static size_t random_message(uint8_t* data, size_t most, uint32_t* seed, bool text) {
    uint32_t kinds = 1 + next_random(seed) % (text ? 26 : 256);
    size_t n = next_random(seed) % 4 ? next_random(seed) % 300 : next_random(seed) % most;
    size_t from = next_random(seed) % (n + 1);
    for (size_t i = from; i < n; i++) {
        data[i] = (uint8_t)((text ? 'a' : 0) + next_random(seed) % kinds);
    }
    for (size_t i = 0; text && i < from; i++) {
        data[i] = 'a' + data[i] % 26;
    }
    return n;
}

static void send_in_fragments(ws_writer* writer, uint8_t opcode, const uint8_t* data, size_t n, uint32_t* seed) {
    ws_compress compress = next_random(seed) % 3;
    for (size_t left = n; next_random(seed) % 2; left = n) {
        size_t some = next_random(seed) % (left + 1);
        assert_int_equal(ws_writer_fragment(writer, opcode, data, some, false, compress), WS_OK);
        data += some;
        n -= some;
    }
    assert_int_equal(ws_writer_fragment(writer, opcode, data, n, true, compress), WS_OK);
}

/* One side sends some messages, sometimes after a trim, and the other must read the same. */
static void send_some(ws_protocol* from, ws_protocol* to, uint32_t* seed) {
    static uint8_t data[20000];
    ws_buf sent = {0}, read = {0};
    for (int i = 0; i < 6; i++) {
        bool text = next_random(seed) % 2;
        uint8_t opcode = text ? WS_OPCODE_TEXT : WS_OPCODE_BINARY;
        size_t n = random_message(data, sizeof data, seed, text);
        send_in_fragments(&from->writer, opcode, data, n, seed);
        note(&sent, opcode, data, n);
        if (next_random(seed) % 4 == 0) ws_writer_trim(&from->writer);
        if (next_random(seed) % 2) carry_all(to, from, 1 + next_random(seed) % 5000, seed, &read);
        if (next_random(seed) % 4 == 0) ws_reader_trim(&to->reader);
    }
    carry_all(to, from, 3000, seed, &read);
    assert_same(&sent, &read);
}

static const uint8_t bits[] = {9, 10, 12, 15};

static ws_deflate_terms terms_of(size_t i) {
    return (ws_deflate_terms){i & 1, i & 2, bits[i >> 2 & 3], bits[i >> 4 & 3]};
}

TEST(all_terms_carry_all_messages) {
    static const ws_deflate_terms limits[] = {
        {false, false, 15, 15}, {true, false, 9, 15}, {false, true, 15, 9}, {true, true, 11, 8}, {false, false, 12, 8}};
    uint32_t seed = 7692;
    for (size_t i = 0; i < 64; i++) {
        for (size_t k = 0; k < COUNT(limits); k++) {
            ws_pair pair;
            ws_deflate_terms offer = terms_of(i);
            open_pair(&pair, &offer, &limits[k]);
            assert_true(pair.client.deflate.server_max_window_bits <= offer.server_max_window_bits);
            assert_true(pair.client.deflate.client_max_window_bits <= offer.client_max_window_bits);
            assert_memory_equal(&pair.client.deflate, &pair.server.deflate, sizeof offer);
            for (int round = 0; round < 2; round++) {
                send_some(&pair.client, &pair.server, &seed);
                send_some(&pair.server, &pair.client, &seed);
            }
            free_pair(&pair);
        }
    }
}

static const ws_deflate_terms widest = {false, false, 15, 15};

TEST(it_takes_two_to_compress) {
    ws_pair pair;
    uint32_t seed = 1;
    open_pair(&pair, &widest, NULL);
    send_some(&pair.client, &pair.server, &seed);
    free_pair(&pair);
    open_pair(&pair, NULL, &widest);
    send_some(&pair.server, &pair.client, &seed);
    free_pair(&pair);
}

/* ---- when a message is compressed ---- */

static const uint8_t zeros[1000];

/* Queue zeros; is the first frame compressed, and its bytes fewer? Nothing stays queued. */
static bool compresses(ws_protocol* from, size_t n, ws_compress compress) {
    size_t len;
    assert_int_equal(ws_writer_message(&from->writer, WS_OPCODE_BINARY, zeros, n, compress), WS_OK);
    const uint8_t* out = ws_writer_output(&from->writer, &len);
    bool compressed = out[0] & RSV1;
    if (n > 100) assert_true(compressed == (len < n));
    ws_writer_written(&from->writer, len);
    return compressed;
}

TEST(the_threshold_decides_unless_told_otherwise) {
    ws_pair pair;
    open_pair(&pair, &widest, &widest);
    pair.client.writer.threshold = 256;
    assert_false(compresses(&pair.client, 0, WS_COMPRESS_AUTO));
    assert_false(compresses(&pair.client, 255, WS_COMPRESS_AUTO));
    assert_true(compresses(&pair.client, 256, WS_COMPRESS_AUTO));
    assert_false(compresses(&pair.client, 1000, WS_COMPRESS_NO));
    assert_true(compresses(&pair.client, 1, WS_COMPRESS_YES));
    assert_true(compresses(&pair.client, 0, WS_COMPRESS_YES));
    assert_true(compresses(&pair.server, 0, WS_COMPRESS_AUTO));
    free_pair(&pair);
}

TEST(without_agreement_nothing_is_compressed) {
    ws_pair pair;
    open_pair(&pair, &widest, NULL);
    assert_false(compresses(&pair.client, 1000, WS_COMPRESS_YES));
    assert_false(compresses(&pair.server, 1000, WS_COMPRESS_YES));
    free_pair(&pair);
}

/* zlib makes no window of 8 bits: such a client reads compressed messages and sends plain ones. */
TEST(a_client_held_to_8_bits_never_compresses) {
    static const ws_deflate_terms eight = {false, false, 15, 8};
    ws_pair pair;
    uint32_t seed = 8;
    open_pair(&pair, &widest, &eight);
    assert_int_equal(pair.client.deflate.client_max_window_bits, 8);
    assert_false(compresses(&pair.client, 1000, WS_COMPRESS_YES));
    free_pair(&pair);
    open_pair(&pair, &widest, &eight);
    send_some(&pair.client, &pair.server, &seed);
    send_some(&pair.server, &pair.client, &seed);
    assert_true(compresses(&pair.server, 1000, WS_COMPRESS_YES));
    free_pair(&pair);
}

TEST(the_first_fragment_decides_for_the_message) {
    ws_pair pair;
    ws_buf sent = {0}, read = {0};
    uint32_t seed = 1;
    size_t len;
    open_pair(&pair, &widest, &widest);
    ws_writer* writer = &pair.client.writer;
    writer->threshold = 10;
    assert_int_equal(ws_writer_fragment(writer, WS_OPCODE_BINARY, zeros, 9, false, WS_COMPRESS_AUTO), WS_OK);
    assert_int_equal(ws_writer_fragment(writer, WS_OPCODE_BINARY, zeros, 500, true, WS_COMPRESS_YES), WS_OK);
    assert_int_equal(ws_writer_output(writer, &len)[0] & RSV1, 0);
    assert_true(len > 509);
    note(&sent, WS_OPCODE_BINARY, zeros, 509);
    carry_all(&pair.server, &pair.client, 10, &seed, &read);
    assert_int_equal(ws_writer_fragment(writer, WS_OPCODE_BINARY, zeros, 500, false, WS_COMPRESS_AUTO), WS_OK);
    assert_int_equal(ws_writer_fragment(writer, WS_OPCODE_BINARY, zeros, 9, true, WS_COMPRESS_NO), WS_OK);
    assert_int_equal(ws_writer_output(writer, &len)[0] & RSV1, RSV1);
    assert_true(len < 100);
    note(&sent, WS_OPCODE_BINARY, zeros, 509);
    carry_all(&pair.server, &pair.client, 10, &seed, &read);
    assert_same(&sent, &read);
    free_pair(&pair);
}

/* ---- taking back ---- */

TEST(a_message_taken_back_is_not_referred_to) {
    static uint8_t data[3000];
    ws_pair pair;
    ws_buf sent = {0}, read = {0};
    uint32_t seed = 1;
    open_pair(&pair, &widest, &widest);
    ws_writer* writer = &pair.client.writer;
    fill_pattern(data, sizeof data, false);
    assert_int_equal(ws_writer_message(writer, WS_OPCODE_BINARY, data, 1000, WS_COMPRESS_YES), WS_OK);
    note(&sent, WS_OPCODE_BINARY, data, 1000);
    size_t before = ws_buf_len(&writer->out);
    assert_int_equal(ws_writer_message(writer, WS_OPCODE_BINARY, data, 3000, WS_COMPRESS_YES), WS_OK);
    ws_writer_take_back(writer, ws_buf_len(&writer->out) - before);
    assert_int_equal(ws_buf_len(&writer->out), before);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(ws_writer_message(writer, WS_OPCODE_BINARY, data + 500, 2500, WS_COMPRESS_YES), WS_OK);
        note(&sent, WS_OPCODE_BINARY, data + 500, 2500);
    }
    carry_all(&pair.server, &pair.client, 100, &seed, &read);
    assert_same(&sent, &read);
    free_pair(&pair);
}

TEST(a_text_that_is_refused_leaves_no_trace) {
    ws_pair pair;
    ws_buf sent = {0}, read = {0};
    uint32_t seed = 1;
    open_pair(&pair, &widest, &widest);
    ws_writer* writer = &pair.client.writer;
    assert_int_equal(ws_writer_message(writer, WS_OPCODE_TEXT, "good", 4, WS_COMPRESS_YES), WS_OK);
    assert_int_equal(ws_writer_message(writer, WS_OPCODE_TEXT, "bad \xff", 5, WS_COMPRESS_YES), WS_ERR_UTF8);
    assert_int_equal(ws_writer_message(writer, WS_OPCODE_TEXT, "good", 4, WS_COMPRESS_YES), WS_OK);
    note(&sent, WS_OPCODE_TEXT, "good", 4);
    note(&sent, WS_OPCODE_TEXT, "good", 4);
    carry_all(&pair.server, &pair.client, 100, &seed, &read);
    assert_same(&sent, &read);
    free_pair(&pair);
}

/* A frame that cannot be written for want of a mask was compressed before: what follows must not refer to it. */
TEST(a_message_that_could_not_be_queued_is_not_referred_to) {
    static uint8_t data[2000];
    ws_pair pair;
    ws_buf sent = {0}, read = {0};
    uint32_t seed = 1;
    open_pair(&pair, &widest, &widest);
    ws_writer* writer = &pair.client.writer;
    fill_pattern(data, sizeof data, false);
    writer->random = no_random;
    assert_int_equal(ws_writer_message(writer, WS_OPCODE_BINARY, data, 2000, WS_COMPRESS_YES), WS_ERR_SYSTEM);
    assert_int_equal(ws_buf_len(&writer->out), 0);
    writer->random = test_random;
    assert_int_equal(ws_writer_message(writer, WS_OPCODE_BINARY, data, 2000, WS_COMPRESS_YES), WS_OK);
    note(&sent, WS_OPCODE_BINARY, data, 2000);
    carry_all(&pair.server, &pair.client, 100, &seed, &read);
    assert_same(&sent, &read);
    free_pair(&pair);
}

TEST(an_idle_writer_holds_no_memory) {
    ws_pair pair;
    open_pair(&pair, &widest, &widest);
    assert_true(compresses(&pair.client, 1000, WS_COMPRESS_YES));
    assert_non_null(pair.client.writer.deflater.stream);
    ws_writer_trim(&pair.client.writer);
    assert_null(pair.client.writer.deflater.stream);
    assert_int_equal(pair.client.writer.scratch.cap, 0);
    assert_int_equal(pair.client.writer.out.cap, 0);
    free_pair(&pair);
}

TEST(a_trim_within_a_message_keeps_what_it_needs) {
    static const uint8_t data[3000];
    ws_pair pair;
    ws_buf sent = {0}, read = {0};
    uint32_t seed = 1;
    open_pair(&pair, &widest, &widest);
    ws_writer* writer = &pair.client.writer;
    assert_int_equal(ws_writer_fragment(writer, WS_OPCODE_BINARY, data, 2000, false, WS_COMPRESS_YES), WS_OK);
    ws_writer_trim(writer);
    assert_non_null(writer->deflater.stream);
    assert_int_equal(ws_writer_fragment(writer, WS_OPCODE_BINARY, data + 2000, 1000, true, WS_COMPRESS_YES), WS_OK);
    note(&sent, WS_OPCODE_BINARY, data, sizeof data);
    carry_all(&pair.server, &pair.client, 100, &seed, &read);
    assert_same(&sent, &read);
    free_pair(&pair);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_terms_carry_all_messages),
        cmocka_unit_test(it_takes_two_to_compress),
        cmocka_unit_test(the_threshold_decides_unless_told_otherwise),
        cmocka_unit_test(without_agreement_nothing_is_compressed),
        cmocka_unit_test(a_client_held_to_8_bits_never_compresses),
        cmocka_unit_test(the_first_fragment_decides_for_the_message),
        cmocka_unit_test(a_message_taken_back_is_not_referred_to),
        cmocka_unit_test(a_text_that_is_refused_leaves_no_trace),
        cmocka_unit_test(a_message_that_could_not_be_queued_is_not_referred_to),
        cmocka_unit_test(an_idle_writer_holds_no_memory),
        cmocka_unit_test(a_trim_within_a_message_keeps_what_it_needs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
