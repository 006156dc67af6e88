/* Cells: shared variables, and who may touch them when.
 *
 * A call marks the cells that it reads or updates before it starts, all of
 * them or none, and takes its marks away at the end.  Marks change under the
 * GIL only, so they cost a few instructions; a call waits only for another one
 * that runs without the GIL or inside a host function.
 */
#include "croton.h"

#include <pthread.h>

static pthread_mutex_t wait_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static unsigned changes;
static int waiting;
static unsigned epoch; /* counts forks: marks of calls that were left behind do not count */

static void forked(void)
{
    epoch++;
    waiting = 0;
    pthread_mutex_init(&wait_lock, NULL);
    pthread_cond_init(&changed, NULL);
}

int cells_prepare(void)
{
    return pthread_atfork(NULL, NULL, forked);
}

/* Release the GIL until some call takes its marks away. */
static void wait_for_change(void)
{
    waiting++;
    pthread_mutex_lock(&wait_lock); /* before the GIL goes: no change can slip through */
    unsigned seen = changes;
    Py_BEGIN_ALLOW_THREADS
    while (changes == seen)
        pthread_cond_wait(&changed, &wait_lock);
    pthread_mutex_unlock(&wait_lock);
    Py_END_ALLOW_THREADS
    waiting--;
}

static void tell_change(void)
{
    if (LIKELY(!waiting))
        return;
    pthread_mutex_lock(&wait_lock);
    changes++;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&wait_lock);
}

/* Does a call that led this thread here, through a host function, use the cell? */
static bool used_by_this_thread(const Cell *cell)
{
    for (Frame *frame = innermost_frame; frame; frame = frame->outer) {
        Callable *callable = frame->callable;
        for (int64_t i = 0; i < callable->cell_count; i++)
            if (callable->cells[i] == cell)
                return true;
    }
    return false;
}

static inline bool in_use(Cell *cell, bool for_writing)
{
    return cell->writer | (for_writing & (cell->readers > 0));
}

/* 0: it is free after all; 1: wait; -1: waiting would never end. */
static int conflict(Cell *cell, bool for_writing)
{
    if (cell->epoch != epoch) {
        cell->readers = cell->writer = 0;
        return 0;
    }
    if (!used_by_this_thread(cell))
        return 1;
    if (!for_writing) /* host functions run before anything is updated */
        return 0;
    PyErr_SetString(PyExc_RuntimeError,
                    "a shared variable cannot be updated from inside a call that uses it");
    return -1;
}

static void mark(Cell *cell, bool for_writing)
{
    if (UNLIKELY(cell->epoch != epoch)) {
        cell->readers = cell->writer = 0;
        cell->epoch = epoch;
    }
    if (for_writing)
        cell->writer = 1;
    else
        cell->readers++;
}

static void unmark(Cell *cell, bool for_writing, unsigned since)
{
    if (UNLIKELY(since != epoch))
        return;
    if (for_writing)
        cell->writer = 0;
    else
        cell->readers--;
}

/* Wait until the cells can be marked, then mark them; -1 with an exception if they never can. */
int cells_acquire(Frame *frame)
{
    Callable *callable = frame->callable;
    int64_t n = callable->cell_count;
    for (int64_t i = 0; i < n; i++) {
        if (LIKELY(!in_use(callable->cells[i], callable->cell_written[i])))
            continue;
        int verdict = conflict(callable->cells[i], callable->cell_written[i]);
        if (verdict < 0)
            return -1;
        if (verdict > 0) {
            wait_for_change();
            i = -1; /* look at all of them again */
        }
    }
    for (int64_t i = 0; i < n; i++)
        mark(callable->cells[i], callable->cell_written[i]);
    frame->epoch = epoch;
    return 0;
}

void cells_release(Frame *frame)
{
    Callable *callable = frame->callable;
    for (int64_t i = 0; i < callable->cell_count; i++)
        callable->cells[i]->version += callable->cell_written[i];
    for (int64_t i = 0; i < callable->cell_count; i++)
        unmark(callable->cells[i], callable->cell_written[i], frame->epoch);
    if (callable->cell_count)
        tell_change();
}

/* ---- the Python type ------------------------------------------------------------ */

/* Wait until no other thread's call updates the cell. */
static void await_writer(Cell *cell)
{
    while (UNLIKELY(cell->writer) && conflict(cell, false))
        wait_for_change();
}

static int native_type(int type)
{
#if NPY_SIZEOF_LONG == NPY_SIZEOF_LONGLONG
    if (type == NPY_LONGLONG)
        return NPY_LONG;
    if (type == NPY_ULONGLONG)
        return NPY_ULONG;
#endif
    return type;
}

/* A new reference to `value`, or to a copy, that is contiguous, aligned, native and writeable. */
static PyArrayObject *storable(PyObject *value)
{
    if (!PyArray_Check(value)) {
        PyErr_Format(PyExc_TypeError, "a shared variable's storage is an ndarray, not %.200s",
                     Py_TYPE(value)->tp_name);
        return NULL;
    }
    PyArrayObject *array = (PyArrayObject *)value;
    if (!PyTypeNum_ISNUMBER(PyArray_TYPE(array)) && !PyTypeNum_ISBOOL(PyArray_TYPE(array))) {
        PyErr_Format(PyExc_TypeError, "a shared variable's storage cannot have dtype %S",
                     (PyObject *)PyArray_DESCR(array));
        return NULL;
    }
    return laid_out(array, native_type(PyArray_TYPE(array)), NPY_ARRAY_CARRAY);
}

