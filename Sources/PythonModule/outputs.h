// Outputs that the call makes itself. In the place of an output array a caller may give what its shape is made of: the
// number of an argument whose shape it takes, or a tuple with, for each axis, an extent or a pair (argument, axis); bytes
// are such pairs, one behind the other, which take the least time. The dtype is that of the first input. This spares
// Python the shapes' tuples and a call of `empty`.
#ifndef SPINETAIL_OUTPUTS_H
#define SPINETAIL_OUTPUTS_H

#include "memory.h"

static inline bool is_recipe(char letter, PyObject *argument) {
    if (letter != 'W' && letter != 'O') return false;
    return PyTuple_Check(argument) || PyLong_Check(argument) || PyBytes_Check(argument);
}

/// The array among the arguments at a position.
static PyArrayObject *argument_at(Py_ssize_t at, PyObject *const *arguments, Py_ssize_t count) {
    if (at >= 0 && at < count && PyArray_Check(arguments[at])) return (PyArrayObject *)arguments[at];
    PyErr_Format(PyExc_TypeError, "argument %zd, which an output is made like, is not an array", at);
    return NULL;
}

/// The same for a position given as a Python integer.
static PyArrayObject *named_argument(PyObject *number, PyObject *const *arguments, Py_ssize_t count) {
    Py_ssize_t at = PyNumber_AsSsize_t(number, PyExc_IndexError);
    return at == -1 && PyErr_Occurred() ? NULL : argument_at(at, arguments, count);
}

/// The extent of an array's axis, or -1 with an exception set.
static npy_intp extent_at(PyArrayObject *array, Py_ssize_t axis) {
    if (axis >= 0 && axis < PyArray_NDIM(array)) return PyArray_DIM(array, (int)axis);
    PyErr_Format(PyExc_ValueError, "an array has no axis %zd, which an output's extent is taken from", axis);
    return -1;
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
    return axis == -1 && PyErr_Occurred() ? -1 : extent_at(array, axis);
}

/// The shape that bytes describe: its rank, or -1 with an exception set.
static int shape_of(PyObject *pairs, PyObject *const *arguments, Py_ssize_t count, npy_intp *shape) {
    char *bytes;
    Py_ssize_t length;
    if (PyBytes_AsStringAndSize(pairs, &bytes, &length) < 0) return -1;
    if (length % 2 != 0 || length / 2 > NPY_MAXDIMS) {
        PyErr_SetString(PyExc_ValueError, "an output's bytes are pairs of argument and axis");
        return -1;
    }
    for (Py_ssize_t i = 0; i < length / 2; i++) {
        PyArrayObject *array = argument_at((unsigned char)bytes[2 * i], arguments, count);
        if (array == NULL) return -1;
        shape[i] = extent_at(array, (unsigned char)bytes[2 * i + 1]);
        if (shape[i] < 0) return -1;
    }
    return (int)(length / 2);
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
    if (PyBytes_Check(recipe)) {
        rank = shape_of(recipe, arguments, count, shape);
        if (rank < 0) return NULL;
    } else if (PyTuple_Check(recipe)) {
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
