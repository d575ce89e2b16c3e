/* The clock, random bytes, and errno in words. */
#ifndef WS_NET_SYS_H
#define WS_NET_SYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Milliseconds of the monotonic clock. */
int64_t ws_sys_now(void);

/* Nanoseconds of the same clock. */
int64_t ws_sys_nanos(void);

/* Seconds since the epoch. */
double ws_sys_wall(void);

/* `n` bytes from the system's CSPRNG, taken in blocks of a thread and dropped at fork; false if the system fails. */
bool ws_sys_random(uint8_t* out, size_t n);

/*
 * How many forks lie between the process that loaded us and this one: what a child must not share with its parent is
 * kept together with this number, and is stale when it has changed.
 */
uint32_t ws_sys_forks(void);

/* The text of an errno into buf (always NUL-terminated), which is returned. Any thread. */
const char* ws_sys_error_text(int os_error, char* buf, size_t size);

#endif
