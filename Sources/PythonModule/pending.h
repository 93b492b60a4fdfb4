// The gradients on their way: which edge has got what, and which node is next.
#ifndef SPINETAIL_PENDING_H
#define SPINETAIL_PENDING_H

#include <string.h>

#include "tape.h"

/// An edge that a gradient has come to: a node that waits for its turn, or a leaf that waits for the end.
typedef struct {
    PyObject *edge, *grad;
} entry;

enum { FEW = 32 };

/// The entries in the order of their arrival, a hash table that finds them by edge, and a heap of the waiting nodes.
typedef struct {
    entry *entries;
    int32_t *table;  // 4 · room places: 1 + number of an entry, or 0
    int32_t *heap;
    Py_ssize_t count, room, waiting;
    PyObject *quiet;     // NumPy's silenced warnings, once it had to be asked
    PyObject *captured;  // {number: gradient} of wanted nodes
    bool retain, graph;
    PyObject *useful, *wanted;  // sets of ids and of numbers, or None
    entry few_entries[FEW];
    int32_t few_table[4 * FEW], few_heap[FEW];
} work;

static long long number_of(const work *w, int32_t i) { return ((node *)w->entries[i].edge)->number; }

static int32_t *place_of(work *w, PyObject *edge) {
    size_t mask = (size_t)(4 * w->room - 1);
    size_t at = ((uintptr_t)edge >> 4) * (size_t)0x9E3779B97F4A7C15u >> 20 & mask;
    while (w->table[at] != 0 && w->entries[w->table[at] - 1].edge != edge) at = (at + 1) & mask;
    return &w->table[at];
}

static int grow_room(work *w) {
    Py_ssize_t room = 2 * w->room;
    if (room > INT32_MAX / 8) {
        PyErr_NoMemory();
        return -1;
    }
    entry *entries = PyMem_Malloc((size_t)room * sizeof *entries);
    int32_t *heap = PyMem_Malloc((size_t)room * sizeof *heap);
    int32_t *table = PyMem_Calloc((size_t)room * 4, sizeof *table);
    if (entries == NULL || heap == NULL || table == NULL) {
        PyMem_Free(entries), PyMem_Free(heap), PyMem_Free(table);
        PyErr_NoMemory();
        return -1;
    }
    memcpy(entries, w->entries, (size_t)w->count * sizeof *entries);
    memcpy(heap, w->heap, (size_t)w->waiting * sizeof *heap);
    if (w->entries != w->few_entries) PyMem_Free(w->entries), PyMem_Free(w->heap), PyMem_Free(w->table);
    w->entries = entries;
    w->heap = heap;
    w->table = table;
    w->room = room;
    for (Py_ssize_t i = 0; i < w->count; i++) *place_of(w, entries[i].edge) = (int32_t)i + 1;
    return 0;
}

/// The entry of an edge, which waits from now on if it is a new node.
static entry *entry_of(work *w, PyObject *edge) {
    int32_t *place = place_of(w, edge);
    if (*place != 0) return &w->entries[*place - 1];
    if (w->count == w->room) {
        if (grow_room(w) < 0) return NULL;
        place = place_of(w, edge);
    }
    int32_t made = (int32_t)w->count++;
    *place = made + 1;
    Py_INCREF(edge);
    w->entries[made] = (entry){edge, NULL};
    if (is_node(edge)) {
        Py_ssize_t at = w->waiting++;
        long long number = ((node *)edge)->number;
        while (at > 0 && number_of(w, w->heap[(at - 1) / 2]) > number) {
            w->heap[at] = w->heap[(at - 1) / 2];
            at = (at - 1) / 2;
        }
        w->heap[at] = made;
    }
    return &w->entries[made];
}

/// The waiting node with the smallest number: the newest, none of whose consumers waits any more.
static int32_t next_entry(work *w) {
    int32_t top = w->heap[0], last = w->heap[--w->waiting];
    long long number = number_of(w, last);
    Py_ssize_t at = 0;
    for (;;) {
        Py_ssize_t child = 2 * at + 1;
        if (child >= w->waiting) break;
        if (child + 1 < w->waiting && number_of(w, w->heap[child + 1]) < number_of(w, w->heap[child])) child++;
        if (number_of(w, w->heap[child]) >= number) break;
        w->heap[at] = w->heap[child];
        at = child;
    }
    w->heap[at] = last;
    return top;
}

#endif
