// The Python extension: one function per row of kernels.inc. It converts arguments, releases the GIL around the work,
// and turns a kernel's status into an exception. Nothing is computed here.
#define _GNU_SOURCE 1
#include "arguments.h"
#include "outputs.h"

#include <sys/syscall.h>
#include <unistd.h>

#include "spinetail/spinetail.h"

#undef I  // <complex.h>, which NumPy includes, takes this letter

#define STRING_(x) #x
#define STRING(x) STRING_(x)
#define JOIN_(a, b) a##b
#define JOIN(a, b) JOIN_(a, b)

typedef struct {
    const char *name;
    const char *letters;
    spinetail_status (*call)(slot *);
} kernel;

// ---- rows -> wrappers: each letter becomes the argument that the prototype wants
#define ARG_W(i) &s[i].array
#define ARG_O(i) s[i].optional
#define ARG_R(i) &s[i].array
#define ARG_N(i) s[i].optional
#define ARG_L(i) s[i].list, s[i].count
#define ARG_I(i) s[i].integer
#define ARG_D(i) s[i].real
#define ARG_P(i) (const void *)s[i].numbers

#define COUNT(...) COUNT_(__VA_ARGS__, 20, 19, 18, 17, 16, 15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1)
#define COUNT_(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t, N, ...) N
#define EACH(F, ...) JOIN(EACH_, COUNT(__VA_ARGS__))(F, 0, __VA_ARGS__)
#define EACH_1(F, i, x) F(x)(i)
#define EACH_2(F, i, x, ...) F(x)(i), EACH_1(F, i + 1, __VA_ARGS__)
#define EACH_3(F, i, x, ...) F(x)(i), EACH_2(F, i + 1, __VA_ARGS__)
#define EACH_4(F, i, x, ...) F(x)(i), EACH_3(F, i + 1, __VA_ARGS__)
#define EACH_5(F, i, x, ...) F(x)(i), EACH_4(F, i + 1, __VA_ARGS__)
#define EACH_6(F, i, x, ...) F(x)(i), EACH_5(F, i + 1, __VA_ARGS__)
#define EACH_7(F, i, x, ...) F(x)(i), EACH_6(F, i + 1, __VA_ARGS__)
#define EACH_8(F, i, x, ...) F(x)(i), EACH_7(F, i + 1, __VA_ARGS__)
#define EACH_9(F, i, x, ...) F(x)(i), EACH_8(F, i + 1, __VA_ARGS__)
#define EACH_10(F, i, x, ...) F(x)(i), EACH_9(F, i + 1, __VA_ARGS__)
#define EACH_11(F, i, x, ...) F(x)(i), EACH_10(F, i + 1, __VA_ARGS__)
#define EACH_12(F, i, x, ...) F(x)(i), EACH_11(F, i + 1, __VA_ARGS__)
#define EACH_13(F, i, x, ...) F(x)(i), EACH_12(F, i + 1, __VA_ARGS__)
#define EACH_14(F, i, x, ...) F(x)(i), EACH_13(F, i + 1, __VA_ARGS__)
#define EACH_15(F, i, x, ...) F(x)(i), EACH_14(F, i + 1, __VA_ARGS__)
#define EACH_16(F, i, x, ...) F(x)(i), EACH_15(F, i + 1, __VA_ARGS__)
#define EACH_17(F, i, x, ...) F(x)(i), EACH_16(F, i + 1, __VA_ARGS__)
#define EACH_18(F, i, x, ...) F(x)(i), EACH_17(F, i + 1, __VA_ARGS__)
#define EACH_19(F, i, x, ...) F(x)(i), EACH_18(F, i + 1, __VA_ARGS__)
#define EACH_20(F, i, x, ...) F(x)(i), EACH_19(F, i + 1, __VA_ARGS__)
#define ARGUMENT(x) ARG_##x

static PyObject *run(const kernel *k, PyObject *const *arguments, Py_ssize_t count);

#define KERNEL(name, ...)                                                                                              \
    static spinetail_status call_##name(slot *s) { return spinetail_##name(EACH(ARGUMENT, __VA_ARGS__)); }             \
    static const kernel row_##name = {#name, #__VA_ARGS__, call_##name};                                               \
    static PyObject *py_##name(PyObject *module, PyObject *const *arguments, Py_ssize_t count) {                       \
        (void)module;                                                                                                  \
        return run(&row_##name, arguments, count);                                                                     \
    }
#include "kernels.inc"
#undef KERNEL

// ---- running a kernel

/// The thread state of the call whose GIL is released, for the interrupt check; NULL while the GIL is held.
static _Thread_local PyThreadState *released = NULL;

