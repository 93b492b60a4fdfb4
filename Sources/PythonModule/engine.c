// Sends gradients through the graph. The loop is here because it runs at every node; what is rare (hooks, sums of
// gradients, second derivatives, errors) is Python's, which `connect` has named.
#include "pending.h"
#include "tape.h"

enum { LARGE_SUM = 32768 };  // elements from which the threads and kept memory pay

/// NumPy's warnings off until the end: infinities and NaNs pass without them. Kernels give none.
static int silence(work *w) {
    if (w->quiet == NULL) w->quiet = PyObject_CallFunctionObjArgs(python.silence, NULL);
    return w->quiet == NULL ? -1 : 0;
}

static int is_useful(const work *w, PyObject *edge) {
    if (w->useful == Py_None) return 1;
    PyObject *id = PyLong_FromVoidPtr(edge);
    if (id == NULL) return -1;
    int found = PySet_Contains(w->useful, id);
    Py_DECREF(id);
    return found;
}

/// The sum of two gradients, in the first one's memory where nobody else has it.
static PyObject *sum_of(PyObject *grad, PyObject *more) {
    if (!PyArray_CheckExact(grad) || !PyArray_CheckExact(more)) return PyNumber_Add(grad, more);
    if (PyArray_SIZE((PyArrayObject *)more) < LARGE_SUM) return PyNumber_Add(grad, more);
    int owned = NPY_ARRAY_OWNDATA | NPY_ARRAY_WRITEABLE;
    bool own = Py_REFCNT(grad) == 1 && PyArray_CHKFLAGS((PyArrayObject *)grad, owned);
    return PyObject_CallFunctionObjArgs(python.add, grad, more, own ? grad : Py_None, NULL);
}

/// Adds a gradient to what has come to an edge.
static int send(work *w, PyObject *edge, PyObject *grad) {
    if (edge == Py_None || grad == Py_None) return 0;
    int wanted = is_useful(w, edge);
    if (wanted <= 0) return wanted;
    if (!is_node(edge) && !is_tensor(edge)) {
        PyErr_Format(PyExc_TypeError, "[backward] %R is neither node nor leaf", (PyObject *)Py_TYPE(edge));
        return -1;
    }
    entry *to = entry_of(w, edge);
    if (to == NULL) return -1;
    if (to->grad == NULL) {
        Py_INCREF(grad);
        to->grad = grad;
        return 0;
    }
    if (silence(w) < 0) return -1;
    Py_ssize_t number = to - w->entries;
    PyObject *sum = sum_of(to->grad, grad);
    if (sum == NULL) return -1;
    replace(&w->entries[number].grad, sum);
    return 0;
}

static int send_all(work *w, PyObject *edges, PyObject *grads) {
    PyObject *list = PyTuple_Check(grads) ? NULL : PySequence_Tuple(grads);
    if (list == NULL && !PyTuple_Check(grads)) return -1;
    if (list != NULL) grads = list;
    Py_ssize_t count = PyTuple_Size(edges);
    int status = 0;
    if (PyTuple_Size(grads) != count) {
        PyErr_Format(
            PyExc_ValueError, "[backward] expected %zd gradients, one for each input, got %zd", count,
            PyTuple_Size(grads));
        status = -1;
    }
    for (Py_ssize_t i = 0; status == 0 && i < count; i++) {
        status = send(w, PyTuple_GetItem(edges, i), PyTuple_GetItem(grads, i));
    }
    Py_XDECREF(list);
    return status;
}

/// Puts the gradient of one of several outputs into the list that its parent waits with.
static int send_part(work *w, node *part, long index, PyObject *grad) {
    PyObject *edge = PyTuple_GetItem(part->edges, 0);
    if (edge == NULL || !is_node(edge)) {
        if (edge != NULL) PyErr_SetString(PyExc_TypeError, "[backward] an output's edge is not a node");
        return -1;
    }
    long outputs = -PyLong_AsLong(((node *)edge)->index);
    entry *to = entry_of(w, edge);
    if (to == NULL) return -1;
    if (to->grad == NULL) {
        to->grad = PyList_New(outputs);
        if (to->grad == NULL) return -1;
        for (long i = 0; i < outputs; i++) {
            Py_INCREF(Py_None);
            PyList_SetItem(to->grad, i, Py_None);
        }
    }
    Py_INCREF(grad);
    return PyList_SetItem(to->grad, index, grad);
}

