/*
 * cells.c: the peer of the case `vicsek1m`, by hand: swimmers are put in cells of side r by counting, coordinate by coordinate;
 * each looks at the three rows of three cells around its own, a row of cells being one loop that compilers make vectors of. Around the
 * torus a row of cells is shifted as a whole. Two threads, or as many as there are processors, take rows of cells.
 */
#define _POSIX_C_SOURCE 200809L
#include "cells.h"

#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

enum { MAX_THREADS = 64 };

typedef struct grid {
    int64_t side, *first; /* cells along an axis; the first place of each cell, and one more */
    float *x, *y, *u, *v; /* sorted */
    int64_t *order;
    const float *noise;
    float *out, radius, a, s;
    atomic_llong next;
} grid;

static int64_t cell_of(const grid *g, const float *x)
{
    int64_t cx = (int64_t)(x[0] * (float)g->side), cy = (int64_t)(x[1] * (float)g->side);
    return (cy < g->side ? cy : g->side - 1) * g->side + (cx < g->side ? cx : g->side - 1);
}

static void sort(grid *g, const float *x, const float *u, int64_t count, int64_t *cells)
{
    for (int64_t k = 0; k < count; k++) g->first[(cells[k] = cell_of(g, x + 2 * k)) + 1]++;
    for (int64_t c = 0; c < g->side * g->side; c++) g->first[c + 1] += g->first[c];
    for (int64_t k = count; k-- > 0;) {
        int64_t p = --g->first[cells[k] + 1];
        g->x[p] = x[2 * k], g->y[p] = x[2 * k + 1], g->u[p] = u[2 * k], g->v[p] = u[2 * k + 1];
        g->order[p] = k;
    }
    for (int64_t c = 0; c < g->side * g->side; c++) g->first[c] = g->first[c + 1];
    g->first[g->side * g->side] = count;
}

/* Adds the directions of places from .. to - 1 within sight of (x, y). */
static void look(const grid *g, float x, float y, int64_t from, int64_t to, float sum[2])
{
    const float *px = g->x + from, *py = g->y + from, *pu = g->u + from, *pv = g->v + from;
    float u = 0, v = 0, square = g->radius * g->radius;
    int count = (int)(to - from);
#pragma omp simd reduction(+ : u, v)
    for (int j = 0; j < count; j++) {
        float dx = x - px[j], dy = y - py[j], wu = pu[j], wv = pv[j];
        bool seen = dx * dx + dy * dy <= square;
        u += seen ? wu : 0, v += seen ? wv : 0;
    }
    sum[0] += u, sum[1] += v;
}

/* The cells left - 1 .. left + 1 of a row, which may be in two or three pieces. */
static void look_along(const grid *g, float x, float y, int64_t row, int64_t column, float sum[2])
{
    const int64_t *first = g->first + row * g->side;
    int64_t from = column > 0 ? column - 1 : 0, to = column + 2 < g->side ? column + 2 : g->side;
    look(g, x, y, first[from], first[to], sum);
    if (column == 0) look(g, x + 1, y, first[g->side - 1], first[g->side], sum);
    if (column == g->side - 1) look(g, x - 1, y, first[0], first[1], sum);
}

static void step_one(const grid *g, int64_t row, int64_t column, int64_t p)
{
    float sum[2] = {0, 0}, x = g->x[p], y = g->y[p], u = g->u[p], v = g->v[p];
    look_along(g, x, row > 0 ? y : y + 1, row > 0 ? row - 1 : g->side - 1, column, sum);
    look_along(g, x, y, row, column, sum);
    look_along(g, x, row + 1 < g->side ? y : y - 1, row + 1 < g->side ? row + 1 : 0, column, sum);
    float norm = sqrtf(sum[0] * sum[0] + sum[1] * sum[1]), turn = g->noise[g->order[p]];
    if (norm > 0) turn += g->a * (u * sum[1] - v * sum[0]) / norm;
    float c = cosf(turn), s = sinf(turn), nu = c * u - s * v, nv = s * u + c * v, length = sqrtf(nu * nu + nv * nv);
    float *out = g->out + 4 * g->order[p];
    out[2] = nu / length, out[3] = nv / length;
    out[0] = x + g->s * out[2], out[1] = y + g->s * out[3];
    out[0] -= floorf(out[0]), out[1] -= floorf(out[1]);
}

static void *work(void *argument)
{
    grid *g = argument;
    for (int64_t row; (row = atomic_fetch_add(&g->next, 1)) < g->side;)
        for (int64_t column = 0; column < g->side; column++) {
            int64_t cell = row * g->side + column;
            for (int64_t p = g->first[cell]; p < g->first[cell + 1]; p++) step_one(g, row, column, p);
        }
    return NULL;
}

static bool run_threads(grid *g)
{
    pthread_t threads[MAX_THREADS];
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    int count = processors > MAX_THREADS ? MAX_THREADS : (int)processors, started = 0;
    while (started < count - 1 && !pthread_create(&threads[started], NULL, work, g)) started++;
    work(g);
    while (started > 0) pthread_join(threads[--started], NULL);
    return true;
}

bool cells_step(float *out, const float *x, const float *u, const float *noise, int64_t count, float radius, float a,
                float s)
{
    grid g = {.side = (int64_t)(1 / radius), .noise = noise, .out = out, .radius = radius, .a = a, .s = s};
    float *sorted = malloc((size_t)count * 4 * sizeof *sorted);
    int64_t *cells = malloc((size_t)count * 2 * sizeof *cells);
    g.first = calloc((size_t)(g.side * g.side) + 2, sizeof *g.first);
    bool ok = sorted && cells && g.first && g.side >= 3;
    if (ok) {
        g.x = sorted, g.y = g.x + count, g.u = g.y + count, g.v = g.u + count, g.order = cells + count;
        sort(&g, x, u, count, cells);
        run_threads(&g);
    }
    free(sorted), free(cells), free(g.first);
    return ok;
}
