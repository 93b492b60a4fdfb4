// What tensors and the tape's nodes are made of. Tensors are Python subclasses of `Base`, which holds their fields; what
// is done with them is decided in python/spinetail/autograd, apart from what runs at every operation: making tensors
// and nodes (tape.c) and sending gradients through them (engine.c).
#ifndef SPINETAIL_TAPE_H
#define SPINETAIL_TAPE_H

#include <Python.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <structmember.h>

#define NPY_NO_DEPRECATED_API NPY_1_7_API_VERSION
#define PY_ARRAY_UNIQUE_SYMBOL spinetail_tape_numpy
#ifndef SPINETAIL_TAPE_MAIN
#define NO_IMPORT_ARRAY
#endif
#include <numpy/arrayobject.h>

#if !defined(NPY_ABI_VERSION) || NPY_ABI_VERSION < 0x02000000
#define PyArray_ImportNumPyAPI() _import_array()
#endif

typedef struct {
    PyObject_HEAD PyObject *array, *grad, *hooks, *node, *requires_grad, *storage, *view, *weakrefs;
} tensor;

typedef struct {
    PyObject_HEAD PyObject *backward, *edges, *hooks, *index, *label, *saved, *twice, *weakrefs;
    long long number;
} node;

/// What tensors over the same memory share.
typedef struct {
    PyObject_HEAD PyObject *views;  // weak references to the differentiable views, or NULL
    long long changed, version, limit;
} storage;

/// What C asks of Python; `connect` fills it in.
typedef struct {
    PyObject *tensor;      // the class of what `wrap` and `record` make
    PyObject *silence;     // () -> a context that has NumPy's warnings off
    PyObject *verify;      // (node): raises if what it saved has been changed
    PyObject *run_hooks;   // (hooks, gradient) -> gradient
    PyObject *after;       // (leaf): hooks after its gradient has been accumulated
    PyObject *accumulate;  // (gradient's tensor, array)
    PyObject *refuse;      // (node, why): raises
    PyObject *native;      // set of labels whose gradients are computed by kernels alone
    PyObject *recording;   // (node or None): which node runs while second derivatives are recorded
    PyObject *add;         // (array, array, out or None) -> their sum
} callbacks;

extern callbacks python;
extern PyTypeObject *base_type, *node_type, *storage_type;
extern _Thread_local bool grad_disabled;
extern long long last_change;

static inline bool is_tensor(PyObject *object) { return PyObject_TypeCheck(object, base_type); }
static inline bool is_node(PyObject *object) { return Py_TYPE(object) == node_type; }
static inline bool present(PyObject *field) { return field != NULL && field != Py_None; }

/// Puts a value, which is given away, in the place of another.
static inline void replace(PyObject **field, PyObject *value) {
    PyObject *old = *field;
    *field = value;
    Py_XDECREF(old);
}

static inline PyObject *hold(PyObject *object) {
    Py_INCREF(object);
    return object;
}

static inline void put(PyObject **field, PyObject *value) { replace(field, hold(value)); }

/// A tensor of class `type` around an array, or anything that becomes one; it requires no gradient.
PyObject *make_tensor(PyTypeObject *type, PyObject *array);

/// engine.c
PyObject *engine_propagate(PyObject *module, PyObject *const *arguments, Py_ssize_t count);
PyObject *engine_deliver(PyObject *module, PyObject *const *arguments, Py_ssize_t count);

#endif
