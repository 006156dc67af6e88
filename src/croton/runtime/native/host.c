/* The instructions that call Python. */
#include "croton.h"

#include <string.h>

_Thread_local Frame *innermost_frame = NULL;

/* An array on a buffer's memory that keeps the memory alive for as long as somebody has it. */
static PyObject *array_on(Frame *frame, int64_t buffer, int type, int ndim, const npy_intp *shape,
                          int64_t bytes)
{
    const BufferPlan *plan = &frame->callable->plan.buffers[buffer];
    PyObject *base = NULL;
    Block *block = NULL;
    int flags = NPY_ARRAY_CARRAY;
    switch (plan->kind) {
    case KIND_ARGUMENT:
        base = Py_XNewRef(frame->held[plan->place]);
        flags = NPY_ARRAY_CARRAY_RO;
        break;
    case KIND_TEMPORARY: block = frame->slots[plan->place]; break;
    case KIND_OUTPUT: block = frame->outputs[plan->place]; break;
    case KIND_HOSTED: base = Py_XNewRef(frame->hosted[plan->place]); break;
    default: break;
    }
    if (block) {
        block_hold(block);
        if (!(base = buffer_new(block)))
            return NULL;
    }
    if (!base) { /* a scalar, or a small output: a copy is cheap */
        PyObject *copy = array_new(type, ndim, shape, (size_t)bytes);
        if (copy)
            memcpy(PyArray_DATA((PyArrayObject *)copy), frame->buffers[buffer], (size_t)bytes);
        return copy;
    }
    PyObject *array = PyArray_NewFromDescr(&PyArray_Type, PyArray_DescrFromType(type), ndim, shape,
                                           NULL, frame->buffers[buffer], flags, NULL);
    if (!array) {
        Py_DECREF(base);
        return NULL;
    }
    if (PyArray_SetBaseObject((PyArrayObject *)array, base) < 0)
        Py_CLEAR(array);
    return array;
}

/* words: buffer, type, itemsize, ndim, shape registers... */
static PyObject *input_array(Frame *frame, const int64_t *words)
{
    npy_intp shape[NPY_MAXDIMS];
    int64_t bytes = words[2];
    for (int d = 0; d < words[3]; d++) {
        shape[d] = frame->registers[words[4 + d]];
        if (shape[d] < 0 || __builtin_mul_overflow(bytes, shape[d], &bytes)) {
            PyErr_Format(PyExc_ValueError, "%U: a host function's input has no such shape",
                         frame->callable->name);
            return NULL;
        }
    }
    if (bytes > frame->bytes[words[0]]) {
        PyErr_Format(PyExc_ValueError, "%U: a host function's input is larger than its buffer",
                     frame->callable->name);
        return NULL;
    }
    return array_on(frame, words[0], (int)words[1], (int)words[3], shape, bytes);
}

static bool overlaps(PyArrayObject *array, PyObject *inputs)
{
    char *start = PyArray_DATA(array), *end = start + PyArray_NBYTES(array);
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(inputs); i++) {
        PyArrayObject *input = (PyArrayObject *)PyTuple_GET_ITEM(inputs, i);
        char *data = PyArray_DATA(input);
        if (data < end && start < data + PyArray_NBYTES(input))
            return true;
    }
    return false;
}

/* Keep a result in the frame.  A view of an input is copied: the input's memory may be
 * used for something else before the call ends. */
static int take_result(Frame *frame, const int64_t *words, PyObject *result, PyObject *inputs)
{
    Callable *callable = frame->callable;
    PyArrayObject *array = (PyArrayObject *)result;
    if (!PyArray_Check(result) ||
        !PyArray_EquivTypenums(PyArray_TYPE(array), (int)words[1]) ||
        PyArray_NDIM(array) != words[3]) {
        PyArray_Descr *descr = PyArray_DescrFromType((int)words[1]);
        PyErr_Format(PyExc_TypeError,
                     "%U: a host function gave %R, expected an array of %S with %lld dimensions",
                     callable->name, (PyObject *)Py_TYPE(result), (PyObject *)descr,
                     (long long)words[3]);
        Py_XDECREF(descr);
        return -1;
    }
    int flags = NPY_ARRAY_CARRAY_RO | (overlaps(array, inputs) ? NPY_ARRAY_ENSURECOPY : 0);
    array = laid_out(array, (int)words[1], flags);
    if (!array)
        return -1;
    int64_t buffer = words[0];
    Py_XSETREF(frame->hosted[callable->plan.buffers[buffer].place], (PyObject *)array);
    frame->buffers[buffer] = PyArray_DATA(array);
    frame->bytes[buffer] = PyArray_NBYTES(array);
    for (int d = 0; d < words[3]; d++)
        frame->registers[words[4 + d]] = PyArray_DIM(array, d);
    return 0;
}

static PyObject *call(Frame *frame, PyObject *function, PyObject *arguments)
{
    frame->outer = innermost_frame;
    innermost_frame = frame;
    PyObject *result = PyObject_CallObject(function, arguments);
    innermost_frame = frame->outer;
    return result;
}

