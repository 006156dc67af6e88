/* The Python object that runs a program when it is called. */
#include "croton.h"

#include <string.h>

/* ---- calling -------------------------------------------------------------------- */

static Py_ssize_t find_name(PyObject *names, Py_ssize_t count, PyObject *name)
{
    for (Py_ssize_t i = 0; i < count; i++)
        if (PyTuple_GET_ITEM(names, i) == name)
            return i;
    for (Py_ssize_t i = 0; i < count; i++)
        if (PyUnicode_Compare(PyTuple_GET_ITEM(names, i), name) == 0)
            return i;
    return -1;
}

/* Bring positional and keyword arguments and defaults into the order of the inputs. */
static int arrange(Callable *self, PyObject *const *args, Py_ssize_t given, PyObject *keywords,
                   PyObject **values)
{
    Py_ssize_t count = (Py_ssize_t)self->plan.input_count;
    if (given > count) {
        PyErr_Format(PyExc_TypeError, "%U takes %zd inputs but %zd were given", self->name, count,
                     given);
        return -1;
    }
    for (Py_ssize_t i = 0; i < count; i++)
        values[i] = i < given ? args[i] : NULL;
    for (Py_ssize_t i = 0; keywords && i < PyTuple_GET_SIZE(keywords); i++) {
        PyObject *name = PyTuple_GET_ITEM(keywords, i);
        Py_ssize_t at = find_name(self->names, count, name);
        if (at < 0) {
            PyErr_Format(PyExc_TypeError, "%U has no input named %R", self->name, name);
            return -1;
        }
        if (values[at]) {
            PyErr_Format(PyExc_TypeError, "%U got two values for input %R", self->name, name);
            return -1;
        }
        values[at] = args[given + i];
    }
    for (Py_ssize_t i = 0; i < count; i++) {
        if (values[i])
            continue;
        values[i] = PyTuple_GET_ITEM(self->defaults, i);
        if (values[i] == Py_None) {
            PyErr_Format(PyExc_TypeError, "%U needs a value for input %R", self->name,
                         PyTuple_GET_ITEM(self->names, i));
            return -1;
        }
    }
    return 0;
}

/* With the inputs bound: run the program. */
static PyObject *run(Frame *frame)
{
    if (cells_acquire(frame) < 0)
        return NULL;
    PyObject *result = NULL;
    if (bind_shared(frame) == 0 && interpret(frame) == 0)
        result = results_make(frame);
    cells_release(frame);
    return result;
}

static bool shared_fit(const Callable *self)
{
    for (int64_t i = 0; i < self->plan.shared_count; i++) {
        const Argument *argument = &self->plan.shared[i];
        PyArrayObject *array = self->cells[argument->position]->array;
        for (int d = 0; argument->fixed && d < argument->ndim; d++)
            if (argument->shape[d] >= 0 && argument->shape[d] != PyArray_DIM(array, d))
                return false;
    }
    return true;
}

/* After a failed call: if it failed for shapes of shared variables, another callable may do. */
static int find_replacement(Callable *self)
{
    if (!self->adapt || self->adapt == Py_None || shared_fit(self))
        return -1;
    PyObject *type, *value, *trace;
    PyErr_Fetch(&type, &value, &trace);
    PyObject *other = PyObject_CallNoArgs(self->adapt);
    if (other && other != Py_None) {
        Py_XSETREF(self->replacement, other);
        Py_XDECREF(type);
        Py_XDECREF(value);
        Py_XDECREF(trace);
        return 0;
    }
    if (other) {
        Py_DECREF(other);
        PyErr_Restore(type, value, trace);
        return -1;
    }
    Py_XDECREF(type);
    Py_XDECREF(value);
    Py_XDECREF(trace);
    return -1;
}

static PyObject *replaced_call(Callable *self, PyObject *const *args, size_t flagged_count,
                               PyObject *keywords)
{
    PyObject *other = Py_NewRef(self->replacement);
    PyObject *result = PyObject_Vectorcall(other, args, flagged_count, keywords);
    Py_DECREF(other);
    return result;
}

