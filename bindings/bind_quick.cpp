// Methods of Python's connections that are called very often: their plainest calls are done here, without a frame of
// Python's; all others are those of the function that stands there.
#include "fastcall.hpp"
#include "receiving.hpp"
#include "sending.hpp"

#include <structmember.h> // needs Python.h

namespace {

struct Kind {
    Py_ssize_t count; // of the arguments, with the connection
    bool (*is_plain)(PyObject* const* arguments);
    py::object (*call)(Client& client, PyObject* const* arguments);
};

struct Quick {
    PyObject_HEAD PyObject* dict; // what functools.update_wrapper sets: the function's name, documentation, signature
    vectorcallfunc vectorcall;
    PyObject* function;
    PyObject* name;         // of the attribute that is the native handle
    const PyObject* handle; // its type, which the module keeps
    const Kind* kind;
};

} // namespace

// The native handle of a connection; nothing: it has none (yet), which is the function's to say.
static py::object find_handle(const Quick& of, PyObject* connection) {
    auto found = py::reinterpret_steal<py::object>(PyObject_GetAttr(connection, of.name));
    if (!found) PyErr_Clear();
    return found && py::type::handle_of(found).ptr() == of.handle ? found : py::object();
}

static PyObject* call_quick(PyObject* self, PyObject* const* arguments, size_t given, PyObject* keywords) {
    auto* of = reinterpret_cast<Quick*>(self);
    bool plain = !keywords && PyVectorcall_NARGS(given) == of->kind->count && of->kind->is_plain(arguments);
    py::object handle = plain ? find_handle(*of, arguments[0]) : py::object();
    if (!handle) return PyObject_Vectorcall(of->function, arguments, given, keywords);
    try {
        return of->kind->call(client_of(handle.ptr()), arguments).release().ptr();
    } catch (...) {
        fastcall::translate();
        return nullptr;
    }
}

// ---- the type: a method, as Python's functions are

static PyObject* bind_method(PyObject* self, PyObject* object, PyObject*) {
    return object && object != Py_None ? PyMethod_New(self, object) : Py_NewRef(self);
}

static int visit(PyObject* self, visitproc visit, void* arg) {
    auto* of = reinterpret_cast<Quick*>(self);
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(of->dict);
    Py_VISIT(of->function);
    return 0;
}

static int clear(PyObject* self) {
    auto* of = reinterpret_cast<Quick*>(self);
    Py_CLEAR(of->dict);
    Py_CLEAR(of->function);
    Py_CLEAR(of->name);
    return 0;
}

static void free_quick(PyObject* self) {
    PyTypeObject* type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    clear(self);
    type->tp_free(self);
    Py_DECREF(type);
}

static py::object make_type() {
    static PyMemberDef members[] = {
        {"__dictoffset__", T_PYSSIZET, offsetof(Quick, dict), READONLY, nullptr},
        {"__vectorcalloffset__", T_PYSSIZET, offsetof(Quick, vectorcall), READONLY, nullptr},
        {},
    };
    static PyGetSetDef dict[] = {{"__dict__", PyObject_GenericGetDict, PyObject_GenericSetDict, nullptr, nullptr}, {}};
    static PyType_Slot slots[] = {
        {Py_tp_members, members},
        {Py_tp_getset, dict},
        {Py_tp_call, reinterpret_cast<void*>(PyVectorcall_Call)},
        {Py_tp_descr_get, reinterpret_cast<void*>(bind_method)},
        {Py_tp_traverse, reinterpret_cast<void*>(visit)},
        {Py_tp_clear, reinterpret_cast<void*>(clear)},
        {Py_tp_dealloc, reinterpret_cast<void*>(free_quick)},
        {},
    };
    static PyType_Spec spec = {"wsclient._core.quick_method", sizeof(Quick), 0,
                               Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_HAVE_VECTORCALL |
                                   Py_TPFLAGS_METHOD_DESCRIPTOR | Py_TPFLAGS_DISALLOW_INSTANTIATION,
                               slots};
    PyObject* made = PyType_FromSpec(&spec);
    if (!made) throw py::error_already_set();
    return py::reinterpret_steal<py::object>(made);
}

static py::object make_quick(const py::object& type, const Kind& kind, const py::object& function) {
    PyObject* made = PyType_GenericAlloc(reinterpret_cast<PyTypeObject*>(type.ptr()), 0);
    if (!made) throw py::error_already_set();
    auto quick = py::reinterpret_steal<py::object>(made);
    auto* of = reinterpret_cast<Quick*>(made);
    of->vectorcall = call_quick;
    of->function = function.inc_ref().ptr();
    of->name = PyUnicode_InternFromString("_handle");
    of->handle = py::type::of<Client>().ptr();
    of->kind = &kind;
    if (!of->name) throw py::error_already_set();
    return py::module_::import("functools").attr("update_wrapper")(quick, function);
}

// ---- the kinds

static bool carries_message(PyObject* const* arguments) {
    return PyBytes_CheckExact(arguments[1]) || PyUnicode_CheckExact(arguments[1]);
}

static bool is_bare(PyObject* const*) {
    return true;
}

static py::object send(Client& client, PyObject* const* arguments) {
    return send_whole(client, arguments[1]);
}

static py::object recv(Client& client, PyObject* const*) {
    return receive_next(client);
}

static const Kind sends = {2, carries_message, send}, receives = {1, is_bare, recv};

void bind_quick(py::module_& m) {
    py::object type = make_type();
    m.def(
        "quick_send", [type](const py::function& function) { return make_quick(type, sends, function); },
        py::arg("function"), "A method that sends: called with a str or bytes alone it is the handle's.");
    m.def(
        "quick_recv", [type](const py::function& function) { return make_quick(type, receives, function); },
        py::arg("function"), "A method that receives: called without arguments it is the handle's.");
}
