/*
 * mesh.h: surfaces of triangles for the examples.
 */
#ifndef MESH_H
#define MESH_H

#include <stdbool.h>

#include "canvas.h"

enum { MESH_VERTICES = 3000, MESH_FACES = 6000 };

typedef struct mesh {
    int vertices, faces;
    float at[MESH_VERTICES][3];
    int face[MESH_FACES][3];
} mesh;

/* Adds factor times the cross product of u and v to out. */
void mesh_cross(const float *u, const float *v, float factor, float *out);
/* From the first vertex of a face to the others; q: places of all vertices. */
void mesh_edges(const float *q, const int *face, float u[3], float v[3]);

/* A sphere of radius 1; with `pear` up to 1 one that is wider below. */
void mesh_round(mesh *m, double pear);
/* A surface from an OBJ file, within 1.2 of the origin, thinned out: the means of vertices in each cell of a grid, and triangles between
   three of them. False: there is no such file. */
bool mesh_read(mesh *m, const char *path);

/* Draws its triangles with vertices at q from behind to the front, lighter where they look up and to the eye, around (x, y). */
void mesh_draw(const mesh *m, const float *q, canvas *c, double x, double y, double scale);

#endif
