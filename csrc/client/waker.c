/* What wakes a loop that was busy. Its descriptor is signalled with the first mark in line, and cleared with the last.
 */
#include <stdlib.h>

#include "client/engine.h"
#include "net/thread.h"
#include "net/wake.h"

struct ws_waker {
    ws_mutex mutex;
    intptr_t wake;
    ws_waker_mark *first, **last;
};

ws_waker* ws_waker_new(void) {
    ws_waker* waker = calloc(1, sizeof *waker);
    if (!waker) return NULL;
    waker->last = &waker->first;
    waker->wake = ws_wake_new();
    if (waker->wake >= 0 && ws_mutex_init(&waker->mutex) == 0) return waker;
    if (waker->wake >= 0) ws_wake_close(waker->wake);
    free(waker);
    return NULL;
}

void ws_waker_free(ws_waker* waker) {
    ws_wake_close(waker->wake);
    ws_mutex_free(&waker->mutex);
    free(waker);
}

intptr_t ws_waker_fd(const ws_waker* waker) {
    return waker->wake;
}

/* With the mutex. */
static void take_out(ws_waker* waker, ws_waker_mark** link) {
    ws_waker_mark* mark = *link;
    *link = mark->next;
    if (!mark->next) waker->last = link;
    mark->in_line = false;
    if (!waker->first) ws_wake_clear(waker->wake);
}

void ws_waker_set(void* of) {
    ws_waker_mark* mark = of;
    ws_waker* waker = mark->waker;
    ws_mutex_lock(&waker->mutex);
    if (!mark->in_line) {
        if (!waker->first) ws_wake_signal(waker->wake);
        mark->in_line = true;
        mark->next = NULL;
        *waker->last = mark;
        waker->last = &mark->next;
    }
    ws_mutex_unlock(&waker->mutex);
}

uint64_t ws_waker_take(ws_waker* waker) {
    uint64_t number = 0;
    ws_mutex_lock(&waker->mutex);
    if (waker->first) {
        number = waker->first->number;
        take_out(waker, &waker->first);
    }
    ws_mutex_unlock(&waker->mutex);
    return number;
}

void ws_waker_withdraw(ws_waker_mark* mark) {
    ws_waker* waker = mark->waker;
    ws_mutex_lock(&waker->mutex);
    if (mark->in_line) {
        ws_waker_mark** link = &waker->first;
        while (*link != mark) {
            link = &(*link)->next;
        }
        take_out(waker, link);
    }
    ws_mutex_unlock(&waker->mutex);
}
