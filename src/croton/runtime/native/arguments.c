/* From Python values to pointers and sizes.
 *
 * Arrays that fit are used where they are.  Python's and NumPy's scalars are
 * taken for inputs without dimensions as long as nothing is lost (or the
 * input's policy allows it).  Everything else goes through the callable's
 * `convert`, which returns an array that fits or raises.
 */
#include "croton.h"

#include <float.h>
#include <math.h>

static void shape_error(Frame *frame, const Argument *argument, PyArrayObject *array,
                        PyObject *name)
{
    PyObject *expected = PyList_New(0), *given = PyList_New(0);
    for (int d = 0; expected && given && d < argument->ndim; d++) {
        PyObject *want = argument->shape[d] < 0 ? Py_NewRef(Py_None)
                                                : PyLong_FromLongLong(argument->shape[d]);
        PyObject *got = PyLong_FromSsize_t(PyArray_DIM(array, d));
        if (!want || !got || PyList_Append(expected, want) < 0 || PyList_Append(given, got) < 0)
            Py_CLEAR(expected);
        Py_XDECREF(want);
        Py_XDECREF(got);
    }
    if (expected && given) {
        PyObject *a = PyList_AsTuple(expected), *b = PyList_AsTuple(given);
        if (a && b)
            PyErr_Format(PyExc_ValueError, "%U: %S has shape %R, expected %R (None: any)",
                         frame->callable->name, name, b, a);
        Py_XDECREF(a);
        Py_XDECREF(b);
    }
    Py_XDECREF(expected);
    Py_XDECREF(given);
}

/* Point the argument's buffer to an array of the right type, rank and layout.
 * The caller keeps the array alive.  `name` is for errors; NULL: a constant. */
int bind_array(Frame *frame, const Argument *argument, PyArrayObject *array, PyObject *name)
{
    const npy_intp *shape = PyArray_DIMS(array);
    if (argument->fixed) {
        for (int d = 0; d < argument->ndim; d++) {
            if (UNLIKELY(argument->shape[d] >= 0 && argument->shape[d] != shape[d])) {
                PyObject *text = name ? Py_NewRef(name) : PyUnicode_FromString("a constant");
                if (text)
                    shape_error(frame, argument, array, text);
                Py_XDECREF(text);
                return -1;
            }
        }
    }
    frame->buffers[argument->buffer] = PyArray_DATA(array);
    frame->bytes[argument->buffer] = PyArray_NBYTES(array);
    if (argument->first_register >= 0)
        for (int d = 0; d < argument->ndim; d++)
            frame->registers[argument->first_register + d] = shape[d];
    return 0;
}

/* ---- scalars -------------------------------------------------------------------- */

/* 1: stored; 0: not without loss, or not of a type that this function knows. */
static int store_integer(const Argument *input, void *target, long long value)
{
#define STORE_INTEGER(ctype, least, most)                                                    \
    if (value < (least) || value > (most))                                                   \
        return 0;                                                                            \
    *(ctype *)target = (ctype)value;                                                         \
    return 1
    switch (input->type) {
    case NPY_INT8: STORE_INTEGER(int8_t, INT8_MIN, INT8_MAX);
    case NPY_INT16: STORE_INTEGER(int16_t, INT16_MIN, INT16_MAX);
    case NPY_INT32: STORE_INTEGER(int32_t, INT32_MIN, INT32_MAX);
    case NPY_INT64: STORE_INTEGER(int64_t, INT64_MIN, INT64_MAX);
    case NPY_UINT8: STORE_INTEGER(uint8_t, 0, UINT8_MAX);
    case NPY_UINT16: STORE_INTEGER(uint16_t, 0, UINT16_MAX);
    case NPY_UINT32: STORE_INTEGER(uint32_t, 0, UINT32_MAX);
    case NPY_UINT64: STORE_INTEGER(uint64_t, 0, INT64_MAX);
    case NPY_FLOAT32: STORE_INTEGER(float, -(1LL << FLT_MANT_DIG), 1LL << FLT_MANT_DIG);
    case NPY_FLOAT64: STORE_INTEGER(double, -(1LL << DBL_MANT_DIG), 1LL << DBL_MANT_DIG);
    default: return 0;
    }
#undef STORE_INTEGER
}

