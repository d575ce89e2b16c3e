// For event loops: nothing here waits. What to wait for is said instead.
#include <algorithm>
#include <utility>

#include "calling.hpp"
#include "fastcall.hpp"
#include "receiving.hpp"
#include "sending.hpp"

using Ticket = std::tuple<uint64_t, uint64_t, uint64_t>;

static ws_ticket engine_ticket(const Ticket& ticket) {
    return {std::get<0>(ticket), std::get<1>(ticket), std::get<2>(ticket), false};
}

// ---- stepping

enum { MUCH = 32768 }; // bytes, of one read

// Call the engine, without the GIL if the step before was a long one: then this is likely to be one, too.
template <class Call> static auto unlocked_if_busy(const Client& client, Call call) {
    if (!client.busy) return call();
    Unlocked no_gil;
    return call();
}

static void note_how_busy(Client& client) {
    uint64_t received = ws_conn_bytes_received(client.conn);
    client.busy = received - client.bytes_received >= LET_GO;
    client.bytes_received = received;
}

// Make objects of what has arrived, up to a batch: somebody is waiting for it.
static void take_batch(Client& client) {
    wsEvent events[BATCH];
    size_t most = batch_size(client);
    while (client.undelivered.size() < most) {
        size_t count = unlocked_if_busy(client, [&] { return ws_conn_next(client.conn, events, most); });
        if (count == 0) return make_place(client);
        client.undelivered.push_all(deliveries(client, events, count, std::nullopt));
    }
}

// Is there something still for the one who wants it?
static bool has_left(const Client& client) {
    return (!client.undelivered.empty() || ws_conn_has_events(client.conn)) && !ws_conn_drops(client.conn);
}

// One read, and objects of what came if it is wanted. True if it brought so much that another will, too.
static bool read_once(Client& client, int64_t now, bool* any) {
    uint64_t before = ws_conn_bytes_received(client.conn);
    *any = unlocked_if_busy(client, [&] { return ws_conn_step(client.conn, now, 1); });
    if (client.claimed) take_batch(client);
    return ws_conn_bytes_received(client.conn) - before >= MUCH;
}

// A read, and where much is wanted and comes a second one: else the loop's own work takes as long as ours. What is not
// wanted the engine keeps. Of what is wanted no more is read while something is left: it would have to copy that.
// Deadlines are kept all the same. With the token.
static void advance(Client& client) {
    int64_t now = wsNow();
    bool any = false, wanted = client.claimed, left = wanted && has_left(client);
    if (left) take_batch(client);
    if (!left || ws_conn_next_deadline(client.conn) <= now) {
        bool more = read_once(client, now, &any);
        if (more && wanted && client.undelivered.size() < batch_size(client)) read_once(client, now, &any);
    }
    while (any && !(wanted && has_left(client))) {
        any = unlocked_if_busy(client, [&] { return ws_conn_step(client.conn, now, 0); });
    }
    note_how_busy(client);
}

static Waits look(const Client& client) {
    Waits waits;
    ws_conn_interests(client.conn, &waits.interest, 1);
    waits.due = ws_conn_next_deadline(client.conn);
    waits.again = ws_conn_unseen(client.conn);
    return waits;
}

// Is there something that the loop does not wait for yet? A timer that comes too early does no harm.
static bool is_news(const Client& client, const Waits& now) {
    const ws_interest &told = client.waits.interest, &found = now.interest;
    bool same = told.fd == found.fd && told.wants == found.wants && told.generation == found.generation;
    return !same || now.due < client.waits.due || now.again || ws_conn_due(client.conn) ||
           wsConnState(client.conn) != WS_STATE_OPEN;
}

static py::tuple waits(const Client& client) {
    const Waits& told = client.waits;
    int64_t now = wsNow(), due = told.due == INT64_MAX ? -1 : std::max<int64_t>(told.due - now, 0);
    return py::make_tuple(told.interest.fd, told.interest.wants, told.interest.generation, due, told.again,
                          ws_conn_due(client.conn));
}

// ---- receiving

// False: there is none.
static bool take_next(Client& client, const std::optional<bool>& decode, Delivery* next) {
    Found found = take_one(client, decode, next);
    if (found == Found::end) raise_end(client);
    return found == Found::message;
}

struct Take {
    static constexpr const char* name = "take";
    static constexpr const char* doc = "take($self, decode=None)\n--\n\nThe next message if there is one.";
    static constexpr const char* parameters[] = {"decode"};
    static constexpr size_t required = 0;
    static py::object call(Client& client, const fastcall::Given<1>& given) {
        Delivery next;
        return take_next(client, optional_bool(given[0]), &next) ? next.message : py::none();
    }
};

