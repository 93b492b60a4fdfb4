// Turns Python arguments into what kernels take. One slot per parameter; arrays become descriptors that borrow NumPy's
// own shape and strides, so nothing is copied.
#ifndef SPINETAIL_ARGUMENTS_H
#define SPINETAIL_ARGUMENTS_H

#include <Python.h>
#include <stdbool.h>
#include <string.h>

#define NPY_NO_DEPRECATED_API NPY_1_7_API_VERSION
#include <numpy/arrayobject.h>

// The two things that NumPy 2's headers name and NumPy 1's do not.
#if !defined(NPY_ABI_VERSION) || NPY_ABI_VERSION < 0x02000000
#define PyDataType_ELSIZE(descriptor) ((npy_intp)(descriptor)->elsize)
#define PyArray_ImportNumPyAPI() _import_array()
#endif

#include "spinetail/array.h"

enum { MAX_SLOTS = 20, MAX_NUMBERS = 24 };

typedef struct {
    spinetail_array array;
    spinetail_array *optional;  // &array, or NULL for None
    spinetail_array *list;      // 'L': `count` descriptors
    ptrdiff_t count;
    int64_t integer;
    double real;
    int64_t numbers[MAX_NUMBERS];  // 'P'
    PyObject *owned;               // a converted copy that this slot keeps alive
} slot;

static int bfloat16_number = -1;       // NumPy's number for ml_dtypes.bfloat16, once it is registered
static PyObject *masked_array = NULL;  // numpy.ma.MaskedArray, once somebody imported numpy.ma

static int kernel_dtype(int number) {
    switch (number) {
    case NPY_FLOAT: return SPINETAIL_FLOAT32;
    case NPY_DOUBLE: return SPINETAIL_FLOAT64;
    case NPY_HALF: return SPINETAIL_FLOAT16;
    case NPY_BYTE: return SPINETAIL_INT8;
    case NPY_UBYTE: return SPINETAIL_UINT8;
    case NPY_INT: return SPINETAIL_INT32;
    case NPY_LONG: return sizeof(long) == 8 ? SPINETAIL_INT64 : SPINETAIL_INT32;
    case NPY_LONGLONG: return SPINETAIL_INT64;
    case NPY_BOOL: return SPINETAIL_BOOL;
    default: return number >= 0 && number == bfloat16_number ? SPINETAIL_BFLOAT16 : -1;
    }
}

/// numpy.ma is not imported until somebody uses it, so its class is looked for only among array subclasses.
static int is_masked(PyObject *object) {
    if (masked_array == NULL) {
        PyObject *modules = PyImport_GetModuleDict();
        PyObject *ma = PyDict_GetItemString(modules, "numpy.ma");
        if (ma == NULL) return 0;
        masked_array = PyObject_GetAttrString(ma, "MaskedArray");
        if (masked_array == NULL) return -1;
    }
    return PyObject_IsInstance(object, masked_array);
}

static void describe(PyArrayObject *array, int dtype, spinetail_array *out) {
    out->data = PyArray_SIZE(array) == 0 ? NULL : PyArray_DATA(array);
    out->shape = (const ptrdiff_t *)PyArray_DIMS(array);
    out->strides = (const ptrdiff_t *)PyArray_STRIDES(array);
    out->dtype = dtype;
    out->rank = PyArray_NDIM(array);
}

