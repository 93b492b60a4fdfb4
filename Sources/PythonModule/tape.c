// The extension spinetail._tape: the fields of tensors and nodes, and what makes them. It knows no kernel, so it is the
// same at every CPU level.
#define SPINETAIL_TAPE_MAIN 1
#include "tape.h"

callbacks python;
PyTypeObject *base_type, *node_type, *storage_type;
_Thread_local bool grad_disabled;  // each thread records until it is told not to
long long last_change;             // the number taken by the newest in-place change of any tensor
static long long newest;           // nodes and changes are numbered downwards from -1

// ---- fields, and what the garbage collector wants to know about them

#define TENSOR_FIELDS(F) F(array) F(grad) F(hooks) F(node) F(requires_grad) F(storage) F(view)
#define NODE_FIELDS(F) F(backward) F(edges) F(hooks) F(index) F(label) F(saved) F(twice)
#define VISIT(field) Py_VISIT(self->field);
#define CLEAR(field) Py_CLEAR(self->field);

static int tensor_traverse(tensor *self, visitproc visit, void *arg) {
    Py_VISIT(Py_TYPE((PyObject *)self));
    TENSOR_FIELDS(VISIT)
    return 0;
}

static int tensor_clear(tensor *self) {
    TENSOR_FIELDS(CLEAR)
    return 0;
}

static int node_traverse(node *self, visitproc visit, void *arg) {
    Py_VISIT(Py_TYPE((PyObject *)self));
    NODE_FIELDS(VISIT)
    return 0;
}

/// Chains of nodes may be of any length: they hang together by tuples, whose own deallocation bounds the recursion.
static int node_clear(node *self) {
    NODE_FIELDS(CLEAR)
    return 0;
}

static void tensor_dealloc(tensor *self) {
    PyTypeObject *type = Py_TYPE((PyObject *)self);
    PyObject_GC_UnTrack(self);
    if (self->weakrefs) PyObject_ClearWeakRefs((PyObject *)self);
    tensor_clear(self);
    PyObject_GC_Del(self);
    Py_DECREF(type);
}

static void node_dealloc(node *self) {
    PyTypeObject *type = Py_TYPE((PyObject *)self);
    PyObject_GC_UnTrack(self);
    if (self->weakrefs) PyObject_ClearWeakRefs((PyObject *)self);
    node_clear(self);
    PyObject_GC_Del(self);
    Py_DECREF(type);
}

static void storage_dealloc(storage *self) {
    PyTypeObject *type = Py_TYPE((PyObject *)self);
    Py_CLEAR(self->views);
    PyObject_Free(self);
    Py_DECREF(type);
}

