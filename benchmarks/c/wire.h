/* What the server and the floor share: frames (RFC 6455 5.2), and bytes over a socket or TLS. */
#ifndef BENCH_WIRE_H
#define BENCH_WIRE_H

#include <openssl/ssl.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum { OP_TEXT = 1, OP_BINARY = 2, OP_CLOSE = 8, OP_PING = 9, OP_PONG = 10, FIN = 0x80, RSV1 = 0x40, HEAD_MAX = 14 };

typedef struct {
    uint8_t first;    /* FIN, RSV bits and opcode */
    uint8_t head_len; /* bytes before the payload */
    uint8_t mask[4];  /* zeros if there is none */
    uint64_t len;     /* bytes of payload */
} Frame;

/* Reads a frame's head from the `have` bytes at `data`; 0 if that is not all of it. */
int frame_read(const uint8_t* data, size_t have, Frame* frame);

/* Writes a head for `len` bytes of payload to `out`, with `mask` unless that is NULL; returns its length. */
size_t frame_write(uint8_t* out, uint8_t first, uint64_t len, const uint8_t* mask);

/* Masks or unmasks `len` bytes (RFC 6455 5.3); `to` may be `from`. */
void frame_mask(uint8_t* to, const uint8_t* from, size_t len, const uint8_t mask[4]);

typedef struct {
    int fd;
    SSL* ssl; /* NULL without TLS */
} Stream;

/* Read and write as far as that goes. Returns the bytes moved, 0 at the end of the stream, -1 if it would block, -2 on
 * failure. */
ssize_t stream_read(Stream* stream, void* to, size_t len);
ssize_t stream_write(Stream* stream, const void* from, size_t len);

/* Whether TLS holds bytes that a poll for the socket does not show. */
int stream_pending(Stream* stream);

/* Memory that starts at a page, not 16 bytes behind as malloc's big pieces do: just behind the place in its page of
 * what the socket has, some processors (Zen 3, Zen 4) copy at a third of their speed. */
uint8_t* pages_new(size_t len);

/* Nanoseconds of CLOCK_MONOTONIC. */
uint64_t monotonic_ns(void);

/* Ends the program with a message and errno's text. */
_Noreturn void die(const char* what);

#endif