// Who finds nothing waits as the one who receives. None if another does or is to have its turn, or if the engine must
// be told to read on.
struct Seek {
    static constexpr const char* name = "seek";
    static constexpr const char* doc =
        "seek($self, decode=None)\n--\n\nThe next message, in one's share of time; True: none, and claimed.";
    static constexpr const char* parameters[] = {"decode"};
    static constexpr size_t required = 0;
    static py::object call(Client& client, const fastcall::Given<1>& given) {
        bool may = !client.claimed && !client.ahead && client.waits.interest.wants & WS_WANT_READ;
        if (!may || client.share.is_over()) return py::none();
        Delivery next;
        if (take_next(client, optional_bool(given[0]), &next)) return next.message;
        client.claimed = true;
        return py::bool_(true);
    }
};

struct Claim : fastcall::Bare {
    static constexpr const char* name = "claim";
    static constexpr const char* doc =
        "claim($self)\n--\n\nReceive, whoever calls, from now on; false: another does. What arrives is taken by step.";
    static py::object call(Client& client, const fastcall::Given<0>&) {
        return py::bool_(!std::exchange(client.claimed, true));
    }
};

struct Unclaim {
    static constexpr const char* name = "unclaim";
    static constexpr const char* doc =
        "unclaim($self, rested=False)\n--\n\nNobody receives any more; with rested, others have had their turn.";
    static constexpr const char* parameters[] = {"rested"};
    static constexpr size_t required = 0;
    static py::object call(Client& client, const fastcall::Given<1>& given) {
        client.claimed = false;
        if (optional_bool(given[0]).value_or(false)) client.share = Share();
        return py::none();
    }
};

struct Hogs : fastcall::Bare {
    static constexpr const char* name = "hogs";
    static constexpr const char* doc = "hogs($self)\n--\n\nWhether its share of the loop's time is over.";
    static py::object call(Client& client, const fastcall::Given<0>&) { return py::bool_(client.share.is_over()); }
};

struct Rested : fastcall::Bare {
    static constexpr const char* name = "rested";
    static constexpr const char* doc = "rested($self)\n--\n\nOthers have had their turn: it has another share.";
    static py::object call(Client& client, const fastcall::Given<0>&) {
        client.share = Share();
        return py::none();
    }
};

static std::optional<py::tuple> take_event(Client& client) {
    Delivery next;
    if (!take_next(client, std::nullopt, &next)) return std::nullopt;
    return event_tuple(next);
}

struct TakeMany {
    static constexpr const char* name = "take_many";
    static constexpr const char* doc = "take_many($self, max_messages=None)\n--\n\nAll messages that there are.";
    static constexpr const char* parameters[] = {"max_messages"};
    static constexpr size_t required = 0;
    static py::object call(Client& client, const fastcall::Given<1>& given) {
        size_t most = at_most(optional_count(given[0]));
        py::list messages;
        Found found = take_all(client, messages, most);
        if (found == Found::end) raise_end(client);
        if (found == Found::nothing) return py::none();
        return std::move(messages);
    }
};

// ---- calling back

// The next messages in a list, at most so many.
static py::list list_from(Client& client, const py::object& first, size_t most) {
    py::list messages;
    messages.append(first);
    take_all(client, messages, most);
    return messages;
}

// What is no Exception is meant to end more than the callback.
static void report_or_raise(py::handle on_raise, py::handle connection) {
    if (!PyErr_ExceptionMatches(PyExc_Exception)) throw py::error_already_set();
    report(on_raise, connection.ptr());
}

// What is called for messages: lent, or the loop would keep alive what it refers to.
struct Calls {
    Calls(py::handle of, py::handle given) : connection(of) {
        if (!PyTuple_Check(given.ptr()) || PyTuple_GET_SIZE(given.ptr()) != 4)
            throw py::type_error("calls must be a tuple of four");
        on_message = PyTuple_GET_ITEM(given.ptr(), 0);
        on_messages = PyTuple_GET_ITEM(given.ptr(), 1);
        on_raise = PyTuple_GET_ITEM(given.ptr(), 2);
        max_queue = at_most(optional_count(PyTuple_GET_ITEM(given.ptr(), 3)));
    }
    bool any() const { return !on_message.is_none() || !on_messages.is_none(); }

    const py::handle connection;
    py::handle on_message, on_messages, on_raise;
    size_t max_queue;
};

// True: the loop's other work is due first, and there may be more.
static bool call_back(Client& client, const Calls& calls) {
    bool by_lists = !calls.on_messages.is_none();
    PyObject* callable = (by_lists ? calls.on_messages : calls.on_message).ptr();
    Share share;
    Delivery next;
    for (size_t called = 0; called < BATCH && (called == 0 || !share.is_over());) {
        Found found = take_one(client, std::nullopt, &next);
        if (found != Found::message) return found == Found::nothing && client.closed(); // somebody is at it still
        py::object argument = std::move(next.message);
        if (by_lists) argument = list_from(client, argument, std::min<size_t>(calls.max_queue, BATCH));
        called += by_lists ? py::len(argument) : 1;
        if (!call_with(callable, calls.connection.ptr(), argument.release().ptr())) {
            report_or_raise(calls.on_raise, calls.connection);
        }
    }
    return true;
}