#define OBJECT(type, name, field) {name, T_OBJECT_EX, offsetof(type, field), 0, NULL}
static PyMemberDef tensor_members[] = {
    OBJECT(tensor, "_array", array),
    OBJECT(tensor, "grad", grad),
    OBJECT(tensor, "_hooks", hooks),
    OBJECT(tensor, "_node", node),
    OBJECT(tensor, "_requires_grad", requires_grad),
    OBJECT(tensor, "_storage", storage),
    OBJECT(tensor, "_view", view),
    {"__weaklistoffset__", T_PYSSIZET, offsetof(tensor, weakrefs), READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyMemberDef node_members[] = {
    OBJECT(node, "backward", backward),
    OBJECT(node, "edges", edges),
    OBJECT(node, "hooks", hooks),
    OBJECT(node, "index", index),
    OBJECT(node, "label", label),
    OBJECT(node, "saved", saved),
    OBJECT(node, "twice", twice),
    {"number", T_LONGLONG, offsetof(node, number), READONLY, NULL},
    {"__weaklistoffset__", T_PYSSIZET, offsetof(node, weakrefs), READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyMemberDef storage_members[] = {
    {"views", T_OBJECT, offsetof(storage, views), 0, NULL},
    {"changed", T_LONGLONG, offsetof(storage, changed), READONLY, NULL},
    {"version", T_LONGLONG, offsetof(storage, version), READONLY, NULL},
    {"limit", T_LONGLONG, offsetof(storage, limit), 0, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyType_Slot tensor_slots[] = {
    {Py_tp_doc, "The fields of a tensor."}, {Py_tp_members, tensor_members},
    {Py_tp_traverse, tensor_traverse},      {Py_tp_clear, tensor_clear},
    {Py_tp_dealloc, tensor_dealloc},        {0, NULL},
};

static PyType_Slot node_slots[] = {
    {Py_tp_doc, "One recorded operation. `edges[i]` is where the gradient of input i goes: a node, a leaf, or None."},
    {Py_tp_members, node_members},
    {Py_tp_traverse, node_traverse},
    {Py_tp_clear, node_clear},
    {Py_tp_dealloc, node_dealloc},
    {0, NULL},
};

static PyType_Slot storage_slots[] = {
    {Py_tp_doc, "What tensors over the same memory share: how often and when it was changed, and who they are."},
    {Py_tp_members, storage_members},
    {Py_tp_dealloc, storage_dealloc},
    {0, NULL},
};

static PyType_Spec tensor_spec = {
    "spinetail._tape.Base", sizeof(tensor), 0, Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
    tensor_slots};
static PyType_Spec node_spec = {
    "spinetail._tape.Node", sizeof(node), 0, Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC, node_slots};
static PyType_Spec storage_spec = {"spinetail._tape.Storage", sizeof(storage), 0, Py_TPFLAGS_DEFAULT, storage_slots};

// ---- making them

PyObject *make_tensor(PyTypeObject *type, PyObject *array) {
    if (type == NULL) {
        PyErr_SetString(PyExc_RuntimeError, "spinetail.autograd has not been imported");
        return NULL;
    }
    PyObject *plain =
        PyArray_CheckExact(array) ? hold(array) : PyArray_FromAny(array, NULL, 0, 0, NPY_ARRAY_ENSUREARRAY, NULL);
    if (plain == NULL) return NULL;
    tensor *made = (tensor *)PyType_GenericAlloc(type, 0);
    if (made == NULL) {
        Py_DECREF(plain);
        return NULL;
    }
    made->array = plain;
    made->requires_grad = hold(Py_False);
    made->grad = hold(Py_None);
    made->hooks = hold(Py_None);
    made->node = hold(Py_None);
    made->storage = hold(Py_None);
    made->view = hold(Py_None);
    return (PyObject *)made;
}

/// Where the gradient of an input goes: its node, itself if it is a leaf, or None if it needs none.
static PyObject *edge_of(PyObject *input, bool always) {
    if (input == Py_None) return input;
    if (!is_tensor(input)) {
        PyErr_Format(
            PyExc_TypeError, "[record] expected tensors or None as inputs, got %R", (PyObject *)Py_TYPE(input));
        return NULL;
    }
    tensor *from = (tensor *)input;
    if (!always && from->requires_grad != Py_True) return Py_None;
    return present(from->node) ? from->node : input;
}

static node *new_node(PyObject *inputs, PyObject *backward, PyObject *saved, PyObject *label, PyObject *twice) {
    if (!PyTuple_Check(saved)) {
        PyErr_SetString(PyExc_TypeError, "[record] expected a tuple of what is saved");
        return NULL;
    }
    inputs = PySequence_Tuple(inputs);
    if (inputs == NULL) return NULL;
    Py_ssize_t count = PyTuple_Size(inputs);
    PyObject *edges = PyTuple_New(count);
    for (Py_ssize_t i = 0; edges != NULL && i < count; i++) {
        PyObject *edge = edge_of(PyTuple_GetItem(inputs, i), count == 1);
        if (edge == NULL) Py_CLEAR(edges);
        else PyTuple_SetItem(edges, i, hold(edge));
    }
    Py_DECREF(inputs);
    if (edges == NULL) return NULL;
    node *made = (node *)PyType_GenericAlloc(node_type, 0);
    if (made == NULL) {
        Py_DECREF(edges);
        return NULL;
    }
    made->edges = edges;
    made->backward = hold(backward);
    made->saved = hold(saved);
    made->label = hold(label);
    made->hooks = hold(Py_None);
    made->index = hold(Py_None);
    made->twice = hold(twice);
    made->number = --newest;
    return made;
}

static PyObject *wrap(PyObject *module, PyObject *array) {
    (void)module;
    return make_tensor((PyTypeObject *)python.tensor, array);
}

static int wrong_count(const char *name, Py_ssize_t count, Py_ssize_t least, Py_ssize_t most) {
    if (count >= least && count <= most) return 0;
    PyErr_Format(PyExc_TypeError, "[%s] takes %zd to %zd arguments, got %zd", name, least, most, count);
    return -1;
}

static PyObject *make(PyObject *module, PyObject *const *arguments, Py_ssize_t count) {
    (void)module;
    if (wrong_count("make", count, 2, 3) < 0) return NULL;
    if (!PyType_Check(arguments[0]) || !PyType_IsSubtype((PyTypeObject *)arguments[0], base_type)) {
        PyErr_SetString(PyExc_TypeError, "[make] expected Tensor or a subclass of it");
        return NULL;
    }
    int wanted = count == 3 ? PyObject_IsTrue(arguments[2]) : 0;
    if (wanted < 0) return NULL;
    PyObject *made = make_tensor((PyTypeObject *)arguments[0], arguments[1]);
    if (made != NULL && wanted) put(&((tensor *)made)->requires_grad, Py_True);
    return made;
}

static PyObject *make_node(PyObject *module, PyObject *const *arguments, Py_ssize_t count) {
    (void)module;
    if (wrong_count("make_node", count, 5, 5) < 0) return NULL;
    return (PyObject *)new_node(arguments[0], arguments[1], arguments[2], arguments[3], arguments[4]);
}

/// record(array, inputs, backward, saved=(), name="", saved_output=False, twice=False)
static PyObject *record(PyObject *module, PyObject *const *arguments, Py_ssize_t count, PyObject *keywords) {
    static const char *const names[] = {"array", "inputs", "backward", "saved", "name", "saved_output", "twice"};
    (void)module;
    PyObject *values[7] = {NULL};
    if (wrong_count("record", count, 0, 7) < 0) return NULL;
    for (Py_ssize_t i = 0; i < count; i++) values[i] = arguments[i];
    Py_ssize_t named = keywords == NULL ? 0 : PyTuple_Size(keywords);
    for (Py_ssize_t i = 0; i < named; i++) {
        PyObject *name = PyTuple_GetItem(keywords, i);
        int k = 6;
        while (k >= 0 && PyUnicode_CompareWithASCIIString(name, names[k]) != 0) k--;
        if (k < 0 || values[k] != NULL) {
            PyErr_Format(PyExc_TypeError, "[record] got an unexpected or second argument %R", name);
            return NULL;
        }
        values[k] = arguments[count + i];
    }
    if (values[0] == NULL || values[1] == NULL || values[2] == NULL) {
        PyErr_SetString(PyExc_TypeError, "[record] expected array, inputs and backward");
        return NULL;
    }
    int output = values[5] == NULL || values[5] == Py_False ? 0 : PyObject_IsTrue(values[5]);
    if (output < 0) return NULL;
    tensor *made = (tensor *)make_tensor((PyTypeObject *)python.tensor, values[0]);
    if (made == NULL) return NULL;
    PyObject *saved = values[3] == NULL ? PyTuple_New(0) : hold(values[3]);
    PyObject *label = values[4] == NULL ? PyUnicode_FromString("") : hold(values[4]);
    if (output && saved != NULL
        && PyTuple_Check(saved)) {  // the gradient reads the output: the node watches its memory, not the tensor
        PyObject *shared = PyType_GenericAlloc(storage_type, 0);
        Py_ssize_t kept = PyTuple_Size(saved);
        PyObject *both = shared == NULL ? NULL : PyTuple_New(kept + 1);
        if (both != NULL) {
            for (Py_ssize_t i = 0; i < kept; i++) PyTuple_SetItem(both, i, hold(PyTuple_GetItem(saved, i)));
            PyTuple_SetItem(both, kept, hold(shared));
            put(&made->storage, shared);
        }
        Py_XDECREF(shared);
        Py_DECREF(saved);
        saved = both;
    }
    node *history = saved == NULL || label == NULL
        ? NULL
        : new_node(values[1], values[2], saved, label, values[6] == NULL ? Py_False : values[6]);
    Py_XDECREF(saved);
    Py_XDECREF(label);
    if (history == NULL) {
        Py_DECREF(made);
        return NULL;
    }
    put(&made->requires_grad, Py_True);
    put(&made->node, (PyObject *)history);
    Py_DECREF(history);
    return (PyObject *)made;
}

// ---- changes in place, numbers, the recording switch

static int bump_one(PyObject *object) {
    if (!is_tensor(object)) {
        PyErr_SetString(PyExc_TypeError, "[bump] expected a Tensor");
        return -1;
    }
    tensor *changed = (tensor *)object;
    if (!present(changed->storage)) {
        PyObject *fresh = PyType_GenericAlloc(storage_type, 0);
        if (fresh == NULL) return -1;
        put(&changed->storage, fresh);
        Py_DECREF(fresh);
    }
    if (Py_TYPE(changed->storage) != storage_type) {
        PyErr_SetString(PyExc_TypeError, "[bump] the tensor's _storage is not a Storage");
        return -1;
    }
    storage *shared = (storage *)changed->storage;
    shared->changed = last_change = --newest;
    shared->version++;
    return 0;
}

static PyObject *bump(PyObject *module, PyObject *changed) {
    (void)module;
    if (PyList_Check(changed)) {
        for (Py_ssize_t i = 0; i < PyList_Size(changed); i++) {
            if (bump_one(PyList_GetItem(changed, i)) < 0) return NULL;
        }
        Py_RETURN_NONE;
    }
    if (bump_one(changed) < 0) return NULL;
    Py_RETURN_NONE;
}

static PyObject *next_number(PyObject *module, PyObject *none) {
    (void)module, (void)none;
    return PyLong_FromLongLong(--newest);
}

static PyObject *enabled(PyObject *module, PyObject *none) {
    (void)module, (void)none;
    return hold(grad_disabled ? Py_False : Py_True);
}

static PyObject *enable(PyObject *module, PyObject *value) {
    (void)module;
    int on = PyObject_IsTrue(value);
    if (on < 0) return NULL;
    bool before = !grad_disabled;
    grad_disabled = !on;
    return PyBool_FromLong(before);
}

static PyObject *connect(PyObject *module, PyObject *const *arguments, Py_ssize_t count) {
    (void)module;
    PyObject **fields = (PyObject **)&python;
    if (wrong_count("connect", count, sizeof python / sizeof *fields, sizeof python / sizeof *fields) < 0) return NULL;
    if (!PyType_Check(arguments[0]) || !PyType_IsSubtype((PyTypeObject *)arguments[0], base_type)) {
        PyErr_SetString(PyExc_TypeError, "[connect] expected a subclass of Base first");
        return NULL;
    }
    for (Py_ssize_t i = 0; i < count; i++) put(&fields[i], arguments[i]);
    Py_RETURN_NONE;
}

#define FAST(function) (PyCFunction)(void (*)(void)) function, METH_FASTCALL
static PyMethodDef methods[] = {
    {"bump", bump, METH_O, "Note that the memory of a tensor, or of each in a list, has been changed in place."},
    {"connect", FAST(connect), "Tell C which Python functions do the rare things (see `callbacks` in tape.h)."},
    {"deliver", FAST(engine_deliver), "deliver(leaf, gradient, graph): add a gradient to `.grad` of its leaf."},
    {"enable", enable, METH_O, "Switch recording in this thread, and return whether it was on."},
    {"is_grad_enabled", enabled, METH_NOARGS, "Whether operations of this thread are recorded for `backward`."},
    {"make", FAST(make), "make(cls, array, requires_grad=False): a leaf of a class around an array."},
    {"make_node", FAST(make_node), "make_node(inputs, backward, saved, label, twice): a node without an output."},
    {"next_number", next_number, METH_NOARGS, "The number that the next node or change would take."},
    {"propagate", FAST(engine_propagate),
     "propagate(edges, grads, retain, graph, useful, wanted, end): send gradients through the graph (see engine.run)."},
    {"record", (PyCFunction)(void (*)(void))record, METH_FASTCALL | METH_KEYWORDS,
     "record(array, inputs, backward, saved=(), name='', saved_output=False, twice=False)\n--\n\n"
     "The output tensor of an operation of which at least one input requires a gradient.\n\n"
     "`backward(grad)` returns one gradient, or None, for each of `inputs`, in the input's shape and dtype, and "
     "leaves\n"
     "`grad` alone. `saved` are the tensors whose arrays `backward` reads; with `saved_output` it reads `array` too.\n"
     "With `twice` the function also takes and returns Tensors (see `like`), which makes second derivatives possible."},
    {"wrap", wrap, METH_O, "A tensor around an array that requires no gradient."},
    {NULL, NULL, 0, NULL},
};

static int execute(PyObject *module) {
    if (PyArray_ImportNumPyAPI() < 0) return -1;
    if (base_type != NULL) goto made;  // imported again: tensors that live keep their types
    base_type = (PyTypeObject *)PyType_FromSpec(&tensor_spec);
    node_type = (PyTypeObject *)PyType_FromSpec(&node_spec);
    storage_type = (PyTypeObject *)PyType_FromSpec(&storage_spec);
    if (base_type == NULL || node_type == NULL || storage_type == NULL) return -1;
made:
    if (PyModule_AddObjectRef(module, "Base", (PyObject *)base_type) < 0) return -1;
    if (PyModule_AddObjectRef(module, "Node", (PyObject *)node_type) < 0) return -1;
    return PyModule_AddObjectRef(module, "Storage", (PyObject *)storage_type);
}

static PyModuleDef_Slot module_slots[] = {{Py_mod_exec, execute}, {0, NULL}};

static struct PyModuleDef definition = {
    .m_base = PyModuleDef_HEAD_INIT, .m_name = "spinetail._tape", .m_methods = methods, .m_slots = module_slots};

PyMODINIT_FUNC PyInit__tape(void) { return PyModuleDef_Init(&definition); }
