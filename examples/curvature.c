/*
 * curvature.c: see curvature.h.
 */
#include "curvature.h"

#include <math.h>
#include <quern/space.h>
#include <stdlib.h>

static const char smoothing[] = "x=Vi(3); y=Vj(3); m=Vj(3); s=Pm(1); Sum_j(Exp(-0.5*SqDist(x,y)/Square(s))*m)";
static const char shape[] =
    "x=Vi(3); n=Vi(3); y=Vj(3); m=Vj(3); s=Pm(1); d=Norm2(x-y)*(2-Scalprod(n,m)); w=Exp(-0.5*Square(d/s));"
    "Sum_j(w*TensorProd(y-x,y-x)), Sum_j(w*TensorProd(y-x,m-n))";

quern_status curvature_create(curvature *out, quern_context *ctx, int64_t most)
{
    *out = (curvature){.bent = calloc((size_t)most, sizeof *out->bent),
                       .turned = calloc((size_t)most, sizeof *out->turned)};
    if (!out->bent || !out->turned) return QUERN_MEMORY;
    const quern_status bad = quern_compile(&out->smoothing, ctx, smoothing, NULL);
    return bad ? bad : quern_compile(&out->shape, ctx, shape, NULL);
}

void curvature_destroy(curvature *c)
{
    quern_operator_destroy(&c->smoothing), quern_operator_destroy(&c->shape);
    free(c->bent), free(c->turned);
}

double curvature_dot(const float *a, const float *b)
{
    return (double)a[0] * (double)b[0] + (double)a[1] * (double)b[1] + (double)a[2] * (double)b[2];
}

void curvature_normalise(float *v)
{
    const float length = (float)sqrt(curvature_dot(v, v));
    for (int d = 0; d < 3; d++) v[d] /= length;
}

/* t^T m u for a 3 x 3 matrix. */
static double between(const float *t, const float *m, const float *u)
{
    double sum = 0;
    for (int a = 0; a < 3; a++) sum += (double)t[a] * curvature_dot(m + 3 * a, u);
    return sum;
}

/* The shape operator, in a basis of the tangent plane: what best takes neighbours' positions to turns of their normals. */
static void bend(const curvature *c, const float *n, int64_t k, double *mean, double *gauss)
{
    float t[3] = {0, 0, 0}, u[3];
    t[fabsf(n[0]) < 0.6f ? 0 : 1] = 1;
    const float along = (float)curvature_dot(t, n);
    for (int e = 0; e < 3; e++) t[e] -= along * n[e];
    curvature_normalise(t);
    for (int e = 0; e < 3; e++) u[e] = n[(e + 1) % 3] * t[(e + 2) % 3] - n[(e + 2) % 3] * t[(e + 1) % 3];
    const double a = between(t, c->bent[k], t), b = between(t, c->bent[k], u), d = between(u, c->bent[k], u);
    const double tt = between(t, c->turned[k], t), tu = between(t, c->turned[k], u), ut = between(u, c->turned[k], t),
                 uu = between(u, c->turned[k], u);
    const double det = fmax(a * d - b * b, 1e-12);
    *mean = (d * tt - b * ut + a * uu - b * tu) / det;
    *gauss = (tt * uu - tu * ut) / det;
}

static quern_run_options members_of(const curvature_points *p)
{
    quern_run_options options = QUERN_DEFAULTS(quern_run_options);
    options.members = (size_t)p->members;
    options.offsets_i = options.offsets_j = p->offsets;
    return options;
}

quern_status curvature_smooth(const curvature *c, const curvature_points *p, double scale)
{
    const int64_t count = p->offsets[p->members];
    const quern_view x = quern_f32(p->points[0], count, 3), n = quern_f32(p->normals[0], count, 3);
    const quern_run_options options = members_of(p);
    const quern_status bad = quern_run_with(
        c->smoothing, QUERN_ARGS({"x", x}, {"y", x}, {"m", n}, {"s", quern_number(scale)}), QUERN_OUTS(n), &options);
    for (int64_t k = 0; k < count && !bad; k++) curvature_normalise(p->normals[k]);
    return bad;
}

quern_status curvature_find(const curvature *c, const curvature_points *p, double scale, double *mean, double *gauss)
{
    const int64_t count = p->offsets[p->members];
    const quern_view x = quern_f32(p->points[0], count, 3), n = quern_f32(p->normals[0], count, 3);
    const quern_run_options options = members_of(p);
    const quern_status bad =
        quern_run_with(c->shape, QUERN_ARGS({"x", x}, {"n", n}, {"y", x}, {"m", n}, {"s", quern_number(scale)}),
                       QUERN_OUTS(quern_f32(c->bent[0], count, 9), quern_f32(c->turned[0], count, 9)), &options);
    for (int64_t k = 0; k < count && !bad; k++) bend(c, p->normals[k], k, &mean[k], &gauss[k]);
    return bad;
}

/* A sphere of radius 10, whose curvatures are 2/10 and 1/100; a torus of radii 3 and 1, of known ones, too: up to 1/2. */
quern_status curvature_check(const curvature *c, double *sphere, double *torus)
{
    enum { SPHERE = 2000, AROUND = 200, ACROSS = 60 };
    static float points[AROUND * ACROSS][3], normals[AROUND * ACROSS][3];
    static double mean[AROUND * ACROSS], gauss[AROUND * ACROSS];
    *sphere = *torus = 0;
    for (int k = 0; k < SPHERE; k++) {
        const double z = (2 * k + 1.0) / SPHERE - 1, turn = 2.39996 * k, flat = sqrt(1 - z * z);
        const double way[3] = {flat * cos(turn), flat * sin(turn), z};
        for (int d = 0; d < 3; d++) normals[k][d] = (float)way[d], points[k][d] = (float)(10 * way[d]);
    }
    quern_status bad =
        curvature_find(c, &(curvature_points){points, normals, (int64_t[]){0, SPHERE}, 1}, 1, mean, gauss);
    for (int k = 0; k < SPHERE; k++)
        *sphere = fmax(*sphere, fmax(fabs(mean[k] / 0.2 - 1) * 2, fabs(gauss[k] / 0.01 - 1)));
    for (int k = 0; k < AROUND * ACROSS; k++) {
        const double u = 2 * acos(-1.0) * (k % AROUND) / AROUND, v = 2 * acos(-1.0) * (k / AROUND) / ACROSS;
        const double way[3] = {cos(v) * cos(u), cos(v) * sin(u), sin(v)}, middle[3] = {3 * cos(u), 3 * sin(u), 0};
        for (int d = 0; d < 3; d++) normals[k][d] = (float)way[d], points[k][d] = (float)(middle[d] + way[d]);
    }
    if (!bad)
        bad = curvature_find(c, &(curvature_points){points, normals, (int64_t[]){0, AROUND * ACROSS}, 1}, 0.1, mean,
                             gauss);
    for (int k = 0; k < AROUND * ACROSS; k++) {
        const double v = 2 * acos(-1.0) * (k / AROUND) / ACROSS;
        *torus = fmax(*torus, 2 * fabs(gauss[k] - cos(v) / (3 + cos(v))));
    }
    return bad;
}
