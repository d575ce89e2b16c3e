#include "net/resolve.h"

#include <errno.h>
#include <netdb.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "net/sys.h"
#include "net/thread.h"
#include "net/wake.h"

enum { MAX_THREADS = 4 };

/*
 * One name. The caller and, while it is queued or being resolved, a thread each count as one in `refs`. Everything that
 * both touch is guarded by `lock`.
 */
struct ws_resolve {
    int refs;
    bool done;
    int gai, os_error; /* why it failed */
    ws_address* addresses;
    size_t count;
    intptr_t wake; /* -1 for a literal */
    ws_resolve* next;
    char port[8];
    char host[];
};

/* What all jobs share. The lock is held only for moments, never while resolving. */
static struct {
    ws_resolve *first, *last; /* waiting for a thread */
    int threads;
} pool;
static ws_mutex lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t fork_once = PTHREAD_ONCE_INIT;

static void before_fork(void) {
    ws_mutex_lock(&lock);
}

static void after_fork(void) {
    ws_mutex_unlock(&lock);
}

/* The threads exist in the parent only, and with them what they were to do. */
static void after_fork_in_child(void) {
    pool.first = pool.last = NULL;
    pool.threads = 0;
    ws_mutex_unlock(&lock);
}

static void watch_forks(void) {
    pthread_atfork(before_fork, after_fork, after_fork_in_child);
}

/* One fewer needs the job. With the lock held. */
static void unref(ws_resolve* job) {
    if (--job->refs > 0) return;
    if (job->wake >= 0) ws_wake_close(job->wake);
    free(job->addresses);
    free(job);
}

static size_t count_addresses(const struct addrinfo* info) {
    size_t n = 0;
    for (; info; info = info->ai_next)
        n++;
    return n;
}

/* getaddrinfo's answer as an array. 0 or a code of getaddrinfo's. */
static int copy_addresses(const struct addrinfo* info, ws_address** addresses, size_t* count) {
    *count = count_addresses(info);
    *addresses = calloc(*count, sizeof **addresses);
    if (!*addresses) return EAI_MEMORY;
    for (ws_address* to = *addresses; info; info = info->ai_next, to++) {
        memcpy(&to->storage, info->ai_addr, info->ai_addrlen);
        to->len = info->ai_addrlen;
    }
    return 0;
}

/* Ask the system. It may take long unless `flags` has AI_NUMERICHOST. Touches only what the caller does not. */
static int look_up(const ws_resolve* job, int flags, ws_address** addresses, size_t* count) {
    struct addrinfo hints = {.ai_flags = flags | AI_NUMERICSERV, .ai_socktype = SOCK_STREAM};
    struct addrinfo* info;
    int failed = getaddrinfo(job->host, job->port, &hints, &info);
    if (failed) return failed;
    failed = copy_addresses(info, addresses, count);
    freeaddrinfo(info);
    return failed;
}

static void resolve_one(ws_resolve* job) {
    ws_address* addresses = NULL;
    size_t count = 0;
    int gai = look_up(job, 0, &addresses, &count);
    int os_error = gai == EAI_SYSTEM ? errno : 0;
    ws_mutex_lock(&lock);
    job->gai = gai;
    job->os_error = os_error;
    job->addresses = addresses;
    job->count = count;
    job->done = true;
    ws_mutex_unlock(&lock);
    ws_wake_signal(job->wake);
}

static ws_resolve* take_first(void) {
    ws_resolve* job = pool.first;
    if (!job) return NULL;
    pool.first = job->next;
    if (!pool.first) pool.last = NULL;
    return job;
}

static void* work(void* unused) {
    (void)unused;
    ws_resolve* job;
    ws_mutex_lock(&lock);
    while ((job = take_first())) {
        bool wanted = job->refs > 1;
        ws_mutex_unlock(&lock);
        if (wanted) resolve_one(job);
        ws_mutex_lock(&lock);
        unref(job);
    }
    pool.threads--;
    ws_mutex_unlock(&lock);
    return NULL;
}

/* Queue the job and see that a thread will come to it. 0 or -errno. With the lock held. */
static int enqueue(ws_resolve* job) {
    if (pool.threads < MAX_THREADS) {
        int failed = ws_thread_start_detached(work, NULL);
        if (failed && pool.threads == 0) return failed; /* else one of the others will take it */
        if (!failed) pool.threads++;
    }
    job->refs++;
    if (pool.last)
        pool.last->next = job;
    else
        pool.first = job;
    pool.last = job;
    return 0;
}

static int32_t fail_system(ws_error* error, int os_error, const char* host) {
    char text[128];
    ws_error_set(error, WS_ERR_SYSTEM, "cannot start resolving %s: %s", host,
                 ws_sys_error_text(os_error, text, sizeof text));
    error->os_error = os_error;
    return WS_ERR_SYSTEM;
}

