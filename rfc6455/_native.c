/* The hot functions of masking.py and whole.py in C, with the same results and errors. */

#include <Python.h>
#include <stdint.h>
#include <string.h>

enum { MAX_PARSED = 64, WHOLE_TEXT = 0x81, WHOLE_BINARY = 0x82 };

static PyObject *refuse(PyObject *kind, const char *message)
{
    PyErr_SetString(kind, message);
    return NULL;
}

/* Eight octets a turn: compilers make vector instructions of this, and not of `key[i & 3]` octet by octet.
   Returns the bitwise or of all that was written. */
static uint64_t apply(const char *from, Py_ssize_t size, const char *key, unsigned phase, char *restrict to)
{
    char repeated[8];
    uint64_t pattern, octets, seen = 0;
    Py_ssize_t i = 0;
    for (unsigned k = 0; k < 8; k++)
        repeated[k] = key[(phase + k) & 3];
    memcpy(&pattern, repeated, 8);
    for (; i + 8 <= size; i += 8) {
        memcpy(&octets, from + i, 8);
        octets ^= pattern;
        seen |= octets;
        memcpy(to + i, &octets, 8);
    }
    for (; i < size; i++) {
        to[i] = from[i] ^ repeated[i & 7];
        seen |= (unsigned char)to[i];
    }
    return seen;
}

/* What is beyond Py_ssize_t is clipped. */
static int parse_sizes(PyObject *const *args, int count, Py_ssize_t *sizes)
{
    for (int i = 0; i < count; i++) {
        int beyond;
        const long long size = PyLong_AsLongLongAndOverflow(args[i], &beyond);
        if (size == -1 && PyErr_Occurred())
            return -1;
        sizes[i] = beyond < 0 || size < PY_SSIZE_T_MIN ? PY_SSIZE_T_MIN
                   : beyond || size > PY_SSIZE_T_MAX   ? PY_SSIZE_T_MAX
                                                       : (Py_ssize_t)size;
    }
    return 0;
}

static PyObject *mask(PyObject *module, PyObject *const *args, Py_ssize_t count)
{
    Py_ssize_t bounds[2];
    if (count != 5 || !PyBytes_Check(args[0]) || !PyBytes_Check(args[3]))
        return refuse(PyExc_TypeError, "expected data, start, stop, key, phase");
    if (parse_sizes(args + 1, 2, bounds) < 0)
        return NULL;
    if (bounds[0] < 0 || bounds[0] > bounds[1] || bounds[1] > PyBytes_GET_SIZE(args[0]))
        return refuse(PyExc_ValueError, "the bounds must lie within the data");
    if (PyBytes_GET_SIZE(args[3]) != 4)
        return refuse(PyExc_ValueError, "a masking key has four octets");
    unsigned phase = PyLong_AsUnsignedLongMask(args[4]) & 3;
    if (PyErr_Occurred())
        return NULL;
    const Py_ssize_t size = bounds[1] - bounds[0];
    PyObject *payload = PyBytes_FromStringAndSize(NULL, size);
    if (payload)
        apply(PyBytes_AS_STRING(args[0]) + bounds[0], size, PyBytes_AS_STRING(args[3]), phase,
              PyBytes_AS_STRING(payload));
    return payload;
}

typedef struct {
    const char *key, *payload;
    Py_ssize_t length, stop;
    int is_text;
} Frame;

/* Read the head of a whole message at data[position]; 0 if it isn't one, or not all here. */
static int parse_head(const char *data, Py_ssize_t size, Py_ssize_t position, Py_ssize_t mask_bit, Frame *frame)
{
    Py_ssize_t left = size - position - 2;
    if (left < 0)
        return 0;
    const unsigned char *at = (const unsigned char *)data + position;
    if (at[0] != WHOLE_TEXT && at[0] != WHOLE_BINARY)
        return 0;
    frame->is_text = at[0] == WHOLE_TEXT;
    /* A frame masked by the wrong role looks too long here. */
    uint64_t length = at[1] ^ (mask_bit ? 0x80 : 0);
    at += 2;
    if (length > 125) {
        const int width = length == 126 ? 2 : length == 127 ? 8 : 0;
        if (!width || left < width)
            return 0;
        length = 0;
        for (int i = 0; i < width; i++)
            length = length << 8 | at[i];
        if (length < (width == 2 ? 126 : 65536))
            return 0;
        at += width;
        left -= width;
    }
    frame->key = NULL;
    if (mask_bit) {
        frame->key = (const char *)at;
        at += 4;
        left -= 4;
    }
    if (left < 0 || length > (uint64_t)left)
        return 0;
    frame->payload = (const char *)at;
    frame->length = (Py_ssize_t)length;
    frame->stop = size - left + frame->length;
    return 1;
}

