/* The end of a call: results for the caller, new values for the shared variables. */
#include "croton.h"

#include <string.h>

static int read_shape(Frame *frame, int64_t buffer, int ndim, const int64_t *registers,
                      int itemsize, npy_intp *shape, int64_t *bytes)
{
    *bytes = itemsize;
    bool valid = true;
    for (int d = 0; d < ndim; d++) {
        shape[d] = frame->registers[registers[d]];
        valid &= shape[d] >= 0 && !__builtin_mul_overflow(*bytes, shape[d], bytes);
    }
    if (LIKELY(valid && *bytes <= frame->bytes[buffer]))
        return 0;
    PyErr_Format(PyExc_ValueError, "%U: a result's shape does not fit its memory",
                 frame->callable->name);
    return -1;
}

static PyObject *copied(Frame *frame, int64_t buffer, int type, int ndim, const npy_intp *shape,
                        int64_t bytes)
{
    PyObject *array = array_new(type, ndim, shape, (size_t)bytes);
    if (LIKELY(array != NULL))
        memcpy(PyArray_DATA((PyArrayObject *)array), frame->buffers[buffer], (size_t)bytes);
    return array;
}

/* What a host function gave, if nobody else has it and it is as it should be; else NULL. */
static PyObject *taken_from_host(Frame *frame, int64_t place, int ndim, const npy_intp *shape)
{
    PyArrayObject *array = (PyArrayObject *)frame->hosted[place];
    if (!array || Py_REFCNT(array) != 1 || PyArray_BASE(array) ||
        !PyArray_CHKFLAGS(array, NPY_ARRAY_OWNDATA | NPY_ARRAY_WRITEABLE) ||
        PyArray_NDIM(array) != ndim || !PyArray_CompareLists(PyArray_DIMS(array), shape, ndim))
        return NULL;
    frame->hosted[place] = NULL;
    return (PyObject *)array;
}

/* The output in whose memory a view lies, if it takes up most of that; else NULL. */
static Block **output_around(Frame *frame, const char *data, int64_t bytes)
{
    const Plan *plan = &frame->callable->plan;
    for (int64_t i = 0; i < plan->outputs_held; i++) {
        const Block *block = frame->outputs[i];
        if (block && data >= block->data && data + bytes <= block->data + block->capacity &&
            (size_t)bytes >= block->capacity / 2)
            return &frame->outputs[i];
    }
    return NULL;
}

/* An array with a buffer's content that belongs to nobody else. */
static PyObject *own_array(Frame *frame, int64_t buffer, int type, int ndim,
                           const npy_intp *shape, int64_t bytes)
{
    const BufferPlan *plan = &frame->callable->plan.buffers[buffer];
    if (plan->kind == KIND_OUTPUT && frame->outputs[plan->place]) {
        Block *block = frame->outputs[plan->place];
        frame->outputs[plan->place] = NULL; /* a second result on it gets a copy */
        return array_in_block(type, ndim, shape, block, block->data);
    }
    if (plan->kind == KIND_VIEW) {
        Block **around = output_around(frame, frame->buffers[buffer], bytes);
        if (around) {
            Block *block = *around;
            *around = NULL;
            return array_in_block(type, ndim, shape, block, frame->buffers[buffer]);
        }
    }
    if (plan->kind == KIND_HOSTED) {
        PyObject *array = taken_from_host(frame, plan->place, ndim, shape);
        if (array)
            return array;
    }
    return copied(frame, buffer, type, ndim, shape, bytes);
}

/* A view of an argument's own array, or NULL without an exception if it has none. */
static PyObject *borrowed(Frame *frame, const Output *output, const npy_intp *shape)
{
    const BufferPlan *plan = &frame->callable->plan.buffers[output->buffer];
    if (plan->kind != KIND_ARGUMENT || !frame->held[plan->place])
        return NULL;
    PyArrayObject *array = (PyArrayObject *)frame->held[plan->place];
    PyObject *view = PyArray_NewFromDescr(
        &PyArray_Type, PyArray_DescrFromType(output->type), output->ndim, shape, NULL,
        PyArray_DATA(array), PyArray_FLAGS(array) & NPY_ARRAY_CARRAY, NULL);
    /* Whoever has the view may write to it. */
    int64_t shared = plan->place - frame->callable->plan.input_count;
    if (shared >= 0 && shared < frame->callable->plan.shared_count)
        frame->callable->cells[frame->callable->plan.shared[shared].position]->exposed = true;
    if (view && PyArray_SetBaseObject((PyArrayObject *)view, Py_NewRef((PyObject *)array)) < 0)
        Py_CLEAR(view);
    return view;
}

