// From the engine's error table to Python exceptions: wsclient.exceptions knows the classes, this knows the facts.
#include "binding.hpp"

#include <cstring>

static py::dict no_details(const std::string& url) {
    using namespace py::literals;
    return py::dict("url"_a = url, "opened"_a = false, "closed"_a = false, "os_error"_a = 0, "http_status"_a = 0,
                    "size"_a = 0, "max_size"_a = 0, "response"_a = py::none(), "received"_a = py::none(),
                    "sent"_a = py::none(), "by"_a = 0, "timings"_a = py::none(), "body"_a = py::bytes(),
                    "retry_after"_a = -1);
}

// What `loss` says of it is not asked again.
static py::dict details(const Client& client, const ws_down& loss) {
    const ws_failure& failure = loss.failure;
    const ws_close_info& info = loss.close;
    py::dict known = no_details(client.url);
    known["opened"] = loss.opened;
    known["closed"] = wsConnState(client.conn) >= WS_STATE_CLOSING || failure.code != 0;
    known["os_error"] = failure.os_error;
    known["http_status"] = failure.http_status;
    known["size"] = failure.size;
    known["max_size"] = failure.max_size;
    known["response"] = handshake_part(client, WS_PART_RESPONSE);
    known["received"] = close_frame(info.received, info.received_reason);
    known["sent"] = close_frame(info.sent, info.sent_reason);
    known["by"] = static_cast<int>(info.by);
    known["timings"] = timings(client);
    known["retry_after"] = wsConnRetryAfter(client.conn);
    py::object body = handshake_part(client, WS_PART_BODY);
    if (!body.is_none()) known["body"] = body;
    return known;
}

static py::object make_exception(int32_t code, const char* text, const py::dict& known) {
    py::object make = py::module_::import("wsclient.exceptions").attr("from_core");
    py::object words = py::reinterpret_steal<py::object>(
        PyUnicode_DecodeUTF8(text, static_cast<Py_ssize_t>(strlen(text)), "replace")); // it may be cut
    return make(wsErrorName(code), words, known);
}

[[noreturn]] static void raise(const py::object& exception) {
    PyErr_SetObject(py::type::handle_of(exception).ptr(), exception.ptr());
    throw py::error_already_set();
}

static ws_down present(const Client& client) {
    ws_down loss{};
    ws_conn_failure(client.conn, &loss.failure);
    ws_conn_close_info(client.conn, &loss.close);
    loss.opened = ws_conn_opened(client.conn);
    return loss;
}

void raise_error(const Client& client, int32_t code, const char* text) {
    ws_down loss = present(client);
    if (!text) text = loss.failure.code == code ? loss.failure.text : wsErrorString(code);
    raise(make_exception(code, text, details(client, loss)));
}

static py::object exception_of(const Client& client, const ws_down& loss) {
    int32_t code = loss.failure.code ? loss.failure.code : static_cast<int32_t>(WS_ERR_CLOSED);
    const char* text = loss.failure.code ? loss.failure.text : wsErrorString(code);
    return make_exception(code, text, details(client, loss));
}

py::object end_exception(const Client& client) {
    return exception_of(client, present(client));
}

py::object down_exception(const Client& client) {
    ws_down loss;
    ws_session_down_info(client.conn, &loss);
    return exception_of(client, loss);
}

void raise_end(const Client& client) {
    raise(end_exception(client));
}

void raise_unconnected(const std::string& url, int32_t code, const char* text) {
    raise(make_exception(code, text, no_details(url)));
}

void bind_errors(py::module_& m) {
    py::list rows;
#define WS_ERROR_TUPLE(name, code, fault, text)                                                                        \
    rows.append(py::make_tuple(#name, code, static_cast<int>(WS_FAULT_##fault), text));
    WS_ERROR_TABLE(WS_ERROR_TUPLE)
#undef WS_ERROR_TUPLE
    m.attr("errors") = py::tuple(rows);
}