static PyObject *callable_vectorcall(PyObject *object, PyObject *const *args, size_t flagged_count,
                                     PyObject *keywords)
{
    Callable *self = (Callable *)object;
    if (UNLIKELY(self->replacement != NULL))
        return replaced_call(self, args, flagged_count, keywords);
    const uint64_t start = UNLIKELY(self->profiling) ? monotonic_ns() : 0;
    Frame *frame = frame_begin(self);
    if (!frame)
        return NULL;
    Py_ssize_t given = PyVectorcall_NARGS(flagged_count);
    PyObject *const *values = args;
    PyObject *result = NULL;
    if (UNLIKELY(keywords || given != self->plan.input_count)) {
        values = frame->values;
        if (arrange(self, args, given, keywords, frame->values) < 0)
            goto done;
    }
    if (LIKELY(bind_inputs(frame, values) == 0))
        result = run(frame);
    if (UNLIKELY(start)) {
        atomic_uint_fast64_t *entry = self->profile + 2 * self->plan.instructions;
        atomic_fetch_add_explicit(&entry[0], 1, memory_order_relaxed);
        atomic_fetch_add_explicit(&entry[1], monotonic_ns() - start, memory_order_relaxed);
    }
done:
    frame_end(frame);
    if (UNLIKELY(!result) && find_replacement(self) == 0)
        return replaced_call(self, args, flagged_count, keywords);
    return result;
}

static PyObject *call_after_clear(PyObject *object, PyObject *const *args, size_t count,
                                  PyObject *keywords)
{
    (void)object, (void)args, (void)count, (void)keywords;
    PyErr_SetString(PyExc_RuntimeError, "the function has been taken apart");
    return NULL;
}

/* ---- making one ----------------------------------------------------------------- */

static int check_tuple(PyObject *object, Py_ssize_t size, const char *what)
{
    if (PyTuple_CheckExact(object) && (size < 0 || PyTuple_GET_SIZE(object) == size))
        return 0;
    PyErr_Format(PyExc_TypeError, "%s must be a tuple of %zd, not %R", what, size, object);
    return -1;
}

static bool matches(PyArrayObject *array, int type, int ndim)
{
    return PyArray_TYPE(array) == type && PyArray_NDIM(array) == ndim;
}

static int check_constants(Callable *self)
{
    for (int64_t i = 0; i < self->plan.constant_count; i++) {
        const Argument *argument = &self->plan.constants[i];
        if (argument->position < 0 || argument->position >= PyTuple_GET_SIZE(self->constants)) {
            PyErr_Format(PyExc_ValueError, "there is no constant %lld",
                         (long long)argument->position);
            return -1;
        }
        PyObject *array = PyTuple_GET_ITEM(self->constants, argument->position);
        if (!PyArray_CheckExact(array) || !PyArray_ISCARRAY_RO((PyArrayObject *)array) ||
            !matches((PyArrayObject *)array, argument->type, argument->ndim)) {
            PyErr_Format(PyExc_TypeError,
                         "constant %lld must be a contiguous array of type %d with %d dimensions",
                         (long long)argument->position, argument->type, argument->ndim);
            return -1;
        }
    }
    return 0;
}

static int check_cell(Callable *self, int64_t position, int type, int ndim)
{
    if (position < 0 || position >= self->cell_count) {
        PyErr_Format(PyExc_ValueError, "there is no shared variable %lld", (long long)position);
        return -1;
    }
    if (!matches(self->cells[position]->array, type, ndim)) {
        PyErr_Format(PyExc_TypeError,
                     "shared variable %lld must be of type %d with %d dimensions, not %R",
                     (long long)position, type, ndim, (PyObject *)self->cells[position]);
        return -1;
    }
    return 0;
}

