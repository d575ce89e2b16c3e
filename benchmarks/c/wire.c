#include "wire.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

enum { PAGE = 4096 };

static uint64_t big_endian(const uint8_t* data, int len) {
    uint64_t value = 0;
    for (int i = 0; i < len; i++)
        value = value << 8 | data[i];
    return value;
}

int frame_read(const uint8_t* data, size_t have, Frame* frame) {
    if (have < 2) return 0;
    int masked = data[1] & 0x80, small = data[1] & 0x7f, wide = small == 126 ? 2 : small == 127 ? 8 : 0;
    size_t head = 2 + (size_t)wide + (masked ? 4 : 0);
    if (have < head) return 0;
    frame->first = data[0];
    frame->head_len = (uint8_t)head;
    frame->len = wide ? big_endian(data + 2, wide) : (uint64_t)small;
    memset(frame->mask, 0, 4);
    if (masked) memcpy(frame->mask, data + 2 + wide, 4);
    return 1;
}

size_t frame_write(uint8_t* out, uint8_t first, uint64_t len, const uint8_t* mask) {
    int wide = len > 0xffff ? 8 : len > 125 ? 2 : 0;
    out[0] = first;
    out[1] = (uint8_t)((mask ? 0x80 : 0) | (wide == 8 ? 127 : wide == 2 ? 126 : (int)len));
    for (int i = 0; i < wide; i++)
        out[2 + i] = (uint8_t)(len >> 8 * (wide - 1 - i));
    if (mask) memcpy(out + 2 + wide, mask, 4);
    return (size_t)(2 + wide + (mask ? 4 : 0));
}

void frame_mask(uint8_t* to, const uint8_t* from, size_t len, const uint8_t mask[4]) {
    uint64_t key, word;
    memcpy(&key, mask, 4);
    memcpy((uint8_t*)&key + 4, mask, 4);
    size_t i = 0;
    for (; i + 8 <= len; i += 8) {
        memcpy(&word, from + i, 8);
        word ^= key;
        memcpy(to + i, &word, 8);
    }
    for (; i < len; i++)
        to[i] = from[i] ^ mask[i & 3];
}

uint8_t* pages_new(size_t len) {
    uint8_t* pages = aligned_alloc(PAGE, (len + PAGE - 1) / PAGE * PAGE);
    if (!pages) die("aligned_alloc");
    return pages;
}

static ssize_t tls_result(Stream* stream, int result) {
    if (result > 0) return result;
    switch (SSL_get_error(stream->ssl, result)) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE:
        return -1;
    case SSL_ERROR_ZERO_RETURN:
        return 0;
    default:
        return -2;
    }
}

static ssize_t plain_result(ssize_t result) {
    if (result >= 0) return result;
    return errno == EAGAIN || errno == EINTR ? -1 : -2;
}

static int at_most_int(size_t len) {
    return len > 1 << 30 ? 1 << 30 : (int)len;
}

ssize_t stream_read(Stream* stream, void* to, size_t len) {
    if (!stream->ssl) return plain_result(recv(stream->fd, to, len, 0));
    return tls_result(stream, SSL_read(stream->ssl, to, at_most_int(len)));
}

ssize_t stream_write(Stream* stream, const void* from, size_t len) {
    if (!stream->ssl) return plain_result(send(stream->fd, from, len, MSG_NOSIGNAL));
    return tls_result(stream, SSL_write(stream->ssl, from, at_most_int(len)));
}

int stream_pending(Stream* stream) {
    return stream->ssl && SSL_has_pending(stream->ssl);
}

uint64_t monotonic_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

void die(const char* what) {
    fprintf(stderr, "%s: %s\n", what, strerror(errno));
    exit(1);
}
