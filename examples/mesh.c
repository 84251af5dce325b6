/*
 * mesh.c: see mesh.h.
 */
#include "mesh.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CELLS = 14, RINGS = 16, AROUND = 32, MOST_READ = 40000 };

void mesh_cross(const float *u, const float *v, float factor, float *out)
{
    for (int d = 0; d < 3; d++) out[d] += factor * (u[(d + 1) % 3] * v[(d + 2) % 3] - u[(d + 2) % 3] * v[(d + 1) % 3]);
}

void mesh_edges(const float *q, const int *face, float u[3], float v[3])
{
    for (int d = 0; d < 3; d++)
        u[d] = q[3 * face[1] + d] - q[3 * face[0] + d], v[d] = q[3 * face[2] + d] - q[3 * face[0] + d];
}

/* A grid of rings around an axis; `pear` makes it wider below. */
void mesh_round(mesh *m, double pear)
{
    *m = (mesh){.vertices = RINGS * AROUND};
    for (int k = 0; k < m->vertices; k++) {
        const double down = 3.14159265 * (k / AROUND + 0.5) / RINGS, turn = 6.283185307 * (k % AROUND) / AROUND;
        const double wide = sin(down) * (1 - pear * cos(down));
        m->at[k][0] = (float)(wide * cos(turn)), m->at[k][1] = (float)cos(down),
        m->at[k][2] = (float)(-wide * sin(turn));
    }
    for (int k = 0; k < (RINGS - 1) * AROUND; k++) {
        const int next = k - k % AROUND + (k + 1) % AROUND;
        memcpy(m->face[m->faces++], (int[]){k, k + AROUND, next}, sizeof *m->face);
        memcpy(m->face[m->faces++], (int[]){next, k + AROUND, next + AROUND}, sizeof *m->face);
    }
    for (int k = 1; k < AROUND - 1; k++) { /* the poles */
        memcpy(m->face[m->faces++], (int[]){0, k, k + 1}, sizeof *m->face);
        memcpy(m->face[m->faces++],
               (int[]){(RINGS - 1) * AROUND, (RINGS - 1) * AROUND + k + 1, (RINGS - 1) * AROUND + k}, sizeof *m->face);
    }
}

static int cell_of(const float *at)
{
    int cell = 0;
    for (int d = 0; d < 3; d++) cell = cell * CELLS + (int)fmin(fmax((at[d] + 1.2) / 2.4 * CELLS, 0), CELLS - 1);
    return cell;
}

/* The means of vertices in each cell of a grid, and triangles between three of them. False: no such file. */
bool mesh_read(mesh *m, const char *path)
{
    static float all[MOST_READ][3], mean[CELLS * CELLS * CELLS][4];
    static int number[CELLS * CELLS * CELLS];
    char line[256];
    int count = 0, a, b, c;
    FILE *file = fopen(path, "r");
    *m = (mesh){0};
    if (!file) return false;
    while (fgets(line, sizeof line, file)) {
        if (count < MOST_READ && sscanf(line, "v %f %f %f", &all[count][0], &all[count][1], &all[count][2]) == 3) {
            float *to = mean[cell_of(all[count])];
            for (int d = 0; d < 3; d++) to[d] += all[count][d];
            to[3]++, count++;
        }
        if (sscanf(line, "f %d%*[^ ] %d%*[^ ] %d", &a, &b, &c) != 3 && sscanf(line, "f %d %d %d", &a, &b, &c) != 3)
            continue;
        const int cells[3] = {cell_of(all[a - 1]), cell_of(all[b - 1]), cell_of(all[c - 1])};
        if (cells[0] == cells[1] || cells[1] == cells[2] || cells[0] == cells[2] || m->faces == MESH_FACES) continue;
        for (int k = 0; k < 3; k++) {
            if (!number[cells[k]]) number[cells[k]] = ++m->vertices;
            m->face[m->faces][k] = number[cells[k]] - 1;
        }
        m->faces++;
    }
    fclose(file);
    for (int k = 0; k < CELLS * CELLS * CELLS; k++)
        for (int d = 0; d < 3 && number[k]; d++) m->at[number[k] - 1][d] = mean[k][d] / mean[k][3];
    return m->faces > 0;
}

/* ---- the picture ------------------------------------------------------------------------------------------------ */

static const float *depth_of;

static int farther(const void *a, const void *b)
{
    const int *f = a, *g = b;
    float difference = 0;
    for (int k = 0; k < 3; k++) difference += depth_of[3 * f[k] + 2] - depth_of[3 * g[k] + 2];
    return (difference > 0) - (difference < 0);
}

void mesh_draw(const mesh *m, const float *q, canvas *c, double x, double y, double scale)
{
    static mesh sorted;
    sorted = *m, depth_of = q;
    qsort(sorted.face, (size_t)m->faces, sizeof *sorted.face, farther);
    for (int k = 0; k < m->faces; k++) {
        float u[3], v[3], n[3] = {0};
        const float *a = q + 3 * sorted.face[k][0];
        mesh_edges(q, sorted.face[k], u, v), mesh_cross(u, v, 1, n);
        const double size = sqrt((double)(n[0] * n[0] + n[1] * n[1] + n[2] * n[2])) + 1e-9;
        const double light = fmax(0.1, (0.3 * (double)n[0] + 0.5 * (double)n[1] + 0.8 * (double)n[2]) / size);
        const int lines = 2 + (int)(scale * (double)(fmaxf(hypotf(u[0], u[1]), hypotf(v[0], v[1]))));
        for (int s = 0; s <= lines; s++) {
            const double t = scale * s / lines;
            canvas_line(c, x + scale * (double)a[0] + t * (double)u[0], y - scale * (double)a[1] - t * (double)u[1],
                        x + scale * (double)a[0] + t * (double)v[0], y - scale * (double)a[1] - t * (double)v[1], 1.5,
                        canvas_ramp(light));
        }
    }
}