static int take_cells(Callable *self, PyObject *cells)
{
    Py_ssize_t count = PyTuple_GET_SIZE(cells);
    self->cells = PyMem_Calloc(count ? count : 1, sizeof *self->cells);
    self->cell_written = PyMem_Calloc(count ? count : 1, sizeof *self->cell_written);
    if (!self->cells || !self->cell_written) {
        PyErr_NoMemory();
        return -1;
    }
    for (Py_ssize_t i = 0; i < count; i++) {
        PyObject *cell = PyTuple_GET_ITEM(cells, i);
        if (!Py_IS_TYPE(cell, &Cell_Type)) {
            PyErr_Format(PyExc_TypeError, "shared variable %zd must be a Cell, not %.200s", i,
                         Py_TYPE(cell)->tp_name);
            return -1;
        }
        for (Py_ssize_t j = 0; j < i; j++) {
            if (self->cells[j] == (Cell *)cell) {
                PyErr_Format(PyExc_ValueError, "shared variables %zd and %zd are the same", j, i);
                return -1;
            }
        }
        self->cells[i] = (Cell *)Py_NewRef(cell);
        self->cell_count = i + 1;
    }
    for (int64_t i = 0; i < self->plan.shared_count; i++) {
        const Argument *argument = &self->plan.shared[i];
        if (check_cell(self, argument->position, argument->type, argument->ndim) < 0)
            return -1;
    }
    for (int64_t i = 0; i < self->plan.update_count; i++) {
        const Update *update = &self->plan.updates[i];
        if (check_cell(self, update->position, update->type, update->ndim) < 0)
            return -1;
        self->cell_written[update->position] = true;
    }
    return 0;
}

static PyObject *callable_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *keywords[] = {"words", "name", "names", "defaults", "hosts", "constants", "cells",
                               "convert", "fail", "result", "keys", "keepalive", "owner",
                               "adapt", "link", NULL};
    PyObject *words, *name, *names, *defaults, *hosts, *constants, *cells, *convert, *fail;
    PyObject *keys, *keepalive, *owner, *adapt = Py_None, *link = Py_None;
    int result;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OUOOOOOOOiOOO|OO:Callable", keywords, &words,
                                     &name, &names, &defaults, &hosts, &constants, &cells,
                                     &convert, &fail, &result, &keys, &keepalive, &owner, &adapt,
                                     &link))
        return NULL;
    Callable *self = (Callable *)type->tp_alloc(type, 0);
    if (!self)
        return NULL;
    self->vectorcall = callable_vectorcall;
    self->result = result;
    self->name = Py_NewRef(name);
    self->names = Py_NewRef(names);
    self->defaults = Py_NewRef(defaults);
    self->hosts = Py_NewRef(hosts);
    self->constants = Py_NewRef(constants);
    self->convert = Py_NewRef(convert);
    self->fail = Py_NewRef(fail);
    self->keys = Py_NewRef(keys);
    self->keepalive = Py_NewRef(keepalive);
    self->owner = Py_NewRef(owner);
    self->adapt = Py_NewRef(adapt);
    self->link = Py_NewRef(link);
    if (plan_read(&self->plan, words) < 0)
        goto error;
    const Plan *plan = &self->plan;
    if (check_tuple(names, plan->input_count + plan->shared_count, "names") < 0 ||
        check_tuple(defaults, plan->input_count, "defaults") < 0 ||
        check_tuple(hosts, -1, "hosts") < 0 || check_tuple(constants, -1, "constants") < 0 ||
        check_tuple(cells, -1, "cells") < 0 ||
        check_tuple(keys, result == RESULT_DICT ? plan->output_count : -1, "keys") < 0)
        goto error;
    if (result < RESULT_NONE || result > RESULT_DICT ||
        (result == RESULT_VALUE && plan->output_count != 1)) {
        PyErr_Format(PyExc_ValueError, "result %d does not suit %lld outputs", result,
                     (long long)plan->output_count);
        goto error;
    }
    if (check_constants(self) < 0 || take_cells(self, cells) < 0)
        goto error;
    self->kept = PyMem_Calloc(plan->kept ? plan->kept : 1, sizeof *self->kept);
    if (!self->kept || pthread_mutex_init(&self->kept_lock, NULL)) {
        PyErr_NoMemory();
        goto error;
    }
    self->profile = PyMem_Calloc(2 * (plan->instructions + 1), sizeof *self->profile);
    if (!self->profile) {
        PyErr_NoMemory();
        goto error;
    }
    return (PyObject *)self;
error:
    Py_DECREF(self);
    return NULL;
}

