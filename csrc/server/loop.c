#include "server/loop.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "net/poll.h"
#include "net/sys.h"
#include "net/tcp.h"
#include "net/tls.h"
#include "net/wake.h"
#include "server/log.h"
#include "server/stages.h"

enum {
    MAX_CLIENTS = 10000,
    IDLE_TIMEOUT = 20000,  /* ms without a byte from a client, then it is pinged */
    PING_TIMEOUT = 20000,  /* ms without a byte after that, then it is dropped */
    CLOSE_TIMEOUT = 2000,  /* ms for the closing handshake, or for taking a refusal */
    ACCEPT_PAUSE = 1000,   /* ms without accepting when the system or we have no room for more clients */
    ACCEPTS_PER_TURN = 64, /* so that a storm of connects does not keep the others waiting */
    EVENTS_PER_TURN = 256,
};

/*
 * A turn is: wait, read once from each client that has something, then write to all who got something. TLS may have
 * something that no poll shows: who has is read again in the next turn, which then does not wait.
 */
struct ws_server {
    ws_poll* poll;
    intptr_t listener, wake; /* -1: none */
    uint16_t port;
    int64_t now;          /* of this turn */
    int64_t accept_again; /* when accepting is paused; INT64_MAX while it is not */
    bool stopping;
    bool echo;
    size_t max_size; /* bytes of a message */
    size_t count;
    ws_peer* peers;      /* all of them */
    ws_peer* touched;    /* in this turn: to be settled at its end */
    ws_peer* unread;     /* their transports have input inside, of which the poll set knows nothing */
    ws_tls_context* tls; /* NULL: without TLS */
    ws_stages stages;
};

/* ---- clients coming and going ---- */

static void pause_accepting(ws_server* server, const char* why) {
    ws_log("not accepting clients for a moment: %s", why);
    ws_poll_change(server->poll, server->listener, 0, &server->listener);
    server->accept_again = server->now + ACCEPT_PAUSE;
}

static void resume_accepting(ws_server* server) {
    if (server->accept_again == INT64_MAX || server->listener < 0) return;
    ws_poll_change(server->poll, server->listener, WS_POLL_READ, &server->listener);
    server->accept_again = INT64_MAX;
}

/* Read it in the next turn, whatever the poll set says. */
static void enter_unread(ws_server* server, ws_peer* peer) {
    if (peer->unread_link) return;
    peer->next_unread = server->unread;
    if (peer->next_unread) peer->next_unread->unread_link = &peer->next_unread;
    peer->unread_link = &server->unread;
    server->unread = peer;
}

static void leave_unread(ws_peer* peer) {
    if (!peer->unread_link) return;
    *peer->unread_link = peer->next_unread;
    if (peer->next_unread) peer->next_unread->unread_link = peer->unread_link;
    peer->unread_link = NULL;
}

/* It goes at the end of the turn at the latest, and its place is free. */
static void remove_peer(ws_server* server, ws_peer* peer) {
    ws_log("%s: gone after %" PRIu64 " ignored messages: %s", peer->address, peer->ignored, peer->reason);
    ws_stages_leave(&server->stages, peer);
    leave_unread(peer);
    *(peer->previous ? &peer->previous->next : &server->peers) = peer->next;
    if (peer->next) peer->next->previous = peer->previous;
    server->count--;
    ws_poll_remove(server->poll, peer->transport.fd);
    ws_peer_free(peer);
    resume_accepting(server);
}

static bool start_tls(const ws_server* server, ws_peer* peer) {
    ws_error error = {0};
    if (!server->tls || ws_tls_start(&peer->transport, server->tls, NULL, &error) == 0) return true;
    ws_log("%s: refused: %s", peer->address, ws_error_text(&error));
    ws_error_clear(&error);
    return false;
}

/* A new client. False without memory. */
static bool add_peer(ws_server* server, intptr_t fd) {
    ws_peer* peer = ws_peer_new(fd, server->max_size);
    if (!peer) return false;
    peer->watched = WS_POLL_READ;
    if (!start_tls(server, peer) || ws_poll_add(server->poll, fd, peer->watched, peer) != 0) {
        ws_peer_free(peer);
        return true;
    }
    peer->next = server->peers;
    if (peer->next) peer->next->previous = peer;
    server->peers = peer;
    server->count++;
    ws_stages_enter(&server->stages, peer, server->now);
    return true;
}

static void accept_some(ws_server* server) {
    for (int i = 0; i < ACCEPTS_PER_TURN; i++) {
        if (server->count >= MAX_CLIENTS) {
            pause_accepting(server, "there are as many as may be");
            return;
        }
        intptr_t fd = ws_tcp_accept(server->listener);
        if (fd == -EAGAIN) return;
        if (fd < 0) {
            char text[96]; /* out of descriptors: the listener would stay readable, and we would spin */
            pause_accepting(server, ws_sys_error_text((int)-fd, text, sizeof text));
            return;
        }
        if (!add_peer(server, fd)) ws_tcp_close(fd);
    }
}

