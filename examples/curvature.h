/*
 * curvature.h: how surfaces bend that are points with normals, for the examples (the geometry of dMaSIF: Sverrisson, Feydy, Correia and
 * Bronstein, 2021).
 *
 * At each point, positions of its neighbours along the surface explain how their normals turn: a least-squares problem of two sums of
 * 3 x 3 numbers, whose solution is the shape operator. Its trace is the mean curvature (the sum of both), its determinant Gauss's.
 * Neighbours count by their distance along the surface, roughly: that in space, the longer the more normals differ.
 */
#ifndef CURVATURE_H
#define CURVATURE_H

#include <quern.h>

typedef struct curvature {
    quern_operator *smoothing, *shape;
    float (*bent)[9], (*turned)[9];
} curvature;

/* For up to `most` points. For curvature_destroy also after a failure. */
quern_status curvature_create(curvature *out, quern_context *ctx, int64_t most);
void curvature_destroy(curvature *c);

double curvature_dot(const float *a, const float *b);
void curvature_normalise(float *v);

/* Points with normals, of several surfaces: those of surface b from offsets[b] on. */
typedef struct curvature_points {
    float (*points)[3], (*normals)[3];
    const int64_t *offsets; /* members + 1 */
    int members;
} curvature_points;

/* Makes normals the directions of their means, weighted by a Gaussian of the scale. */
quern_status curvature_smooth(const curvature *c, const curvature_points *p, double scale);
/* Both curvatures of each point, by neighbours within the scale on its own surface. */
quern_status curvature_find(const curvature *c, const curvature_points *p, double scale, double *mean, double *gauss);
/* How far those of a sphere and of a torus are from what they should be, in parts of the largest. */
quern_status curvature_check(const curvature *c, double *sphere, double *torus);

#endif
