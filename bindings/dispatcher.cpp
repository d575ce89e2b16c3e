#include "dispatcher.hpp"

#include <chrono>
#include <csignal>
#include <pthread.h>
#include <thread>
#include <unistd.h>

using Lock = std::unique_lock<std::mutex>;

static constexpr std::chrono::seconds patience{2};

static thread_local Dispatcher* here = nullptr; // the one whose thread this is

static void stay_if_given_up() {
    while (here && here->given_up) {
        here->in_turn = false;
        pause();
    }
}

void begin_turn() {
    if (here) here->in_turn = true;
    stay_if_given_up();
}

void end_turn() {
    stay_if_given_up();
    if (here) here->in_turn = false;
}

bool Dispatcher::is_here() const {
    return here == this;
}

void Background::ready() {
    if (entered) dispatcher->ready(*this);
}

bool Background::is_here() const {
    return at_work && dispatcher->is_here();
}

void Background::refer(const py::object& connection) {
    PyObject* made = py::weakref(connection).release().ptr();
    std::lock_guard lock(mutex);
    std::swap(reference, made);
}

void Background::let_go() {
    PyObject* dropped = nullptr;
    {
        std::lock_guard lock(mutex);
        std::swap(reference, dropped);
    }
    Py_XDECREF(dropped);
}

static PyObject* referred(PyObject* reference) {
    PyObject* object = nullptr;
#if PY_VERSION_HEX >= 0x030D0000
    PyWeakref_GetRef(reference, &object);
#else
    object = PyWeakref_GetObject(reference);
    if (object == Py_None) return nullptr;
    Py_INCREF(object);
#endif
    return object;
}

PyObject* Background::connection() {
    PyObject* weak = nullptr;
    {
        std::lock_guard lock(mutex);
        weak = reference;
        Py_XINCREF(weak);
    }
    PyObject* object = weak ? referred(weak) : nullptr;
    Py_XDECREF(weak);
    return object;
}

void* Dispatcher::run_thread(void* self) {
    static_cast<Dispatcher*>(self)->run();
    return nullptr;
}

// With the mutex. All signals are blocked in it: Ctrl-C is for the program's own threads.
bool Dispatcher::start() {
    pthread_t thread;
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    bool started = pthread_create(&thread, nullptr, run_thread, this) == 0;
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    if (started) pthread_detach(thread);
    running = started;
    threads += started;
    return started;
}

bool Dispatcher::enter() {
    Lock lock(mutex);
    if (stopping || (!running && !start())) return false;
    users++;
    return true;
}

void Dispatcher::leave() {
    Lock lock(mutex);
    users--;
    changed.notify_all();
}

void Dispatcher::ready(Background& background) {
    Lock lock(mutex);
    if (background.queued) return;
    background.queued = true;
    queue.push_back(background.shared_from_this());
    changed.notify_all();
}

// False: the thread is to end, which begins here.
bool Dispatcher::wait(std::deque<std::shared_ptr<Background>>* work) {
    Lock lock(mutex);
    changed.wait(lock, [this] { return !queue.empty() || stopping || users == 0; });
    running = !stopping && users > 0;
    work->swap(queue);
    for (const auto& background : *work) {
        background->queued = false; // what comes from here on is not missed
    }
    return running;
}

// Those that have more to do come back at the end of the queue.
void Dispatcher::serve_all(std::deque<std::shared_ptr<Background>>* work) {
    for (const auto& background : *work) {
        if (!stopping && serve(*background)) ready(*background);
    }
    work->clear();
}

// As threading does for its own threads: debuggers, profilers and coverage see what is called here.
static void set_hooks() {
    try {
        py::module_ threading = py::module_::import("threading"), sys = py::module_::import("sys");
        py::object trace = threading.attr("gettrace")(), profile = threading.attr("getprofile")();
        if (!trace.is_none()) sys.attr("settrace")(trace);
        if (!profile.is_none()) sys.attr("setprofile")(profile);
    } catch (py::error_already_set& error) {
        error.discard_as_unraisable("the hooks of a thread");
    }
}

void Dispatcher::run() {
    here = this;
    pthread_setname_np(pthread_self(), "wsclient-calls");
    PyThreadState* state = PyThreadState_New(interpreter);
    PyEval_AcquireThread(state);
    set_hooks();
    PyEval_ReleaseThread(state);
    std::deque<std::shared_ptr<Background>> work;
    while (wait(&work)) {
        PyEval_AcquireThread(state);
        serve_all(&work);
        PyEval_ReleaseThread(state);
    }
    stay_if_given_up();
    PyEval_AcquireThread(state);
    PyThreadState_Clear(state);
    PyThreadState_DeleteCurrent();
    Lock lock(mutex);
    threads--;
    changed.notify_all();
}

void Dispatcher::stop() {
    Unlocked no_gil;
    Lock lock(mutex);
    stopping = true;
    changed.notify_all();
    auto ended = [this] { return threads == 0; };
    if (in_main()) {
        given_up = !changed.wait_for(lock, patience, ended);
        lock.unlock();
        // OpenSSL's end must not come into a turn.
        for (int64_t ms = 0; given_up && in_turn && ms < 2 * longest_turn; ms++) {
            std::this_thread::sleep_for(std::chrono::milliseconds(1));
        }
    } else {
        changed.wait(lock, ended);
    }
}