static PyObject *cell_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"value", NULL};
    PyObject *value;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O:Cell", names, &value))
        return NULL;
    PyArrayObject *array = storable(value);
    if (!array)
        return NULL;
    Cell *self = (Cell *)type->tp_alloc(type, 0);
    if (!self) {
        Py_DECREF(array);
        return NULL;
    }
    self->array = array;
    self->epoch = epoch;
    self->version = 1;
    return (PyObject *)self;
}

static void cell_dealloc(PyObject *object)
{
    Cell *self = (Cell *)object;
    if (self->weakrefs)
        PyObject_ClearWeakRefs(object);
    Py_XDECREF(self->array);
    Py_TYPE(object)->tp_free(object);
}

static PyObject *cell_get_value(PyObject *object, void *closure)
{
    (void)closure;
    Cell *self = (Cell *)object;
    await_writer(self);
    self->exposed = true;
    return Py_NewRef((PyObject *)self->array);
}

static PyObject *cell_get_shape(PyObject *object, void *closure)
{
    (void)closure;
    PyArrayObject *array = ((Cell *)object)->array;
    return PyArray_IntTupleFromIntp(PyArray_NDIM(array), PyArray_DIMS(array));
}

static PyObject *cell_get_exposed(PyObject *object, void *closure)
{
    (void)closure;
    return PyBool_FromLong(((Cell *)object)->exposed);
}

static int cell_set_exposed(PyObject *object, PyObject *value, void *closure)
{
    (void)closure;
    int truth = value ? PyObject_IsTrue(value) : 0;
    if (truth < 0)
        return -1;
    ((Cell *)object)->exposed = truth;
    return 0;
}

static int cell_set_value(PyObject *object, PyObject *value, void *closure)
{
    (void)closure;
    Cell *self = (Cell *)object;
    if (!value) {
        PyErr_SetString(PyExc_AttributeError, "a cell always has a value");
        return -1;
    }
    PyArrayObject *array = storable(value);
    if (!array)
        return -1;
    if (PyArray_TYPE(array) != PyArray_TYPE(self->array) ||
        PyArray_NDIM(array) != PyArray_NDIM(self->array)) {
        PyErr_Format(PyExc_TypeError, "expected an array of %S with %d dimensions, not %S with %d",
                     (PyObject *)PyArray_DESCR(self->array), PyArray_NDIM(self->array),
                     (PyObject *)PyArray_DESCR(array), PyArray_NDIM(array));
        Py_DECREF(array);
        return -1;
    }
    await_writer(self);
    PyArrayObject *old = self->array;
    self->array = array;
    self->version++;
    Py_DECREF(old);
    return 0;
}

static PyObject *cell_copy(PyObject *object, PyObject *unused)
{
    (void)unused;
    Cell *self = (Cell *)object;
    await_writer(self);
    /* NumPy may release the GIL while it copies: keep updates away meanwhile. */
    PyArrayObject *array = (PyArrayObject *)Py_NewRef((PyObject *)self->array);
    unsigned since = epoch;
    mark(self, false);
    PyObject *copy = array_new(PyArray_TYPE(array), PyArray_NDIM(array), PyArray_DIMS(array),
                               PyArray_NBYTES(array));
    if (copy && PyArray_CopyInto((PyArrayObject *)copy, array) < 0)
        Py_CLEAR(copy);
    unmark(self, false, since);
    tell_change();
    Py_DECREF(array);
    return copy;
}

static PyObject *cell_reduce(PyObject *object, PyObject *unused)
{
    PyObject *copy = cell_copy(object, unused);
    return copy ? Py_BuildValue("O(N)", (PyObject *)Py_TYPE(object), copy) : NULL;
}

static PyObject *cell_repr(PyObject *object)
{
    Cell *self = (Cell *)object;
    return PyUnicode_FromFormat("Cell(%R)", (PyObject *)self->array);
}

static PyGetSetDef cell_attributes[] = {
    {"value", cell_get_value, cell_set_value,
     "The array itself: contiguous, aligned, writeable; its dtype and rank never change.", NULL},
    {"shape", cell_get_shape, NULL, "The shape of the array.", NULL},
    {"exposed", cell_get_exposed, cell_set_exposed,
     "Whether others may have the array and change it; so it is once it was asked for.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyMethodDef cell_methods[] = {
    {"copy", cell_copy, METH_NOARGS, "A copy of the array, never of a half done update."},
    {"__reduce__", cell_reduce, METH_NOARGS, "How it is copied and pickled: with its value."},
    {NULL, NULL, 0, NULL},
};

PyTypeObject Cell_Type = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "croton.runtime._native.Cell",
    .tp_doc = "Cell(value)\n--\n\nThe storage of one shared variable.",
    .tp_basicsize = sizeof(Cell),
    .tp_flags = Py_TPFLAGS_DEFAULT,
    .tp_weaklistoffset = offsetof(Cell, weakrefs),
    .tp_new = cell_new,
    .tp_dealloc = cell_dealloc,
    .tp_repr = cell_repr,
    .tp_getset = cell_attributes,
    .tp_methods = cell_methods,
};
