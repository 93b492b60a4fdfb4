// Outputs that the call makes itself. In the place of an output array a caller may give what its shape is made of: the
// number of an argument whose shape it takes, or a tuple with, for each axis, an extent or a pair (argument, axis). The
// dtype is that of the first input. This spares Python the shapes' tuples and a call of `empty`.
#ifndef SPINETAIL_OUTPUTS_H
#define SPINETAIL_OUTPUTS_H

#include "memory.h"

static inline bool is_recipe(char letter, PyObject *argument) {
    return (letter == 'W' || letter == 'O') && (PyTuple_Check(argument) || PyLong_Check(argument));
}

/// The array among the arguments at a position given as a Python integer.
static PyArrayObject *named_argument(PyObject *number, PyObject *const *arguments, Py_ssize_t count) {
    Py_ssize_t at = PyNumber_AsSsize_t(number, PyExc_IndexError);
    if (at == -1 && PyErr_Occurred()) return NULL;
    if (at >= 0 && at < count && PyArray_Check(arguments[at])) return (PyArrayObject *)arguments[at];
    PyErr_Format(PyExc_TypeError, "argument %zd, which an output is made like, is not an array", at);
    return NULL;
}

/// One extent of an output, or -1 with an exception set.
static npy_intp extent_of(PyObject *part, PyObject *const *arguments, Py_ssize_t count) {
    if (!PyTuple_Check(part)) {
        npy_intp extent = PyNumber_AsSsize_t(part, PyExc_OverflowError);
        if (extent < 0 && !PyErr_Occurred()) PyErr_SetString(PyExc_ValueError, "negative extent of an output");
        return extent < 0 ? -1 : extent;
    }
    if (PyTuple_Size(part) != 2) {
        PyErr_SetString(PyExc_TypeError, "an output's extent is an integer or a pair (argument, axis)");
        return -1;
    }
    PyArrayObject *array = named_argument(PyTuple_GetItem(part, 0), arguments, count);
    if (array == NULL) return -1;
    Py_ssize_t axis = PyNumber_AsSsize_t(PyTuple_GetItem(part, 1), PyExc_IndexError);
    if (axis == -1 && PyErr_Occurred()) return -1;
    if (axis < 0 || axis >= PyArray_NDIM(array)) {
        PyErr_Format(PyExc_ValueError, "an array has no axis %zd, which an output's extent is taken from", axis);
        return -1;
    }
    return PyArray_DIM(array, (int)axis);
}

/// A new output by its recipe, in the dtype of the first input.
static PyObject *make_output(const char *letters, PyObject *recipe, PyObject *const *arguments, Py_ssize_t count) {
    npy_intp shape[NPY_MAXDIMS];
    int rank;
    Py_ssize_t first = 0;
    while (first < count && letters[3 * first] != 'R') first++;
    if (first == count) {
        PyErr_SetString(PyExc_TypeError, "an output without an input has to be given");
        return NULL;
    }
    if (PyTuple_Check(recipe)) {
        if (PyTuple_Size(recipe) > NPY_MAXDIMS) {
            PyErr_SetString(PyExc_ValueError, "an output has too many axes");
            return NULL;
        }
        rank = (int)PyTuple_Size(recipe);
        for (int i = 0; i < rank; i++) {
            shape[i] = extent_of(PyTuple_GetItem(recipe, i), arguments, count);
            if (shape[i] < 0) return NULL;
        }
    } else {
        PyArrayObject *like = named_argument(recipe, arguments, count);
        if (like == NULL) return NULL;
        rank = PyArray_NDIM(like);
        memcpy(shape, PyArray_DIMS(like), (size_t)rank * sizeof *shape);
    }
    PyArray_Descr *dtype = PyArray_DescrFromType(PyArray_TYPE((PyArrayObject *)arguments[first]));
    return dtype == NULL ? NULL : new_array(dtype, rank, shape);
}

#endif
