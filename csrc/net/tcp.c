#include "net/tcp.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

static void set_flag(int fd, int level, int option) {
    int on = 1;
    setsockopt(fd, level, option, &on, sizeof on);
}

static int new_socket(int family) {
    return socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
}

static intptr_t close_failed(int fd) {
    int failed = errno;
    close(fd);
    return -failed;
}

/* 0 or -errno. */
static int prepare(int fd, const ws_address* address, const ws_tcp_options* options) {
    for (size_t i = 0; i < options->socket_option_count; i++) {
        const wsSocketOption* option = &options->socket_options[i];
        if (setsockopt(fd, option->level, option->name, option->value, (socklen_t)option->length) != 0) return -errno;
    }
    if (options->local.len == 0) return 0;
    if (options->local.storage.ss_family != address->storage.ss_family) return -EAFNOSUPPORT;
    return bind(fd, (const struct sockaddr*)&options->local.storage, options->local.len) == 0 ? 0 : -errno;
}

intptr_t ws_tcp_connect(const ws_address* address, const ws_tcp_options* options) {
    int fd = new_socket(address->storage.ss_family);
    if (fd < 0) return -errno;
    if (address->storage.ss_family != AF_UNIX) set_flag(fd, IPPROTO_TCP, TCP_NODELAY);
    int failed = options ? prepare(fd, address, options) : 0;
    if (failed) {
        close(fd);
        return failed;
    }
    int rc = connect(fd, (const struct sockaddr*)&address->storage, address->len);
    if (rc != 0 && errno != EINPROGRESS && errno != EINTR) return close_failed(fd); /* EINTR: it goes on */
    return fd;
}

int ws_tcp_connect_result(intptr_t fd) {
    int failed = 0;
    socklen_t len = sizeof failed;
    if (getsockopt((int)fd, SOL_SOCKET, SO_ERROR, &failed, &len) != 0) return -errno;
    return -failed;
}

static intptr_t listen_on(const struct addrinfo* info) {
    int fd = new_socket(info->ai_family);
    if (fd < 0) return -errno;
    set_flag(fd, SOL_SOCKET, SO_REUSEADDR);
    if (bind(fd, info->ai_addr, info->ai_addrlen) != 0 || listen(fd, SOMAXCONN) != 0) return close_failed(fd);
    return fd;
}

static uint16_t port_of(const ws_address* address) {
    bool v6 = address->storage.ss_family == AF_INET6;
    return ntohs(v6 ? ((const struct sockaddr_in6*)&address->storage)->sin6_port
                    : ((const struct sockaddr_in*)&address->storage)->sin_port);
}

static int gai_errno(int failed) {
    if (failed == EAI_SYSTEM) return -errno;
    return failed == EAI_MEMORY ? -ENOMEM : -EADDRNOTAVAIL;
}

intptr_t ws_tcp_listen(const char* host, uint16_t* port) {
    struct addrinfo hints = {.ai_flags = AI_PASSIVE | AI_NUMERICSERV, .ai_socktype = SOCK_STREAM};
    struct addrinfo* info;
    char service[8];
    snprintf(service, sizeof service, "%u", *port);
    int failed = getaddrinfo(host && *host ? host : "127.0.0.1", service, &hints, &info);
    if (failed) return gai_errno(failed);
    intptr_t fd = listen_on(info);
    freeaddrinfo(info);
    if (fd < 0) return fd;
    ws_address bound;
    failed = ws_tcp_local(fd, &bound);
    if (failed) {
        close((int)fd);
        return failed;
    }
    *port = port_of(&bound);
    return fd;
}

intptr_t ws_tcp_accept(intptr_t listener) {
    int fd;
    do {
        fd = accept4((int)listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    } while (fd < 0 && (errno == EINTR || errno == ECONNABORTED)); /* that one is gone: the next */
    if (fd < 0) return -errno;
    set_flag(fd, IPPROTO_TCP, TCP_NODELAY);
    return fd;
}

int ws_tcp_local(intptr_t fd, ws_address* address) {
    address->len = sizeof address->storage;
    return getsockname((int)fd, (struct sockaddr*)&address->storage, &address->len) == 0 ? 0 : -errno;
}

int ws_tcp_remote(intptr_t fd, ws_address* address) {
    address->len = sizeof address->storage;
    return getpeername((int)fd, (struct sockaddr*)&address->storage, &address->len) == 0 ? 0 : -errno;
}

void ws_tcp_reset_on_close(intptr_t fd) {
    struct linger now = {.l_onoff = 1, .l_linger = 0};
    setsockopt((int)fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
}

void ws_tcp_close(intptr_t fd) {
    close((int)fd);
}
