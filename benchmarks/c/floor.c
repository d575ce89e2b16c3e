/* The floor: the least C that can speak WebSocket, on a blocking socket with one fixed mask and no checks.
 *   floor WORK HOST PORT CA PATH SIZE COUNT      (CA: a PEM file, or "-" without TLS)
 * It prints seconds of the clock and of the CPU. */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "wire.h"

enum { READ = 256 * 1024, WRITE = 64 * 1024 };

static const uint8_t mask[4] = {0x12, 0x34, 0x56, 0x78};
static SSL_CTX* tls;
static SSL_SESSION* session;

static double seconds(clockid_t clock) {
    struct timespec now;
    clock_gettime(clock, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void write_all(Stream* stream, const uint8_t* data, size_t len) {
    while (len) {
        ssize_t sent = stream_write(stream, data, len);
        if (sent <= 0) die("write");
        data += sent;
        len -= (size_t)sent;
    }
}

static size_t read_some(Stream* stream, uint8_t* to, size_t room) {
    ssize_t got;
    while ((got = stream_read(stream, to, room)) == -1) {
    }
    if (got <= 0) die("read");
    return (size_t)got;
}

static int keep_session(SSL* ssl, SSL_SESSION* given) {
    (void)ssl;
    if (session) SSL_SESSION_free(session);
    session = given;
    return 1;
}

static void tls_make(const char* ca) {
    tls = SSL_CTX_new(TLS_client_method());
    if (!tls || SSL_CTX_load_verify_locations(tls, ca, NULL) != 1) die("CA");
    SSL_CTX_set_verify(tls, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_session_cache_mode(tls, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(tls, keep_session);
}

static Stream open_stream(const char* host, int port, const char* path) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    inet_pton(AF_INET, host, &address.sin_addr);
    if (fd < 0 || connect(fd, (struct sockaddr*)&address, sizeof address)) die("connect");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    Stream stream = {fd, NULL};
    if (tls) {
        stream.ssl = SSL_new(tls);
        SSL_set_fd(stream.ssl, fd);
        if (session) SSL_set_session(stream.ssl, session);
        if (SSL_connect(stream.ssl) != 1) die("TLS");
    }
    char head[4096];
    int len = snprintf(head, sizeof head,
                       "GET %s HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: "
                       "dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
                       path, host);
    write_all(&stream, (uint8_t*)head, (size_t)len);
    for (size_t have = 0; !have || memcmp(head + have - 4, "\r\n\r\n", 4);)
        have += read_some(&stream, (uint8_t*)head + have, 1);
    return stream;
}

static void close_stream(Stream* stream) {
    if (stream->ssl) SSL_set_shutdown(stream->ssl, SSL_SENT_SHUTDOWN); /* else its session counts as broken */
    SSL_free(stream->ssl);
    close(stream->fd);
}

/* Reads `count` messages; `buffer` has room for READ bytes, or one message. Returns what was read of the next. */
static size_t read_messages(Stream* stream, uint8_t* buffer, size_t room, uint64_t count) {
    size_t have = 0, at = 0;
    while (count) {
        Frame frame;
        if (frame_read(buffer + at, have - at, &frame) && frame.head_len + frame.len <= have - at) {
            at += frame.head_len + frame.len;
            count--;
            continue;
        }
        if (at) memmove(buffer, buffer + at, have - at);
        have -= at;
        at = 0;
        have += read_some(stream, buffer + have, room - have);
    }
    return have - at;
}

static size_t message_make(uint8_t* out, const uint8_t* payload, size_t size) {
    size_t head = frame_write(out, FIN | OP_BINARY, size, mask);
    frame_mask(out + head, payload, size, mask);
    return head + size;
}

typedef struct {
    Stream stream;
    uint8_t *payload, *out, *in;
    size_t size, room;
    uint64_t count;
} Floor;

static void echo(Floor* f, uint64_t count) {
    for (uint64_t i = 0; i < count; i++) {
        write_all(&f->stream, f->out, message_make(f->out, f->payload, f->size));
        read_messages(&f->stream, f->in, f->room, 1);
    }
}

static void flood(Floor* f, uint64_t count) {
    write_all(&f->stream, f->out, message_make(f->out, f->payload, 2));
    read_messages(&f->stream, f->in, f->room, count);
}

/* Each message by itself. */
static void send_each(Floor* f, uint64_t count) {
    for (uint64_t i = 0; i < count; i++)
        write_all(&f->stream, f->out, message_make(f->out, f->payload, f->size));
    read_messages(&f->stream, f->in, f->room, 1);
}

/* As many messages in a write as go into WRITE bytes. */
static void send_many(Floor* f, uint64_t count) {
    size_t have = 0;
    for (uint64_t i = 0; i < count; i++) {
        have += message_make(f->out + have, f->payload, f->size);
        if (have < WRITE && i + 1 < count) continue;
        write_all(&f->stream, f->out, have);
        have = 0;
    }
    read_messages(&f->stream, f->in, f->room, 1);
}

static void report(double clock, double cpu) {
    printf("{\"seconds\": %.9f, \"cpu\": %.9f}\n", seconds(CLOCK_MONOTONIC) - clock,
           seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu);
}

/* One message on each of many connections, then all the answers, whichever comes first; `count` messages in all. */
enum { SMALL = 64, EVENTS = 256 };

static void echo_once_on_all(Stream* streams, int set, size_t n, const uint8_t* message, size_t len) {
    struct epoll_event events[EVENTS];
    uint8_t answer[SMALL + HEAD_MAX];
    for (size_t i = 0; i < n; i++)
        write_all(&streams[i], message, len);
    for (size_t left = n; left;) {
        int ready = epoll_wait(set, events, EVENTS, -1);
        for (int i = 0; i < ready; i++)
            read_messages(events[i].data.ptr, answer, sizeof answer, 1);
        left -= (size_t)ready;
    }
}

static void echo_on_all(const char* host, int port, const char* path, size_t n, uint64_t count) {
    uint8_t payload[SMALL] = {0}, message[SMALL + HEAD_MAX];
    size_t len = message_make(message, payload, SMALL);
    Stream* streams = calloc(n, sizeof *streams);
    int set = epoll_create1(EPOLL_CLOEXEC);
    if (!streams || set < 0) die("epoll");
    for (size_t i = 0; i < n; i++) {
        streams[i] = open_stream(host, port, path);
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = &streams[i]};
        if (epoll_ctl(set, EPOLL_CTL_ADD, streams[i].fd, &event)) die("epoll_ctl");
    }
    echo_once_on_all(streams, set, n, message, len);
    double clock = seconds(CLOCK_MONOTONIC), cpu = seconds(CLOCK_PROCESS_CPUTIME_ID);
    for (uint64_t done = 0; done < count; done += n)
        echo_once_on_all(streams, set, n, message, len);
    report(clock, cpu);
}

static void raise_limit(void) {
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}

static void connect_each(const char* host, int port, const char* path, uint64_t count, int resume) {
    double clock = seconds(CLOCK_MONOTONIC), cpu = seconds(CLOCK_PROCESS_CPUTIME_ID);
    for (uint64_t i = 0; i < count; i++) {
        Stream stream = open_stream(host, port, path);
        close_stream(&stream);
        if (!resume && session) {
            SSL_SESSION_free(session);
            session = NULL;
        }
    }
    report(clock, cpu);
}

int main(int argc, char** argv) {
    if (argc != 8) return 2;
    const char *work = argv[1], *host = argv[2], *path = argv[5];
    int port = atoi(argv[3]);
    if (strcmp(argv[4], "-") != 0) tls_make(argv[4]);
    Floor f = {.size = strtoull(argv[6], NULL, 10), .count = strtoull(argv[7], NULL, 10)};
    if (!strcmp(work, "echo_on_all")) {
        raise_limit();
        echo_on_all(host, port, path, f.size, f.count);
        return 0;
    }
    if (!strncmp(work, "connect", 7)) {
        connect_each(host, port, path, f.count, !strcmp(work, "connect_resumed"));
        return 0;
    }
    f.room = f.size + HEAD_MAX > READ ? f.size + HEAD_MAX : READ;
    f.payload = malloc(f.size + 2);
    f.out = malloc(f.size + HEAD_MAX + WRITE + 64);
    f.in = pages_new(f.room);
    if (!f.payload || !f.out) die("malloc");
    memset(f.payload, 'x', f.size + 2);
    f.stream = open_stream(host, port, path);
    if (!strcmp(work, "echo")) echo(&f, f.count / 10 + 1);
    double clock = seconds(CLOCK_MONOTONIC), cpu = seconds(CLOCK_PROCESS_CPUTIME_ID);
    if (!strcmp(work, "echo"))
        echo(&f, f.count);
    else if (!strcmp(work, "flood"))
        flood(&f, f.count);
    else if (!strcmp(work, "send"))
        send_each(&f, f.count);
    else if (!strcmp(work, "send_many"))
        send_many(&f, f.count);
    else
        return 2;
    report(clock, cpu);
    close_stream(&f.stream);
    return 0;
}
