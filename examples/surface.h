/*
 * surface.h: surfaces of molecules, for the examples (dMaSIF's: Sverrisson, Feydy, Correia and Bronstein, 2021), of several in one run.
 *
 * The distance from the atoms is soft, a LogSumExp; points move along its gradient to where it is 1.4 angstrom, a drop of water's
 * radius, and their normals are the gradient's direction there. One point is kept in each cube of 1 angstrom.
 */
#ifndef SURFACE_H
#define SURFACE_H

#include <quern.h>

#include "canvas.h"

enum { SURFACE_MEMBERS = 8 };

typedef struct surface {
    quern_operator *soft_distance;
    float (*points)[3], (*normals)[3], *depth;
    int64_t most;
    int members;
    int64_t offsets[SURFACE_MEMBERS + 1]; /* where the points of each molecule begin, and the end */
} surface;

/* For up to `atoms` atoms at once. For surface_destroy also after a failure. */
quern_status surface_create(surface *out, quern_context *ctx, int64_t atoms);
void surface_destroy(surface *s);

/* The surfaces of molecules whose atoms are rows x, y, z, charge, radius, those of molecule b from atom_offsets[b] on. */
quern_status surface_find(surface *s, quern_view atoms, const int64_t *atom_offsets, int members);

/* A molecule, seen from the front, the middle at (x, y): red where values are 1, blue where they are -1, darker where the surface turns
   away; so many pixels an angstrom. */
void surface_draw(const surface *s, int member, canvas *c, double x, double y, double pixels, const double *values);

#endif