static PyObject *text_of(const Frame *frame)
{
    /* The shortest texts are objects that Python keeps. */
    char shortest = 0;
    if (frame->length < 2) {
        if (frame->length)
            shortest = frame->payload[0] ^ (frame->key ? frame->key[0] : 0);
        return PyUnicode_DecodeUTF8(&shortest, frame->length, "strict");
    }
    if (!frame->key)
        return PyUnicode_DecodeUTF8(frame->payload, frame->length, "strict");
    /* Unmasked to where it stays if it is ASCII. */
    PyObject *text = PyUnicode_New(frame->length, 127);
    if (!text)
        return NULL;
    char *octets = (char *)PyUnicode_1BYTE_DATA(text);
    if (apply(frame->payload, frame->length, frame->key, 0, octets) & 0x8080808080808080u) {
        PyObject *ascii = text;
        text = PyUnicode_DecodeUTF8(octets, frame->length, "strict");
        Py_DECREF(ascii);
    }
    return text;
}

static PyObject *message_of(const Frame *frame)
{
    if (frame->is_text)
        return text_of(frame);
    PyObject *payload = PyBytes_FromStringAndSize(frame->key ? NULL : frame->payload, frame->length);
    if (payload && frame->key)
        apply(frame->payload, frame->length, frame->key, 0, PyBytes_AS_STRING(payload));
    return payload;
}

/* 8.1: who reads a text in parts finds that it isn't UTF-8, too, and fails the connection. */
static int forgive(void)
{
    if (!PyErr_ExceptionMatches(PyExc_UnicodeDecodeError))
        return -1;
    PyErr_Clear();
    return 0;
}

static PyObject *parse_message(PyObject *module, PyObject *const *args, Py_ssize_t count)
{
    Py_ssize_t mask_bit;
    if (count != 2 || !PyBytes_Check(args[0]))
        return refuse(PyExc_TypeError, "expected data, mask_bit");
    if (parse_sizes(args + 1, 1, &mask_bit) < 0)
        return NULL;
    const Py_ssize_t size = PyBytes_GET_SIZE(args[0]);
    Frame frame;
    if (!parse_head(PyBytes_AS_STRING(args[0]), size, 0, mask_bit, &frame) || frame.stop != size
        || frame.length > 125)
        Py_RETURN_NONE;
    PyObject *message = message_of(&frame);
    if (!message && forgive() == 0)
        Py_RETURN_NONE;
    return message;
}

static PyObject *parse_messages(PyObject *module, PyObject *const *args, Py_ssize_t count)
{
    Py_ssize_t sizes[4];
    if (count != 5 || !PyBytes_Check(args[0]))
        return refuse(PyExc_TypeError, "expected data, position, mask_bit, max_message_size, most");
    if (parse_sizes(args + 1, 4, sizes) < 0)
        return NULL;
    const Py_ssize_t size = PyBytes_GET_SIZE(args[0]);
    Py_ssize_t stop = sizes[0];
    if (stop < 0 || stop > size)
        return refuse(PyExc_ValueError, "the position must lie within the data");

    PyObject *found[MAX_PARSED];
    int parsed = 0;
    Frame frame;
    while (parsed < MAX_PARSED && parsed < sizes[3]
           && parse_head(PyBytes_AS_STRING(args[0]), size, stop, sizes[1], &frame) && frame.length <= sizes[2]) {
        found[parsed] = message_of(&frame);
        if (!found[parsed])
            break;
        parsed++;
        stop = frame.stop;
    }

    PyObject *result = NULL;
    if (!PyErr_Occurred() || forgive() == 0)
        result = Py_BuildValue("Nn", PyList_New(parsed), stop);
    for (int i = 0; i < parsed; i++) {
        if (result)
            PyList_SET_ITEM(PyTuple_GET_ITEM(result, 0), parsed - 1 - i, found[i]);
        else
            Py_DECREF(found[i]);
    }
    return result;
}

