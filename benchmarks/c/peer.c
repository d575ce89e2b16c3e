#include "peer.h"

#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

enum { SCRATCH = 256 * 1024, FLOOD_WRITE = 64 * 1024, TURN = 16 };

static _Alignas(4096) uint8_t scratch[SCRATCH]; /* there is one thread; a page: see pages_new */

static void grow(uint8_t** buffer, size_t* cap, size_t need) {
    if (need <= *cap) return;
    uint8_t* grown = pages_new(need);
    if (*cap) memcpy(grown, *buffer, *cap);
    free(*buffer);
    *buffer = grown;
    *cap = need;
}

static void watch(Peer* peer) {
    int writes = peer->out_sent < peer->out_len || peer->flood_sent < peer->flood_len;
    uint32_t events = EPOLLIN | (writes ? EPOLLOUT : 0);
    if (events == peer->events) return;
    struct epoll_event event = {.events = peer->events = events, .data.ptr = peer};
    epoll_ctl(peer->epoll, EPOLL_CTL_MOD, peer->stream.fd, &event);
}

static int write_out(Peer* peer) {
    while (peer->out_sent < peer->out_len) {
        ssize_t sent = stream_write(&peer->stream, peer->out + peer->out_sent, peer->out_len - peer->out_sent);
        if (sent <= 0) return sent == -1;
        peer->out_sent += (size_t)sent;
    }
    peer->out_len = peer->out_sent = 0;
    return 1;
}

static int put(Peer* peer, const void* data, size_t len) {
    ssize_t sent = peer->out_len ? -1 : stream_write(&peer->stream, data, len);
    if (sent == -1) sent = 0;
    if (sent < 0) return 0;
    if ((size_t)sent == len) return 1;
    grow(&peer->out, &peer->out_cap, peer->out_len + len - (size_t)sent);
    memcpy(peer->out + peer->out_len, (const uint8_t*)data + sent, len - (size_t)sent);
    peer->out_len += len - (size_t)sent;
    return write_out(peer);
}

/* Writes at most TURN times, so that others have theirs. */
static int flood_on(Peer* peer) {
    if (peer->out_len) return 1;
    size_t len = peer->block.frames ? peer->block.ends[peer->block.frames - 1] : 0;
    for (int i = 0; i < TURN && peer->flood_sent < peer->flood_len; i++) {
        size_t at = peer->flood_sent % len, chunk = len - at;
        if (chunk > FLOOD_WRITE) chunk = FLOOD_WRITE;
        if (chunk > peer->flood_len - peer->flood_sent) chunk = peer->flood_len - peer->flood_sent;
        ssize_t sent = stream_write(&peer->stream, peer->block.bytes + at, chunk);
        if (sent == -1) return 1;
        if (sent <= 0) return 0;
        peer->flood_sent += (uint64_t)sent;
    }
    return 1;
}

static void flood(Peer* peer) {
    static const char* const names[] = {"binary", "text", "json", "envelope"};
    if (!peer->block.frames) {
        Kind kind = KIND_BINARY;
        for (int i = 0; i < 4; i++)
            if (!strcmp(peer->wish.kind, names[i])) kind = (Kind)i;
        peer->block = block_make(kind, peer->wish.size, peer->wish.deflate);
    }
    peer->flood_len += block_bytes(&peer->block, peer->wish.count);
}

static int echo(Peer* peer, uint8_t* payload, const Frame* frame) {
    uint8_t head[HEAD_MAX];
    frame_mask(payload, payload, frame->len, frame->mask);
    size_t len = frame_write(head, frame->first, frame->len, NULL);
    memcpy(payload - len, head, len); /* a client's head is longer, by the mask */
    return put(peer, payload - len, len + frame->len);
}

static int control(Peer* peer, uint8_t* payload, Frame* frame) {
    int opcode = frame->first & 15;
    if (opcode == OP_PONG) return 1;
    if (opcode == OP_PING) frame->first = FIN | OP_PONG;
    peer->closing = opcode == OP_CLOSE;
    return echo(peer, payload, frame);
}