/// What the gradient goes through before the node's own function: one kind, hooks, the wish to know it.
static int prepare(work *w, node *at, PyObject **grad) {
    if (!w->graph && !PyArray_CheckExact(*grad)) {
        PyObject *array = PyArray_FromAny(*grad, NULL, 0, 0, NPY_ARRAY_ENSUREARRAY, NULL);
        if (array == NULL) return -1;
        replace(grad, array);
    }
    if (present(at->hooks)) {
        int some = PyObject_IsTrue(at->hooks);
        if (some < 0) return -1;
        if (some) {
            PyObject *changed = PyObject_CallFunctionObjArgs(python.run_hooks, at->hooks, *grad, NULL);
            if (changed == NULL) return -1;
            replace(grad, changed);
        }
    }
    if (w->wanted == Py_None) return 0;
    PyObject *number = PyLong_FromLongLong(at->number);
    int found = number == NULL ? -1 : PySet_Contains(w->wanted, number);
    if (found > 0) found = PyDict_SetItem(w->captured, number, *grad);
    Py_XDECREF(number);
    return found < 0 ? -1 : 0;
}

/// Whether a kernel computes the node's gradient, so that NumPy has nothing to warn about.
static int is_native(const work *w, const node *at, PyObject *grad) {
    if (w->graph || !PyArray_CheckExact(grad)) return 0;
    int type = PyArray_TYPE((PyArrayObject *)grad);
    return type == NPY_FLOAT || type == NPY_DOUBLE ? PySet_Contains(python.native, at->label) : 0;
}

/// Runs one node's function on its gradient, which is given away.
static int run_node(work *w, node *at, PyObject *grad) {
    PyObject *call = NULL, *grads = NULL;
    int status = -1;
    bool whole = at->index == Py_None;
    long index = whole ? 0 : PyLong_AsLong(at->index);
    if (whole || index >= 0) {
        if (prepare(w, at, &grad) < 0) goto finish;
        if (!whole) {
            status = send_part(w, at, index, grad);
            goto finish;
        }
    }
    if (!present(at->backward)) {
        PyObject *none = PyObject_CallFunctionObjArgs(python.refuse, (PyObject *)at, Py_False, NULL);
        Py_XDECREF(none);
        goto finish;
    }
    if (PyTuple_Check(at->saved) && PyTuple_Size(at->saved) > 0) {
        if (last_change < at->number) {
            PyObject *none = PyObject_CallFunctionObjArgs(python.verify, (PyObject *)at, NULL);
            if (none == NULL) goto finish;
            Py_DECREF(none);
        }
    }
    call = at->backward;
    Py_INCREF(call);
    if (!w->retain && PyTuple_Check(at->saved) && PyTuple_Size(at->saved) > 0) {
        PyObject *freed = PyTuple_Pack(1, Py_None);
        if (freed == NULL) goto finish;
        Py_INCREF(Py_None);
        replace(&at->backward, Py_None);
        replace(&at->saved, freed);
    }
    if (w->graph) {
        if (at->twice != Py_True) {
            PyObject *none = PyObject_CallFunctionObjArgs(python.refuse, (PyObject *)at, Py_True, NULL);
            Py_XDECREF(none);
            if (none == NULL) goto finish;
        }
        PyObject *none = PyObject_CallFunctionObjArgs(python.recording, (PyObject *)at, NULL);
        if (none == NULL) goto finish;
        Py_DECREF(none);
    }
    if (w->quiet == NULL) {
        int native = whole ? is_native(w, at, grad) : 0;
        if (native < 0 || (native == 0 && silence(w) < 0)) goto finish;
    }
    if (whole) {
        grads = PyObject_CallFunctionObjArgs(call, grad, NULL);
    } else {
        PyObject *parts = PyList_AsTuple(grad);
        if (parts != NULL) grads = PyObject_CallObject(call, parts);
        Py_XDECREF(parts);
    }
    Py_CLEAR(grad);  // gradients that only `grads` holds can be handed over
    if (grads != NULL) status = send_all(w, at->edges, grads);
finish:
    Py_XDECREF(grad);
    Py_XDECREF(call);
    Py_XDECREF(grads);
    return status;
}

