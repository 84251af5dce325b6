/*
 * dense.c: eigenvalues of small symmetric matrices: reflections make them tridiagonal (Householder 1958), and the implicit QL method
 * (Bowdler, Martin, Reinsch, Wilkinson 1968; EISPACK's tql2) does the rest, with as many rows of the matrix of eigenvectors as are asked for, which are columns here.
 */
#include <float.h>
#include <math.h>
#include <string.h>

#include "apps/spectra/spectra.h"

enum { MOST_TURNS = 60 };

static void swap(double *a, double *b)
{
    double t = *a;
    *a = *b, *b = t;
}

/* Rows k and k + 1 of the vectors in the plane of a rotation. */
static void rotate(int64_t columns, double *vectors, int64_t k, double c, double s)
{
    double *restrict y = vectors + k * columns, *restrict z = y + columns;
    for (int64_t r = 0; r < columns; r++) {
        double after = z[r];
        z[r] = s * y[r] + c * after;
        y[r] = c * y[r] - s * after;
    }
}

/* One QL turn of the block first .. last with an implicit shift. */
static void turn(double *d, double *e, int64_t first, int64_t last, int64_t columns, double *vectors)
{
    double g = (d[first + 1] - d[first]) / (2 * e[first]), r = hypot(g, 1), s = 1, c = 1, p = 0;
    g = d[last] - d[first] + e[first] / (g + copysign(r, g));
    for (int64_t i = last - 1; i >= first; i--) {
        double f = s * e[i], b = c * e[i];
        e[i + 1] = r = hypot(f, g);
        if (r == 0) { /* the matrix falls apart here */
            d[i + 1] -= p;
            e[last] = 0;
            return;
        }
        s = f / r, c = g / r;
        g = d[i + 1] - p;
        r = (d[i] - g) * s + 2 * c * b;
        p = s * r;
        d[i + 1] = g + p;
        g = c * r - b;
        rotate(columns, vectors, i, c, s);
    }
    d[first] -= p;
    e[first] = g;
    e[last] = 0;
}

static void sort(int64_t n, double *d, int64_t columns, double *vectors)
{
    for (int64_t k = 0; k < n; k++) {
        int64_t least = k;
        for (int64_t l = k + 1; l < n; l++)
            if (d[l] < d[least]) least = l;
        if (least == k) continue;
        swap(&d[k], &d[least]);
        for (int64_t r = 0; r < columns; r++) swap(&vectors[k * columns + r], &vectors[least * columns + r]);
    }
}

bool q_tridiagonal_eigen(int64_t n, double *diagonal, double *beside, int64_t columns, double *vectors)
{
    double *d = diagonal, *e = beside;
    if (n > 0) e[n - 1] = 0;
    for (int64_t first = 0; first < n; first++)
        for (int turns = 0;; turns++) {
            int64_t last = first;
            while (last < n - 1 && !(fabs(e[last]) <= DBL_EPSILON * (fabs(d[last]) + fabs(d[last + 1])))) last++;
            if (last == first) break;
            if (turns == MOST_TURNS) return false;
            turn(d, e, first, last, columns, vectors);
        }
    sort(n, d, columns, vectors);
    return true;
}

/* The reflection 1 - factor v v^T that leaves of column k only what is at and above k + 1; v has zeros up to k. */
static double reflect(int64_t n, const double *a, int64_t k, double *v)
{
    double size = 0;
    for (int64_t i = 0; i < n; i++) v[i] = i > k ? a[i * n + k] : 0;
    for (int64_t i = k + 1; i < n; i++) size = hypot(size, v[i]);
    if (size == 0) return 0;
    v[k + 1] += copysign(size, v[k + 1]);
    double square = 0;
    for (int64_t i = k + 1; i < n; i++) square += v[i] * v[i];
    return 2 / square;
}

/* a = reflection a reflection, by a rank of two, as far as it is not tridiagonal yet; vectors = reflection vectors. */
static void apply_reflection(int64_t n, int64_t k, double *a, double *vectors, double factor, const double *v,
                             double *p)
{
    double inner = 0;
    for (int64_t i = k; i < n; i++) {
        p[i] = factor * q_vector_dot(n - k, a + i * n + k, v + k);
        inner += p[i] * v[i];
    }
    for (int64_t i = k; i < n; i++) p[i] -= 0.5 * factor * inner * v[i];
    for (int64_t i = k; i < n; i++)
        for (int64_t j = k; j < n; j++) a[i * n + j] -= v[i] * p[j] + p[i] * v[j];
    memset(p, 0, (size_t)n * sizeof *p);
    for (int64_t i = k + 1; i < n; i++)
        for (int64_t j = 0; j < n; j++) p[j] += factor * v[i] * vectors[i * n + j];
    for (int64_t i = k + 1; i < n; i++)
        for (int64_t j = 0; j < n; j++) vectors[i * n + j] -= v[i] * p[j];
}

bool q_symmetric_eigen(int64_t n, double *a, double *values, double *vectors, double *scratch)
{
    memset(vectors, 0, (size_t)(n * n) * sizeof *vectors);
    for (int64_t i = 0; i < n; i++) vectors[i * n + i] = 1;
    for (int64_t k = 0; k + 2 < n; k++) {
        double factor = reflect(n, a, k, scratch);
        if (factor != 0) apply_reflection(n, k, a, vectors, factor, scratch, scratch + n);
    }
    for (int64_t i = 0; i < n; i++) values[i] = a[i * n + i], scratch[i] = i + 1 < n ? a[i * n + i + 1] : 0;
    if (!q_tridiagonal_eigen(n, values, scratch, n, vectors)) return false;
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < i; j++) swap(&vectors[i * n + j], &vectors[j * n + i]);
    return true;
}