static int callable_traverse(PyObject *object, visitproc visit, void *arg)
{
    Callable *self = (Callable *)object;
    Py_VISIT(self->owner);
    Py_VISIT(self->adapt);
    Py_VISIT(self->link);
    Py_VISIT(self->replacement);
    Py_VISIT(self->defaults);
    Py_VISIT(self->hosts);
    Py_VISIT(self->keys);
    Py_VISIT(self->convert);
    Py_VISIT(self->fail);
    Py_VISIT(self->keepalive);
    return 0;
}

/* Breaks cycles.  The native code stays, but it is no longer run. */
static int callable_clear(PyObject *object)
{
    Callable *self = (Callable *)object;
    self->vectorcall = call_after_clear;
    Py_CLEAR(self->owner);
    Py_CLEAR(self->adapt);
    Py_CLEAR(self->link);
    Py_CLEAR(self->replacement);
    Py_CLEAR(self->defaults);
    Py_CLEAR(self->hosts);
    Py_CLEAR(self->keys);
    Py_CLEAR(self->convert);
    Py_CLEAR(self->fail);
    Py_CLEAR(self->keepalive);
    return 0;
}

static void callable_dealloc(PyObject *object)
{
    Callable *self = (Callable *)object;
    PyObject_GC_UnTrack(object);
    if (self->weakrefs)
        PyObject_ClearWeakRefs(object);
    while (self->frame_count)
        frame_free(self->frames[--self->frame_count]);
    callable_clear(object);
    Py_XDECREF(self->name);
    Py_XDECREF(self->names);
    Py_XDECREF(self->constants);
    for (int64_t i = 0; i < self->cell_count; i++)
        Py_DECREF(self->cells[i]);
    for (int64_t i = 0; self->kept && i < self->plan.kept; i++) {
        block_drop(self->kept[i].block);
        free(self->kept[i].versions);
    }
    if (self->kept)
        pthread_mutex_destroy(&self->kept_lock);
    PyMem_Free(self->kept);
    PyMem_Free(self->cells);
    PyMem_Free(self->cell_written);
    PyMem_Free(self->profile);
    plan_free(&self->plan);
    Py_TYPE(object)->tp_free(object);
}

/* ---- attributes: what it does not have itself is the owner's ---------------------- */

static bool has_owner(const Callable *self)
{
    return self->owner && self->owner != Py_None;
}

static PyObject *callable_getattr(PyObject *object, PyObject *name)
{
    Callable *self = (Callable *)object;
    PyObject *value = PyObject_GenericGetAttr(object, name);
    if (value || !has_owner(self) || !PyErr_ExceptionMatches(PyExc_AttributeError))
        return value;
    PyErr_Clear();
    return PyObject_GetAttr(self->owner, name);
}

static int callable_setattr(PyObject *object, PyObject *name, PyObject *value)
{
    Callable *self = (Callable *)object;
    int status = PyObject_GenericSetAttr(object, name, value);
    if (status == 0 || !has_owner(self) || !PyErr_ExceptionMatches(PyExc_AttributeError))
        return status;
    PyErr_Clear();
    return PyObject_SetAttr(self->owner, name, value);
}

static PyObject *callable_repr(PyObject *object)
{
    Callable *self = (Callable *)object;
    if (has_owner(self))
        return PyObject_Repr(self->owner);
    return PyUnicode_FromFormat("<croton function %U>", self->name);
}

/* How it is copied and pickled is the owner's business. */
static PyObject *callable_reduce(PyObject *object, PyObject *unused)
{
    (void)unused;
    Callable *self = (Callable *)object;
    if (has_owner(self))
        return PyObject_CallMethod(self->owner, "__reduce__", NULL);
    PyErr_Format(PyExc_TypeError, "%U has no owner that could say how to copy it", self->name);
    return NULL;
}

static PyObject *callable_dir(PyObject *object, PyObject *unused)
{
    (void)unused;
    Callable *self = (Callable *)object;
    PyObject *names = PyObject_CallMethod((PyObject *)&PyBaseObject_Type, "__dir__", "O", object);
    if (!names || !has_owner(self))
        return names;
    PyObject *more = PyObject_Dir(self->owner);
    PyObject *all = more ? PySequence_InPlaceConcat(names, more) : NULL;
    Py_XDECREF(more);
    Py_DECREF(names);
    return all;
}