/* ---- messages ---- */

/* Something was done to it: settle it at the end of the turn. */
static void touch(ws_server* server, ws_peer* peer) {
    if (peer->touched) return;
    peer->touched = true;
    peer->next_touched = server->touched;
    server->touched = peer;
}

static void give(ws_server* server, ws_peer* peer, const ws_buf* json) {
    if (!ws_peer_is_open(peer)) return;
    ws_peer_send(peer, WS_OPCODE_TEXT, ws_buf_head(json), ws_buf_len(json));
    touch(server, peer);
}

static void deliver(ws_server* server, ws_peer* sender, const ws_hub_verdict* verdict) {
    if (verdict->to_sender) give(server, sender, &verdict->json);
    if (!verdict->to_others) return;
    for (ws_peer* peer = server->peers; peer; peer = peer->next) {
        if (peer != sender) give(server, peer, &verdict->json);
    }
}

/* A message that is answered with nothing. The first of a client is logged, the number of all when it leaves. */
static void ignore(ws_peer* peer, const char* why) {
    if (peer->ignored++ == 0) ws_log("%s: message ignored: %s", peer->address, why);
}

static void take_text(ws_server* server, ws_peer* sender, const ws_event* message) {
    ws_hub_verdict verdict;
    ws_error error = {0};
    if (ws_hub_judge(&sender->member, (const char*)message->data, message->len, &verdict, &error) != 0) {
        ignore(sender, ws_error_text(&error));
        ws_error_clear(&error);
        return;
    }
    if (verdict.renamed) ws_log("%s: is called %s", sender->address, sender->member.name);
    deliver(server, sender, &verdict);
    ws_buf_free(&verdict.json);
}

static void take(ws_server* server, ws_peer* sender, const ws_event* message) {
    bool binary = message->type == WS_PROTOCOL_BINARY;
    if (server->echo)
        ws_peer_send(sender, binary ? WS_OPCODE_BINARY : WS_OPCODE_TEXT, message->data, message->len);
    else if (binary)
        ignore(sender, "binary, and the chat is text");
    else
        take_text(server, sender, message);
}

static void receive(ws_server* server, ws_peer* peer) {
    leave_unread(peer);
    if (peer->gone || !ws_peer_read(peer)) return;
    if (peer->stage == WS_STAGE_ACTIVE) { /* heard from: its time begins anew */
        ws_stages_leave(&server->stages, peer);
        ws_stages_enter(&server->stages, peer, server->now);
    }
    ws_event message;
    while (ws_peer_next(peer, &message)) {
        if (ws_peer_is_open(peer)) take(server, peer, &message); /* else it was told to go */
    }
}

/* ---- the end of a turn ---- */

/* Write; then wait for the right things, for the right time, or see it off. */
static void settle(ws_server* server, ws_peer* peer) {
    uint32_t wanted = ws_peer_flush(peer) ? WS_POLL_READ | WS_POLL_WRITE : WS_POLL_READ;
    if (!peer->gone && wanted != peer->watched) {
        if (ws_poll_change(server->poll, peer->transport.fd, wanted, peer) != 0)
            ws_peer_drop(peer, "cannot be watched");
        peer->watched = wanted;
    }
    if (peer->gone) {
        remove_peer(server, peer);
        return;
    }
    if (peer->transport.ops->ready_now(&peer->transport)) enter_unread(server, peer);
    if (peer->stage != ws_peer_stage(peer)) {
        if (peer->stage == WS_STAGE_HANDSHAKE && ws_peer_is_open(peer)) ws_log("%s: joined", peer->address);
        ws_stages_leave(&server->stages, peer);
        ws_stages_enter(&server->stages, peer, server->now);
    }
}

static void settle_touched(ws_server* server) {
    while (server->touched) {
        ws_peer* peer = server->touched;
        server->touched = peer->next_touched;
        peer->touched = false;
        settle(server, peer);
    }
}

/* Its time is up. */
static void expire(ws_peer* peer) {
    switch (peer->stage) {
    case WS_STAGE_ACTIVE:
        ws_peer_ping(peer);
        break;
    case WS_STAGE_HANDSHAKE:
        ws_peer_drop(peer, "sent no request in time");
        break;
    case WS_STAGE_PINGED:
        ws_peer_drop(peer, "gave no sign of life");
        break;
    default:
        ws_peer_drop(peer, "did not finish closing in time");
    }
}

static void expire_due(ws_server* server) {
    ws_peer* peer;
    while ((peer = ws_stages_due(&server->stages, server->now))) {
        expire(peer);
        settle(server, peer);
    }
    if (server->accept_again <= server->now) resume_accepting(server);
}

/* ---- the loop ---- */

static void close_listener(ws_server* server) {
    if (server->listener < 0) return;
    ws_poll_remove(server->poll, server->listener);
    ws_tcp_close(server->listener);
    server->listener = -1;
    server->accept_again = INT64_MAX;
}

