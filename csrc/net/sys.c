#include "net/sys.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

int64_t ws_sys_nanos(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

int64_t ws_sys_now(void) {
    return ws_sys_nanos() / 1000000;
}

double ws_sys_wall(void) {
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static atomic_uint forks;
static pthread_once_t forks_once = PTHREAD_ONCE_INIT;

static void count_fork(void) {
    atomic_fetch_add_explicit(&forks, 1, memory_order_relaxed);
}

static void watch_forks(void) {
    pthread_atfork(NULL, NULL, count_fork);
}

uint32_t ws_sys_forks(void) {
    pthread_once(&forks_once, watch_forks);
    return atomic_load_explicit(&forks, memory_order_relaxed);
}

/*
 * Random bytes fetched ahead: a mask key is four of them, too few for a system call each. What was handed out stays: it
 * goes over the wire.
 */
typedef struct random_block {
    uint8_t bytes[4096];
    size_t left; /* the last `left` bytes are unused */
    uint32_t forks;
} random_block;

static _Thread_local random_block block;

static bool fetch_random(uint8_t* out, size_t n) {
    while (n > 0) {
        ssize_t got = getrandom(out, n, 0);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return false;
        out += got;
        n -= (size_t)got;
    }
    return true;
}

bool ws_sys_random(uint8_t* out, size_t n) {
    if (n > sizeof block.bytes) return fetch_random(out, n);
    random_block* mine = &block;
    if (mine->left < n || mine->forks != atomic_load_explicit(&forks, memory_order_relaxed)) {
        mine->left = 0;
        mine->forks = ws_sys_forks();
        if (!fetch_random(mine->bytes, sizeof mine->bytes)) return false;
        mine->left = sizeof mine->bytes;
    }
    memcpy(out, mine->bytes + sizeof mine->bytes - mine->left, n);
    mine->left -= n;
    return true;
}

const char* ws_sys_error_text(int os_error, char* buf, size_t size) {
#if defined(__GLIBC__)
    const char* text = strerror_r(os_error, buf, size); /* GNU's may leave buf alone and return its own */
    if (text != buf) snprintf(buf, size, "%s", text);
#else
    if (strerror_r(os_error, buf, size) != 0) snprintf(buf, size, "error %d", os_error);
#endif
    return buf;
}
