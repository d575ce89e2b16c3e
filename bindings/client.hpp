// The native handle: one connection, and what Python has hung on it.
#pragma once

#include <pybind11/functional.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <array>
#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <thread>
#include <vector>

#include <client/engine.h>

#include "share.hpp"

namespace py = pybind11;

// A moment of the engine's clock, in ms; INT64_MAX is never. None means never, too.
int64_t deadline_after(const std::optional<double>& seconds);

// A timeout among the options, in ms: at least 1, INT64_MAX for none.
int64_t option_timeout(const std::optional<double>& seconds, const char* name);

// What arrived, as the engine lends it: valid while the token is held, which release() ends.
struct Batch {
    const wsEvent* events;
    size_t count;
    std::function<void()> release;
};

// A message that is an object already, and when it was read.
struct Delivery {
    py::object message;
    double received = 0;
};

// A lock for a moment, in a byte: there are two or three in each connection. Never held while Python's code runs.
class Brief {
  public:
    void lock() {
        while (taken.test_and_set(std::memory_order_acquire)) {
            std::this_thread::yield();
        }
    }
    void unlock() { taken.clear(std::memory_order_release); }

  private:
    std::atomic_flag taken = ATOMIC_FLAG_INIT;
};

// Those that wait. One thread takes at a time; others count them, and a loop's driver adds. None take no memory.
class Deliveries {
  public:
    void push(Delivery last);
    void push_all(std::vector<Delivery> last);
    bool pop(Delivery* first); // false: there is none
    std::vector<Delivery> take(size_t most);
    size_t size() const { return count; }
    bool empty() const { return count == 0; }

  private:
    void make_room();
    void counted(); // to be called after each change

    Brief lock;
    std::vector<Delivery> waiting;
    size_t first = 0; // of them; those before have been taken
    std::atomic<size_t> count{0};
};

// A Python object that a thread may replace while another uses it: there may be no GIL to keep them apart.
class Slot {
  public:
    py::object get() const;
    bool filled() const;                               // with something other than None. Without the GIL, too
    py::object exchange(py::object next);              // what was there, whose end may be anybody's code
    PyObject* visited() const { return object.ptr(); } // for the garbage collector, which is alone

  private:
    mutable Brief lock;
    py::object object = py::none();
};

// The waits that this side of the engine keeps, in ms; INT64_MAX: none.
struct Timeouts {
    int64_t write, close;
};

// A signal that comes after the last look for one and before the wait ends it no earlier than this, in ms.
constexpr int64_t longest_turn = 500;

struct Background; // see dispatcher.hpp

// What wakes an event loop that was busy: a descriptor, and the numbers of its connections.
class Waker {
  public:
    Waker();
    ~Waker() { ws_waker_free(waker); }
    Waker(const Waker&) = delete;
    Waker& operator=(const Waker&) = delete;
    ws_waker* const waker;
};

// A connection's place with one.
struct Mark {
    Mark(std::shared_ptr<Waker> of, uint64_t number)
        : waker(std::move(of)), mark{waker->waker, number, nullptr, false} {}
    ~Mark() { ws_waker_withdraw(&mark); }
    Mark(const Mark&) = delete;
    Mark& operator=(const Mark&) = delete;
    const std::shared_ptr<Waker> waker;
    ws_waker_mark mark;
};

// What an event loop is to wait for.
struct Waits {
    ws_interest interest{-1, 0, 0};
    int64_t due = INT64_MAX; // the moment of the next step at the latest
    bool again = false;      // another step has something to do right away
};

// What the dispatcher calls. Most connections have none.
struct Callbacks {
    py::object on_message = py::none(), on_messages = py::none(), on_open = py::none(), on_close = py::none(),
               on_raise = py::none();
    std::function<void(const Batch&)> on_batch;
    size_t max_queue = 0; // so many messages at a time
};

class Client {
  public:
    Client(wsConn* engine, const std::string& url_text, const Timeouts& given);
    explicit Client(const py::object& lender); // the same connection, for on_open
    ~Client();
    Client(const Client&) = delete;
    Client& operator=(const Client&) = delete;

    wsConn* const conn;
    const std::string url;
    const Timeouts timeouts;
    std::atomic<bool> receiving{false}; // a thread is in recv, recv_many or listen
    std::atomic<bool> woken{false};
    uint64_t bytes_received = 0; // when an event loop stepped last
    bool busy = false;           // that step brought much
    Waits waits;                 // what the loop was told to wait for last
    Share share;                 // of the loop's time
    bool calling = false;        // its callbacks are being called by the loop
    bool claimed = false;        // a task receives, or the callbacks do; the loop's

    std::atomic<bool> watched{false}, telling{false};
    void tell(); // have on_news called here, or by the dispatcher, if there are any

    const bool ahead = false;              // on_open's: past the outbox
    std::atomic<unsigned long> tending{0}; // the thread that looks after what is due
    void tend();                           // look after it here, if something is

