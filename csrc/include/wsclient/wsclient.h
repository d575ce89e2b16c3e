/*
 * wsclient: a WebSocket client in C (RFC 6455).
 *
 * Three levels, simplest first:
 *   1. the chat client: wsInitClient, wsSendMessage, wsSetOnMessageCallback, wsClientListen, wsDeinitClient;
 *   2. wsConn: a connection to any WebSocket server, for programs with a loop of their own;
 *   3. the error table, shared by both.
 *
 * Strings are UTF-8 and NUL-terminated unless a length stands beside them. Functions that can fail return 0 or a
 * negative wsErrorCode. Nothing here writes to standard output, raises a signal or ends the process.
 */
#ifndef WSCLIENT_H
#define WSCLIENT_H

#include <stddef.h>
#include <stdint.h>
#include <time.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(_WIN32)
#define WS_API __declspec(dllexport)
#else
#define WS_API __attribute__((visibility("default")))
#endif

#define WS_VERSION "0.1.0"

/* ------------------------------------------------------------------------------------------------ errors */

/* Whose doing an error is. */
typedef enum wsFault {
    WS_FAULT_CALLER = 1, /* this program: fix the call */
    WS_FAULT_PEER = 2,   /* the server or the network between */
    WS_FAULT_SYSTEM = 3, /* the operating system */
    WS_FAULT_MEMORY = 4  /* no memory */
} wsFault;

/* The one table of errors: name, code, fault, text. The Python exceptions and docs/errors.md are held to it. */
#define WS_ERROR_TABLE(X)                                                                                              \
    X(MEMORY, -1, MEMORY, "out of memory")                                                                             \
    X(ARGUMENT, -2, CALLER, "bad argument")                                                                            \
    X(STATE, -3, CALLER, "not possible in the connection's present state")                                             \
    X(CONCURRENCY, -4, CALLER, "another call is using this connection")                                                \
    X(INTERRUPTED, -5, CALLER, "interrupted by a signal")                                                              \
    X(QUEUE_FULL, -6, CALLER, "more is waiting to be written than write_limit allows")                                 \
    X(URL, -7, CALLER, "not a valid WebSocket URL")                                                                    \
    X(PROXY_URL, -8, CALLER, "not a valid proxy URL")                                                                  \
    X(TLS_OPTIONS, -9, CALLER, "TLS options cannot be used")                                                           \
    X(SYSTEM, -10, SYSTEM, "operating system error")                                                                   \
    X(RESOLVE, -11, SYSTEM, "host name does not resolve")                                                              \
    X(CONNECT, -12, SYSTEM, "cannot connect")                                                                          \
    X(OPEN_TIMEOUT, -13, PEER, "connection not opened in time")                                                        \
    X(RECEIVE_TIMEOUT, -14, PEER, "no message in time")                                                                \
    X(WRITE_TIMEOUT, -15, PEER, "message not written in time")                                                         \
    X(PING_TIMEOUT, -16, PEER, "no pong in time")                                                                      \
    X(CLOSE_TIMEOUT, -17, PEER, "closing handshake not finished in time")                                              \
    X(HTTP, -20, PEER, "peer does not speak HTTP")                                                                     \
    X(HEAD_TOO_BIG, -21, PEER, "HTTP head is too big")                                                                 \
    X(STATUS, -22, PEER, "server refused the upgrade")                                                                 \
    X(UPGRADE, -23, PEER, "peer does not agree to upgrade to WebSocket")                                               \
    X(ACCEPT, -24, PEER, "wrong Sec-WebSocket-Accept")                                                                 \
    X(HEADER, -25, PEER, "bad WebSocket header")                                                                       \
    X(SUBPROTOCOL, -26, PEER, "peer chose a subprotocol that was not offered")                                         \
    X(EXTENSION, -27, PEER, "peer uses an extension that was not offered")                                             \
    X(REDIRECT, -28, PEER, "redirect was not followed")                                                                \
    X(PROTOCOL, -30, PEER, "peer broke the WebSocket protocol")                                                        \
    X(UTF8, -31, PEER, "text is not valid UTF-8")                                                                      \
    X(TOO_BIG, -32, PEER, "message is too big")                                                                        \
    X(TOO_MANY_FRAGMENTS, -33, PEER, "message has too many fragments")                                                 \
    X(CLOSED, -40, PEER, "connection is closed")                                                                       \
    X(LOST, -41, PEER, "connection was lost without a closing handshake")                                              \
    X(TLS, -42, PEER, "TLS failed")                                                                                    \
    X(CERTIFICATE, -43, PEER, "server's certificate is not to be trusted")                                             \
    X(PROXY, -44, PEER, "proxy did not make the connection")                                                           \
    X(PROXY_HTTP, -45, PEER, "proxy does not speak HTTP")                                                              \
    X(PROXY_STATUS, -46, PEER, "proxy refused the connection")                                                         \
    X(ON_OPEN, -47, CALLER, "the program's own part in opening failed")                                                \
    X(ENVELOPE, -50, PEER, "not a valid chat envelope")                                                                \
    X(USERNAME, -51, CALLER, "not a valid user name")

