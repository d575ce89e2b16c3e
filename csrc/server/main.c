/* ws_server: the chat server's command line. */
#include <getopt.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "server/loop.h"

enum { EXIT_USAGE = 2, MAX_MAX_SIZE = 1024 * 1024 * 1024 };

static const char usage[] =
    "usage: ws_server [PORT] [--port N] [--host H] [--echo] [--max-size BYTES]\n"
    "                 [--handshake-timeout SECONDS] [--tls-cert FILE [--tls-key FILE]] [--help]\n";

static const char help[] =
    "A chat server: sends what a client says to the others (docs/protocol.md).\n"
    "\n"
    "  PORT, --port N              where to listen; default 9999; 0 takes any free port\n"
    "  --host H                    address to listen on; default 127.0.0.1; 0.0.0.0 or :: for all\n"
    "  --echo                      send every message, text or binary, back as it came; for testing clients\n"
    "  --max-size BYTES            longest message to take, 1 to 1073741824; default 1048576 (and the chat sends\n"
    "                              on nothing that is longer than 1048576)\n"
    "  --handshake-timeout SECONDS how long a new connection may take to send its request; default 10\n"
    "  --tls-cert FILE             speak TLS (wss://) with this certificate, and those above it, in PEM form\n"
    "  --tls-key FILE              the key to it, in PEM form; default: it is in the certificate's file\n"
    "  --help                      this text\n"
    "\n"
    "The first line on standard output names the URL. SIGTERM and SIGINT close all connections and end it.\n";

static ws_server* running;

static void stop(int number) {
    (void)number;
    ws_server_stop(running);
}

static bool parse_port(const char* text, uint16_t* port) {
    char* end;
    unsigned long value = strtoul(text, &end, 10);
    if (*text < '0' || *text > '9' || *end || value > 65535) return false;
    *port = (uint16_t)value;
    return true;
}

/* Seconds, fractions allowed, to ms. */
static bool parse_seconds(const char* text, int64_t* ms) {
    char* end;
    double value = strtod(text, &end);
    if (end == text || *end || !(value > 0 && value <= 86400)) return false;
    *ms = (int64_t)(value * 1000);
    return true;
}

static bool parse_size(const char* text, size_t* size) {
    char* end;
    unsigned long long value = strtoull(text, &end, 10);
    if (*text < '0' || *text > '9' || *end || value == 0 || value > MAX_MAX_SIZE) return false;
    *size = (size_t)value;
    return true;
}

static int refuse(const char* what, const char* value) {
    fprintf(stderr, "ws_server: %s: %s\n%s", what, value, usage);
    return EXIT_USAGE;
}

enum {
    OPTION_PORT = 256,
    OPTION_HOST,
    OPTION_ECHO,
    OPTION_SIZE,
    OPTION_HANDSHAKE,
    OPTION_CERT,
    OPTION_KEY,
    OPTION_HELP
};

static const struct option names[] = {{"port", required_argument, NULL, OPTION_PORT},
                                      {"host", required_argument, NULL, OPTION_HOST},
                                      {"echo", no_argument, NULL, OPTION_ECHO},
                                      {"max-size", required_argument, NULL, OPTION_SIZE},
                                      {"handshake-timeout", required_argument, NULL, OPTION_HANDSHAKE},
                                      {"tls-cert", required_argument, NULL, OPTION_CERT},
                                      {"tls-key", required_argument, NULL, OPTION_KEY},
                                      {"help", no_argument, NULL, OPTION_HELP},
                                      {0}};

/* One option of the command line. 0, or the status to exit with; -1: help was asked for. */
static int take_option(int option, ws_server_options* options) {
    switch (option) {
    case OPTION_PORT:
        return parse_port(optarg, &options->port) ? 0 : refuse("not a port", optarg);
    case OPTION_HANDSHAKE:
        return parse_seconds(optarg, &options->handshake_timeout) ? 0 : refuse("not a number of seconds", optarg);
    case OPTION_SIZE:
        return parse_size(optarg, &options->max_size) ? 0 : refuse("not a number of bytes", optarg);
    case OPTION_ECHO:
        options->echo = true;
        return 0;
    case OPTION_HOST:
        options->host = optarg;
        return 0;
    case OPTION_CERT:
        options->tls_cert = optarg;
        return 0;
    case OPTION_KEY:
        options->tls_key = optarg;
        return 0;
    case OPTION_HELP:
        return -1;
    default: /* getopt has said what is wrong */
        fputs(usage, stderr);
        return EXIT_USAGE;
    }
}

static int parse_options(int argc, char** argv, ws_server_options* options) {
    int option;
    while ((option = getopt_long(argc, argv, "", names, NULL)) != -1) {
        int status = take_option(option, options);
        if (status) return status;
    }
    if (options->tls_key && !options->tls_cert) return refuse("a key without --tls-cert", options->tls_key);
    if (optind == argc) return 0;
    if (!parse_port(argv[optind], &options->port)) return refuse("not a port", argv[optind]);
    return optind + 1 == argc ? 0 : refuse("one argument too many", argv[optind + 1]);
}

/* 10,000 clients need as many descriptors; the usual soft limit is 1,024. */
static void allow_many_descriptors(void) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}

static void on_end_signals(void (*handler)(int)) {
    struct sigaction action = {.sa_handler = handler};
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
}

/* An IPv6 address stands in brackets in a URL. */
static void announce(const ws_server_options* options, uint16_t port) {
    const char *scheme = options->tls_cert ? "wss" : "ws", *host = options->host;
    bool v6 = strchr(host, ':') != NULL;
    printf("ws_server listening on %s://%s%s%s:%u/\n", scheme, v6 ? "[" : "", host, v6 ? "]" : "", port);
    fflush(stdout);
}

static int complain(const ws_server_options* options, const ws_error* error) {
    if (error->code == WS_ERR_TLS_OPTIONS) {
        fprintf(stderr, "ws_server: %s\n", ws_error_text(error));
        return EXIT_FAILURE;
    }
    fprintf(stderr, "ws_server: %s port %u: %s (try another --port; 0 takes any free one)\n", options->host,
            options->port, ws_error_text(error));
    return EXIT_FAILURE;
}

static int serve(const ws_server_options* options) {
    ws_error error = {0};
    int32_t failed = ws_server_new(&running, options, &error);
    if (!failed) {
        on_end_signals(stop);
        announce(options, ws_server_port(running));
        failed = ws_server_run(running, &error);
        on_end_signals(SIG_IGN);
        ws_server_free(running);
    }
    int status = failed ? complain(options, &error) : EXIT_SUCCESS;
    ws_error_clear(&error);
    return status;
}

int main(int argc, char** argv) {
    ws_server_options options = {.host = "127.0.0.1",
                                 .port = WS_SERVER_PORT,
                                 .handshake_timeout = WS_SERVER_HANDSHAKE_TIMEOUT,
                                 .max_size = WS_SERVER_MAX_SIZE};
    int status = parse_options(argc, argv, &options);
    if (status > 0) return status;
    if (status < 0) {
        printf("%s%s", usage, help);
        return EXIT_SUCCESS;
    }
    signal(SIGPIPE, SIG_IGN); /* whoever read our output may be gone */
    allow_many_descriptors();
    return serve(&options);
}
