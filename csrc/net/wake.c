#include "net/wake.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "net/sys.h"

intptr_t ws_wake_new(void) {
    return eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
}

void ws_wake_close(intptr_t wake) {
    close((int)wake);
}

void ws_wake_signal(intptr_t wake) {
    int before = errno; /* we may be inside a signal handler */
    uint64_t one = 1;
    ssize_t written;
    do {
        written = write((int)wake, &one, sizeof one);
    } while (written < 0 && errno == EINTR);
    errno = before; /* EAGAIN: its counter is full, so it is readable */
}

void ws_wake_clear(intptr_t wake) {
    uint64_t count;
    ssize_t got;
    do {
        got = read((int)wake, &count, sizeof count);
    } while (got < 0 && errno == EINTR);
}

/* The calling thread's. A key only for its destructor: that is what closes the descriptor at the thread's end. */
typedef struct thread_wake {
    intptr_t fd; /* meaningful when `made` */
    bool made;
    uint32_t forks;
} thread_wake;

static _Thread_local thread_wake mine;
static pthread_key_t key;
static int key_failed;
static pthread_once_t key_once = PTHREAD_ONCE_INIT;

static void close_mine(void* arg) {
    thread_wake* wake = arg;
    if (wake->made) ws_wake_close(wake->fd);
    wake->made = false;
}

static void make_key(void) {
    key_failed = pthread_key_create(&key, close_mine);
}

intptr_t ws_wake_of_thread(void) {
    if (mine.made && mine.forks == ws_sys_forks()) return mine.fd;
    close_mine(&mine); /* after a fork: this is the parent's, under the same number */
    pthread_once(&key_once, make_key);
    if (key_failed || pthread_setspecific(key, &mine) != 0) return -1;
    mine.forks = ws_sys_forks();
    mine.fd = ws_wake_new();
    mine.made = mine.fd >= 0;
    return mine.fd;
}