    // The callables stay where the garbage collector can visit them; on_batch captures only this handle.
    Slot on_delivery, on_due, on_news; // what listen calls, and what is called when something is due or there are news
    Deliveries undelivered;            // left over when a callback ended listening by an exception
    py::object place;                  // the bytes that a big message is received into; with the token

    py::object lender = py::none();
    std::unique_ptr<Callbacks> callbacks; // if the dispatcher calls any; from then on as they are
    std::array<py::object*, 6> fixed();   // those of both; NULL: there is none
    std::shared_ptr<Background> own_background;
    Background* background() const { return driven_by.load(std::memory_order_acquire); } // NULL: not, or not yet
    std::atomic<Background*> driven_by{nullptr};
    std::unique_ptr<Mark> mark; // of one that the keeper keeps for a loop; goes after the keeper

    // Take turns until done() says so; the GIL is let go of while a turn lasts, and signals are honoured. False: the
    // deadline has passed. Raises what a signal handler raised.
    template <class Done> bool wait_until(Done done, int64_t deadline, bool for_events = false);

    bool closed() const { return wsConnState(conn) == WS_STATE_CLOSED; }
};

// For a scope, this thread is on_open's if the client is.
class Ahead {
  public:
    explicit Ahead(const Client& client) : before(ws_session_is_ahead()), now(client.ahead) {
        if (now != before) ws_session_go_ahead(now);
    }
    ~Ahead() {
        if (now != before) ws_session_go_ahead(before);
    }
    Ahead(const Ahead&) = delete;
    Ahead& operator=(const Ahead&) = delete;

  private:
    const bool before, now;
};

// Lets go of the GIL for a scope; py::gil_scoped_release, without what that looks up each time.
class Unlocked {
  public:
    Unlocked() : state(PyEval_SaveThread()) {}
    ~Unlocked() noexcept(false) { PyEval_RestoreThread(state); } // which ends this thread after the interpreter's end
    Unlocked(const Unlocked&) = delete;
    Unlocked& operator=(const Unlocked&) = delete;

  private:
    PyThreadState* const state;
};

// A turn of the engine's: a dispatcher that was given up begins none, and never comes back from one.
void begin_turn();
void end_turn();

template <class Turn> auto unlocked_turn(Turn turn) {
    Unlocked no_gil;
    begin_turn();
    auto result = turn();
    end_turn();
    return result;
}

// Holds the owner token for a scope, if it was free, or if it was taken for it.
class Token {
  public:
    explicit Token(wsConn* engine) : Token(engine, ws_conn_take(engine)) {}
    Token(wsConn* engine, bool taken) : conn(engine), held(taken) {}
    ~Token() { release(); }
    Token(const Token&) = delete;
    Token& operator=(const Token&) = delete;
    void release() {
        if (held) ws_conn_release(conn);
        held = false;
    }
    explicit operator bool() const { return held; }

  private:
    wsConn* conn;
    bool held;
};

// Take the token if it is free; for a loop also from the keeper, which gives it back within some ms: they are waited
// for without the GIL.
inline bool take_token(const Client& client) {
    if (ws_conn_take(client.conn)) return true;
    if (!client.mark) return false;
    return unlocked_turn([&client] { return ws_inline_take(client.conn); });
}

// The I/O thread and the dispatcher let go of it; with the GIL, which neither needs for that.
void leave_background(Client& client);

// Raise the exception for an error of the engine. Without a text, the connection's own words or the table's.
[[noreturn]] void raise_error(const Client& client, int32_t code, const char* text = nullptr);

// Raise what ended the connection.
[[noreturn]] void raise_end(const Client& client);

// The exception that raise_end would raise.
py::object end_exception(const Client& client);

// By what a connection that reconnects was lost last.
py::object down_exception(const Client& client);

// A close frame for Python: (code, reason), None if there was none.
py::object close_frame(uint16_t code, const char* reason);

// A text of the opening handshake, None if it is not there.
py::object handshake_part(const Client& client, ws_part part);

// Seconds that resolving, TCP, proxy, TLS and upgrade took.
py::tuple timings(const Client& client);

// The exception for an error without a connection.
[[noreturn]] void raise_unconnected(const std::string& url, int32_t code, const char* text);

template <class Done> bool Client::wait_until(Done done, int64_t deadline, bool for_events) {
    Ahead scope(*this);
    while (!done()) {
        int32_t rc = unlocked_turn([&] { return ws_inline_turn(conn, deadline, longest_turn, for_events); });
        if (PyErr_CheckSignals() != 0) throw py::error_already_set();
        if (ws_conn_due(conn) & WS_DUE_TO_DO) tend();
        if (watched.load(std::memory_order_relaxed)) tell();
        if (rc == WS_ERR_RECEIVE_TIMEOUT) return done();
        if (rc != WS_OK && rc != WS_ERR_INTERRUPTED) raise_error(*this, rc);
    }
    if (watched.load(std::memory_order_relaxed)) tell();
    return true;
}