typedef enum wsErrorCode {
    WS_OK = 0,
#define WS_ERROR_ENUM(name, code, fault, text) WS_ERR_##name = code,
    WS_ERROR_TABLE(WS_ERROR_ENUM)
#undef WS_ERROR_ENUM
} wsErrorCode;

/* The text of a code, "unknown error" for a number that is none. Static; never NULL. Any thread. */
WS_API const char* wsErrorString(int32_t code);

/* The name of a code as it stands in the table ("OPEN_TIMEOUT"), "UNKNOWN" for a number that is none. Static. */
WS_API const char* wsErrorName(int32_t code);

/* Whose doing the error is, as a wsFault; 0 for a number that is no error. */
WS_API int32_t wsErrorFault(int32_t code);

/* ----------------------------------------------------------------------------------------- 1. chat client */

/* A chat client. Zero-initialise it; `user` is the caller's, `impl` is ours. */
typedef struct wsClient {
    void* impl;
    void* user;
} wsClient;

/* A chat message in a JSON callback, valid until the callback returns. */
typedef struct wsJson wsJson;

typedef void (*wsJsonCallback)(wsClient* client, const wsJson* message, time_t received);
typedef void (*wsRawCallback)(wsClient* client, const char* message, time_t received);

/* The `type` argument of wsSetOnMessageCallback. */
enum { WS_CALLBACK_JSON = 0, WS_CALLBACK_RAW = 1 };

/* The bits of `info` in a chat message. 0 is: to everybody else. */
typedef enum wsMessageInfo {
    WS_INFO_BROADCAST = 0,
    WS_INFO_NO_BROADCAST = 1,    /* not to the other clients */
    WS_INFO_SEND_BACK = 2,       /* (also) back to the sender */
    WS_INFO_CHANGE_USERNAME = 4, /* the sender is called user.name from now on */
} wsMessageInfo;

/*
 * Resolve, connect, upgrade and announce the name, all within 10 s. `ip` may be a name; `username` is 1 to 128
 * bytes of UTF-8 without control characters. A client that failed keeps its text for wsLastError until
 * wsDeinitClient. Calling it on a client that is already open is WS_ERR_STATE.
 */
WS_API int32_t wsInitClient(wsClient* client, const char* ip, const char* port, const char* username);

/* Send `message` as one text message, as it stands. Any thread. Waits until the system has taken it. */
WS_API int32_t wsSendMessage(wsClient* client, const char* message);

/* Build the envelope around `text` (see docs/protocol.md) and send it; `info` is a mask of wsMessageInfo. Any thread.
 */
WS_API int32_t wsSendChat(wsClient* client, const char* text, int32_t info);

/* Take another name and tell the server. Any thread. */
WS_API int32_t wsChangeUsername(wsClient* client, const char* username);

/*
 * `functionPtr` is a wsJsonCallback (type 0) or a wsRawCallback (type 1); NULL clears it. It runs in the thread that
 * calls wsClientListen. In JSON mode a text that is no envelope is skipped. May be called inside a callback.
 */
WS_API int32_t wsSetOnMessageCallback(wsClient* client, void* functionPtr, int32_t type);

/*
 * Wait up to 100 ms for messages and deliver them. 0 also when none came; WS_ERR_CLOSED once the connection is
 * closed, WS_ERR_LOST when it broke. Inside a callback it is WS_ERR_CONCURRENCY.
 */
WS_API int32_t wsClientListen(wsClient* client);

