// Functions that need no Python frame for plain arrays: a built-in function that hands its arrays to one kernel, which
// makes the output, and calls the Python function of the same name for everything else: tensors, keywords, other ranks,
// and whatever the kernel refuses.
#ifndef SPINETAIL_SHORTCUT_H
#define SPINETAIL_SHORTCUT_H

enum { SHORTCUTS = 4 };

/// Functions of modules are never let go, and neither is what belongs to them.
static struct shortcut {
    PyMethodDef method;
    const kernel *row;
    PyObject *careful;
    PyObject *recipes;  // of the output, by the first array's rank; None where `careful` is asked
    PyObject *rest;     // the kernel's arguments behind the arrays
    Py_ssize_t arrays;
} shortcuts[SHORTCUTS];

/// What the Python function says to the same arguments.
static PyObject *ask_careful(PyObject *careful, PyObject *const *arguments, Py_ssize_t count, PyObject *keywords) {
    Py_ssize_t named = keywords == NULL ? 0 : PyTuple_Size(keywords);
    PyObject *plain = PyTuple_New(count), *options = named ? PyDict_New() : NULL, *result = NULL;
    if (plain == NULL || (named && options == NULL)) goto finish;
    for (Py_ssize_t i = 0; i < count; i++) {
        Py_INCREF(arguments[i]);
        PyTuple_SetItem(plain, i, arguments[i]);
    }
    for (Py_ssize_t i = 0; i < named; i++) {
        if (PyDict_SetItem(options, PyTuple_GetItem(keywords, i), arguments[count + i]) < 0) goto finish;
    }
    result = PyObject_Call(careful, plain, options);
finish:
    Py_XDECREF(plain);
    Py_XDECREF(options);
    return result;
}

static PyObject *
take_shortcut(const struct shortcut *s, PyObject *const *arguments, Py_ssize_t count, PyObject *keywords) {
    bool plain = count == s->arrays && keywords == NULL;
    for (Py_ssize_t i = 0; plain && i < count; i++) plain = PyArray_CheckExact(arguments[i]);
    int rank = plain ? PyArray_NDIM((PyArrayObject *)arguments[0]) : 0;
    PyObject *recipe = plain && rank < PyTuple_Size(s->recipes) ? PyTuple_GetItem(s->recipes, rank) : Py_None;
    if (recipe != Py_None) {
        PyObject *all[MAX_SLOTS] = {recipe};
        Py_ssize_t rest = PyTuple_Size(s->rest);
        for (Py_ssize_t i = 0; i < count; i++) all[1 + i] = arguments[i];
        for (Py_ssize_t i = 0; i < rest; i++) all[1 + count + i] = PyTuple_GetItem(s->rest, i);
        PyObject *result = run(s->row, all, 1 + count + rest);
        if (result != NULL) return result;
        if (!PyErr_ExceptionMatches(PyExc_TypeError) && !PyErr_ExceptionMatches(PyExc_ValueError)) return NULL;
        PyErr_Clear();
    }
    return ask_careful(s->careful, arguments, count, keywords);
}

// A built-in function's `self` is the module that it belongs to, by which it is pickled; so each has a C function.
#define TAKE(i)                                                                                                        \
    static PyObject *take_##i(PyObject *m, PyObject *const *arguments, Py_ssize_t count, PyObject *keywords) {         \
        (void)m;                                                                                                       \
        return take_shortcut(&shortcuts[i], arguments, count, keywords);                                               \
    }
TAKE(0)
TAKE(1)
TAKE(2)
TAKE(3)
#undef TAKE
static const PyCFunction takes[SHORTCUTS] = {
#define TAKE(i) (PyCFunction)(void (*)(void)) take_##i
    TAKE(0), TAKE(1), TAKE(2), TAKE(3)
#undef TAKE
};

/// shortcut(careful, home, doc, kernel, arrays, recipes, rest): the function, under the name of `careful`, in the module
/// `home`; `careful` itself where there is no room for more.
static PyObject *make_shortcut(PyObject *module, PyObject *arguments) {
    PyObject *careful, *home, *recipes, *rest;
    const char *doc, *row;
    Py_ssize_t arrays;
    (void)module;
    if (!PyArg_ParseTuple(
            arguments, "OOssnO!O!", &careful, &home, &doc, &row, &arrays, &PyTuple_Type, &recipes, &PyTuple_Type,
            &rest))
        return NULL;
    const kernel *found = row_of(row);
    if (found == NULL || arrays < 1 || 1 + arrays + PyTuple_Size(rest) > MAX_SLOTS) {
        PyErr_Format(PyExc_ValueError, "[shortcut] no kernel %s of %zd arrays", row, arrays);
        return NULL;
    }
    int free = 0;
    while (free < SHORTCUTS && shortcuts[free].careful != NULL) free++;
    if (free == SHORTCUTS) {
        Py_INCREF(careful);
        return careful;
    }
    PyObject *name = PyObject_GetAttrString(careful, "__name__");
    PyObject *place = name == NULL ? NULL : PyObject_GetAttrString(careful, "__module__");
    const char *text = place == NULL ? NULL : PyUnicode_AsUTF8AndSize(name, NULL);
    PyObject *result = NULL;
    if (text != NULL) {
        PyMethodDef method = {strdup(text), takes[free], METH_FASTCALL | METH_KEYWORDS, strdup(doc)};
        shortcuts[free] = (struct shortcut){method, found, careful, recipes, rest, arrays};
        Py_INCREF(careful);
        Py_INCREF(recipes);
        Py_INCREF(rest);
        result = PyCFunction_NewEx(&shortcuts[free].method, home, place);
    }
    Py_XDECREF(name);
    Py_XDECREF(place);
    return result;
}

#endif