/* words: function, inputs, outputs, then each input and output (see above). */
int host_call(Frame *frame, const int64_t *words)
{
    PyObject *function = PyTuple_GET_ITEM(frame->callable->hosts, words[0]);
    int64_t input_count = words[1], output_count = words[2];
    words += 3;
    PyObject *inputs = PyTuple_New(input_count);
    if (!inputs)
        return -1;
    for (int64_t i = 0; i < input_count; i++) {
        PyObject *array = input_array(frame, words);
        if (!array) {
            Py_DECREF(inputs);
            return -1;
        }
        PyTuple_SET_ITEM(inputs, i, array);
        words += 4 + words[3];
    }
    PyObject *results = call(frame, function, inputs);
    int status = -1;
    if (!results)
        goto done;
    PyObject *sequence = PySequence_Fast(results, "a host function gives a sequence of arrays");
    Py_DECREF(results);
    if (!sequence)
        goto done;
    if (PySequence_Fast_GET_SIZE(sequence) != output_count) {
        PyErr_Format(PyExc_ValueError, "%U: a host function gave %zd results, expected %lld",
                     frame->callable->name, PySequence_Fast_GET_SIZE(sequence),
                     (long long)output_count);
    }
    else {
        status = 0;
        for (int64_t i = 0; i < output_count && status == 0; i++) {
            status = take_result(frame, words, PySequence_Fast_GET_ITEM(sequence, i), inputs);
            words += 4 + words[3];
        }
    }
    Py_DECREF(sequence);
done:
    Py_DECREF(inputs);
    return status;
}

/* words: function, place of what is remembered, count, registers...  What is remembered is the
 * answer, whether there is one, and the numbers that it is about. */
int host_ask(Frame *frame, const int64_t *words)
{
    PyObject *function = PyTuple_GET_ITEM(frame->callable->hosts, words[0]);
    int64_t *known = frame->words + words[1], count = words[2];
    PyObject *about = PyTuple_New(count);
    if (!about)
        return -1;
    known[1] = 0;
    for (int64_t i = 0; i < count; i++) {
        known[2 + i] = frame->registers[words[3 + i]];
        PyObject *number = PyLong_FromLongLong(known[2 + i]);
        if (!number) {
            Py_DECREF(about);
            return -1;
        }
        PyTuple_SET_ITEM(about, i, number);
    }
    PyObject *answer = call(frame, function, about);
    Py_DECREF(about);
    if (!answer)
        return -1;
    known[0] = PyLong_AsLongLong(answer);
    Py_DECREF(answer);
    if (known[0] == -1 && PyErr_Occurred())
        return -1;
    known[1] = 1;
    return 0;
}

PyObject *host_registers(Frame *frame)
{
    int64_t n = frame->callable->plan.registers;
    PyObject *registers = PyTuple_New(n);
    for (int64_t i = 0; registers && i < n; i++) {
        PyObject *value = PyLong_FromLongLong(frame->registers[i]);
        if (!value)
            Py_CLEAR(registers);
        else
            PyTuple_SET_ITEM(registers, i, value);
    }
    return registers;
}

/* Take over the addresses of all kernels; several threads may do so at once, with the same. */
static int take_addresses(Plan *plan, PyObject *sequence)
{
    if (PySequence_Fast_GET_SIZE(sequence) != plan->kernel_count) {
        PyErr_Format(PyExc_ValueError, "%zd addresses for %lld kernels",
                     PySequence_Fast_GET_SIZE(sequence), (long long)plan->kernel_count);
        return -1;
    }
    for (int64_t i = 0; i < plan->kernel_count; i++) {
        int64_t address = PyLong_AsLongLong(PySequence_Fast_GET_ITEM(sequence, i));
        if (address == -1 && PyErr_Occurred())
            return -1;
        _Atomic(int64_t) *place = (_Atomic(int64_t) *)&plan->kernels[i];
        if (address)
            atomic_store_explicit(place, address, memory_order_release);
    }
    return 0;
}

Kernel host_link(Frame *frame, int64_t number, int64_t kernel)
{
    Callable *callable = frame->callable;
    PyObject *registers = host_registers(frame);
    if (!registers)
        return NULL;
    PyObject *arguments = Py_BuildValue("LLN", (long long)number, (long long)kernel, registers);
    PyObject *given = arguments ? call(frame, callable->link, arguments) : NULL;
    PyObject *addresses = given ? PySequence_Fast(given, "linking gives addresses") : NULL;
    Py_XDECREF(arguments);
    Py_XDECREF(given);
    if (!addresses)
        return NULL;
    int status = take_addresses(&callable->plan, addresses);
    Py_DECREF(addresses);
    if (status < 0)
        return NULL;
    Kernel found = plan_kernel(&callable->plan, kernel);
    if (!found)
        PyErr_Format(PyExc_RuntimeError, "%U: kernel %lld was not linked", callable->name,
                     (long long)kernel);
    return found;
}