/* Close (waiting at most 2 s for the server) and free. Safe twice, and inside a callback, where it takes effect at its
 * end. */
WS_API int32_t wsDeinitClient(wsClient* client);

/* What went wrong last on this client, in words; "" if nothing did. Valid until the next call on the client. */
WS_API const char* wsLastError(const wsClient* client);

/* Accessors of a chat message. The strings are NUL-terminated and live as long as the message. */
WS_API const char* wsJsonUserName(const wsJson* message);
WS_API const char* wsJsonText(const wsJson* message);
WS_API size_t wsJsonTextLength(const wsJson* message); /* bytes of UTF-8, counted, not believed */
WS_API int32_t wsJsonInfo(const wsJson* message);

/* ----------------------------------------------------------------------- 2. a connection to any server */
/* Before 1.0 this part may change. */

typedef struct wsConn wsConn;

typedef struct wsHeader {
    const char* name;
    const char* value;
} wsHeader;

/*
 * Compression by permessage-deflate (RFC 7692), used where the server agrees. A window of 2^bits bytes (9 to 15; 0: 12)
 * is held in each direction; without context takeover only while a message is on its way, at the cost of compressing
 * messages that resemble one another less well.
 */
typedef struct wsDeflate {
    int32_t off; /* 1: do not offer it */
    int32_t serverMaxWindowBits, clientMaxWindowBits;
    int32_t serverNoContextTakeover, clientNoContextTakeover;
    int32_t threshold; /* bytes below which a message goes plain; 0: 256; < 0: none */
} wsDeflate;

enum { WS_TLS_1_2 = 0x0303, WS_TLS_1_3 = 0x0304 };

/*
 * TLS, for wss: URLs and https: proxies. Zero is the default: the server's certificate must be valid, for its name, and
 * issued by a CA that the system trusts. Files are in PEM form; they are read at the first connection with these
 * options, and again when they have changed. Connections with the same options share what was read, and their sessions.
 */
typedef struct wsTls {
    const char* caFile;       /* trust the CAs in this file, */
    const char* caPath;       /* in the files of this folder, */
    const char* caData;       /* and in this text, instead of the system's */
    const char* systemCaFile; /* the system's CAs, looked at first; SSL_CERT_FILE and SSL_CERT_DIR come before it */
    const char* certFile;     /* our certificate and those above it, if the server wants one */
    const char* keyFile;      /* its key; NULL: in certFile */
    const char* keyPassword;  /* what the key is encrypted with */
    const char* alpn;         /* protocols to offer, comma-separated (RFC 7301) */
    const char* ciphers;      /* for TLS 1.2, in OpenSSL's form */
    const char* ciphersuites; /* for TLS 1.3 */
    const char* pins; /* comma-separated "cert:" or "key:" and a SHA-256 in hex: the server's certificate, or its key
                         (SubjectPublicKeyInfo, DER), must be one of them */
    const char* keyLogFile; /* append the secrets to this file, for looking into recorded traffic */
    int32_t minVersion;     /* WS_TLS_1_2, WS_TLS_1_3; 0: 1.2 */
    int32_t maxVersion;     /* 0: the newest there is */
    int32_t insecure;       /* 1: take any certificate, for any name; pins still count */
    int32_t noResumption;   /* 1: begin a new session each time */
} wsTls;

/* setsockopt, before connecting. `value` is copied. */
typedef struct wsSocketOption {
    int32_t level, name;
    const void* value;
    size_t length;
} wsSocketOption;

/* A message that is lent. */
typedef struct wsMessage {
    int32_t type; /* WS_TEXT or WS_BINARY */
    const void* data;
    size_t length;
} wsMessage;

/*
 * A connection that outlives its loss (docs/reconnecting.md): the same wsConn is opened anew, with exponential backoff
 * and full jitter, and while it is down its state is WS_STATE_CONNECTING. The first opening is retried, too. What
 * wsConnSend accepts is kept until it has provably arrived, in the outbox, and sent again, in order.
 */
