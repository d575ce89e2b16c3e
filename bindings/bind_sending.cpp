// Sending: str and bytes to messages, accepted and then written.
#include "fastcall.hpp"
#include "sending.hpp"

#include <utility>

void raise_send(const Client& client, int32_t code) {
    if (code == WS_ERR_UTF8) throw py::value_error("a text message must be valid UTF-8");
    if (code == WS_ERR_STATE && wsConnState(client.conn) == WS_STATE_CONNECTING) {
        raise_error(client, code, "the connection is not open yet");
    }
    if (code == WS_ERR_STATE) raise_error(client, code, "a fragmented message of another send is not finished yet");
    if (code == WS_ERR_CLOSED || code == WS_ERR_LOST) raise_end(client);
    raise_error(client, code);
}

// Have the engine accept a message, waiting for room; queue() is one try.
template <class Queue> static void accept(Client& client, Queue queue, int64_t deadline) {
    int32_t rc = WS_OK;
    auto accepted = [&] {
        rc = queue();
        return rc != WS_ERR_QUEUE_FULL;
    };
    if (!client.wait_until(accepted, deadline)) {
        raise_error(client, WS_ERR_WRITE_TIMEOUT, "the peer does not read: nothing of this message was sent");
    }
    if (rc != WS_OK) raise_send(client, rc);
}

void give_up(const Client& client, const ws_ticket& ticket) {
    if (!ws_conn_withdraw(client.conn, &ticket)) {
        ws_conn_fail(client.conn, WS_ERR_WRITE_TIMEOUT,
                     "the peer does not read: a message could not be written in time");
        if (ticket.number && !client.closed()) return; // it stays accepted, for the next connection
        raise_end(client);
    }
    raise_error(client, WS_ERR_WRITE_TIMEOUT, "the peer does not read: nothing of this message was sent");
}

static void await_written(Client& client, const ws_ticket& ticket, int64_t deadline) {
    int32_t written = 0;
    auto decided = [&] { return (written = ws_conn_written(client.conn, &ticket)) != 0; };
    try {
        if (!client.wait_until(decided, deadline)) give_up(client, ticket);
    } catch (py::error_already_set&) { // a signal handler's: nothing accepted if nothing is on its way
        if (written == 0) ws_conn_withdraw(client.conn, &ticket);
        throw;
    }
    if (written < 0) raise_end(client);
}

static int64_t write_deadline(const Client& client) {
    return client.timeouts.write == INT64_MAX ? INT64_MAX : wsNow() + client.timeouts.write;
}

// on_open's: past the outbox.
static void send_ahead(Client& client, const Payload& payload) {
    auto length = static_cast<size_t>(payload.length);
    accept(
        client, [&] { return wsConnSendAhead(client.conn, payload.type, payload.bytes, length); },
        write_deadline(client));
}

int32_t message_type(const Payload& payload, const std::optional<bool>& compress) {
    if (!compress) return payload.type;
    return payload.type | (*compress ? WS_COMPRESS : WS_PLAIN);
}

static void send_message(Client& client, const Payload& payload, const std::optional<bool>& compress) {
    if (client.ahead) return send_ahead(client, payload);
    int32_t type = message_type(payload, compress);
    ws_ticket ticket;
    auto queue = [&] {
        return unlocked_if_long(payload, [&] {
            return ws_conn_send(client.conn, type, payload.bytes, static_cast<size_t>(payload.length), &ticket);
        });
    };
    int32_t rc = queue();
    if (rc == WS_OK && ticket.settled) return;
    int64_t deadline = write_deadline(client);
    if (rc != WS_OK) accept(client, queue, deadline); // once more: it waits if that is what is wrong
    await_written(client, ticket, deadline);
}

py::object send_whole(Client& client, py::handle data, const std::optional<bool>& text,
                      const std::optional<bool>& compress) {
    send_message(client, Payload(data, text), compress);
    if (client.watched.load(std::memory_order_relaxed)) client.tell();
    return py::none();
}

struct Send {
    static constexpr const char* name = "send";
    static constexpr const char* doc = "send($self, data, text=None, compress=None)\n--\n\n"
                                       "Send one message and wait until it is written.";
    static constexpr const char* parameters[] = {"data", "text", "compress"};
    static constexpr size_t required = 1;
    static py::object call(Client& client, const fastcall::Given<3>& given) {
        return send_whole(client, given[0], optional_bool(given[1]), optional_bool(given[2]));
    }
};

static void send_fragment(Client& client, const py::object& data, std::optional<bool> text, bool final,
                          std::optional<bool> compress) {
    Payload payload(data, text);
    int32_t type = message_type(payload, compress);
    ws_ticket ticket;
    int64_t deadline = write_deadline(client);
    auto queue = [&] {
        return ws_conn_send_fragment(client.conn, type, payload.bytes, static_cast<size_t>(payload.length), final,
                                     &ticket);
    };
    accept(client, queue, deadline);
    await_written(client, ticket, deadline);
}

