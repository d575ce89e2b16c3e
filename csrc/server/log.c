#include "server/log.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/utf8.h"
#include "net/poll.h"

enum { MAX_LINE = 2048 }; /* bytes; below PIPE_BUF, so that a pipe with room takes a line whole */

static unsigned long dropped;

/* Would writing to standard error not wait? */
static bool can_write(void) {
    ws_poll_item item = {.fd = STDERR_FILENO, .events = WS_POLL_WRITE};
    return ws_poll_few(&item, 1, 0) == 1 && item.ready == WS_POLL_WRITE;
}

/* What would act on a terminal becomes '?': C0, DEL, C1 (U+0080 to U+009F), and all beyond ASCII if it is no UTF-8. */
static void clean(char* line, size_t n) {
    uint8_t* bytes = (uint8_t*)line;
    bool utf8 = ws_utf8_valid(bytes, n);
    for (size_t i = 0; i < n; i++) {
        bool c1 = bytes[i] == 0xC2 && bytes[i + 1] < 0xA0;
        if (c1) bytes[i + 1] = '?';
        if (c1 || bytes[i] < 0x20 || bytes[i] == 0x7F || (bytes[i] >= 0x80 && !utf8)) bytes[i] = '?';
    }
}

/* Of the NUL-terminated text in line[0..MAX_LINE). */
static bool write_line(char* line) {
    if (!can_write()) return false;
    size_t n = strlen(line);
    clean(line, n);
    line[n] = '\n'; /* in the place of the NUL */
    return write(STDERR_FILENO, line, n + 1) > 0;
}

void ws_log(const char* format, ...) {
    char line[MAX_LINE];
    if (dropped > 0) {
        snprintf(line, sizeof line, "%lu lines were dropped, because nobody read them", dropped);
        if (write_line(line)) dropped = 0;
    }
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    if (!write_line(line)) dropped++;
}
