#include "net/tls_peer.h"

#include <fcntl.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

static int slot = -1;
static pthread_once_t slot_once = PTHREAD_ONCE_INIT;

static void make_slot(void) {
    slot = SSL_get_ex_new_index(0, NULL, NULL, NULL, NULL);
}

bool ws_tls_peer_attach(ws_tls_peer* peer, SSL* ssl) {
    pthread_once(&slot_once, make_slot);
    return slot >= 0 && SSL_set_ex_data(ssl, slot, peer) == 1;
}

ws_tls_peer* ws_tls_peer_of(const SSL* ssl) {
    return SSL_get_ex_data(ssl, slot);
}

/* We keep references of our own, and tell OpenSSL that we took none of its. */
static int keep_session(SSL* ssl, SSL_SESSION* session) {
    ws_tls_peer* peer = ws_tls_peer_of(ssl);
    if (SSL_SESSION_is_resumable(session)) {
        ws_tls_sessions_keep(ws_tls_context_sessions(peer->context), peer->session, session);
    }
    return 0;
}

/* A line for Wireshark and its like, in one write, so that processes may share the file. */
static void log_secret(const SSL* ssl, const char* line) {
    const ws_tls_peer* peer = ws_tls_peer_of(ssl);
    int fd = open(ws_tls_context_options(peer->context)->keyLogFile, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0) return;
    struct iovec parts[] = {{(void*)line, strlen(line)}, {(void*)"\n", 1}};
    ssize_t written = writev(fd, parts, 2);
    (void)written; /* what is not logged is not missed by the connection */
    close(fd);
}

void ws_tls_peer_set_up(SSL_CTX* ctx, const wsTls* options) {
    SSL_CTX_sess_set_new_cb(ctx, keep_session);
    if (options->keyLogFile) SSL_CTX_set_keylog_callback(ctx, log_secret);
}