/// Python runs signal handlers in the main thread alone. No other thread may take the GIL in the middle of a kernel: when
/// the interpreter is shutting down that would end the thread, while its helpers work on a job that lies on its stack.
static int32_t check_signals(void) {
    if (released == NULL || syscall(SYS_gettid) != getpid()) return 0;
    PyEval_RestoreThread(released);
    int pending = PyErr_CheckSignals();
    released = PyEval_SaveThread();
    return pending != 0;
}

static void raise_status(const kernel *k, spinetail_status status) {
    static const char *const reasons[] = {
        "",
        "unsupported or mismatched dtype",
        "wrong rank",
        "mismatched shape",
        "unsupported memory layout",
        "parameter out of range",
        "index out of range"};
    int code = status & 255, argument = status >> 8 & 255;
    if (PyErr_Occurred()) return;  // a signal handler raised: KeyboardInterrupt, as a rule
    if (code == SPINETAIL_INTERRUPTED) {
        PyErr_Format(PyExc_RuntimeError, "[%s] stopped: the process forked while the kernel ran", k->name);
        return;
    }
    if (code == SPINETAIL_NO_MEMORY) {
        PyErr_Format(PyExc_MemoryError, "[%s] not enough memory for scratch space", k->name);
        return;
    }
    PyObject *type = code == SPINETAIL_BAD_DTYPE ? PyExc_TypeError
        : code == SPINETAIL_BAD_INDEX            ? PyExc_IndexError
                                                 : PyExc_ValueError;
    const char *reason = code > 0 && code < 7 ? reasons[code] : "unknown status";
    if (argument) PyErr_Format(type, "[%s] argument %d: %s", k->name, argument - 1, reason);
    else PyErr_Format(type, "[%s] %s", k->name, reason);
}

/// Below this many bytes of arrays a call is over before another thread could use the GIL.
enum { GIL_BYTES = 16384 };

/// What a call that made outputs returns: its only output, or a tuple of all, with None for those left out.
static PyObject *outputs_of(const kernel *k, slot *slots, PyObject *const *arguments, Py_ssize_t count) {
    Py_ssize_t outputs = 0;
    while (outputs < count && strchr("WO", k->letters[3 * outputs]) != NULL) outputs++;
    PyObject *result = outputs == 1 ? NULL : PyTuple_New(outputs);
    for (Py_ssize_t i = 0; i < outputs && (outputs == 1 || result != NULL); i++) {
        PyObject *output = is_recipe(k->letters[3 * i], arguments[i]) ? slots[i].owned : arguments[i];
        Py_INCREF(output);
        if (outputs == 1) return output;
        PyTuple_SetItem(result, i, output);
    }
    return result;
}

static PyObject *run(const kernel *k, PyObject *const *arguments, Py_ssize_t count) {
    slot slots[MAX_SLOTS];
    Py_ssize_t wanted = 0, done = 0, recipes = 0;
    PyObject *result = NULL;
    size_t bytes = 0;
    // Letters stand at every third place of "W, R, I".
    wanted = (Py_ssize_t)(strlen(k->letters) + 2) / 3;
    if (count != wanted) {
        PyErr_Format(PyExc_TypeError, "[%s] takes %zd arguments, got %zd", k->name, wanted, count);
        return NULL;
    }
    for (; done < count; done++) {
        char letter = k->letters[3 * done];
        slot *s = &slots[done];
        s->owned = NULL;
        s->list = NULL;
        if (is_recipe(letter, arguments[done])) {
            recipes++;
            continue;
        }
        if (take(k->name, (int)done, letter, arguments[done], s) < 0) {
            done++;
            goto finish;
        }
        if (letter == 'W' || letter == 'R') bytes += PyArray_NBYTES((PyArrayObject *)arguments[done]);
        else if (letter == 'L') bytes += GIL_BYTES;
    }
    for (Py_ssize_t i = 0; recipes > 0 && i < count; i++) {  // inputs are known to be arrays now
        slot *s = &slots[i];
        if (!is_recipe(k->letters[3 * i], arguments[i])) continue;
        s->owned = make_output(k->letters, arguments[i], arguments, count);
        if (s->owned == NULL) goto finish;
        describe((PyArrayObject *)s->owned, kernel_dtype(PyArray_TYPE((PyArrayObject *)s->owned)), &s->array);
        s->optional = &s->array;
        bytes += PyArray_NBYTES((PyArrayObject *)s->owned);
    }
    spinetail_status status;
    if (bytes < GIL_BYTES) {
        status = k->call(slots);
    } else {
        released = PyEval_SaveThread();
        status = k->call(slots);
        PyThreadState *state = released;
        released = NULL;
        PyEval_RestoreThread(state);
    }
    if (status == SPINETAIL_OK && !(bytes >= GIL_BYTES && PyErr_Occurred())) {
        result = recipes > 0 ? outputs_of(k, slots, arguments, count) : Py_None;
        if (recipes == 0) Py_INCREF(result);
    } else {
        raise_status(k, status);
    }
finish:
    for (Py_ssize_t i = 0; i < done; i++) {
        Py_XDECREF(slots[i].owned);
        if (slots[i].list) PyMem_Free(slots[i].list);
    }
    return result;
}

