// Calling what the program gave.
#pragma once

#include <pybind11/pybind11.h>

namespace py = pybind11;

// callable(connection, argument), or without the argument if that is NULL. Takes the reference to it. False: it raised.
bool call_with(PyObject* callable, PyObject* connection, PyObject* argument);

// The exception that was raised goes to on_raise, and what that raises to sys.unraisablehook.
void report(py::handle on_raise, PyObject* connection);