// Some of many messages, each kept until they are queued.
struct Some {
    std::array<py::object, 64> owners;
    std::array<std::optional<Payload>, 64> payloads;
    std::array<wsMessage, 64> messages;
    size_t count = 0, bytes = 0;

    bool full() const { return count == messages.size() || bytes >= LET_GO; }
    void add(py::handle item) {
        const Payload& payload = payloads[count].emplace(item, std::nullopt);
        owners[count] = py::reinterpret_borrow<py::object>(item);
        messages[count++] = {payload.type, payload.bytes, static_cast<size_t>(payload.length)};
        bytes += static_cast<size_t>(payload.length);
    }
};

// Queue them: nothing is written until the limit is reached.
static void queue_some(Client& client, Some* some, ws_ticket* last) {
    size_t from = 0, to = std::exchange(some->count, 0);
    some->bytes = 0;
    auto queue = [&] {
        size_t accepted = to - from;
        int32_t rc = ws_conn_queue_many(client.conn, &some->messages[from], &accepted, last);
        if (rc == WS_ERR_QUEUE_FULL) ws_conn_flush(client.conn);
        from += accepted;
        return rc;
    };
    if (to && queue() != WS_OK) accept(client, queue, write_deadline(client)); // once more, as send_message does
}

// What was accepted goes out even if a later item is wrong.
static ws_ticket queue_all(Client& client, const py::iterable& items) {
    struct Flush {
        wsConn* conn;
        ~Flush() { ws_conn_flush(conn); }
    } flush{client.conn};
    ws_ticket last{};
    Some some;
    try {
        for (py::handle item : items) {
            some.add(item);
            if (some.full()) queue_some(client, &some, &last);
        }
    } catch (...) {
        queue_some(client, &some, &last);
        throw;
    }
    queue_some(client, &some, &last);
    return last;
}

static void send_many(Client& client, const py::iterable& items) {
    if (client.ahead) {
        for (py::handle item : items) {
            send_ahead(client, Payload(item, std::nullopt));
        }
        return;
    }
    ws_ticket last = queue_all(client, items);
    if (last.end || last.number) await_written(client, last, write_deadline(client));
}

uint64_t send_ping(Client& client, const std::optional<py::bytes>& data) {
    uint64_t id = 0;
    std::string_view payload = data ? std::string_view(*data) : std::string_view();
    const char* bytes = data ? payload.data() : nullptr;
    int32_t rc = ws_conn_ping(client.conn, bytes, payload.size(), &id);
    if (rc == WS_ERR_ARGUMENT) throw py::value_error("a ping carries at most 125 bytes");
    if (rc == WS_ERR_CONCURRENCY) raise_error(client, rc, "a ping with this data is still unanswered");
    if (rc != WS_OK) raise_send(client, rc);
    return id;
}

// A connection that reconnects is waited for.
static void await_open(Client& client, int64_t deadline) {
    if (client.ahead || wsConnState(client.conn) != WS_STATE_CONNECTING) return;
    auto open = [&] { return wsConnState(client.conn) != WS_STATE_CONNECTING; };
    if (!client.wait_until(open, deadline)) raise_error(client, WS_ERR_PING_TIMEOUT);
}

static double ping(Client& client, const std::optional<py::bytes>& data, std::optional<double> timeout) {
    double seconds = -1;
    int64_t deadline = deadline_after(timeout);
    if (ws_session_reconnects(client.conn)) await_open(client, deadline);
    uint64_t id = send_ping(client, data);
    auto decided = [&] { return (seconds = ws_conn_pong_time(client.conn, id)) >= 0 || client.closed(); };
    if (!client.wait_until(decided, deadline)) raise_error(client, WS_ERR_PING_TIMEOUT);
    if (seconds < 0) raise_end(client);
    return seconds;
}

static void pong(Client& client, const py::bytes& data) {
    std::string_view payload = data;
    int32_t rc = wsConnPong(client.conn, payload.data(), payload.size());
    if (rc == WS_ERR_ARGUMENT) throw py::value_error("a pong carries at most 125 bytes");
    if (rc != WS_OK) raise_send(client, rc);
    if (client.watched) client.tell();
}

void bind_sending(ClientClass& client) {
    bind_fast<Send>(client);
    client.def("send_fragment", &send_fragment, py::arg("data"), py::arg("text") = py::none(), py::arg("final") = false,
               py::arg("compress") = py::none(), "Send one fragment of a message.");
    client.def("send_many", &send_many, py::arg("items"), "Send several messages with as few writes as possible.");
    client.def("ping", &ping, py::arg("data") = py::none(), py::arg("timeout") = py::none(),
               "Ping and wait for the pong: the round trip in seconds.");
    client.def("pong", &pong, py::arg("data") = py::bytes(), "Send an unsolicited pong.");
}