// What callbacks post is written together after them.
class Calling {
  public:
    explicit Calling(Client& of) : client(of) { client.calling = true; }
    ~Calling() {
        client.calling = false;
        ws_conn_flush(client.conn);
    }
    Calling(const Calling&) = delete;
    Calling& operator=(const Calling&) = delete;

  private:
    Client& client;
};

// ---- a turn of the loop

// What it found.
enum { ARRIVED = 1, NEWS = 2, LEFT = 4 };

// With the token.
static int find(Client& client, bool anew) {
    Waits waits = look(client);
    bool news = anew || is_news(client, waits);
    if (news) client.waits = waits;
    return (!client.undelivered.empty() || client.closed() ? ARRIVED : 0) | (news ? NEWS : 0);
}

static Token own(const Client& client) {
    bool taken = take_token(client);
    if (!taken) raise_error(client, WS_ERR_CONCURRENCY);
    return Token(client.conn, taken);
}

struct Step {
    static constexpr const char* name = "step";
    static constexpr const char* doc =
        "step($self, anew=True)\n--\n\nDo what can be done without waiting, and say what that changed.";
    static constexpr const char* parameters[] = {"anew"};
    static constexpr size_t required = 0;
    static py::object call(Client& client, const fastcall::Given<1>& given) {
        Token token = own(client);
        advance(client);
        return py::int_(find(client, optional_bool(given[0]).value_or(true)));
    }
};

struct Serve {
    static constexpr const char* name = "serve";
    static constexpr const char* doc =
        "serve($self, connection, calls, anew=True)\n--\n\nA step, and calls for messages that have arrived.";
    static constexpr const char* parameters[] = {"connection", "calls", "anew"};
    static constexpr size_t required = 2;
    static py::object call(Client& client, const fastcall::Given<3>& given) {
        Calls calls(given[0], given[1]);
        bool left = false;
        Token before = own(client);
        advance(client);
        before.release();
        if (calls.any()) {
            Calling scope(client);
            left = call_back(client, calls);
        }
        Token after = own(client);
        return py::int_(find(client, optional_bool(given[2]).value_or(true)) | (left ? LEFT : 0));
    }
};

// ---- sending

// None if there is no room, True if it is written, and all before it.
static py::object accepted(const Client& client, int32_t rc, const ws_ticket& ticket) {
    if (rc == WS_ERR_QUEUE_FULL) return py::none();
    if (rc != WS_OK) raise_send(client, rc);
    if (ticket.settled) return py::bool_(true);
    return py::make_tuple(ticket.start, ticket.end, ticket.number);
}

static py::object offer(Client& client, const Payload& payload, const std::optional<bool>& compress, bool write) {
    int32_t type = message_type(payload, compress);
    auto length = static_cast<size_t>(payload.length);
    ws_ticket ticket{};
    int32_t rc = unlocked_if_long(payload, [&] {
        if (client.ahead) return wsConnSendAhead(client.conn, type, payload.bytes, length);
        return write ? ws_conn_send(client.conn, type, payload.bytes, length, &ticket)
                     : ws_conn_queue(client.conn, type, payload.bytes, length, &ticket);
    });
    return accepted(client, rc, ticket);
}

struct Offer {
    static constexpr const char* name = "offer";
    static constexpr const char* doc = "offer($self, data, text=None, compress=None, write=True)\n--\n\n"
                                       "Have a message accepted if there is room.";
    static constexpr const char* parameters[] = {"data", "text", "compress", "write"};
    static constexpr size_t required = 1;
    static py::object call(Client& client, const fastcall::Given<4>& given) {
        Payload payload(given[0], optional_bool(given[1]));
        return offer(client, payload, optional_bool(given[2]), optional_bool(given[3]).value_or(true));
    }
};

struct OfferAhead {
    static constexpr const char* name = "offer_ahead";
    static constexpr const char* doc = "offer_ahead($self, data, text=None, compress=None)\n--\n\n"
                                       "Have a message accepted if there is room, in one's share of time.";
    static constexpr const char* parameters[] = {"data", "text", "compress"};
    static constexpr size_t required = 1;
    static py::object call(Client& client, const fastcall::Given<3>& given) {
        if (client.share.is_over()) return py::none();
        return offer(client, Payload(given[0], optional_bool(given[1])), optional_bool(given[2]), true);
    }
};

// What became of a message that is not waited for; what callbacks send needs nobody else to write it.
enum { NO_ROOM = -1, WRITTEN = 0, GATHERED = 1 };

