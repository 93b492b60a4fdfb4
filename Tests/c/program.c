// A C program that uses the kernels without Python: the header, the static library, nothing else.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "spinetail/spinetail.h"

static int failures = 0;

static void check(const char *what, int right) {
    printf("%-44s %s\n", what, right ? "ok" : "WRONG");
    failures += !right;
}

/// A row-major float32 array of up to four axes around memory that the caller owns.
typedef struct {
    ptrdiff_t shape[4], strides[4];
    spinetail_array view;
} array;

static const spinetail_array *wrap(array *a, float *data, int rank, const ptrdiff_t *shape) {
    ptrdiff_t bytes = sizeof(float);
    for (int axis = rank - 1; axis >= 0; axis--) {
        a->shape[axis] = shape[axis];
        a->strides[axis] = bytes;
        bytes *= shape[axis];
    }
    a->view = (spinetail_array){data, a->shape, a->strides, SPINETAIL_FLOAT32, rank};
    return &a->view;
}

#define SHAPE(...) ((const ptrdiff_t[]){__VA_ARGS__})

static float noise(unsigned *state) {
    *state = *state * 1664525u + 1013904223u;
    return (float)(*state >> 8) / (1 << 24) - 0.5f;
}

static void test_activation(void) {
    float x[5] = {-2, -0.5f, 0, 0.5f, 2}, y[5];
    array a, b;
    spinetail_status status =
        spinetail_activation_forward(wrap(&a, y, 1, SHAPE(5)), wrap(&b, x, 1, SHAPE(5)), SPINETAIL_RELU, 0.0, 0.0);
    int right = status == SPINETAIL_OK;
    for (int i = 0; i < 5; i++) right &= y[i] == (x[i] > 0 ? x[i] : 0);
    check("relu", right);
    status = spinetail_activation_forward(wrap(&a, y, 1, SHAPE(4)), wrap(&b, x, 1, SHAPE(5)), SPINETAIL_RELU, 0.0, 0.0);
    check("a wrong shape is a status", (status & 255) == SPINETAIL_BAD_SHAPE);
}

static void test_matmul(int rows, int depth, int columns) {
    float *a = malloc(sizeof(float) * rows * depth), *b = malloc(sizeof(float) * depth * columns);
    float *c = malloc(sizeof(float) * rows * columns);
    unsigned state = 1;
    for (int i = 0; i < rows * depth; i++) a[i] = noise(&state);
    for (int i = 0; i < depth * columns; i++) b[i] = noise(&state);
    array x, y, z;
    int right = spinetail_matmul(
                    wrap(&z, c, 2, SHAPE(rows, columns)), wrap(&x, a, 2, SHAPE(rows, depth)),
                    wrap(&y, b, 2, SHAPE(depth, columns)), NULL, 0)
        == SPINETAIL_OK;
    for (int i = 0; i < rows; i++) {
        for (int j = 0; j < columns; j++) {
            double sum = 0, size = 0;
            for (int k = 0; k < depth; k++) {
                double term = (double)a[i * depth + k] * b[k * columns + j];
                sum += term;
                size += fabs(term);
            }
            right &= fabs(c[i * columns + j] - sum) <= depth * 6e-8 * size;
        }
    }
    char name[64];
    snprintf(name, sizeof name, "matmul %d x %d x %d", rows, depth, columns);
    check(name, right);
    free(a), free(b), free(c);
}

static void test_convolution(void) {
    enum { N = 2, C = 4, H = 11, W = 9, F = 6, K = 3, GROUPS = 2, STRIDE = 2, OH = 6, OW = 5 };
    static float x[N][C][H][W], w[F][C / GROUPS][K][K], bias[F], y[N][F][OH][OW];
    unsigned state = 2;
    for (size_t i = 0; i < sizeof x / 4; i++) (&x[0][0][0][0])[i] = noise(&state);
    for (size_t i = 0; i < sizeof w / 4; i++) (&w[0][0][0][0])[i] = noise(&state);
    for (int f = 0; f < F; f++) bias[f] = noise(&state);
    const spinetail_convolution parameters = {
        .stride = {1, STRIDE, STRIDE},
        .padding_before = {0, 1, 1},
        .padding_after = {0, 1, 1},
        .dilation = {1, 1, 1},
        .groups = GROUPS,
    };
    array a, b, c, d;
    int right = spinetail_convolution_forward(
                    wrap(&a, &y[0][0][0][0], 4, SHAPE(N, F, OH, OW)), wrap(&b, &x[0][0][0][0], 4, SHAPE(N, C, H, W)),
                    wrap(&c, &w[0][0][0][0], 4, SHAPE(F, C / GROUPS, K, K)), wrap(&d, bias, 1, SHAPE(F)), &parameters,
                    SPINETAIL_IDENTITY)
        == SPINETAIL_OK;
    for (int n = 0; n < N; n++)
        for (int f = 0; f < F; f++)
            for (int i = 0; i < OH; i++)
                for (int j = 0; j < OW; j++) {
                    double sum = bias[f];
                    for (int q = 0; q < C / GROUPS; q++)
                        for (int k = 0; k < K; k++)
                            for (int l = 0; l < K; l++) {
                                int row = i * STRIDE + k - 1, column = j * STRIDE + l - 1;
                                if (row < 0 || row >= H || column < 0 || column >= W) continue;
                                int channel = f / (F / GROUPS) * (C / GROUPS) + q;
                                sum += (double)x[n][channel][row][column] * w[f][q][k][l];
                            }
                    right &= fabs(y[n][f][i][j] - sum) < 1e-5;
                }
    check("convolution, 2 groups, stride 2", right);
}

int main(void) {
    printf("%d threads, %d float32 lanes\n", spinetail_get_num_threads(), spinetail_vector_width());
    test_activation();
    test_matmul(1, 1, 1);
    test_matmul(37, 53, 29);
    test_matmul(200, 300, 170);
    test_convolution();
    spinetail_set_num_threads(1);
    check("one thread", spinetail_get_num_threads() == 1);
    return failures != 0;
}