static const kernel *row_of(const char *name) {
#define KERNEL(known, ...)                                                                                             \
    if (strcmp(name, #known) == 0) return &row_##known;
#include "kernels.inc"
#undef KERNEL
    return NULL;
}

#include "shortcut.h"

// ---- what is not a kernel

static PyObject *get_num_threads(PyObject *module, PyObject *none) {
    (void)module, (void)none;
    return PyLong_FromLong(spinetail_get_num_threads());
}

static PyObject *set_num_threads(PyObject *module, PyObject *count) {
    (void)module;
    long value = PyLong_AsLong(count);
    if (value == -1 && PyErr_Occurred()) return NULL;
    spinetail_set_num_threads((int32_t)(value > 1024 ? 1024 : value < 1 ? 1 : value));
    Py_RETURN_NONE;
}

static PyObject *register_bfloat16(PyObject *module, PyObject *descriptor) {
    (void)module;
    if (!PyArray_DescrCheck(descriptor)) {
        PyErr_SetString(PyExc_TypeError, "[register_bfloat16] expected a numpy.dtype");
        return NULL;
    }
    PyArray_Descr *described = (PyArray_Descr *)descriptor;
    if (described->type_num < NPY_USERDEF || PyDataType_ELSIZE(described) != 2) {
        PyErr_Format(PyExc_TypeError, "[register_bfloat16] expected ml_dtypes.bfloat16, got %S", descriptor);
        return NULL;
    }
    bfloat16_number = described->type_num;
    Py_RETURN_NONE;
}

/// {name: letters of its row, such as "WRID"}: what tests and tools need to call kernels they have never heard of.
static PyObject *signatures(PyObject *module, PyObject *none) {
    (void)module, (void)none;
    static const char *const rows[][2] = {
#define KERNEL(name, ...) {#name, #__VA_ARGS__},
#include "kernels.inc"
#undef KERNEL
    };
    PyObject *result = PyDict_New();
    for (size_t row = 0; result != NULL && row < sizeof rows / sizeof *rows; row++) {
        char letters[MAX_SLOTS];
        Py_ssize_t count = 0;
        for (const char *p = rows[row][1]; *p; p++) {
            if (*p != ',' && *p != ' ') letters[count++] = *p;
        }
        PyObject *text = PyUnicode_FromStringAndSize(letters, count);
        if (text == NULL || PyDict_SetItemString(result, rows[row][0], text) < 0) Py_CLEAR(result);
        Py_XDECREF(text);
    }
    return result;
}

#define KERNEL(name, ...) {#name, (PyCFunction)(void (*)(void))py_##name, METH_FASTCALL, NULL},
static PyMethodDef methods[] = {
#include "kernels.inc"
    {"empty", (PyCFunction)(void (*)(void))empty, METH_FASTCALL, NULL},
    {"get_num_threads", get_num_threads, METH_NOARGS, NULL},
    {"set_num_threads", set_num_threads, METH_O, NULL},
    {"shortcut", make_shortcut, METH_VARARGS, NULL},
    {"signatures", signatures, METH_NOARGS, NULL},
    {"register_bfloat16", register_bfloat16, METH_O, NULL},
    {NULL, NULL, 0, NULL},
};
#undef KERNEL

static int execute(PyObject *module) {
    if (PyArray_ImportNumPyAPI() < 0) return -1;
    spinetail_set_interrupt_check(check_signals);
    if (PyModule_AddIntConstant(module, "vector_width", spinetail_vector_width()) < 0) return -1;
    return PyModule_AddStringConstant(module, "level", STRING(SPINETAIL_LEVEL));
}

static PyModuleDef_Slot module_slots[] = {{Py_mod_exec, execute}, {0, NULL}};

static struct PyModuleDef definition = {
    .m_base = PyModuleDef_HEAD_INIT,
    .m_name = "spinetail._spinetail_" STRING(SPINETAIL_LEVEL),
    .m_methods = methods,
    .m_slots = module_slots,
};

PyMODINIT_FUNC JOIN(PyInit__spinetail_, SPINETAIL_LEVEL)(void) { return PyModuleDef_Init(&definition); }
