// Methods that are called for every message: METH_FASTCALL, at a fifth of what a call costs that pybind11 dispatches.
#pragma once

#include <array>

#include "binding.hpp"

// The client of an instance of the class. Raises TypeError for one whose __init__ was not called.
Client& client_of(PyObject* self);

// None is nothing for all of them; TypeError for what they do not take.
std::optional<double> optional_number(PyObject* given);
std::optional<bool> optional_bool(PyObject* given);
std::optional<py::ssize_t> optional_count(PyObject* given);

namespace fastcall {

// What a call gave, sorted by parameter: NULL is what it did not give.
template <size_t N> using Given = std::array<PyObject*, N>;

// Sort them; `names` are the parameters', of which so many are `required`. Raises TypeError as Python does.
void sort(const char* method, const char* const* names, size_t count, size_t required, PyObject* const* positional,
          Py_ssize_t given, PyObject* keywords, PyObject** out);

// The parameters of a method that has none.
struct Bare {
    static constexpr std::array<const char*, 0> parameters{};
    static constexpr size_t required = 0;
};

// Have the exception that is being handled raised by Python.
void translate() noexcept;

} // namespace fastcall

// A method of `Of`, which says: its name, its doc with the signature (as inspect reads it), its parameters, how many of
// them are required, and with call(client, given) what it does.
template <class Of> PyObject* call_fast(PyObject* self, PyObject* const* args, Py_ssize_t count, PyObject* keywords) {
    constexpr size_t parameters = std::size(Of::parameters);
    fastcall::Given<parameters> given{};
    try {
        if (!keywords && count <= static_cast<Py_ssize_t>(parameters) && count >= static_cast<Py_ssize_t>(Of::required))
            std::copy_n(args, count, given.begin());
        else
            fastcall::sort(Of::name, std::data(Of::parameters), parameters, Of::required, args, count, keywords,
                           given.data());
        return Of::call(client_of(self), given).release().ptr();
    } catch (...) {
        fastcall::translate();
        return nullptr;
    }
}

template <class Of> void bind_fast(ClientClass& client) {
    static PyMethodDef method = {Of::name, reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(&call_fast<Of>)),
                                 METH_FASTCALL | METH_KEYWORDS, Of::doc};
    PyObject* made = PyDescr_NewMethod(reinterpret_cast<PyTypeObject*>(client.ptr()), &method);
    if (!made) throw py::error_already_set();
    client.attr(Of::name) = py::reinterpret_steal<py::object>(made);
}
