#include "net/forks.h"

#include <stddef.h>

#include "net/thread.h"

static ws_fork_listener* listeners;
static ws_mutex lock = PTHREAD_MUTEX_INITIALIZER; /* held while forking, so that the child finds the list whole */
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void before_fork(void) {
    ws_mutex_lock(&lock);
}

static void after_fork(void) {
    ws_mutex_unlock(&lock);
}

static void after_fork_in_child(void) {
    for (ws_fork_listener* listener = listeners; listener; listener = listener->next) {
        listener->told(listener);
    }
    ws_mutex_unlock(&lock);
}

static void watch_forks(void) {
    pthread_atfork(before_fork, after_fork, after_fork_in_child);
}

void ws_forks_join(ws_fork_listener* listener, void (*told)(ws_fork_listener* listener)) {
    pthread_once(&once, watch_forks);
    ws_mutex_lock(&lock);
    *listener = (ws_fork_listener){.next = listeners, .link = &listeners, .told = told};
    if (listeners) listeners->link = &listener->next;
    listeners = listener;
    ws_mutex_unlock(&lock);
}

void ws_forks_leave(ws_fork_listener* listener) {
    ws_mutex_lock(&lock);
    if (listener->link) {
        *listener->link = listener->next;
        if (listener->next) listener->next->link = listener->link;
        listener->link = NULL;
    }
    ws_mutex_unlock(&lock);
}