// ---- at a leaf

/// Adds a gradient, which is given away, to `.grad` of its leaf, which gets memory of its own.
static int deliver(tensor *leaf, PyObject *grad, bool graph) {
    PyObject *made = NULL, *none;
    int status = -1;
    bool hooked = present(leaf->hooks);
    if (hooked) {
        PyObject *hooks = PyTuple_GetItem(leaf->hooks, 0);
        if (hooks == NULL) goto finish;
        if (PyDict_Size(hooks) > 0) {
            PyObject *changed = PyObject_CallFunctionObjArgs(python.run_hooks, hooks, grad, NULL);
            if (changed == NULL) goto finish;
            replace(&grad, changed);
        }
    }
    if (graph) {
        if (present(leaf->grad)) made = PyNumber_Add(leaf->grad, grad);
        else made = grad, Py_INCREF(grad);
    } else if (present(leaf->grad)) {
        none = PyObject_CallFunctionObjArgs(python.accumulate, leaf->grad, grad, NULL);
        if (none == NULL) goto finish;
        Py_DECREF(none);
    } else {
        PyArrayObject *array = (PyArrayObject *)grad;
        PyObject *own;
        if (!PyArray_CheckExact(grad)) {
            own = PyArray_FromAny(grad, NULL, 0, 0, NPY_ARRAY_ENSURECOPY | NPY_ARRAY_ENSUREARRAY, NULL);
        } else if (Py_REFCNT(grad) > 1) {
            own = PyArray_NewCopy(array, NPY_KEEPORDER);
        } else if (PyArray_BASE(array) != NULL || !PyArray_IS_C_CONTIGUOUS(array)) {
            own = PyArray_NewCopy(array, NPY_CORDER);
        } else {
            own = grad, Py_INCREF(grad);
        }
        if (own == NULL) goto finish;
        made = make_tensor((PyTypeObject *)python.tensor, own);
        Py_DECREF(own);
    }
    if (made != NULL) replace(&leaf->grad, made);
    else if (PyErr_Occurred()) goto finish;
    status = 0;
    if (hooked) {
        none = PyObject_CallFunctionObjArgs(python.after, (PyObject *)leaf, NULL);
        Py_XDECREF(none);
        if (none == NULL) status = -1;
    }
finish:
    Py_DECREF(grad);
    return status;
}

PyObject *engine_deliver(PyObject *module, PyObject *const *arguments, Py_ssize_t count) {
    (void)module;
    if (count != 3 || !is_tensor(arguments[0])) {
        PyErr_SetString(PyExc_TypeError, "[deliver] takes a leaf, a gradient and whether it is recorded");
        return NULL;
    }
    Py_INCREF(arguments[1]);
    if (deliver((tensor *)arguments[0], arguments[1], arguments[2] == Py_True) < 0) return NULL;
    Py_RETURN_NONE;
}

// ---- the whole way

static void end_silence(work *w) {
    PyObject *type, *value, *trace;
    PyErr_Fetch(&type, &value, &trace);
    if (w->quiet != NULL) {
        PyObject *none = PyObject_CallMethod(w->quiet, "__exit__", "OOO", Py_None, Py_None, Py_None);
        Py_XDECREF(none);
        Py_CLEAR(w->quiet);
    }
    if (w->graph) {
        PyObject *none = PyObject_CallFunctionObjArgs(python.recording, Py_None, NULL);
        Py_XDECREF(none);
    }
    if (type != NULL) PyErr_Restore(type, value, trace);
}

