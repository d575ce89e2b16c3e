/* Threads and mutexes behind one face: pthreads here. */
#ifndef WS_NET_THREAD_H
#define WS_NET_THREAD_H

#include <pthread.h>
#include <stdbool.h>
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
static inline bool ws_mutex_try(ws_mutex* mutex) {
    return pthread_mutex_trylock(mutex) == 0;
}
static inline void ws_mutex_unlock(ws_mutex* mutex) {
    pthread_mutex_unlock(mutex);
}

typedef pthread_cond_t ws_cond;

/* Wait until ws_cond_wake_all, or for nothing; with the mutex locked, which is let go of meanwhile. */
static inline void ws_cond_wait(ws_cond* cond, ws_mutex* mutex) {
    pthread_cond_wait(cond, mutex);
}
static inline void ws_cond_wake_all(ws_cond* cond) {
    pthread_cond_broadcast(cond);
}

/* A number that no other living thread has, never 0. */
uintptr_t ws_thread_id(void);

/* What the calling thread is called in lists of threads; at most 15 characters. */
void ws_thread_name(const char* name);

/* Run fn(arg) on a detached thread with every signal blocked, so that none meant for the program lands there. What fn
 * returns is dropped. 0 or -errno. */
int ws_thread_start_detached(void* (*fn)(void*), void* arg);

/* The same on a thread that is to be joined. */
typedef pthread_t ws_thread;

int ws_thread_start(ws_thread* thread, void* (*fn)(void*), void* arg);
static inline void ws_thread_join(ws_thread thread) {
    pthread_join(thread, NULL);
}

#endif
