/* The server's side of the opening handshake (RFC 6455 4.2). */
#ifndef BENCH_UPGRADE_H
#define BENCH_UPGRADE_H

#include <stddef.h>
#include <stdint.h>

/* The work that a path asks for: "/flood?count=1000&size=64". */
typedef struct {
    char name[16];
    char kind[16];
    uint64_t count, size, every, after; /* 0 where the path does not say */
    int deflate;
} Wish;

/* Reads the request in `len` bytes at `data` and writes the response to `out`, which has 512 bytes of room. Returns the
 * request's length, 0 if it is not all there, -1 if it is none. */
int upgrade(const char* data, size_t len, Wish* wish, char* out);

#endif
