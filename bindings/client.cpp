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

void Deliveries::push(Delivery last) {
    std::lock_guard lock(mutex);
    waiting.push_back(std::move(last));
    count = waiting.size();
}

void Deliveries::push_all(std::vector<Delivery> last) {
    std::lock_guard lock(mutex);
    std::move(last.begin(), last.end(), std::back_inserter(waiting));
    count = waiting.size();
}

std::vector<Delivery> Deliveries::take(size_t most) {
    std::lock_guard lock(mutex);
    auto end = waiting.begin() + static_cast<std::ptrdiff_t>(std::min(most, waiting.size()));
    std::vector<Delivery> first(std::make_move_iterator(waiting.begin()), std::make_move_iterator(end));
    waiting.erase(waiting.begin(), end);
    count = waiting.size();
    return first;
}

bool Deliveries::pop(Delivery* first) {
    std::lock_guard lock(mutex);
    if (waiting.empty()) return false;
    *first = std::move(waiting.front());
    waiting.pop_front();
    count = waiting.size();
    return true;
}

py::object Slot::get() const {
    std::lock_guard lock(mutex);
    return object;
}

bool Slot::filled() const {
    std::lock_guard lock(mutex);
    return object.ptr() != Py_None;
}

py::object Slot::exchange(py::object next) {
    std::lock_guard lock(mutex);
    std::swap(object, next);
    return next;
}

Client::Client(wsConn* engine, const std::string& url_text, const Timeouts& given)
    : conn(engine), url(url_text), timeouts(given) {}

Client::Client(const py::object& of)
    : conn(of.cast<Client&>().conn), url(of.cast<Client&>().url), timeouts(of.cast<Client&>().timeouts), ahead(true),
      lender(of) {}

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
