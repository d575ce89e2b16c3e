#include "client.hpp"

#include <algorithm>
#include <cmath>

// Seconds to whole ms, upwards, within what the clock can reckon.
static int64_t milliseconds(double seconds) {
    constexpr double longest = 1e12; // s; 30,000 years
    if (std::isnan(seconds)) throw py::value_error("a timeout must not be NaN");
    if (seconds > longest) return INT64_MAX;
    return seconds <= 0 ? 0 : static_cast<int64_t>(std::ceil(seconds * 1000));
}

int64_t deadline_after(const std::optional<double>& seconds) {
    int64_t ms = seconds ? milliseconds(*seconds) : INT64_MAX;
    return ms == INT64_MAX ? ms : wsNow() + ms;
}

int64_t option_timeout(const std::optional<double>& seconds, const char* name) {
    if (!seconds) return INT64_MAX;
    if (!(*seconds >= 0)) throw py::value_error(std::string(name) + " must be at least 0, or None");
    return std::max<int64_t>(milliseconds(*seconds), 1);
}

enum { KEPT = 64 }; // places that are kept when none waits

void Deliveries::make_room() {
    if (first == 0 || waiting.size() < waiting.capacity()) return;
    waiting.erase(waiting.begin(), waiting.begin() + static_cast<std::ptrdiff_t>(first));
    first = 0;
}

void Deliveries::counted() {
    count = waiting.size() - first;
    if (count > 0) return;
    first = 0;
    waiting.clear();
    if (waiting.capacity() > KEPT) waiting.shrink_to_fit();
}

void Deliveries::push(Delivery last) {
    std::lock_guard guard(lock);
    make_room();
    waiting.push_back(std::move(last));
    counted();
}

void Deliveries::push_all(std::vector<Delivery> last) {
    std::lock_guard guard(lock);
    make_room();
    std::move(last.begin(), last.end(), std::back_inserter(waiting));
    counted();
}

std::vector<Delivery> Deliveries::take(size_t most) {
    std::lock_guard guard(lock);
    auto begin = waiting.begin() + static_cast<std::ptrdiff_t>(first);
    auto taken = static_cast<std::ptrdiff_t>(std::min(most, waiting.size() - first));
    std::vector<Delivery> out(std::make_move_iterator(begin), std::make_move_iterator(begin + taken));
    first += static_cast<size_t>(taken);
    counted();
    return out;
}

bool Deliveries::pop(Delivery* out) {
    std::lock_guard guard(lock);
    if (first == waiting.size()) return false;
    *out = std::move(waiting[first++]);
    counted();
    return true;
}

py::object Slot::get() const {
    std::lock_guard guard(lock);
    return object;
}

bool Slot::filled() const {
    std::lock_guard guard(lock);
    return object.ptr() != Py_None;
}

py::object Slot::exchange(py::object next) {
    std::lock_guard guard(lock);
    std::swap(object, next);
    return next;
}

Client::Client(wsConn* engine, const std::string& url_text, const Timeouts& given)
    : conn(engine), url(url_text), timeouts(given) {}

Client::Client(const py::object& of)
    : conn(of.cast<Client&>().conn), url(of.cast<Client&>().url), timeouts(of.cast<Client&>().timeouts), ahead(true),
      lender(of) {}

std::array<py::object*, 6> Client::fixed() {
    if (!callbacks) return {&lender};
    Callbacks& of = *callbacks;
    return {&lender, &of.on_message, &of.on_messages, &of.on_open, &of.on_close, &of.on_raise};
}

Client::~Client() {
    if (ahead) return;
    leave_background(*this);
    wsConnFree(conn);
}

void Client::tend() {
    py::object callable = on_due.get();
    if (callable.is_none() || background()) return;
    unsigned long none = 0;
    if (!tending.compare_exchange_strong(none, PyThread_get_thread_ident())) {
        if (none == PyThread_get_thread_ident()) {
            raise_error(*this, WS_ERR_CONCURRENCY, "in on_open, use the connection that it was called with");
        }
        return; // another thread does
    }
    try {
        callable();
    } catch (py::error_already_set&) {
        tending = 0;
        throw;
    }
    tending = 0;
}

py::object close_frame(uint16_t code, const char* reason) {
    if (code == 0) return py::none();
    return py::make_tuple(code, reason);
}