typedef struct wsReconnect {
    int32_t enabled;
    int32_t atMostOnce;    /* do not send again what may have arrived: it is lost instead; else it may arrive twice */
    int64_t initialDelay;  /* ms of the first pause at most, doubled for each further one; 500 */
    int64_t maxDelay;      /* ms of a pause at most; 30000 */
    int64_t maxTime;       /* ms after which it is given up; 900000; < 0: never */
    int32_t maxAttempts;   /* failures after which it is given up; 0: any number */
    int64_t steadyAfter;   /* ms that a connection must last for counting to begin anew; 10000 */
    size_t outboxMessages; /* messages kept; 16384 */
    size_t outboxBytes;    /* and their bytes; 16 MiB */
    const wsMessage* greeting; /* sent first on every connection, before anything else; copied */
    size_t greetingCount;
    int32_t asks;       /* WS_ASK_...: what the program is asked, and wsConnAnswer must answer, ... */
    int64_t askTimeout; /* ... within so many ms; 10000; < 0: for ever */
} wsReconnect;

/* What a connection may ask. Without an answer in time: as without asking; the attempt fails; the attempt fails. */
enum {
    WS_ASK_RETRY = 1,   /* is what went wrong (wsConnError) worth another attempt? */
    WS_ASK_HEADERS = 2, /* wsConnSetHeaders for the next attempt */
    WS_ASK_OPEN = 4,    /* upgraded: wsConnSendAhead what must be said before anything else */
};

enum { WS_ANSWER_NO = 0, WS_ANSWER_YES = 1, WS_ANSWER_NONE = 2 /* WS_ASK_RETRY: as without asking */ };

/* What becomes of messages that nobody asks for. */
enum {
    WS_QUEUE_BLOCK = 0,      /* no more is read, and so no ping answered and no pong missed */
    WS_QUEUE_DROP_OLDEST = 1 /* those that came first are dropped, and counted; reading goes on */
};

/*
 * How to connect. Set `size` to sizeof(wsOptions), zero the rest: zero means the default everywhere. The strings
 * need to live only until wsConnNew returns.
 */
typedef struct wsOptions {
    size_t size;
    const char* url;         /* ws[s]://host[:port][/path][?query]; required */
    const wsHeader* headers; /* sent besides our own; names of ours are refused */
    size_t headerCount;
    const char* origin;              /* Origin header; NULL: none */
    const char* const* subprotocols; /* offered, in order of preference */
    size_t subprotocolCount;
    const char* userAgent; /* NULL: "wsclient/VERSION"; "": no header */
    int64_t openTimeout;   /* ms for resolving, connecting and upgrading together; 10000; < 0: none */
    int64_t closeTimeout;  /* ms for the closing handshake; 10000; < 0: none */
    uint64_t maxSize;      /* bytes of a message received; 1 MiB; UINT64_MAX: none */
    uint32_t maxFragments; /* frames of a message received; 131072 */
    uint32_t maxHead;      /* bytes of the HTTP answer's head; 65536 */
    size_t writeLimit;     /* bytes waiting to be written beyond which sending waits; 32768 */
    size_t maxBuffer;      /* bytes received and not yet asked for, more than which are not kept; 16 MiB */
    int32_t queuePolicy;   /* WS_QUEUE_...: what happens then */
    size_t maxQueue;       /* WS_QUEUE_DROP_OLDEST: messages received and not yet asked for that are kept, too; 16 */
    wsDeflate deflate;
    wsTls tls;
    const char* serverHostname; /* name to verify and to send as SNI; NULL: the URL's host */
    const char* proxy; /* http, https, socks5 or socks5h://[user:password@]host[:port]; NULL: what the environment says
                          (docs/proxies.md); "": none */
    wsTls proxyTls;    /* for TLS to an https proxy */
    const char* unixPath;  /* connect to this unix socket instead of the URL's host and port */
    const char* localHost; /* connect from this IP address; NULL: the system chooses */
    uint16_t localPort;    /* and this port, 0: any */
    const wsSocketOption* socketOptions;
    size_t socketOptionCount;
    int32_t maxRedirects; /* how many to follow (301, 302, 303, 307, 308); 10; < 0: none */
    int64_t pingInterval; /* ms of silence from the server after which it is pinged; 20000; < 0: never */
    int64_t pingTimeout;  /* ms of silence after that ping that end the connection with WS_ERR_PING_TIMEOUT; 20000; < 0:
                             none do */
    wsReconnect reconnect;
} wsOptions;