static PyObject *get_owner(PyObject *object, void *closure)
{
    (void)closure;
    PyObject *owner = ((Callable *)object)->owner;
    return Py_NewRef(owner ? owner : Py_None);
}

static int set_owner(PyObject *object, PyObject *value, void *closure)
{
    (void)closure;
    Py_XSETREF(((Callable *)object)->owner, Py_NewRef(value ? value : Py_None));
    return 0;
}

static PyObject *get_profile(PyObject *object, void *closure)
{
    (void)closure;
    return PyBool_FromLong(((Callable *)object)->profiling);
}

static int set_profile(PyObject *object, PyObject *value, void *closure)
{
    (void)closure;
    int on = value ? PyObject_IsTrue(value) : 0;
    if (on < 0)
        return -1;
    ((Callable *)object)->profiling = on;
    return 0;
}

static PyObject *profile_data(PyObject *object, PyObject *unused)
{
    (void)unused;
    Callable *self = (Callable *)object;
    PyObject *list = PyList_New(0);
    for (int64_t i = 0; list && i <= self->plan.instructions; i++) {
        PyObject *entry = Py_BuildValue(
            "KK", (unsigned long long)atomic_load(&self->profile[2 * i]),
            (unsigned long long)atomic_load(&self->profile[2 * i + 1]));
        if (!entry || PyList_Append(list, entry) < 0)
            Py_CLEAR(list);
        Py_XDECREF(entry);
    }
    return list;
}

static PyObject *profile_reset(PyObject *object, PyObject *unused)
{
    (void)unused;
    Callable *self = (Callable *)object;
    for (int64_t i = 0; i < 2 * (self->plan.instructions + 1); i++)
        atomic_store(&self->profile[i], 0);
    Py_RETURN_NONE;
}

static PyObject *callable_subscript(PyObject *object, PyObject *key)
{
    Callable *self = (Callable *)object;
    if (!has_owner(self)) {
        PyErr_Format(PyExc_KeyError, "%U has no state", self->name);
        return NULL;
    }
    return PyObject_GetItem(self->owner, key);
}

static int callable_assign(PyObject *object, PyObject *key, PyObject *value)
{
    Callable *self = (Callable *)object;
    if (!value || !has_owner(self)) {
        PyErr_Format(PyExc_TypeError, "%U has no state that could be %s", self->name,
                     value ? "set" : "deleted");
        return -1;
    }
    return PyObject_SetItem(self->owner, key, value);
}

static PyMappingMethods callable_mapping = {
    .mp_subscript = callable_subscript,
    .mp_ass_subscript = callable_assign,
};

static PyGetSetDef callable_attributes[] = {
    {"owner", get_owner, set_owner, "The object that answers for attributes and repr.", NULL},
    {"profiling", get_profile, set_profile, "Whether calls are timed.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyMethodDef callable_methods[] = {
    {"profile_data", profile_data, METH_NOARGS,
     "(count, nanoseconds) of each instruction of the program, then of whole calls."},
    {"profile_reset", profile_reset, METH_NOARGS, "Set what profile_data gives to zero."},
    {"__reduce__", callable_reduce, METH_NOARGS, "The owner's __reduce__."},
    {"__dir__", callable_dir, METH_NOARGS, "Its own attributes and the owner's."},
    {NULL, NULL, 0, NULL},
};

PyTypeObject Callable_Type = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "croton.runtime._native.Callable",
    .tp_doc = "A program that can be called; made by croton.runtime.executable.load.",
    .tp_basicsize = sizeof(Callable),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_HAVE_VECTORCALL,
    .tp_vectorcall_offset = offsetof(Callable, vectorcall),
    .tp_weaklistoffset = offsetof(Callable, weakrefs),
    .tp_call = PyVectorcall_Call,
    .tp_new = callable_new,
    .tp_dealloc = callable_dealloc,
    .tp_traverse = callable_traverse,
    .tp_clear = callable_clear,
    .tp_getattro = callable_getattr,
    .tp_setattro = callable_setattr,
    .tp_repr = callable_repr,
    .tp_as_mapping = &callable_mapping,
    .tp_getset = callable_attributes,
    .tp_methods = callable_methods,
};
