/* Masking (5.3) in C: the same three functions as masking.py, with the same results and errors. */

#include <Python.h>
#include <stdint.h>
#include <string.h>

enum { STACK_SIZE = 4096 };

typedef struct {
    const char *from, *key;
    Py_ssize_t size;
    unsigned phase;
} Span;

static int refuse(PyObject *kind, const char *message)
{
    PyErr_SetString(kind, message);
    return -1;
}

/* The arguments that all share: data, start, stop. The key is the four octets before start. */
static int parse_span(PyObject *const *args, Py_ssize_t count, Py_ssize_t expected, Span *span)
{
    if (count != expected)
        return refuse(PyExc_TypeError, "wrong number of arguments");
    if (!PyBytes_Check(args[0]))
        return refuse(PyExc_TypeError, "the data must be bytes");
    /* Without an exception to raise, an int beyond Py_ssize_t is clipped, and so out of bounds. */
    Py_ssize_t start = PyNumber_AsSsize_t(args[1], NULL);
    Py_ssize_t stop = PyNumber_AsSsize_t(args[2], NULL);
    if (PyErr_Occurred())
        return -1;
    if (start < 0 || start > stop || stop > PyBytes_GET_SIZE(args[0]))
        return refuse(PyExc_ValueError, "the bounds must lie within the data");
    const char *from = PyBytes_AS_STRING(args[0]) + start;
    *span = (Span){from, start < 4 ? NULL : from - 4, stop - start, 0};
    return 0;
}

static int parse_framed(PyObject *const *args, Py_ssize_t count, Span *span)
{
    if (parse_span(args, count, 3, span) < 0)
        return -1;
    return span->key ? 0 : refuse(PyExc_ValueError, "a masking key has four octets");
}

static int parse_keyed(PyObject *const *args, Py_ssize_t count, Span *span)
{
    if (parse_span(args, count, 5, span) < 0)
        return -1;
    if (!PyBytes_Check(args[3]))
        return refuse(PyExc_TypeError, "the key must be bytes");
    if (PyBytes_GET_SIZE(args[3]) != 4)
        return refuse(PyExc_ValueError, "a masking key has four octets");
    span->key = PyBytes_AS_STRING(args[3]);
    span->phase = PyLong_AsUnsignedLongMask(args[4]) & 3;
    return PyErr_Occurred() ? -1 : 0;
}

/* Eight octets a turn: compilers make vector instructions of this, and not of `key[i & 3]` octet by octet. */
static void apply(const Span *span, char *restrict to)
{
    char repeated[8];
    uint64_t pattern, octets;
    Py_ssize_t i = 0;
    for (unsigned k = 0; k < 8; k++)
        repeated[k] = span->key[(span->phase + k) & 3];
    memcpy(&pattern, repeated, 8);
    for (; i + 8 <= span->size; i += 8) {
        memcpy(&octets, span->from + i, 8);
        octets ^= pattern;
        memcpy(to + i, &octets, 8);
    }
    for (; i < span->size; i++)
        to[i] = span->from[i] ^ repeated[i & 7];
}

static PyObject *masked(const Span *span)
{
    PyObject *payload = PyBytes_FromStringAndSize(NULL, span->size);
    if (payload)
        apply(span, PyBytes_AS_STRING(payload));
    return payload;
}

static PyObject *mask(PyObject *module, PyObject *const *args, Py_ssize_t count)
{
    Span span;
    return parse_keyed(args, count, &span) < 0 ? NULL : masked(&span);
}

static PyObject *frame_payload(PyObject *module, PyObject *const *args, Py_ssize_t count)
{
    Span span;
    return parse_framed(args, count, &span) < 0 ? NULL : masked(&span);
}

static PyObject *frame_text(PyObject *module, PyObject *const *args, Py_ssize_t count)
{
    Span span;
    if (parse_framed(args, count, &span) < 0)
        return NULL;
    char stack[STACK_SIZE];
    char *payload = span.size <= STACK_SIZE ? stack : PyMem_Malloc(span.size);
    if (!payload)
        return PyErr_NoMemory();
    apply(&span, payload);
    PyObject *text = PyUnicode_DecodeUTF8(payload, span.size, "strict");
    if (payload != stack)
        PyMem_Free(payload);
    return text;
}

static PyMethodDef methods[] = {
    {"mask", (PyCFunction)(void (*)(void))mask, METH_FASTCALL, NULL},
    {"frame_payload", (PyCFunction)(void (*)(void))frame_payload, METH_FASTCALL, NULL},
    {"frame_text", (PyCFunction)(void (*)(void))frame_text, METH_FASTCALL, NULL},
    {NULL, NULL, 0, NULL},
};

static PyModuleDef_Slot slots[] = {
#if PY_VERSION_HEX >= 0x030c0000
    {Py_mod_multiple_interpreters, Py_MOD_PER_INTERPRETER_GIL_SUPPORTED},
#endif
#if PY_VERSION_HEX >= 0x030d0000
    {Py_mod_gil, Py_MOD_GIL_NOT_USED},
#endif
    {0, NULL},
};

static PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, .m_name = "_masking", .m_methods = methods, .m_slots = slots,
};

PyMODINIT_FUNC PyInit__masking(void)
{
    return PyModuleDef_Init(&definition);
}
