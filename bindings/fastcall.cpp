#include "fastcall.hpp"

#include <algorithm>
#include <cstring>

Client& client_of(PyObject* self) {
    auto* instance = reinterpret_cast<py::detail::instance*>(self);
    auto* client = instance->get_value_and_holder().value_ptr<Client>();
    if (!client) throw py::type_error("WSClient.__init__() was not called");
    return *client;
}

static bool is_nothing(PyObject* given) {
    return !given || given == Py_None;
}

std::optional<double> optional_number(PyObject* given) {
    if (is_nothing(given)) return std::nullopt;
    double value = PyFloat_AsDouble(given);
    if (value == -1 && PyErr_Occurred()) throw py::error_already_set();
    return value;
}

std::optional<bool> optional_bool(PyObject* given) {
    if (is_nothing(given)) return std::nullopt;
    int value = PyObject_IsTrue(given);
    if (value < 0) throw py::error_already_set();
    return value != 0;
}

std::optional<py::ssize_t> optional_count(PyObject* given) {
    if (is_nothing(given)) return std::nullopt;
    Py_ssize_t value = PyNumber_AsSsize_t(given, PyExc_OverflowError);
    if (value == -1 && PyErr_Occurred()) throw py::error_already_set();
    return value;
}

namespace fastcall {

static void set_keyword(const char* method, const char* const* names, size_t count, PyObject* keyword, PyObject* value,
                        PyObject** out) {
    for (size_t i = 0; i < count; i++) {
        if (PyUnicode_CompareWithASCIIString(keyword, names[i]) != 0) continue;
        if (out[i]) {
            PyErr_Format(PyExc_TypeError, "%s() got multiple values for argument '%U'", method, keyword);
            throw py::error_already_set();
        }
        out[i] = value;
        return;
    }
    PyErr_Format(PyExc_TypeError, "%s() got an unexpected keyword argument '%U'", method, keyword);
    throw py::error_already_set();
}

void sort(const char* method, const char* const* names, size_t count, size_t required, PyObject* const* positional,
          Py_ssize_t given, PyObject* keywords, PyObject** out) {
    if (given > static_cast<Py_ssize_t>(count)) {
        PyErr_Format(PyExc_TypeError, "%s() takes at most %zu arguments (%zd given)", method, count, given);
        throw py::error_already_set();
    }
    std::copy_n(positional, given, out);
    Py_ssize_t named = keywords ? PyTuple_GET_SIZE(keywords) : 0;
    for (Py_ssize_t i = 0; i < named; i++) {
        set_keyword(method, names, count, PyTuple_GET_ITEM(keywords, i), positional[given + i], out);
    }
    for (size_t i = 0; i < required; i++) {
        if (out[i]) continue;
        PyErr_Format(PyExc_TypeError, "%s() missing required argument '%s'", method, names[i]);
        throw py::error_already_set();
    }
}

void translate() noexcept {
    try {
        throw;
    } catch (py::error_already_set& error) {
        error.restore();
    } catch (...) {
        py::detail::try_translate_exceptions();
    }
}

} // namespace fastcall
