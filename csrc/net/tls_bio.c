#include "net/tls_bio.h"

#include <errno.h>
#include <pthread.h>

/* Most bytes kept. A handshake needs less, and records wait for each other; but a peer that does not read could ask for
 * alerts without end. */
enum { MAX_UNSENT = 256 * 1024 };

static BIO_METHOD* method;
static pthread_once_t method_once = PTHREAD_ONCE_INIT;

static int bio_read(BIO* bio, char* to, size_t n, size_t* got) {
    ws_tls_wire* wire = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    ssize_t rc = wire->below.ops->read(&wire->below, (uint8_t*)to, n);
    wire->read_error = rc < 0 ? (int)-rc : 0;
    wire->ended = rc == 0;
    if (rc == -EAGAIN) BIO_set_retry_read(bio);
    *got = rc > 0 ? (size_t)rc : 0;
    return rc > 0;
}

static void broken(ws_tls_wire* wire, int os_error) {
    wire->write_error = os_error;
    ws_buf_free(&wire->unsent);
}

bool ws_tls_wire_unsent(const ws_tls_wire* wire) {
    return ws_buf_len(&wire->unsent) > 0 || wire->below.ops->unsent(&wire->below);
}

int ws_tls_wire_flush(ws_tls_wire* wire) {
    while (!wire->write_error && ws_tls_wire_unsent(wire)) { /* nothing of ours: what is inside below moves on */
        ssize_t rc = wire->below.ops->write(&wire->below, ws_buf_head(&wire->unsent), ws_buf_len(&wire->unsent));
        if (rc == -EAGAIN) return -EAGAIN;
        if (rc < 0) {
            broken(wire, (int)-rc);
        } else {
            ws_buf_consume(&wire->unsent, (size_t)rc);
        }
    }
    ws_buf_free(&wire->unsent);
    return -wire->write_error;
}

/* Straight out as far as that goes, unless more is to go with it; the rest is kept. */
static int bio_write(BIO* bio, const char* from, size_t n, size_t* written) {
    ws_tls_wire* wire = BIO_get_data(bio);
    size_t sent = 0;
    BIO_clear_retry_flags(bio);
    *written = n;
    while (sent < n && !wire->corked && ws_buf_len(&wire->unsent) == 0 && !wire->write_error) {
        ssize_t rc = wire->below.ops->write(&wire->below, (const uint8_t*)from + sent, n - sent);
        if (rc == -EAGAIN) break;
        if (rc < 0) broken(wire, (int)-rc);
        if (rc > 0) sent += (size_t)rc;
    }
    if (wire->write_error) return 1;
    if (ws_buf_len(&wire->unsent) + (n - sent) > MAX_UNSENT) {
        broken(wire, ENOBUFS);
    } else if (ws_buf_append(&wire->unsent, from + sent, n - sent)) {
        broken(wire, ENOMEM);
    }
    return 1;
}

/* The stream's end is no BIO_CTRL_EOF: without TLS's closing alert OpenSSL would not resume the session any more, which
 * no version of TLS asks for since 1.1 (RFC 5246 7.2.1), and many servers do not say goodbye. */
static long bio_ctrl(BIO* bio, int command, long number, void* pointer) {
    (void)bio, (void)number, (void)pointer;
    return command == BIO_CTRL_FLUSH || command == BIO_CTRL_DUP;
}

static void make_method(void) {
    int type = BIO_get_new_index();
    method = type < 0 ? NULL : BIO_meth_new(type | BIO_TYPE_SOURCE_SINK, "wsclient transport");
    if (!method) return;
    BIO_meth_set_read_ex(method, bio_read);
    BIO_meth_set_write_ex(method, bio_write);
    BIO_meth_set_ctrl(method, bio_ctrl);
}

bool ws_tls_wire_attach(ws_tls_wire* wire, SSL* ssl) {
    pthread_once(&method_once, make_method);
    BIO* bio = method ? BIO_new(method) : NULL;
    if (!bio) return false;
    BIO_set_data(bio, wire);
    BIO_set_init(bio, 1);
    SSL_set_bio(ssl, bio, bio);
    return true;
}