/* A name: hand it to a thread. */
static int32_t start_name(ws_resolve* job, ws_error* error) {
    pthread_once(&fork_once, watch_forks);
    job->wake = ws_wake_new();
    if (job->wake < 0) return fail_system(error, errno, job->host);
    ws_mutex_lock(&lock);
    int failed = enqueue(job);
    ws_mutex_unlock(&lock);
    return failed ? fail_system(error, -failed, job->host) : 0;
}

int32_t ws_resolve_start(ws_resolve** out, const char* host, uint16_t port, ws_error* error) {
    size_t len = strlen(host);
    ws_resolve* job = calloc(1, sizeof *job + len + 1);
    *out = job;
    if (!job) return ws_error_set(error, WS_ERR_MEMORY, "no memory to resolve %s", host);
    job->refs = 1;
    job->wake = -1;
    memcpy(job->host, host, len + 1);
    snprintf(job->port, sizeof job->port, "%u", port);
    job->gai = look_up(job, AI_NUMERICHOST, &job->addresses, &job->count);
    job->done = job->gai != EAI_NONAME;
    int32_t failed = job->done ? 0 : start_name(job, error);
    if (failed) {
        ws_resolve_drop(job);
        *out = NULL;
    }
    return failed;
}

intptr_t ws_resolve_fd(const ws_resolve* job) {
    return job->wake;
}

static int32_t fail(const ws_resolve* job, ws_error* error) {
    if (job->gai == EAI_MEMORY) return ws_error_set(error, WS_ERR_MEMORY, "no memory to resolve %s", job->host);
    char buf[128];
    const char* why =
        job->gai == EAI_SYSTEM ? ws_sys_error_text(job->os_error, buf, sizeof buf) : gai_strerror(job->gai);
    const char* advice = job->gai == EAI_AGAIN ? "is the network up? try again later" : "check the spelling";
    ws_error_set(error, WS_ERR_RESOLVE, "host name %s does not resolve: %s (%s)", job->host, why, advice);
    error->os_error = job->os_error;
    return WS_ERR_RESOLVE;
}

static int32_t copy_result(const ws_resolve* job, ws_address** addresses, size_t* count, ws_error* error) {
    if (job->gai != 0) return fail(job, error);
    *addresses = malloc(job->count * sizeof **addresses);
    if (!*addresses) return ws_error_set(error, WS_ERR_MEMORY, "no memory for the addresses of %s", job->host);
    memcpy(*addresses, job->addresses, job->count * sizeof **addresses);
    *count = job->count;
    return 1;
}

int32_t ws_resolve_result(ws_resolve* job, ws_address** addresses, size_t* count, ws_error* error) {
    ws_mutex_lock(&lock);
    bool done = job->done;
    ws_mutex_unlock(&lock);
    return done ? copy_result(job, addresses, count, error) : 0; /* once done it does not change any more */
}

void ws_resolve_drop(ws_resolve* job) {
    if (!job) return;
    ws_mutex_lock(&lock);
    unref(job);
    ws_mutex_unlock(&lock);
}

bool ws_address_literal(ws_address* address, const char* host, uint16_t port) {
    struct addrinfo hints = {.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV, .ai_socktype = SOCK_STREAM};
    struct addrinfo* info;
    char service[8];
    snprintf(service, sizeof service, "%u", port);
    if (getaddrinfo(host, service, &hints, &info) != 0) return false;
    memcpy(&address->storage, info->ai_addr, info->ai_addrlen);
    address->len = info->ai_addrlen;
    freeaddrinfo(info);
    return true;
}

bool ws_address_unix(ws_address* address, const char* path) {
    struct sockaddr_un* to = (struct sockaddr_un*)&address->storage;
    size_t n = strlen(path);
    if (n == 0 || n >= sizeof to->sun_path) return false;
    memset(&address->storage, 0, sizeof address->storage);
    to->sun_family = AF_UNIX;
    memcpy(to->sun_path, path, n + 1);
    address->len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n + 1);
    return true;
}

const char* ws_address_text(const ws_address* address, char* buf, size_t size) {
    char host[NI_MAXHOST], port[NI_MAXSERV];
    if (address->storage.ss_family == AF_UNIX) {
        snprintf(buf, size, "unix socket %s", ((const struct sockaddr_un*)&address->storage)->sun_path);
        return buf;
    }
    int failed = getnameinfo((const struct sockaddr*)&address->storage, address->len, host, sizeof host, port,
                             sizeof port, NI_NUMERICHOST | NI_NUMERICSERV);
    if (failed)
        snprintf(buf, size, "an unknown address");
    else if (address->storage.ss_family == AF_INET6)
        snprintf(buf, size, "[%s] port %s", host, port);
    else
        snprintf(buf, size, "%s port %s", host, port);
    return buf;
}
