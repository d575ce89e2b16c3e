// The thread that calls Python for the connections that the I/O thread drives: one in an interpreter.
#pragma once

#include <condition_variable>
#include <mutex>

#include "client.hpp"

class Dispatcher;

// A connection whose events are the dispatcher's. It has nothing of Python's: the I/O thread may hold it.
struct Background : std::enable_shared_from_this<Background> {
    explicit Background(Client* owner, Dispatcher* by, bool takes_turns)
        : client(owner), dispatcher(by), shared(takes_turns) {}
    Client* const client; // as long as the connection is there
    Dispatcher* const dispatcher;
    const bool shared;                // others may receive between the dispatcher's turns
    std::atomic<bool> at_work{false}; // it has its turn
    std::atomic<bool> entered{true};  // counted among the dispatcher's users
    bool queued = false;              // the dispatcher's
    bool reads = false;               // the dispatcher reads for it; the dispatcher's
    PyObject* served = nullptr;       // the connection that has its turn; the dispatcher's

    void ready();         // something is there for it. Any thread
    bool is_here() const; // is this thread in one of its callbacks?

    // What Python has of it, to which a weak reference is kept until it is let go of. With the GIL.
    void refer(const py::object& connection);
    void let_go();
    PyObject* connection(); // a new reference, NULL once it has gone

  private:
    std::mutex mutex; // never held while Python's code runs
    PyObject* reference = nullptr;
};

// A native thread with a Python thread state of its own. It waits without the GIL, and takes it once for all that is
// ready. It runs while there are connections.
class Dispatcher {
  public:
    // serve: one connection's turn, with the GIL; true if it is to have another. It must leave no exception.
    using Serve = bool (*)(Background&);

    explicit Dispatcher(Serve turn) : serve(turn), interpreter(PyInterpreterState_Get()) {}
    bool in_main() const { return interpreter == PyInterpreterState_Main(); }
    Dispatcher(const Dispatcher&) = delete;
    Dispatcher& operator=(const Dispatcher&) = delete;

    // A connection comes, the thread with the first; or goes. False: there is no thread to be had, or no more.
    bool enter();
    void leave();

    // Something waits for ws_conn_next. Any thread.
    void ready(Background& background);

    bool is_here() const; // is this its thread?

    // At the interpreter's end, with the GIL, which is let go of: wait for the thread. After 2 s that of the main
    // interpreter is given up; another interpreter cannot end before its threads have.
    void stop();

    std::atomic<bool> stopping{false};     // no more callbacks
    std::atomic<bool> given_up{false};     // never take the GIL again, and begin no turn of the engine's
    std::atomic<bool> in_turn{false};      // its thread is in one
    std::atomic<bool> end_prepared{false}; // the interpreter's end will call stop

  private:
    static void* run_thread(void* self);
    bool start();
    void run();
    bool wait(std::deque<std::shared_ptr<Background>>* work);
    void serve_all(std::deque<std::shared_ptr<Background>>* work);

    const Serve serve;
    PyInterpreterState* const interpreter;
    std::mutex mutex;
    std::condition_variable changed;
    std::deque<std::shared_ptr<Background>> queue;
    size_t users = 0;
    bool running = false;
    size_t threads = 0; // not yet ended: one that ends may overlap with one that starts
};

// Have the interpreter's end stop its threads: to be called before the first starts.
void prepare_end();
