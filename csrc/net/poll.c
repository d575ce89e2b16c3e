#include "net/poll.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

enum {
    EVENTS_PER_WAIT = 256,
    FEW = 16, /* what one wait without a set may watch */
};

struct ws_poll {
    int fd;
};

ws_poll* ws_poll_new(void) {
    ws_poll* set = malloc(sizeof *set);
    if (!set) return NULL;
    set->fd = epoll_create1(EPOLL_CLOEXEC);
    if (set->fd >= 0) return set;
    int failed = errno;
    free(set);
    errno = failed;
    return NULL;
}

void ws_poll_free(ws_poll* set) {
    if (!set) return;
    close(set->fd);
    free(set);
}

static int control(ws_poll* set, int operation, intptr_t fd, uint32_t events, void* tag) {
    struct epoll_event event = {.data.ptr = tag};
    if (events & WS_POLL_READ) event.events |= EPOLLIN;
    if (events & WS_POLL_WRITE) event.events |= EPOLLOUT;
    return epoll_ctl(set->fd, operation, (int)fd, &event) == 0 ? 0 : -errno;
}

int ws_poll_add(ws_poll* set, intptr_t fd, uint32_t events, void* tag) {
    return control(set, EPOLL_CTL_ADD, fd, events, tag);
}

int ws_poll_change(ws_poll* set, intptr_t fd, uint32_t events, void* tag) {
    return control(set, EPOLL_CTL_MOD, fd, events, tag);
}

void ws_poll_remove(ws_poll* set, intptr_t fd) {
    control(set, EPOLL_CTL_DEL, fd, 0, NULL);
}

intptr_t ws_poll_descriptor(const ws_poll* set) {
    return set->fd;
}

static int clamp_timeout(int64_t timeout) {
    if (timeout < 0) return -1;
    return timeout > INT_MAX ? INT_MAX : (int)timeout;
}

int ws_poll_wait(ws_poll* set, ws_poll_event* out, int max, int64_t timeout) {
    struct epoll_event events[EVENTS_PER_WAIT];
    if (max > EVENTS_PER_WAIT) max = EVENTS_PER_WAIT;
    int n = epoll_wait(set->fd, events, max, clamp_timeout(timeout));
    if (n < 0) return -errno;
    for (int i = 0; i < n; i++) {
        uint32_t got = events[i].events;
        out[i].tag = events[i].data.ptr;
        out[i].events = (got & EPOLLIN ? WS_POLL_READ : 0) | (got & EPOLLOUT ? WS_POLL_WRITE : 0) |
                        (got & (EPOLLHUP | EPOLLERR) ? WS_POLL_HANGUP : 0);
    }
    return n;
}

int ws_poll_few(ws_poll_item* items, size_t n, int64_t timeout) {
    struct pollfd fds[FEW];
    if (n > FEW) return -EINVAL;
    for (size_t i = 0; i < n; i++) {
        short events =
            (short)((items[i].events & WS_POLL_READ ? POLLIN : 0) | (items[i].events & WS_POLL_WRITE ? POLLOUT : 0));
        fds[i] = (struct pollfd){.fd = (int)items[i].fd, .events = events};
        items[i].ready = 0;
    }
    int count = poll(fds, n, clamp_timeout(timeout));
    if (count < 0) return -errno;
    for (size_t i = 0; i < n; i++) {
        short got = fds[i].revents;
        items[i].ready = (got & POLLIN ? WS_POLL_READ : 0) | (got & POLLOUT ? WS_POLL_WRITE : 0) |
                         (got & (POLLHUP | POLLERR | POLLNVAL) ? WS_POLL_HANGUP : 0);
    }
    return count;
}
