/*
 * 25_surface_network: a convolution on surfaces whose kernel is a small network, for several surfaces in one run (the layer of
 * dMaSIF: Sverrisson, Feydy, Correia and Bronstein, 2021).
 *
 * Each point sees its neighbours in a frame of its own: P = T (y - x), T having its two tangents and its normal as rows. A network
 * of one hidden layer, relu(A P + c), makes of this how much each of four features of the neighbour counts, and a window says how
 * far along the surface it is. All of it is one formula, so nothing is stored for a pair. Three surfaces of different sizes, one
 * after the other in the arrays, are members of a ragged batch that share the network. What training needs, the derivative by the
 * network's weights, is a formula, too; here it is held against differences.
 */
#include <math.h>
#include <quern.h>
#include <quern/space.h>
#include <stdio.h>

enum { MEMBERS = 3, POINTS = 500 + 800 + 300, HIDDEN = 8, FEATURES = 4 };

static const int64_t offsets[MEMBERS + 1] = {0, 500, 1300, 1600};
static const double axes[MEMBERS][3] = {{1, 1, 1}, {1.5, 1, 0.8}, {0.7, 0.7, 1.2}}; /* of ellipsoids */

static float points[POINTS][3], frames[POINTS][9], normals[POINTS][3], features[POINTS][FEATURES];
static float A[HIDDEN * 3], c[HIDDEN], B[FEATURES * HIDDEN], out[POINTS][FEATURES], change[MEMBERS][HIDDEN * 3];

static const char formula[] = "x=Vi(3); T=Vi(9); n=Vi(3); y=Vj(3); m=Vj(3); f=Vj(4); A=Pm(24); c=Pm(8); B=Pm(32);"
                              "d=Norm2(x-y)*(2-Scalprod(n,m)); w=Exp(-8*Square(d)); P=MatVecMult(T,y-x);"
                              "Sum_j(w*MatVecMult(B,ReLU(MatVecMult(A,P)+c))*f)";

static void normalise(double *v)
{
    const double length = sqrt(v[0] * v[0] + v[1] * v[1] + v[2] * v[2]);
    for (int d = 0; d < 3; d++) v[d] /= length;
}

/* A point of an ellipsoid, its normal, and tangents that turn about it. */
static void make_point(int64_t k, const double *axis, double z, double turn)
{
    const double flat = sqrt(1 - z * z), way[3] = {flat * cos(turn), flat * sin(turn), z};
    double n[3], t[3] = {-sin(turn), cos(turn), 0}, u[3];
    for (int d = 0; d < 3; d++) n[d] = way[d] / axis[d];
    normalise(n);
    const double along = t[0] * n[0] + t[1] * n[1] + t[2] * n[2];
    for (int d = 0; d < 3; d++) t[d] -= along * n[d];
    normalise(t);
    for (int d = 0; d < 3; d++) u[d] = n[(d + 1) % 3] * t[(d + 2) % 3] - n[(d + 2) % 3] * t[(d + 1) % 3];
    for (int d = 0; d < 3; d++) {
        points[k][d] = (float)(axis[d] * way[d]), normals[k][d] = (float)n[d];
        frames[k][d] = (float)t[d], frames[k][3 + d] = (float)u[d], frames[k][6 + d] = (float)n[d];
    }
    for (int d = 0; d < FEATURES; d++) features[k][d] = (float)sin(3 * way[0] + 2 * way[2] + d);
}

/* The members from `first` to `last`. */
static quern_status run(quern_operator *op, int first, int last, const float *weights, quern_view result)
{
    const int64_t from = offsets[first], count = offsets[last] - from;
    int64_t own[MEMBERS + 1];
    quern_run_options options = QUERN_DEFAULTS(quern_run_options);
    for (int b = first; b <= last; b++) own[b - first] = offsets[b] - from;
    options.members = (size_t)(last - first);
    options.offsets_i = options.offsets_j = own;
    const quern_view x = quern_f32(points[from], count, 3), n = quern_f32(normals[from], count, 3);
    return quern_run_with(op,
                          QUERN_ARGS({"x", x}, {"T", quern_f32(frames[from], count, 9)}, {"n", n}, {"y", x}, {"m", n},
                                     {"f", quern_f32(features[from], count, FEATURES)},
                                     {"A", quern_f32(weights, 1, HIDDEN * 3)}, {"c", quern_f32(c, 1, HIDDEN)},
                                     {"B", quern_f32(B, 1, FEATURES * HIDDEN)}),
                          QUERN_OUTS(result), &options);
}