static void begin_to_stop(ws_server* server) {
    ws_wake_clear(server->wake);
    server->stopping = true;
    close_listener(server);
    for (ws_peer* peer = server->peers; peer; peer = peer->next) {
        ws_peer_close(peer, WS_CODE_GOING_AWAY, "the server shuts down");
        touch(server, peer);
    }
}

static void dispatch(ws_server* server, const ws_poll_event* event) {
    if (event->tag == &server->listener) {
        if (server->listener >= 0) accept_some(server);
    } else if (event->tag == &server->wake) {
        begin_to_stop(server);
    } else {
        touch(server, event->tag);
        if (event->events & (WS_POLL_READ | WS_POLL_HANGUP)) receive(server, event->tag);
    }
}

/* Those that had input inside at the end of the last turn and have not been read in this one. */
static void receive_unread(ws_server* server) {
    ws_peer* peer;
    while ((peer = server->unread)) {
        touch(server, peer);
        receive(server, peer);
    }
}

static int64_t wait_time(const ws_server* server) {
    if (server->unread) return 0;
    int64_t next = ws_stages_next_deadline(&server->stages);
    if (server->accept_again < next) next = server->accept_again;
    if (next == INT64_MAX) return -1;
    int64_t now = ws_sys_now();
    return next > now ? next - now : 0;
}

int32_t ws_server_run(ws_server* server, ws_error* error) {
    ws_poll_event events[EVENTS_PER_TURN];
    while (!server->stopping || server->count > 0) {
        int n = ws_poll_wait(server->poll, events, EVENTS_PER_TURN, wait_time(server));
        if (n < 0 && n != -EINTR) return ws_error_set(error, WS_ERR_SYSTEM, "waiting failed: errno %d", -n);
        server->now = ws_sys_now();
        for (int i = 0; i < n; i++)
            dispatch(server, &events[i]);
        receive_unread(server);
        settle_touched(server);
        expire_due(server);
    }
    return WS_OK;
}

void ws_server_stop(ws_server* server) {
    ws_wake_signal(server->wake);
}

uint16_t ws_server_port(const ws_server* server) {
    return server->port;
}

/* ---- beginning and end ---- */

static int32_t fail(ws_error* error, int os_error, const char* what) {
    char text[96];
    ws_error_set(error, WS_ERR_SYSTEM, "%s: %s", what, ws_sys_error_text(os_error, text, sizeof text));
    error->os_error = os_error;
    return WS_ERR_SYSTEM;
}

static int32_t load_certificate(ws_server* server, const ws_server_options* options, ws_error* error) {
    if (!options->tls_cert) return WS_OK;
    return ws_tls_context_server(options->tls_cert, options->tls_key, &server->tls, error);
}

static int32_t start_listening(ws_server* server, const ws_server_options* options, ws_error* error) {
    server->port = options->port;
    server->listener = ws_tcp_listen(options->host, &server->port);
    if (server->listener < 0) return fail(error, (int)-server->listener, "cannot listen");
    server->wake = ws_wake_new();
    if (server->wake < 0) return fail(error, errno, "cannot make a wake-up");
    server->poll = ws_poll_new();
    if (!server->poll) return fail(error, errno, "cannot make a poll set");
    int failed = ws_poll_add(server->poll, server->listener, WS_POLL_READ, &server->listener);
    if (!failed) failed = ws_poll_add(server->poll, server->wake, WS_POLL_READ, &server->wake);
    return failed ? fail(error, -failed, "cannot watch the listener") : WS_OK;
}

int32_t ws_server_new(ws_server** out, const ws_server_options* options, ws_error* error) {
    ws_server* server = calloc(1, sizeof *server);
    *out = NULL;
    if (!server) return ws_error_set(error, WS_ERR_MEMORY, "no memory for a server");
    server->listener = server->wake = -1;
    server->accept_again = INT64_MAX;
    server->echo = options->echo;
    server->max_size = options->max_size;
    server->stages.spans[WS_STAGE_HANDSHAKE] = options->handshake_timeout;
    server->stages.spans[WS_STAGE_ACTIVE] = IDLE_TIMEOUT;
    server->stages.spans[WS_STAGE_PINGED] = PING_TIMEOUT;
    server->stages.spans[WS_STAGE_CLOSING] = CLOSE_TIMEOUT;
    int32_t failed = load_certificate(server, options, error);
    if (!failed) failed = start_listening(server, options, error);
    if (failed)
        ws_server_free(server);
    else
        *out = server;
    return failed;
}

void ws_server_free(ws_server* server) {
    if (!server) return;
    while (server->peers) {
        ws_peer_drop(server->peers, "the server is gone");
        remove_peer(server, server->peers);
    }
    if (server->listener >= 0) ws_tcp_close(server->listener);
    if (server->wake >= 0) ws_wake_close(server->wake);
    ws_poll_free(server->poll);
    ws_tls_context_drop(server->tls);
    free(server);
}