/// Fills a descriptor. An input in foreign byte order or out of alignment is copied into `*owned`.
static int
take_array(const char *kernel, int position, PyObject *object, bool writable, spinetail_array *out, PyObject **owned) {
    if (!PyArray_Check(object)) {
        PyErr_Format(
            PyExc_TypeError, "[%s] argument %d: expected a numpy.ndarray, got %R", kernel, position,
            (PyObject *)Py_TYPE(object));
        return -1;
    }
    if (!PyArray_CheckExact(object)) {
        int masked = is_masked(object);
        if (masked < 0) return -1;
        if (masked) {
            PyErr_Format(
                PyExc_TypeError, "[%s] argument %d: masked arrays are not supported (use .filled())", kernel, position);
            return -1;
        }
    }
    PyArrayObject *array = (PyArrayObject *)object;
    int dtype = kernel_dtype(PyArray_TYPE(array));
    if (dtype < 0) {
        PyErr_Format(
            PyExc_TypeError, "[%s] argument %d: unsupported dtype %S", kernel, position,
            (PyObject *)PyArray_DESCR(array));
        return -1;
    }
    if (writable && !PyArray_ISWRITEABLE(array)) {
        PyErr_Format(PyExc_ValueError, "[%s] argument %d: output array is read-only", kernel, position);
        return -1;
    }
    if (!PyArray_ISBEHAVED_RO(array)) {
        if (writable || owned == NULL) {
            PyErr_Format(
                PyExc_ValueError, "[%s] argument %d: array is misaligned or in foreign byte order", kernel, position);
            return -1;
        }
        PyArray_Descr *native = PyArray_DescrFromType(PyArray_TYPE(array));
        if (native == NULL) return -1;
        *owned = PyArray_FromArray(array, native, NPY_ARRAY_CARRAY_RO | NPY_ARRAY_ENSUREARRAY);
        if (*owned == NULL) return -1;
        array = (PyArrayObject *)*owned;
    }
    describe(array, dtype, out);
    return 0;
}

static int take_list(const char *kernel, int position, PyObject *object, slot *s) {
    bool is_list = PyList_Check(object);
    if (!is_list && !PyTuple_Check(object)) {
        PyErr_Format(PyExc_TypeError, "[%s] argument %d: expected a list of arrays", kernel, position);
        return -1;
    }
    if (is_list) {  // another thread may change the list while the kernel runs: hold what is in it now
        object = s->owned = PyList_AsTuple(object);
        if (object == NULL) return -1;
    }
    Py_ssize_t count = PyTuple_Size(object);
    s->list = PyMem_Malloc((size_t)(count ? count : 1) * sizeof(spinetail_array));
    if (s->list == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    for (Py_ssize_t i = 0; i < count; i++) {
        PyObject *item = PyTuple_GetItem(object, i);
        // Lists hold what a step updates and its gradients: all must be behaved, and all are taken as they are.
        if (take_array(kernel, position, item, false, &s->list[i], NULL) < 0) return -1;
        if (is_list && !PyArray_ISWRITEABLE((PyArrayObject *)item)) {
            PyErr_Format(PyExc_ValueError, "[%s] argument %d: array %zd is read-only", kernel, position, i);
            return -1;
        }
    }
    s->count = count;
    return 0;
}

static int take_numbers(const char *kernel, int position, PyObject *object, slot *s) {
    Py_ssize_t count = PyTuple_Check(object) ? PyTuple_Size(object) : -1;
    if (count < 0 || count > MAX_NUMBERS) {
        PyErr_Format(
            PyExc_TypeError, "[%s] argument %d: expected a tuple of at most %d integers", kernel, position,
            (int)MAX_NUMBERS);
        return -1;
    }
    memset(s->numbers, 0, sizeof s->numbers);
    for (Py_ssize_t i = 0; i < count; i++) {
        s->numbers[i] = PyLong_AsLongLong(PyTuple_GetItem(object, i));
        if (s->numbers[i] == -1 && PyErr_Occurred()) return -1;
    }
    return 0;
}

/// Converts one argument by its letter in the kernel table; 0, or -1 with an exception set.
static int take(const char *kernel, int position, char letter, PyObject *object, slot *s) {
    switch (letter) {
    case 'O':
    case 'N':
        if (object == Py_None) {
            s->optional = NULL;
            return 0;
        }
        s->optional = &s->array;
        return take_array(kernel, position, object, letter == 'O', &s->array, &s->owned);
    case 'W':
    case 'R': return take_array(kernel, position, object, letter == 'W', &s->array, &s->owned);
    case 'L': return take_list(kernel, position, object, s);
    case 'I': s->integer = PyLong_AsLongLong(object); return s->integer == -1 && PyErr_Occurred() ? -1 : 0;
    case 'D': s->real = PyFloat_AsDouble(object); return s->real == -1.0 && PyErr_Occurred() ? -1 : 0;
    default: return take_numbers(kernel, position, object, s);
    }
}

#endif