static PyObject *make_output(Frame *frame, const Output *output)
{
    npy_intp shape[NPY_MAXDIMS];
    int64_t bytes;
    if (read_shape(frame, output->buffer, output->ndim, output->shape, output->itemsize, shape,
                   &bytes) < 0)
        return NULL;
    if (UNLIKELY(output->borrow)) {
        PyObject *view = borrowed(frame, output, shape);
        if (view || PyErr_Occurred())
            return view;
    }
    return own_array(frame, output->buffer, output->type, output->ndim, shape, bytes);
}

/* Make the new values; nothing is stored yet.  Small ones of unchanged shape are only copied
 * into the old value's memory, at the end. */
static int prepare_updates(Frame *frame)
{
    Callable *callable = frame->callable;
    const Plan *plan = &callable->plan;
    for (int64_t i = 0; i < plan->update_count; i++) {
        const Update *update = &plan->updates[i];
        if (update->in_place)
            continue;
        npy_intp shape[NPY_MAXDIMS];
        int64_t bytes;
        if (read_shape(frame, update->buffer, update->ndim, update->shape, update->itemsize,
                       shape, &bytes) < 0)
            return -1;
        PyArrayObject *old = callable->cells[update->position]->array;
        if (bytes <= SMALL_BYTES && plan->buffers[update->buffer].kind == KIND_OUTPUT &&
            PyArray_CompareLists(PyArray_DIMS(old), shape, update->ndim))
            continue;
        frame->pending[i] = own_array(frame, update->buffer, update->type, update->ndim, shape,
                                      bytes);
        if (!frame->pending[i])
            return -1;
    }
    return 0;
}

/* Nothing can fail from here on.  The old arrays go when the frame is cleared. */
static void store_updates(Frame *frame)
{
    Callable *callable = frame->callable;
    const Plan *plan = &callable->plan;
    for (int64_t i = 0; i < plan->update_count; i++) {
        const Update *update = &plan->updates[i];
        if (update->in_place)
            continue;
        Cell *cell = callable->cells[update->position];
        if (frame->pending[i]) {
            PyObject *old = (PyObject *)cell->array;
            cell->array = (PyArrayObject *)frame->pending[i];
            frame->pending[i] = old;
        }
        else {
            memcpy(PyArray_DATA(cell->array), frame->buffers[update->buffer],
                   (size_t)PyArray_NBYTES(cell->array));
        }
    }
}

static PyObject *make_list(Frame *frame)
{
    const Plan *plan = &frame->callable->plan;
    PyObject *list = PyList_New(plan->output_count);
    for (int64_t i = 0; list && i < plan->output_count; i++) {
        PyObject *array = make_output(frame, &plan->outputs[i]);
        if (!array)
            Py_CLEAR(list);
        else
            PyList_SET_ITEM(list, i, array);
    }
    return list;
}

static PyObject *make_dict(Frame *frame)
{
    const Plan *plan = &frame->callable->plan;
    PyObject *dict = PyDict_New();
    for (int64_t i = 0; dict && i < plan->output_count; i++) {
        PyObject *array = make_output(frame, &plan->outputs[i]);
        PyObject *key = PyTuple_GET_ITEM(frame->callable->keys, i);
        if (!array || PyDict_SetItem(dict, key, array) < 0)
            Py_CLEAR(dict);
        Py_XDECREF(array);
    }
    return dict;
}

/* What the call returns; the shared variables are updated if and only if that succeeds. */
PyObject *results_make(Frame *frame)
{
    const Plan *plan = &frame->callable->plan;
    if (plan->update_count && prepare_updates(frame) < 0)
        return NULL;
    PyObject *result;
    switch (frame->callable->result) {
    case RESULT_VALUE: result = make_output(frame, &plan->outputs[0]); break;
    case RESULT_LIST: result = make_list(frame); break;
    case RESULT_DICT: result = make_dict(frame); break;
    default: result = Py_NewRef(Py_None); break;
    }
    if (result && plan->update_count)
        store_updates(frame);
    return result;
}