/* The sum of all results, with one weight of the network moved. */
static quern_status sum_with(quern_operator *op, int weight, float step, double *sum)
{
    float moved[HIDDEN * 3];
    for (int k = 0; k < HIDDEN * 3; k++) moved[k] = A[k] + (k == weight ? step : 0);
    quern_status bad = run(op, 0, MEMBERS, moved, quern_f32(out[0], POINTS, FEATURES));
    *sum = 0;
    for (int k = 0; k < POINTS; k++)
        for (int d = 0; d < FEATURES; d++) *sum += (double)out[k][d];
    return bad;
}

/* How far the derivative, summed over the members, is from differences, relative to the largest. */
static quern_status check_gradient(quern_operator *op, double *worst)
{
    double largest = 0, off = 0;
    quern_status bad = QUERN_OK;
    for (int k = 0; k < HIDDEN * 3 && !bad; k++) {
        double above, below, derivative = 0;
        bad = sum_with(op, k, 0.01f, &above);
        if (!bad) bad = sum_with(op, k, -0.01f, &below);
        for (int b = 0; b < MEMBERS; b++) derivative += (double)change[b][k];
        off = fmax(off, fabs((above - below) / 0.02 - derivative));
        largest = fmax(largest, fabs(derivative));
    }
    *worst = off / largest;
    return bad;
}

int main(void)
{
    static float alone[POINTS][FEATURES];
    quern_context *ctx = NULL;
    quern_operator *op = NULL, *gradient = NULL;
    double worst = 0, apart = 0;

    for (int b = 0; b < MEMBERS; b++)
        for (int64_t k = offsets[b]; k < offsets[b + 1]; k++) {
            const double share = (double)(k - offsets[b]) + 0.5, count = (double)(offsets[b + 1] - offsets[b]);
            make_point(k, axes[b], 2 * share / count - 1, 2.39996 * share);
        }
    for (int k = 0; k < HIDDEN * 3; k++) A[k] = (float)sin(1.3 * k);
    for (int k = 0; k < HIDDEN; k++) c[k] = 0.3f * (float)cos(2.1 * k);
    for (int k = 0; k < FEATURES * HIDDEN; k++) B[k] = 0.5f * (float)sin(0.7 * k + 1);
    quern_status bad = quern_context_create(&ctx, NULL);
    if (!bad) bad = quern_compile(&op, ctx, formula, NULL);
    if (!bad) bad = quern_gradient(&gradient, op, "A", NULL);
    for (int b = 0; b < MEMBERS && !bad; b++)
        bad = run(op, b, b + 1, A, quern_f32(alone[offsets[b]], offsets[b + 1] - offsets[b], FEATURES));
    if (!bad) bad = run(op, 0, MEMBERS, A, quern_f32(out[0], POINTS, FEATURES));
    for (int k = 0; k < POINTS && !bad; k++)
        for (int d = 0; d < FEATURES; d++) apart = fmax(apart, fabs((double)out[k][d] - (double)alone[k][d]));
    if (!bad) bad = run(gradient, 0, MEMBERS, A, quern_f32(change[0], MEMBERS, HIDDEN * 3));
    if (!bad) bad = check_gradient(op, &worst);
    if (bad) fprintf(stderr, "%s\n", quern_last_error_text());
    if (!bad)
        printf("three surfaces at once: %s\n",
               apart < 1e-4 ? "as one by one" : "wrong"); // prints: three surfaces at once: as one by one
    if (!bad)
        printf("derivative by the network: %s\n",
               worst < 2e-3 ? "as by differences" : "wrong"); // prints: derivative by the network: as by differences
    quern_operator_destroy(&op);
    quern_operator_destroy(&gradient);
    quern_context_destroy(&ctx);
    return (int)bad;
}