struct Post {
    static constexpr const char* name = "post";
    static constexpr const char* doc = "post($self, data, text=None, compress=None)\n--\n\n"
                                       "Have a message accepted if there is room, to be written with others.";
    static constexpr const char* parameters[] = {"data", "text", "compress"};
    static constexpr size_t required = 1;
    static py::object call(Client& client, const fastcall::Given<3>& given) {
        Payload payload(given[0], optional_bool(given[1]));
        int32_t type = message_type(payload, optional_bool(given[2]));
        auto length = static_cast<size_t>(payload.length);
        ws_ticket ticket{};
        int32_t rc = unlocked_if_long(payload, [&] {
            return client.ahead ? wsConnSendAhead(client.conn, type, payload.bytes, length)
                                : ws_conn_post(client.conn, type, payload.bytes, length, &ticket);
        });
        if (rc != WS_OK && rc != WS_ERR_QUEUE_FULL) raise_send(client, rc);
        if (rc != WS_OK) return py::int_(static_cast<int>(NO_ROOM));
        return py::int_(static_cast<int>(!client.calling && wsConnQueued(client.conn) ? GATHERED : WRITTEN));
    }
};

static py::object offer_fragment(Client& client, const py::object& data, std::optional<bool> text, bool final,
                                 std::optional<bool> compress) {
    Payload payload(data, text);
    int32_t type = message_type(payload, compress);
    auto length = static_cast<size_t>(payload.length);
    ws_ticket ticket{};
    int32_t rc = unlocked_if_long(
        payload, [&] { return ws_conn_send_fragment(client.conn, type, payload.bytes, length, final, &ticket); });
    return accepted(client, rc, ticket);
}

struct WriteOut : fastcall::Bare {
    static constexpr const char* name = "write_out";
    static constexpr const char* doc = "write_out($self)\n--\n\nWrite what was offered without writing.";
    static py::object call(Client& client, const fastcall::Given<0>&) {
        ws_conn_flush(client.conn);
        return py::none();
    }
};

static bool written(const Client& client, const Ticket& ticket) {
    ws_ticket of = engine_ticket(ticket);
    int32_t rc = ws_conn_written(client.conn, &of);
    if (rc < 0) raise_end(client);
    return rc == 1;
}

static bool withdraw(const Client& client, const Ticket& ticket) {
    ws_ticket of = engine_ticket(ticket);
    return ws_conn_withdraw(client.conn, &of);
}

static std::optional<double> pong_time(const Client& client, uint64_t id) {
    double seconds = ws_conn_pong_time(client.conn, id);
    if (seconds >= 0) return seconds;
    if (client.closed()) raise_end(client);
    return std::nullopt;
}

void bind_loop(ClientClass& client) {
    bind_fast<Step>(client);
    client.def_property_readonly("waits", &waits);
    client.def(
        "keep_socket", [](Client& self) { ws_conn_keep_socket(self.conn); }, "Leave the socket open at the end.");
    client.def(
        "drop_socket", [](Client& self) { ws_conn_drop_socket(self.conn); }, "Close what keep_socket has kept.");
    bind_fast<Take>(client);
    bind_fast<Seek>(client);
    bind_fast<Claim>(client);
    bind_fast<Unclaim>(client);
    bind_fast<Hogs>(client);
    bind_fast<Rested>(client);
    client.def("take_event", &take_event, "The next message and when it came, if there is one.");
    bind_fast<TakeMany>(client);
    bind_fast<Serve>(client);
    bind_fast<Offer>(client);
    bind_fast<OfferAhead>(client);
    bind_fast<Post>(client);
    client.def("offer_fragment", &offer_fragment, py::arg("data"), py::arg("text") = py::none(),
               py::arg("final") = false, py::arg("compress") = py::none(),
               "Have a fragment accepted if there is room.");
    bind_fast<WriteOut>(client);
    client.def("written", &written, py::arg("ticket"), "Whether what was accepted is written.");
    client.def("withdraw", &withdraw, py::arg("ticket"), "Take a message back of which nothing is written.");
    client.def(
        "give_up", [](Client& self, const Ticket& ticket) { give_up(self, engine_ticket(ticket)); }, py::arg("ticket"),
        "Raise for what could not be written in time.");
    client.def("send_ping", &send_ping, py::arg("data") = py::none(), "Send a ping; its number.");
    client.def("pong_time", &pong_time, py::arg("id"), "The round trip of a ping, once its pong has come.");
    client.def_property_readonly("has_room", [](const Client& self) { return ws_session_has_room(self.conn); });
    client.def_property_readonly("queued", [](const Client& self) { return wsConnQueued(self.conn); });
    client.def_property_readonly("opened", [](const Client& self) { return ws_conn_opened(self.conn); });
}
