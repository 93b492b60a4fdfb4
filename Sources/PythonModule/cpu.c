// Tells which CPU levels this machine runs, before any code of a level is loaded.
#include <Python.h>

static PyObject *levels(PyObject *module, PyObject *none) {
    (void)module, (void)none;
#if defined(__x86_64__)
    __builtin_cpu_init();
    int v3 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2")
        && __builtin_cpu_supports("bmi");
    int v4 = v3 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw")
        && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl")
        && __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512vnni");
    if (v4) return Py_BuildValue("(sss)", "v4", "v3", "v2");
    if (v3) return Py_BuildValue("(ss)", "v3", "v2");
    if (__builtin_cpu_supports("sse4.2") && __builtin_cpu_supports("popcnt")) return Py_BuildValue("(s)", "v2");
    return PyTuple_New(0);
#elif defined(__aarch64__)
    return Py_BuildValue("(s)", "neon");
#else
    return PyTuple_New(0);
#endif
}

static PyMethodDef methods[] = {
    {"levels", levels, METH_NOARGS, "The CPU levels that this machine runs, best first."},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef definition = {
    .m_base = PyModuleDef_HEAD_INIT, .m_name = "spinetail._cpu", .m_methods = methods};

PyMODINIT_FUNC PyInit__cpu(void) { return PyModuleDef_Init(&definition); }
