/* Threads and mutexes behind one face: pthreads here. */
#ifndef WS_NET_THREAD_H
#define WS_NET_THREAD_H

#include <pthread.h>
#include <stdint.h>

typedef pthread_mutex_t ws_mutex;

static inline int ws_mutex_init(ws_mutex* mutex) {
    return pthread_mutex_init(mutex, NULL);
}
static inline void ws_mutex_free(ws_mutex* mutex) {
    pthread_mutex_destroy(mutex);
}
static inline void ws_mutex_lock(ws_mutex* mutex) {
    pthread_mutex_lock(mutex);
}
static inline void ws_mutex_unlock(ws_mutex* mutex) {
    pthread_mutex_unlock(mutex);
}

/* A number that no other living thread has, never 0. */
uintptr_t ws_thread_id(void);

/* Run fn(arg) on a detached thread with every signal blocked, so that none meant for the program lands there. 0 or
 * -errno. */
int ws_thread_start_detached(void (*fn)(void*), void* arg);

#endif
