/* What the tests of the core share: bytes built by hand, cut into pieces, and what a protocol makes of them in words.
 */
#ifndef WS_TESTS_SUPPORT_H
#define WS_TESTS_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/protocol.h"

#define TEST(name) static void name(__attribute__((unused)) void** state)
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* ws_buf_append, which must succeed. */
void put(ws_buf* out, const void* bytes, size_t n);
void put_text(ws_buf* out, const char* text);

/* Append a frame with this first byte; masked unless `key` is NULL. Written apart from core/frame, to check it. */
void put_frame(ws_buf* out, uint8_t first, const uint8_t* key, const void* payload, size_t len);

/* Fill with bytes that tell every place from its neighbours; `text` makes it letters. */
void fill_pattern(uint8_t* to, size_t n, bool text);

extern const uint8_t test_key[4];   /* of masks: 37 fa 21 3d, as in RFC 6455 5.7 */
extern const ws_limits wide_limits; /* that nothing here meets */

/* Who reads a frame: the server's come masked by test_key. */
typedef enum ws_role { CLIENT, SERVER } ws_role;
enum { FIN = 0x80 };

/* Append a frame for a reader in this role; its payload a text, or `n` bytes of the pattern. */
void add_text(ws_buf* out, ws_role role, uint8_t first, const char* payload);
void add_pattern(ws_buf* out, ws_role role, uint8_t first, size_t n, bool text);

/* Randomness for a client under test: always test_key; or none at all. */
bool test_random(uint8_t* out, size_t n);
bool no_random(uint8_t* out, size_t n);

/* How to cut an input: a first piece, then pieces of `rest` bytes; 0 is: all at once. Or at random, by a seed. */
typedef struct ws_cut {
    size_t first, rest;
    uint32_t seed;
} ws_cut;

/* Give one piece to a protocol, reply to what comes (a request is accepted), and append it to `events`, a line each. */
void receive(ws_protocol* protocol, const void* bytes, size_t n, ws_buf* events);

/* The same for a whole input, piece by piece. */
void replay(ws_protocol* protocol, const ws_buf* input, ws_cut cut, ws_buf* events);

/* A protocol whose opening handshake is over. */
void init_open(ws_protocol* protocol, bool server, const ws_limits* limits);

/* A client whose request for ws://h/chat, offering the subprotocols v1 and v2, is waiting to be written. */
void start_client(ws_protocol* client, const ws_limits* limits);

enum { GUARDED = 1 << 17 }; /* the most that the following take */

/*
 * Copies of `n` bytes that end where memory ends, or begin where it begins: one byte further is an inaccessible page,
 * and whoever touches it dies by a signal. Valid until the next call of the same function.
 */
void* at_the_end(const void* bytes, size_t n);
void* at_the_start(const void* bytes, size_t n);

/* The events that an open protocol makes of an input, NUL-terminated; free with free(). */
char* events_of(bool server, const ws_limits* limits, const ws_buf* input, ws_cut cut);

#endif