/// {id: [leaf, gradient]}, for those who do something else with the gradients than adding them to the leaves.
static PyObject *leaves_of(work *w) {
    PyObject *leaves = PyDict_New();
    for (Py_ssize_t i = 0; leaves != NULL && i < w->count; i++) {
        if (is_node(w->entries[i].edge)) continue;
        PyObject *id = PyLong_FromVoidPtr(w->entries[i].edge);
        PyObject *pair = PyList_New(2);
        if (id != NULL && pair != NULL) {
            Py_INCREF(w->entries[i].edge);
            PyList_SetItem(pair, 0, w->entries[i].edge);
            PyList_SetItem(pair, 1, w->entries[i].grad);
            w->entries[i].grad = NULL;
        }
        if (id == NULL || pair == NULL || PyDict_SetItem(leaves, id, pair) < 0) Py_CLEAR(leaves);
        Py_XDECREF(id);
        Py_XDECREF(pair);
    }
    return leaves;
}

/// propagate(edges, grads, retain, graph, useful, wanted, end): with `end` the gradients end in the leaves' `.grad`, and
/// None is returned; otherwise (leaves, captured), see engine.py.
PyObject *engine_propagate(PyObject *module, PyObject *const *arguments, Py_ssize_t count) {
    (void)module;
    if (count != 7 || !PyTuple_Check(arguments[0])) {
        PyErr_SetString(PyExc_TypeError, "[propagate] takes edges, grads, retain, graph, useful, wanted, end");
        return NULL;
    }
    work w;
    w.entries = w.few_entries;
    w.table = w.few_table;
    w.heap = w.few_heap;
    w.count = w.waiting = 0;
    w.room = FEW;
    memset(w.few_table, 0, sizeof w.few_table);
    w.quiet = NULL;
    w.retain = PyObject_IsTrue(arguments[2]) == 1;
    w.graph = PyObject_IsTrue(arguments[3]) == 1;
    w.useful = arguments[4];
    w.wanted = arguments[5];
    w.captured = w.wanted == Py_None ? NULL : PyDict_New();
    bool end = arguments[6] == Py_True, before = grad_disabled;
    grad_disabled = !w.graph;
    int status = send_all(&w, arguments[0], arguments[1]);
    while (status == 0 && w.waiting > 0) {
        entry *next = &w.entries[next_entry(&w)];
        PyObject *grad = next->grad;
        next->grad = NULL;
        status = run_node(&w, (node *)next->edge, grad);
    }
    end_silence(&w);
    grad_disabled = before;
    PyObject *result = NULL;
    if (status == 0 && end) {
        for (Py_ssize_t i = 0; status == 0 && i < w.count; i++) {
            PyObject *grad = w.entries[i].grad;
            if (is_node(w.entries[i].edge) || grad == NULL) continue;
            w.entries[i].grad = NULL;
            status = deliver((tensor *)w.entries[i].edge, grad, w.graph);
        }
        if (status == 0) result = Py_None, Py_INCREF(result);
    } else if (status == 0) {
        PyObject *leaves = leaves_of(&w), *captured = w.captured == NULL ? PyDict_New() : w.captured;
        w.captured = NULL;
        if (leaves != NULL && captured != NULL) result = PyTuple_Pack(2, leaves, captured);
        Py_XDECREF(leaves);
        Py_XDECREF(captured);
    }
    for (Py_ssize_t i = 0; i < w.count; i++) {
        Py_XDECREF(w.entries[i].grad);
        Py_DECREF(w.entries[i].edge);
    }
    Py_XDECREF(w.captured);
    if (w.entries != w.few_entries) PyMem_Free(w.entries), PyMem_Free(w.heap), PyMem_Free(w.table);
    return result;
}