static int store_float(const Argument *input, void *target, double value, bool may_round)
{
    if (input->type == NPY_FLOAT64) {
        *(double *)target = value;
        return 1;
    }
    if (input->type == NPY_FLOAT32) {
        if (!may_round && value == value &&
            (fabs(value) > (double)FLT_MAX ? !isinf(value) : (double)(float)value != value))
            return 0;
        *(float *)target = (float)value;
        return 1;
    }
    return 0;
}

static int store_bool(const Argument *input, void *target, bool value)
{
    if (input->type != NPY_BOOL)
        return store_integer(input, target, value);
    *(npy_bool *)target = value;
    return 1;
}

static int store_scalar(const Argument *input, void *target, PyObject *value)
{
    PyTypeObject *type = Py_TYPE(value);
    bool downcast = input->policy == POLICY_DOWNCAST;
    if (type == &PyFloat_Type)
        return store_float(input, target, PyFloat_AS_DOUBLE(value),
                           downcast || input->policy == POLICY_FLOAT);
    if (type == &PyLong_Type) {
        int overflow;
        long long integer = PyLong_AsLongLongAndOverflow(value, &overflow);
        return !overflow && store_integer(input, target, integer);
    }
    if (type == &PyBool_Type)
        return store_bool(input, target, value == Py_True);
    if (type == &PyDoubleArrType_Type)
        return store_float(input, target, PyArrayScalar_VAL(value, Double), downcast);
    if (type == &PyFloatArrType_Type)
        return store_float(input, target, PyArrayScalar_VAL(value, Float), downcast);
    if (type == &PyBoolArrType_Type)
        return store_bool(input, target, PyArrayScalar_VAL(value, Bool) != 0);
#define STORE_NUMPY_INTEGER(name)                                                            \
    if (type == &Py##name##ArrType_Type)                                                     \
        return store_integer(input, target, (long long)PyArrayScalar_VAL(value, name))
    STORE_NUMPY_INTEGER(Long);
    STORE_NUMPY_INTEGER(LongLong);
    STORE_NUMPY_INTEGER(Int);
    STORE_NUMPY_INTEGER(Short);
    STORE_NUMPY_INTEGER(Byte);
    STORE_NUMPY_INTEGER(UInt);
    STORE_NUMPY_INTEGER(UShort);
    STORE_NUMPY_INTEGER(UByte);
#undef STORE_NUMPY_INTEGER
    return 0;
}

/* ---- inputs --------------------------------------------------------------------- */

static inline bool fits(const Argument *argument, PyObject *value)
{
    PyArrayObject *array = (PyArrayObject *)value;
    return PyArray_CheckExact(value) && PyArray_TYPE(array) == argument->type &&
           PyArray_NDIM(array) == argument->ndim && PyArray_ISCARRAY_RO(array);
}

/* A new reference to an array that fits, whatever it takes. */
static PyObject *converted(Frame *frame, int64_t position, PyObject *value)
{
    Callable *callable = frame->callable;
    const Argument *input = &callable->plan.inputs[position];
    PyObject *result;
    PyArrayObject *array = (PyArrayObject *)value;
    if (PyArray_CheckExact(value) && PyArray_TYPE(array) == input->type &&
        PyArray_NDIM(array) == input->ndim) {
        result = Py_NewRef(value);
    }
    else {
        result = PyObject_CallFunction(callable->convert, "LO", (long long)position, value);
        if (!result || fits(input, result))
            return result;
    }
    if (PyArray_Check(result) && PyArray_NDIM((PyArrayObject *)result) == input->ndim &&
        PyArray_EquivTypenums(PyArray_TYPE((PyArrayObject *)result), input->type)) {
        Py_SETREF(result, (PyObject *)laid_out((PyArrayObject *)result, input->type,
                                               NPY_ARRAY_CARRAY_RO));
        if (!result || fits(input, result))
            return result;
    }
    PyErr_Format(PyExc_TypeError,
                 "%U: the conversion of %S gave %.200s, expected an ndarray of its type",
                 callable->name, PyTuple_GET_ITEM(callable->names, position),
                 Py_TYPE(result)->tp_name);
    Py_DECREF(result);
    return NULL;
}

static int bind_input(Frame *frame, int64_t position, PyObject *value)
{
    Callable *callable = frame->callable;
    const Argument *input = &callable->plan.inputs[position];
    if (input->buffer < 0)
        return 0;
    if (input->ndim == 0 && input->policy != POLICY_STRICT && !PyArray_Check(value)) {
        void *target = frame->scalars + position * SCALAR_BYTES;
        if (LIKELY(store_scalar(input, target, value))) {
            frame->buffers[input->buffer] = target;
            frame->bytes[input->buffer] = callable->plan.buffers[input->buffer].itemsize;
            return 0;
        }
    }
    PyObject *array = LIKELY(fits(input, value)) ? Py_NewRef(value)
                                                 : converted(frame, position, value);
    if (!array)
        return -1;
    frame->held[position] = array;
    return bind_array(frame, input, (PyArrayObject *)array,
                      PyTuple_GET_ITEM(callable->names, position));
}

int bind_inputs(Frame *frame, PyObject *const *values)
{
    int64_t n = frame->callable->plan.input_count;
    for (int64_t i = 0; i < n; i++)
        if (UNLIKELY(bind_input(frame, i, values[i]) < 0))
            return -1;
    return 0;
}

/* ---- shared variables ------------------------------------------------------------ */

/* An input that lies in the memory of a variable that is updated in place must be copied:
 * kernels rely on their buffers being apart. */
static int separate_inputs(Frame *frame, PyArrayObject *updated)
{
    const Plan *plan = &frame->callable->plan;
    char *start = PyArray_DATA(updated), *end = start + PyArray_NBYTES(updated);
    for (int64_t i = 0; i < plan->input_count; i++) {
        PyArrayObject *array = (PyArrayObject *)frame->held[i];
        if (!array)
            continue;
        char *data = PyArray_DATA(array);
        if (LIKELY(data >= end || start >= data + PyArray_NBYTES(array)))
            continue;
        PyObject *copy = PyArray_NewCopy(array, NPY_CORDER);
        if (!copy)
            return -1;
        frame->held[i] = copy;
        Py_DECREF(array);
        frame->buffers[plan->inputs[i].buffer] = PyArray_DATA((PyArrayObject *)copy);
    }
    return 0;
}

/* With the cells marked: take their arrays. */
int bind_shared(Frame *frame)
{
    Callable *callable = frame->callable;
    const Plan *plan = &callable->plan;
    for (int64_t i = 0; i < plan->shared_count; i++) {
        const Argument *argument = &plan->shared[i];
        PyArrayObject *array = callable->cells[argument->position]->array;
        frame->held[plan->input_count + i] = Py_NewRef((PyObject *)array);
        const Cell *cell = callable->cells[argument->position];
        frame->versions[i] = cell->exposed ? 0 : cell->version;
        PyObject *name = PyTuple_GET_ITEM(callable->names, plan->input_count + i);
        if (UNLIKELY(bind_array(frame, argument, array, name) < 0))
            return -1;
    }
    if (plan->writes_in_place)
        for (int64_t i = 0; i < plan->update_count; i++)
            if (plan->updates[i].in_place &&
                separate_inputs(frame, callable->cells[plan->updates[i].position]->array) < 0)
                return -1;
    return 0;
}
