#include "calling.hpp"

bool call_with(PyObject* callable, PyObject* connection, PyObject* argument) {
    PyObject* arguments[] = {nullptr, connection, argument};
    size_t count = (argument ? 2 : 1) | PY_VECTORCALL_ARGUMENTS_OFFSET;
    PyObject* result = PyObject_Vectorcall(callable, arguments + 1, count, nullptr);
    Py_XDECREF(argument);
    Py_XDECREF(result);
    return result != nullptr;
}

void report(py::handle on_raise, PyObject* connection) {
    PyObject *type, *value, *trace;
    PyErr_Fetch(&type, &value, &trace);
    PyErr_NormalizeException(&type, &value, &trace);
    if (trace) PyException_SetTraceback(value, trace);
    PyObject* result = PyObject_CallFunctionObjArgs(on_raise.ptr(), connection, value, nullptr);
    if (!result) PyErr_WriteUnraisable(on_raise.ptr());
    Py_XDECREF(result);
    Py_XDECREF(type);
    Py_XDECREF(value);
    Py_XDECREF(trace);
}
