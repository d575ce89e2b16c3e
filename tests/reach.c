/*
 * The options of the C API, from a command line: reach URL [NAME=VALUE...] connects and says what came of it, a line
 * for each fact. It links to libwsclient as any program would.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <wsclient/wsclient.h>

static wsOptions options = {.size = sizeof options, .openTimeout = 10000};
static wsHeader header;
static wsSocketOption socket_option;
static int buffer;

static const struct {
    const char* name;
    const char** place;
} texts[] = {
    {"caFile", &options.tls.caFile},
    {"caPath", &options.tls.caPath},
    {"caData", &options.tls.caData},
    {"systemCaFile", &options.tls.systemCaFile},
    {"certFile", &options.tls.certFile},
    {"keyFile", &options.tls.keyFile},
    {"keyPassword", &options.tls.keyPassword},
    {"alpn", &options.tls.alpn},
    {"ciphers", &options.tls.ciphers},
    {"ciphersuites", &options.tls.ciphersuites},
    {"pins", &options.tls.pins},
    {"keyLogFile", &options.tls.keyLogFile},
    {"proxyCaFile", &options.proxyTls.caFile},
    {"serverHostname", &options.serverHostname},
    {"proxy", &options.proxy},
    {"unixPath", &options.unixPath},
    {"localHost", &options.localHost},
    {"headerName", &header.name},
    {"headerValue", &header.value},
};

static const struct {
    const char* name;
    int32_t* place;
} numbers[] = {
    {"minVersion", &options.tls.minVersion}, {"maxVersion", &options.tls.maxVersion},
    {"insecure", &options.tls.insecure},     {"noResumption", &options.tls.noResumption},
    {"maxRedirects", &options.maxRedirects}, {"receiveBuffer", &buffer},
};

static int set(const char* argument) {
    const char* value = strchr(argument, '=');
    size_t n = value ? (size_t)(value - argument) : 0;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        if (strlen(texts[i].name) == n && strncmp(texts[i].name, argument, n) == 0)
            return *texts[i].place = value + 1, 1;
    }
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        if (strlen(numbers[i].name) == n && strncmp(numbers[i].name, argument, n) == 0) {
            return *numbers[i].place = atoi(value + 1), 1;
        }
    }
    return 0;
}

static void show(wsConn* conn, int32_t error) {
    wsTimings timings;
    wsTlsInfo tls = {0};
    size_t length;
    const char *url, *head;
    wsConnTimings(conn, &timings);
    printf("error %s\ntext %s\n", wsErrorName(error), wsConnError(conn));
    printf("phases%s%s%s%s%s\n", timings.resolve > 0 ? " resolve" : "", timings.tcp > 0 ? " tcp" : "",
           timings.proxy > 0 ? " proxy" : "", timings.tls > 0 ? " tls" : "", timings.upgrade > 0 ? " upgrade" : "");
    if (wsConnTls(conn, &tls) == WS_OK) {
        printf("tls %s %s %d %zu\n", tls.version, tls.alpn, (int)tls.resumed, tls.certificateLength);
    }
    for (size_t i = 0; wsConnRedirect(conn, i, &url, &head, &length) == 1; i++) {
        printf("redirect %s %.12s\n", url, head);
    }
    if (wsConnUrl(conn)) printf("url %s\n", wsConnUrl(conn));
    const char* body = wsConnResponseBody(conn, &length);
    if (body) printf("body %.*s\n", (int)length, body);
    if (wsConnRetryAfter(conn) >= 0) printf("retry %d\n", (int)wsConnRetryAfter(conn));
    if (wsConnResponse(conn, &length)) printf("response %.12s\n", wsConnResponse(conn, &length));
}

/* Until it is open or has failed; the error, if there was one. */
static int32_t reach(wsConn* conn) {
    wsEvent event = {0};
    while (event.type != WS_EVENT_OPEN && event.type != WS_EVENT_CLOSED) {
        wsConnWait(conn, -1);
        while (event.type != WS_EVENT_OPEN && wsConnNext(conn, &event)) {
        }
    }
    return event.type == WS_EVENT_OPEN ? WS_OK : event.error;
}

int main(int argc, char** argv) {
    wsConn* conn;
    for (int i = 2; i < argc; i++) {
        if (!set(argv[i])) return fprintf(stderr, "no such option: %s\n", argv[i]), 2;
    }
    options.url = argv[1];
    options.headers = &header;
    options.headerCount = header.name != NULL;
    socket_option = (wsSocketOption){SOL_SOCKET, SO_RCVBUF, &buffer, sizeof buffer};
    options.socketOptions = &socket_option;
    options.socketOptionCount = buffer != 0;
    int32_t rc = wsConnNew(&options, &conn);
    if (rc) return printf("refused %s\n", wsErrorName(rc)), 1;
    rc = reach(conn);
    show(conn, rc);
    wsConnFree(conn);
    return 0;
}
