// Memory of large arrays. The C library gives large blocks back to the system and gets them again full of zeros, page by
// page, which takes as long as a kernel that only reads and writes them. So blocks that arrays let go are kept, up to a
// limit, for the next array of about the same size. The GIL is held wherever NumPy makes or frees an array, and guards this.
#ifndef SPINETAIL_MEMORY_H
#define SPINETAIL_MEMORY_H

#include "arguments.h"

#include <stdlib.h>
#include <sys/mman.h>

enum {
    LARGE = 128 << 10,       // smaller arrays are NumPy's business: malloc keeps their memory
    HUGE_PAGE = 2 << 20,     // arrays of at least two of these ask for huge pages, as NumPy's own do
    KEPT_BYTES = 256 << 20,  // all blocks together
    KEPT_BLOCKS = 128,       // a step of a transformer lets as many activations go
};

/// Blocks that wait for a new owner, the oldest first.
static struct {
    void *memory;
    size_t bytes;
} kept[KEPT_BLOCKS];
static size_t kept_count = 0, kept_bytes = 0;

/// The size of the block for an array of `bytes`: at most 1/16 more, so that arrays of similar size share blocks.
static size_t block_size(size_t bytes) {
    size_t step = 4096;
    while (step < bytes / 32) step *= 2;
    return bytes > SIZE_MAX - step ? bytes : (bytes + step - 1) / step * step;
}

static void *take_kept(size_t index) {
    void *memory = kept[index].memory;
    kept_bytes -= kept[index].bytes;
    kept_count--;
    memmove(&kept[index], &kept[index + 1], (kept_count - index) * sizeof *kept);
    return memory;
}

static void *block_malloc(void *context, size_t bytes) {
    (void)context;
    size_t size = block_size(bytes);
    for (size_t i = kept_count; i-- > 0;) {
        if (kept[i].bytes == size) return take_kept(i);
    }
    size_t alignment = size >= 2 * HUGE_PAGE ? HUGE_PAGE : 64;
    void *memory = NULL;
    while (posix_memalign(&memory, alignment, size) != 0) {
        if (kept_count == 0) return NULL;
        free(take_kept(0));
    }
#ifdef MADV_HUGEPAGE
    if (alignment == HUGE_PAGE) madvise(memory, size, MADV_HUGEPAGE);
#endif
    return memory;
}

static void *block_calloc(void *context, size_t count, size_t each) {
    if (each != 0 && count > SIZE_MAX / each) return NULL;
    void *memory = block_malloc(context, count * each);
    return memory == NULL ? NULL : memset(memory, 0, count * each);
}

static void block_free(void *context, void *memory, size_t bytes) {
    (void)context;
    size_t size = block_size(bytes);
    if (memory == NULL || size < LARGE || size > KEPT_BYTES) {
        free(memory);
        return;
    }
    while (kept_count == KEPT_BLOCKS || kept_bytes + size > KEPT_BYTES) free(take_kept(0));
    kept[kept_count].memory = memory;
    kept[kept_count++].bytes = size;
    kept_bytes += size;
}

/// NumPy asks for this in ndarray.resize and does not say how large the array was, so the block is given to the C library.
static void *block_realloc(void *context, void *memory, size_t bytes) {
    (void)context;
    return realloc(memory, block_size(bytes));
}

static PyDataMem_Handler block_handler = {
    "spinetail_blocks", 1, {NULL, block_malloc, block_calloc, block_realloc, block_free}};

/// An array with undefined contents. It takes the reference to its dtype, as NumPy's own functions do.
static PyObject *new_array(PyArray_Descr *dtype, int rank, npy_intp *shape) {
    static PyObject *handler = NULL;
    size_t bytes = (size_t)PyDataType_ELSIZE(dtype);
    for (int i = 0; i < rank; i++) {
        // NumPy refuses negative extents and sizes beyond the address space; here they only have to be safe.
        if (__builtin_mul_overflow(bytes, (size_t)shape[i], &bytes)) bytes = 0;
    }
    if (bytes < LARGE) return PyArray_NewFromDescr(&PyArray_Type, dtype, rank, shape, NULL, NULL, 0, NULL);
    if (handler == NULL) handler = PyCapsule_New(&block_handler, "mem_handler", NULL);
    PyObject *before = handler == NULL ? NULL : PyDataMem_SetHandler(handler);
    if (before == NULL) {
        Py_DECREF((PyObject *)dtype);
        return NULL;
    }
    PyObject *result = PyArray_NewFromDescr(&PyArray_Type, dtype, rank, shape, NULL, NULL, 0, NULL);
    PyObject *type, *value, *trace;
    PyErr_Fetch(&type, &value, &trace);
    PyObject *ours = PyDataMem_SetHandler(before);
    if (ours == NULL) Py_CLEAR(result);
    else PyErr_Restore(type, value, trace);
    Py_DECREF(before);
    Py_XDECREF(ours);
    return result;
}

/// empty(shape, dtype): an array with undefined contents, as numpy.empty makes it.
static PyObject *empty(PyObject *module, PyObject *const *arguments, Py_ssize_t count) {
    npy_intp shape[NPY_MAXDIMS];
    (void)module;
    if (count != 2 || !PyArray_DescrCheck(arguments[1])) {
        PyErr_SetString(PyExc_TypeError, "[empty] expected a shape and a numpy.dtype");
        return NULL;
    }
    PyArray_Descr *dtype = (PyArray_Descr *)arguments[1];
    Py_ssize_t rank = PyTuple_Check(arguments[0]) ? PyTuple_Size(arguments[0]) : 1;
    if (rank > NPY_MAXDIMS) {
        PyErr_Format(PyExc_ValueError, "[empty] expected at most %d dimensions, got %zd", NPY_MAXDIMS, rank);
        return NULL;
    }
    for (Py_ssize_t i = 0; i < rank; i++) {
        PyObject *extent = PyTuple_Check(arguments[0]) ? PyTuple_GetItem(arguments[0], i) : arguments[0];
        shape[i] = PyNumber_AsSsize_t(extent, PyExc_OverflowError);
        if (shape[i] == -1 && PyErr_Occurred()) return NULL;
    }
    Py_INCREF(arguments[1]);  // NumPy takes this reference
    return new_array(dtype, (int)rank, shape);
}

#endif