#if PY_VERSION_HEX < 0x030d0000
/* Without the free-threaded build nobody else runs meanwhile. */
#define Py_BEGIN_CRITICAL_SECTION(object) {
#define Py_END_CRITICAL_SECTION() }
#endif

/* A piece's octets, and whether it still lacks its head. */
static const char *octets_of(PyObject *piece, Py_ssize_t *size, int *headless)
{
    *headless = !PyBytes_Check(piece);
    if (!*headless) {
        *size = PyBytes_GET_SIZE(piece);
        return PyBytes_AS_STRING(piece);
    }
    if (!PyUnicode_Check(piece))
        return (const char *)refuse(PyExc_TypeError, "a piece must be bytes or str");
    if (!PyUnicode_IS_ASCII(piece))
        return (const char *)refuse(PyExc_ValueError, "a text without a head must be ASCII");
    *size = PyUnicode_GET_LENGTH(piece);
    return (const char *)PyUnicode_1BYTE_DATA(piece);
}

/* 5.2: the shortest form that holds the length. */
static char *write_head(char *to, Py_ssize_t length)
{
    *to++ = (char)WHOLE_TEXT;
    if (length < 126) {
        *to++ = (char)length;
        return to;
    }
    const int width = length < 65536 ? 2 : 8;
    *to++ = width == 2 ? 126 : 127;
    for (int i = width - 1; i >= 0; i--)
        *to++ = (char)((uint64_t)length >> 8 * i);
    return to;
}

static PyObject *joined(PyObject *pieces)
{
    const Py_ssize_t count = PyList_GET_SIZE(pieces);
    Py_ssize_t total = 0, size;
    int headless;
    for (Py_ssize_t i = 0; i < count; i++) {
        if (!octets_of(PyList_GET_ITEM(pieces, i), &size, &headless))
            return NULL;
        const Py_ssize_t head = !headless ? 0 : size < 126 ? 2 : size < 65536 ? 4 : 10;
        if (size > PY_SSIZE_T_MAX - head - total)
            return PyErr_NoMemory();
        total += head + size;
    }
    if (count == 1 && PyBytes_CheckExact(PyList_GET_ITEM(pieces, 0)))
        return Py_NewRef(PyList_GET_ITEM(pieces, 0));
    PyObject *frames = PyBytes_FromStringAndSize(NULL, total);
    if (!frames)
        return NULL;
    char *to = PyBytes_AS_STRING(frames);
    for (Py_ssize_t i = 0; i < count; i++) {
        const char *from = octets_of(PyList_GET_ITEM(pieces, i), &size, &headless);
        if (headless)
            to = write_head(to, size);
        memcpy(to, from, size);
        to += size;
    }
    return frames;
}

static PyObject *join_frames(PyObject *module, PyObject *pieces)
{
    PyObject *frames;
    if (!PyList_Check(pieces))
        return refuse(PyExc_TypeError, "expected a list");
    Py_BEGIN_CRITICAL_SECTION(pieces);
    frames = joined(pieces);
    Py_END_CRITICAL_SECTION();
    return frames;
}

static PyMethodDef methods[] = {
    {"mask", (PyCFunction)(void (*)(void))mask, METH_FASTCALL, NULL},
    {"join_frames", join_frames, METH_O, NULL},
    {"parse_message", (PyCFunction)(void (*)(void))parse_message, METH_FASTCALL, NULL},
    {"parse_messages", (PyCFunction)(void (*)(void))parse_messages, METH_FASTCALL, NULL},
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
    PyModuleDef_HEAD_INIT, .m_name = "_native", .m_methods = methods, .m_slots = slots,
};

PyMODINIT_FUNC PyInit__native(void)
{
    return PyModuleDef_Init(&definition);
}