typedef enum wsState {
    WS_STATE_CONNECTING = 0, /* resolving, connecting, upgrading; down, if it reconnects */
    WS_STATE_OPEN = 1,
    WS_STATE_CLOSING = 2, /* a close frame was sent or received */
    WS_STATE_CLOSED = 3,
} wsState;

typedef enum wsEventType {
    WS_EVENT_NONE = 0,
    WS_EVENT_OPEN = 1,   /* the upgrade succeeded; again after each reconnecting */
    WS_EVENT_TEXT = 2,   /* a whole text message, valid UTF-8 */
    WS_EVENT_BINARY = 3, /* a whole binary message */
    WS_EVENT_PING = 4,   /* a ping; it has been answered */
    WS_EVENT_PONG = 5,
    WS_EVENT_CLOSED = 6, /* the last event: see error, closeCode, data (the reason) */
} wsEventType;

/* `data` is not NUL-terminated and stays valid until the next wsConnNext, wsConnStep or wsConnFree. */
typedef struct wsEvent {
    wsEventType type;
    int32_t error;      /* WS_EVENT_CLOSED: 0 after a closing handshake, else what broke the connection */
    uint16_t closeCode; /* WS_EVENT_CLOSED: the peer's code, 1005 if it sent none, 1006 without a closing handshake */
    const char* data;
    size_t length;
    double received; /* when its last byte was read, seconds since the epoch */
} wsEvent;

enum { WS_WANT_READ = 1, WS_WANT_WRITE = 2 };

/* What to send with wsConnSend: one of the first two, and if need be one of the others. */
enum {
    WS_TEXT = 1,
    WS_BINARY = 2,
    WS_COMPRESS = 16, /* compress it though it is shorter than compressThreshold */
    WS_PLAIN = 32,    /* do not compress it */
};

/* Milliseconds of the monotonic clock that wsConnStep reckons with. */
WS_API int64_t wsNow(void);

/* Check the options; connecting starts with the first step. *conn is freed by wsConnFree; NULL on error. */
WS_API int32_t wsConnNew(const wsOptions* options, wsConn** conn);

/* Free the connection, breaking it off if it is open. Not while another thread is in a call on it. NULL is fine. */
WS_API void wsConnFree(wsConn* conn);

/* The descriptor to watch now, -1 if there is none. It changes while connecting: ask again after each step. */
WS_API intptr_t wsConnFd(wsConn* conn);

/* What to watch it for: a mask of WS_WANT_READ and WS_WANT_WRITE. */
WS_API int32_t wsConnWants(wsConn* conn);

/* Milliseconds until wsConnStep must be called though nothing is ready; 0 if at once; -1 if never. */
WS_API int64_t wsConnTimeout(wsConn* conn, int64_t now);

/*
 * Do what can be done without waiting: connect on, write, read. Then call wsConnNext until it returns 0. Returns 0,
 * or WS_ERR_CONCURRENCY when another thread is stepping; what goes wrong with the connection comes as an event.
 */
WS_API int32_t wsConnStep(wsConn* conn, int64_t now);

/* The next event into *event: 1 if there was one, 0 if not. Call it from the thread that steps. */
WS_API int32_t wsConnNext(wsConn* conn, wsEvent* event);

/*
 * For programs without a loop: step, and if that brought nothing wait up to `timeout` ms (< 0: for ever) for something
 * to do. Then ask wsConnNext, and come again. 0, WS_ERR_INTERRUPTED, or WS_ERR_SYSTEM without a descriptor to wait
 * with.
 */
WS_API int32_t wsConnWait(wsConn* conn, int64_t timeout);

/*
 * Send one message (WS_TEXT or WS_BINARY). It is copied, and written as far as the socket takes it now; the rest goes
 * out in later steps. Any thread. WS_ERR_QUEUE_FULL (nothing was accepted) when more than writeLimit bytes wait.
 */
WS_API int32_t wsConnSend(wsConn* conn, int32_t type, const void* data, size_t length);

/* The same for one fragment of a message; `final` ends it. One thread at a time may be in the middle of a message. */
WS_API int32_t wsConnSendFragment(wsConn* conn, int32_t type, const void* data, size_t length, int32_t final);

/* Send a ping or an unasked-for pong with up to 125 bytes. Any thread. */
WS_API int32_t wsConnPing(wsConn* conn, const void* data, size_t length);
WS_API int32_t wsConnPong(wsConn* conn, const void* data, size_t length);

