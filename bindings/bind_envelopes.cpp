// Chat envelopes: plain ones become the dataclasses of wsclient.models at once, without their __init__, whose checks
// the text has passed already.
#include "binding.hpp"

#include <structmember.h> // in Python.h since 3.12

// Where the instances of a class with __slots__ keep that one.
static Py_ssize_t slot_of(const py::object& type, const char* name) {
    py::object member = py::getattr(type, name);
    if (!Py_IS_TYPE(member.ptr(), &PyMemberDescr_Type)) throw py::type_error(std::string(name) + " is no slot");
    return reinterpret_cast<PyMemberDescrObject*>(member.ptr())->d_member->offset;
}

static PyTypeObject* class_of(const py::object& type) {
    if (!PyType_Check(type.ptr())) throw py::type_error("a class is wanted");
    return reinterpret_cast<PyTypeObject*>(type.ptr());
}

// An instance whose slots are empty yet.
static py::object make(PyTypeObject* type) {
    PyObject* made = type->tp_alloc(type, 0);
    if (!made) throw py::error_already_set();
    return py::reinterpret_steal<py::object>(made);
}

static void fill(const py::object& instance, Py_ssize_t slot, py::object value) {
    *reinterpret_cast<PyObject**>(reinterpret_cast<char*>(instance.ptr()) + slot) = value.release().ptr();
}

static py::object text_of(const char* bytes, size_t n) {
    PyObject* made = PyUnicode_DecodeUTF8(bytes, static_cast<Py_ssize_t>(n), nullptr);
    if (!made) throw py::error_already_set();
    return py::reinterpret_steal<py::object>(made);
}

class EnvelopeReader {
  public:
    EnvelopeReader(py::object message, py::object user, py::object info)
        : message_class(std::move(message)), user_class(std::move(user)), info_class(std::move(info)),
          message_type(class_of(message_class)), user_type(class_of(user_class)), text(slot_of(message_class, "text")),
          user_slot(slot_of(message_class, "user")), info_slot(slot_of(message_class, "info")),
          name(slot_of(user_class, "name")) {
        for (size_t bits = 0; bits < usual.size(); bits++)
            usual[bits] = info_class(bits);
    }

    py::object message_of(const ws_plain& plain) const {
        py::object user = make(user_type), message = make(message_type);
        fill(user, name, text_of(plain.name, plain.name_len));
        fill(message, text, text_of(plain.text, plain.text_len));
        fill(message, user_slot, std::move(user));
        auto bits = static_cast<size_t>(plain.info);
        fill(message, info_slot, bits < usual.size() ? usual[bits] : info_class(plain.info));
        return message;
    }

  private:
    py::object message_class, user_class, info_class;
    PyTypeObject *message_type, *user_type;
    Py_ssize_t text, user_slot, info_slot, name;
    std::array<py::object, 8> usual; // what the bits that have a name make
};

// A plain envelope's Message, None of any other str.
static PyObject* read(PyObject* capsule, PyObject* text) {
    Py_ssize_t length = 0;
    const char* json = PyUnicode_AsUTF8AndSize(text, &length);
    if (!json && !PyErr_ExceptionMatches(PyExc_UnicodeEncodeError)) return nullptr;
    PyErr_Clear(); // a lone surrogate
    ws_plain plain;
    if (!json || !ws_plain_read(&plain, json, static_cast<size_t>(length))) Py_RETURN_NONE;
    try {
        return static_cast<EnvelopeReader*>(PyCapsule_GetPointer(capsule, nullptr))->message_of(plain).release().ptr();
    } catch (py::error_already_set& error) {
        error.restore();
        return nullptr;
    }
}

static py::object envelope_reader(py::object message, py::object user, py::object info) {
    static PyMethodDef method = {"read_envelope", &read, METH_O, "Read a chat envelope that is written plainly."};
    auto reader = std::make_unique<EnvelopeReader>(std::move(message), std::move(user), std::move(info));
    py::capsule capsule(reader.get(), [](void* owned) { delete static_cast<EnvelopeReader*>(owned); });
    reader.release();
    PyObject* made = PyCFunction_New(&method, capsule.ptr());
    if (!made) throw py::error_already_set();
    return py::reinterpret_steal<py::object>(made);
}

void bind_envelopes(py::module_& m) {
    m.def("envelope_reader", &envelope_reader, py::arg("message"), py::arg("user"), py::arg("info"),
          "Make the function that reads chat envelopes which are written plainly.");
}