static int message(Peer* peer, uint8_t* payload, Frame* frame) {
    const char* work = peer->wish.name;
    if (frame->first & OP_CLOSE) return control(peer, payload, frame);
    if (!strcmp(work, "echo")) return echo(peer, payload, frame);
    if (!(frame->first & FIN)) return 1;
    if (++peer->seen <= peer->wish.after) return 1;
    if (!strcmp(work, "flood")) {
        flood(peer);
        return flood_on(peer);
    }
    if (!strcmp(work, "sink") && peer->wish.count && peer->seen % peer->wish.count == 0)
        return put(peer,
                   "\x81\x04"
                   "done",
                   6);
    if (!strcmp(work, "clock")) {
        peer->clock_left = peer->wish.count;
        peer->clock_next = monotonic_ns() + peer->wish.every * 1000;
    }
    return 1;
}

static int answer(Peer* peer, const uint8_t* data, size_t len, size_t* used) {
    char response[512];
    int request = upgrade((const char*)data, len, &peer->wish, response);
    if (request <= 0) return request == 0;
    *used = (size_t)request;
    peer->upgraded = 1;
    return put(peer, response, strlen(response));
}

/* Handles what is complete of `len` bytes; `need` is how long the rest must become. */
static int consume(Peer* peer, uint8_t* data, size_t len, size_t* used, size_t* need) {
    *used = *need = 0;
    if (!peer->upgraded && !answer(peer, data, len, used)) return 0;
    Frame frame;
    while (peer->upgraded && frame_read(data + *used, len - *used, &frame)) {
        *need = frame.head_len + frame.len;
        if (*need > len - *used) return 1;
        if (!message(peer, data + *used + frame.head_len, &frame)) return 0;
        *used += *need;
        *need = 0;
    }
    return 1;
}

static int read_on(Peer* peer) {
    int keeps = peer->in_len > 0;
    uint8_t* to = keeps ? peer->in + peer->in_len : scratch;
    ssize_t got = stream_read(&peer->stream, to, keeps ? peer->in_cap - peer->in_len : SCRATCH);
    if (got <= 0) return got == -1 ? -1 : 0;
    uint8_t* data = keeps ? peer->in : scratch;
    size_t len = peer->in_len + (size_t)got, used, need;
    if (!consume(peer, data, len, &used, &need)) return 0;
    peer->in_len = len - used;
    if (!peer->in_len) return 1;
    size_t room = need > SCRATCH ? need : SCRATCH;
    if (keeps) {
        if (used) memmove(peer->in, peer->in + used, peer->in_len);
        grow(&peer->in, &peer->in_cap, room);
    } else {
        grow(&peer->in, &peer->in_cap, room);
        memcpy(peer->in, scratch + used, peer->in_len);
    }
    return 1;
}

int peer_step(Peer* peer) {
    if (!write_out(peer) || !flood_on(peer)) return 0;
    for (int i = 0; i < TURN; i++) {
        int result = read_on(peer);
        if (result == 0) return 0;
        if (result < 0 || !stream_pending(&peer->stream)) break;
    }
    if (peer->closing && !peer->out_len) return 0;
    watch(peer);
    return 1;
}

uint64_t peer_tick(Peer* peer) {
    uint64_t now = monotonic_ns();
    if (!peer->clock_left || now < peer->clock_next) return peer->clock_left ? peer->clock_next : 0;
    uint8_t frames[64 * 10];
    uint64_t burst = peer->wish.size ? peer->wish.size : 1;
    if (burst > 64) burst = 64;
    for (uint64_t i = 0; i < burst; i++) {
        frame_write(frames + 10 * i, FIN | OP_BINARY, 8, NULL);
        memcpy(frames + 10 * i + 2, &now, 8);
    }
    if (!put(peer, frames, 10 * burst)) peer->clock_left = 1;
    peer->clock_next += peer->wish.every * 1000;
    return --peer->clock_left ? peer->clock_next : 0;
}

void peer_free(Peer* peer) {
    if (peer->stream.ssl) SSL_free(peer->stream.ssl);
    close(peer->stream.fd);
    block_free(&peer->block);
    free(peer->in);
    free(peer->out);
    free(peer);
}
