/* A program with a loop of its own: poll() decides when the connection is stepped. Usage: connection URL MESSAGE... */
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include <wsclient/wsclient.h>

/* Wait for what the connection waits for, or until it wants to be stepped all the same. */
static void wait_for(wsConn* conn) {
    int wants = wsConnWants(conn);
    struct pollfd fd = {.fd = (int)wsConnFd(conn)};
    fd.events = (short)((wants & WS_WANT_READ ? POLLIN : 0) | (wants & WS_WANT_WRITE ? POLLOUT : 0));
    poll(&fd, 1, (int)wsConnTimeout(conn, wsNow()));
}

/* Act on an event; how many messages are still awaited. */
static int handle(wsConn* conn, const wsEvent* event, int awaited, char** messages) {
    if (event->type == WS_EVENT_OPEN) {
        for (int i = 0; i < awaited; i++) {
            wsConnSend(conn, WS_TEXT, messages[i], strlen(messages[i]));
        }
    }
    if (event->type == WS_EVENT_TEXT) {
        printf("%.*s\n", (int)event->length, event->data);
        if (--awaited == 0) wsConnClose(conn, 1000, "done");
    }
    return awaited;
}

int main(int argc, char** argv) {
    wsOptions options = {.size = sizeof options, .url = argc > 2 ? argv[1] : NULL};
    wsConn* conn;
    wsEvent event = {0};
    int awaited = argc - 2;
    int rc = wsConnNew(&options, &conn);
    if (rc) {
        fprintf(stderr, "usage: connection ws://HOST:PORT/ MESSAGE... (%s)\n", wsErrorString(rc));
        return 2;
    }
    while (event.type != WS_EVENT_CLOSED) {
        wait_for(conn);
        wsConnStep(conn, wsNow());
        while (wsConnNext(conn, &event)) {
            awaited = handle(conn, &event, awaited, argv + 2);
        }
    }
    if (event.error) fprintf(stderr, "connection: %s\n", wsConnError(conn));
    wsConnFree(conn);
    return event.error ? 1 : 0;
}