/* Bytes accepted and not yet written to the socket. Any thread. */
WS_API size_t wsConnQueued(wsConn* conn);

/*
 * Start the closing handshake; keep stepping until WS_EVENT_CLOSED, which comes by closeTimeout at the latest. `code`
 * is 1000 or another code that may be sent (RFC 6455 7.4), `reason` up to 123 bytes or NULL. Any thread; again: no-op.
 */
WS_API int32_t wsConnClose(wsConn* conn, uint16_t code, const char* reason);

/* Break the connection off at once, without a handshake. Any thread. Never waits. */
WS_API void wsConnAbort(wsConn* conn);

WS_API wsState wsConnState(wsConn* conn);

/*
 * The HTTP that opened the connection, or that did not: heads as they stood on the wire, the first part (8 KiB) of the
 * body of an answer that refused it. NULL and *length 0 for what has not come. Valid until wsConnFree.
 */
WS_API const char* wsConnRequest(wsConn* conn, size_t* length);
WS_API const char* wsConnResponse(wsConn* conn, size_t* length);
WS_API const char* wsConnResponseBody(wsConn* conn, size_t* length);

/* How many seconds the server asks to wait before trying again (Retry-After, RFC 9110 10.2.3); -1: it does not say. */
WS_API int64_t wsConnRetryAfter(wsConn* conn);

/* ---- reconnecting ---- */

/* What the connection asks now, 0: nothing. Any thread. */
WS_API int32_t wsConnAsked(wsConn* conn);

/* Answer `ask` with a WS_ANSWER_...; it acts on it with the next step. WS_ERR_STATE: it does not ask that. */
WS_API int32_t wsConnAnswer(wsConn* conn, int32_t ask, int32_t answer);

/* The headers of the next attempt instead of wsOptions'. WS_ERR_STATE unless it asks for them. */
WS_API int32_t wsConnSetHeaders(wsConn* conn, const wsHeader* headers, size_t count);

/* As wsConnSend, but past the outbox: it is not kept. WS_ERR_STATE unless WS_ASK_OPEN is asked. */
WS_API int32_t wsConnSendAhead(wsConn* conn, int32_t type, const void* data, size_t length);

/* The next message that was accepted and is given up: 1, 0 for none. Valid until the next call, or wsConnFree. */
WS_API int32_t wsConnLost(wsConn* conn, wsMessage* message);

/* The URL that a redirect has led to, NULL if there was none. Valid until wsConnFree. */
WS_API const char* wsConnUrl(wsConn* conn);

/*
 * The redirect number `index` (from 0) that was followed: 1, the URL that was asked and the head of its answer; 0 if
 * there were fewer. Valid until wsConnFree.
 */
WS_API int32_t wsConnRedirect(wsConn* conn, size_t index, const char** url, const char** head, size_t* length);

/* Seconds that each phase of opening took, also of one that failed; 0 for those that there were not. */
typedef struct wsTimings {
    double resolve;
    double tcp;     /* to the proxy, if there is one */
    double proxy;   /* until it has made the tunnel, TLS to it included */
    double tls;     /* the handshake with the server */
    double upgrade; /* from the request to its answer */
} wsTimings;

/* Any thread; what is still going on is not in it. */
WS_API void wsConnTimings(wsConn* conn, wsTimings* timings);

typedef struct wsTlsInfo {
    char version[16];                 /* "TLSv1.3" */
    char cipher[64];                  /* "TLS_AES_256_GCM_SHA384" */
    char alpn[256];                   /* the protocol agreed on by ALPN, "" for none */
    int32_t resumed;                  /* an earlier session was taken up again */
    const unsigned char* certificate; /* the server's, DER; NULL if it has none; valid until wsConnFree */
    size_t certificateLength;
} wsTlsInfo;

/* What TLS with the server agreed on: 0, or WS_ERR_STATE if there is no TLS connection. Any thread. */
WS_API int32_t wsConnTls(wsConn* conn, wsTlsInfo* info);

/* What broke the connection, in words; "" if nothing did. Valid until wsConnFree. */
WS_API const char* wsConnError(wsConn* conn);

#ifdef __cplusplus
}
#endif
#endif
