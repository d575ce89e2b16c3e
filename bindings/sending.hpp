// What sending that waits and sending that does not have in common.
#pragma once

#include "binding.hpp"

enum { LET_GO = 65536 }; // bytes from which on masking and writing are done without the GIL

// The bytes of a message, lent by the Python object, which whoever has this must keep.
class Payload {
  public:
    Payload(py::handle data, const std::optional<bool>& text) {
        if (PyBytes_CheckExact(data.ptr())) {
            bytes = PyBytes_AS_STRING(data.ptr());
            length = PyBytes_GET_SIZE(data.ptr());
            type = text.value_or(false) ? WS_TEXT : WS_BINARY;
            return;
        }
        if (PyUnicode_Check(data.ptr())) {
            bytes = PyUnicode_AsUTF8AndSize(data.ptr(), &length);
            if (!bytes) throw py::error_already_set();
            type = text.value_or(true) ? WS_TEXT : WS_BINARY;
            return;
        }
        if (PyObject_GetBuffer(data.ptr(), &buffer, PyBUF_SIMPLE) != 0) {
            PyErr_Clear();
            throw py::type_error(std::string("a message must be str or a contiguous bytes-like object, not ") +
                                 Py_TYPE(data.ptr())->tp_name);
        }
        lent = true;
        bytes = buffer.buf;
        length = buffer.len;
        type = text.value_or(false) ? WS_TEXT : WS_BINARY;
    }
    ~Payload() {
        if (lent) PyBuffer_Release(&buffer);
    }
    Payload(const Payload&) = delete;
    Payload& operator=(const Payload&) = delete;

    const void* bytes = nullptr;
    Py_ssize_t length = 0;
    int32_t type = WS_BINARY;

  private:
    Py_buffer buffer{};
    bool lent = false;
};

// What a message is queued as: its type, and whether to compress it.
int32_t message_type(const Payload& payload, const std::optional<bool>& compress);

// Send a message, wait until it is written, and tell who watches; returns None.
py::object send_whole(Client& client, py::handle data, const std::optional<bool>& text = std::nullopt,
                      const std::optional<bool>& compress = std::nullopt);

// Raise what it means that the engine does not accept a message.
[[noreturn]] void raise_send(const Client& client, int32_t code);

// Time is up: raise. What is untouched is taken back; a torn frame cannot be mended, then the connection goes. Returns
// where the message stays accepted, for the next connection.
void give_up(const Client& client, const ws_ticket& ticket);

// Send a ping; its number.
uint64_t send_ping(Client& client, const std::optional<py::bytes>& data);

// Call the engine, without the GIL where that takes long.
template <class Call> static int32_t unlocked_if_long(const Payload& payload, Call call) {
    if (payload.length < LET_GO) return call();
    Unlocked no_gil;
    return call();
}
