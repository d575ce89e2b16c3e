/* The neutral server: one thread, epoll, plain and TLS on two ports of the system's choice, which it prints.
 *   server [CERTIFICATE KEY]      (PEM files; without them there is no TLS)
 * It ends with its standard input. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "peer.h"

static int epoll, timer;
static SSL_CTX* tls;
static Peer* clock_peer; /* the one that runs a /clock */

static int listen_anywhere(int* port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr*)&address, len) || listen(fd, 4096)) die("listen");
    getsockname(fd, (struct sockaddr*)&address, &len);
    *port = ntohs(address.sin_port);
    return fd;
}

static SSL_CTX* tls_make(const char* certificate, const char* key) {
    SSL_CTX* context = SSL_CTX_new(TLS_server_method());
    if (!context || SSL_CTX_use_certificate_chain_file(context, certificate) != 1 ||
        SSL_CTX_use_PrivateKey_file(context, key, SSL_FILETYPE_PEM) != 1)
        die("certificate");
    SSL_CTX_set_mode(context,
                     SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_options(context, SSL_OP_IGNORE_UNEXPECTED_EOF);
    SSL_CTX_set_session_id_context(context, (const unsigned char*)"bench", 5);
    return context;
}

static void accept_all(int fd, SSL_CTX* context) {
    int one = 1, accepted;
    while ((accepted = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        setsockopt(accepted, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        Peer* peer = calloc(1, sizeof *peer);
        if (!peer) die("calloc");
        peer->stream.fd = accepted;
        peer->epoll = epoll;
        peer->events = EPOLLIN;
        if (context) {
            peer->stream.ssl = SSL_new(context);
            SSL_set_fd(peer->stream.ssl, accepted);
            SSL_set_accept_state(peer->stream.ssl);
        }
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = peer};
        epoll_ctl(epoll, EPOLL_CTL_ADD, accepted, &event);
    }
    if (errno != EAGAIN) perror("accept");
}

static void arm(uint64_t when) {
    struct itimerspec at = {.it_value = {(time_t)(when / 1000000000u), (long)(when % 1000000000u)}};
    timerfd_settime(timer, TFD_TIMER_ABSTIME, &at, NULL);
}

static void tick(void) {
    uint64_t expired;
    if (read(timer, &expired, sizeof expired) < 0 || !clock_peer) return;
    uint64_t next = peer_tick(clock_peer);
    if (next)
        arm(next);
    else
        clock_peer = NULL;
}

static void step(Peer* peer) {
    if (!peer_step(peer)) {
        if (clock_peer == peer) clock_peer = NULL;
        peer_free(peer);
    } else if (peer->clock_left && clock_peer != peer) {
        clock_peer = peer;
        arm(peer->clock_next);
    }
}

static void watch(int fd, void* what) {
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = what};
    epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
}

int main(int argc, char** argv) {
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    signal(SIGPIPE, SIG_IGN);
    int port, tls_port = 0, plain = listen_anywhere(&port), secure = -1, end = STDIN_FILENO;
    epoll = epoll_create1(EPOLL_CLOEXEC);
    timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    watch(plain, &plain);
    watch(timer, &timer);
    watch(end, &end);
    if (argc == 3) {
        tls = tls_make(argv[1], argv[2]);
        secure = listen_anywhere(&tls_port);
        watch(secure, &secure);
    }
    printf("%d %d\n", port, tls_port);
    fflush(stdout);
    for (;;) {
        struct epoll_event events[256];
        int count = epoll_wait(epoll, events, 256, -1);
        for (int i = 0; i < count; i++) {
            void* what = events[i].data.ptr;
            if (what == &end) return 0;
            if (what == &plain)
                accept_all(plain, NULL);
            else if (what == &secure)
                accept_all(secure, tls);
            else if (what == &timer)
                tick();
            else
                step(what);
        }
    }
}
