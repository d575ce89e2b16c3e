#include "net/thread.h"

#include <signal.h>

uintptr_t ws_thread_id(void) {
    static _Thread_local char here; /* every living thread has its own */
    return (uintptr_t)&here;
}

void ws_thread_name(const char* name) {
    pthread_setname_np(pthread_self(), name);
}

static int create(ws_thread* thread, int detached, void* (*fn)(void*), void* arg) {
    pthread_attr_t attr;
    int failed = pthread_attr_init(&attr);
    if (failed) return failed;
    failed = pthread_attr_setdetachstate(&attr, detached);
    if (!failed) failed = pthread_create(thread, &attr, fn, arg);
    pthread_attr_destroy(&attr);
    return failed;
}

static int start(ws_thread* thread, int detached, void* (*fn)(void*), void* arg) {
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before); /* the new thread inherits it */
    int failed = create(thread, detached, fn, arg);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return -failed;
}

int ws_thread_start_detached(void* (*fn)(void*), void* arg) {
    ws_thread thread;
    return start(&thread, PTHREAD_CREATE_DETACHED, fn, arg);
}

int ws_thread_start(ws_thread* thread, void* (*fn)(void*), void* arg) {
    return start(thread, PTHREAD_CREATE_JOINABLE, fn, arg);
}
