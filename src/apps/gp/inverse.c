/*
 * inverse.c: a sparse approximate inverse G^T G of the matrix, by which systems and the determinant are preconditioned. Points are
 * put into a random order; row i of G has entries for the few points before i that have the largest kernel with it, and is the last
 * row of the inverse of the factor of their matrix (Vecchia 1988; Kolotilina and Yeremin 1993). It is what makes iterations few where
 * kernels are short or the noise is small, which a low rank is no help for.
 *
 * Entries come from the device as kernels of pairs that are listed; 8 factors are made at once, one in each lane.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "apps/gp/gp.h"

enum { LANES = 8, CHUNK = 128 };
typedef double lanes __attribute__((vector_size(LANES * sizeof(double))));

static const double far_away = 1e30, least_pivot = 1e-12;

// ---- who is near ----

static void shuffle(int64_t *order, int64_t n)
{
    uint64_t state = Q_GP_SEED;
    for (int64_t i = 0; i < n; i++) order[i] = i;
    for (int64_t i = n - 1; i > 0; i--) {
        int64_t other = (int64_t)(q_random_next(&state) % (uint64_t)(i + 1)), kept = order[i];
        order[i] = order[other], order[other] = kept;
    }
}

/* For each place of the order the places before it with the largest kernels, by one pass over all pairs. */
static quern_status find_places(quern_gp *gp, const int64_t *order, int64_t *places)
{
    quern_arg room[Q_KERNEL_ARGS];
    q_text text = {0};
    quern_operator *op = NULL;
    void *singles = NULL;
    quern_view points;
    double *x = malloc((size_t)(gp->N * gp->D) * sizeof *x);
    quern_status status = x ? QUERN_OK : q_fail_memory((size_t)(gp->N * gp->D) * sizeof *x);
    for (int64_t i = 0; i < gp->N && !status; i++)
        memcpy(x + i * gp->D, gp->x + order[i] * gp->D, (size_t)gp->D * sizeof *x);
    q_text_add(&text, "%s ArgKMin_j(Where(J<I,-(%s),%g),%lld)", gp->kernel.declarations, gp->kernel.entry, far_away,
               (long long)gp->inverse.m);
    if (!status && text.failed) status = q_fail_memory(text.size);
    if (!status) status = q_kernel_view(&gp->kernel, &points, &singles, x, gp->N, gp->D);
    if (!status) status = quern_compile(&op, gp->context, text.data, NULL);
    if (!status)
        status =
            quern_run(op, q_kernel_args(&gp->kernel, room, points, points), quern_i64(places, gp->N, gp->inverse.m));
    quern_operator_destroy(&op);
    q_text_free(&text);
    free(singles);
    free(x);
    return status;
}

/* Lists of points for each point: those near it, itself the last; -1 in front where there are fewer. */
static quern_status find_neighbours(quern_gp *gp)
{
    q_gp_inverse *g = &gp->inverse;
    int64_t m = g->m, *order = malloc((size_t)gp->N * (size_t)(m + 1) * sizeof *order), *places = order + gp->N;
    if (!order) return q_fail_memory((size_t)gp->N * (size_t)(m + 1) * sizeof *order);
    shuffle(order, gp->N);
    quern_status status = find_places(gp, order, places);
    for (int64_t p = 0; p < gp->N && !status; p++) {
        int64_t *row = g->which + order[p] * (m + 1), at = m;
        row[at--] = order[p];
        for (int64_t k = 0; k < m; k++) {
            int64_t place = places[p * m + k];
            if (place >= 0 && place < p) row[at--] = order[place];
        }
        while (at >= 0) row[at--] = -1;
    }
    free(order);
    return status;
}

// ---- kernels of listed pairs ----

/* Those of the points in the list of each of `count` points from `first` on, T (T + 1) / 2 pairs each, row by row. */
typedef struct listed {
    int64_t first, count, T, pairs;
    double *left, *right, *numbers; /* of all pairs: coordinates; the kernel, or its derivatives */
} listed;

static quern_status listed_make(listed *l, const quern_gp *gp, int64_t length)
{
    l->T = gp->inverse.m + 1;
    l->pairs = l->T * (l->T + 1) / 2;
    size_t count = (size_t)(CHUNK * l->pairs) * (size_t)(2 * gp->D + length);
    l->left = malloc(count * sizeof *l->left);
    if (!l->left) return q_fail_memory(count * sizeof *l->left);
    l->right = l->left + CHUNK * l->pairs * gp->D;
    l->numbers = l->right + CHUNK * l->pairs * gp->D;
    return QUERN_OK;
}

static quern_status listed_read(listed *l, const quern_gp *gp, const quern_pairs *pairs)
{
    quern_arg room[Q_KERNEL_ARGS];
    void *rooms[3] = {NULL, NULL, NULL};
    quern_view x, y, out;
    int64_t D = gp->D, at = 0, all = l->count * l->pairs, length = quern_pairs_length(pairs);
    for (int64_t i = l->first; i < l->first + l->count; i++) {
        const int64_t *list = gp->inverse.which + i * l->T;
        for (int64_t a = 0; a < l->T; a++)
            for (int64_t b = 0; b <= a; b++, at++) {
                int64_t one = list[a] < 0 ? i : list[a], other = list[b] < 0 ? i : list[b];
                memcpy(l->left + at * D, gp->x + one * D, (size_t)D * sizeof *l->left);
                memcpy(l->right + at * D, gp->x + other * D, (size_t)D * sizeof *l->left);
            }
    }
    quern_status status = q_kernel_view(&gp->kernel, &x, &rooms[0], l->left, all, D);
    if (!status) status = q_kernel_view(&gp->kernel, &y, &rooms[1], l->right, all, D);
    if (!status) status = q_kernel_view(&gp->kernel, &out, &rooms[2], l->numbers, all, length);
    if (!status)
        status = quern_pairs_diagonal(pairs, q_kernel_args(&gp->kernel, room, x, y), (quern_span){0, all}, out);
    for (int64_t k = 0; k < all * length && rooms[2] && !status; k++) l->numbers[k] = (double)((float *)rooms[2])[k];
    for (int k = 0; k < 3; k++) free(rooms[k]);
    return status;
}

// ---- factors ----

/* Puts the matrix of a point into a lane: the identity for places of its list that are empty. */
static void fill_lane(const quern_gp *gp, const listed *l, int64_t k, int lane, lanes *a)
{
    const int64_t *list = gp->inverse.which + (l->first + k) * l->T;
    const double *from = l->numbers + k * l->pairs;
    double noise = *q_gp_noise(gp)->values;
    for (int64_t i = 0; i < l->T; i++)
        for (int64_t j = 0; j <= i; j++, from++) {
            bool there = list[i] >= 0 && list[j] >= 0;
            a[i * l->T + j][lane] = i == j ? (there ? *from + noise : 1) : (there ? *from : 0);
        }
}

/* The last row of the inverse of the factor of `a`, to x. A pivot that is not positive, as of a point that is there twice without
   noise, becomes a small one: G is then a worse inverse, but still one. */
static void last_row(lanes *a, int64_t T, lanes *x)
{
    for (int64_t i = 0; i < T; i++)
        for (int64_t j = 0; j <= i; j++) {
            lanes sum = a[i * T + j], own = a[i * T + i];
            for (int64_t k = 0; k < j; k++) sum -= a[i * T + k] * a[j * T + k];
            if (i != j) a[i * T + j] = sum / a[j * T + j];
            else
                for (int l = 0; l < LANES; l++)
                    a[i * T + i][l] = sqrt(fmax(sum[l], fmax(least_pivot * fabs(own[l]), 1e-300)));
        }
    memset(x, 0, (size_t)T * sizeof *x);
    for (int l = 0; l < LANES; l++) x[T - 1][l] = 1;
    for (int64_t i = T - 1; i >= 0; i--) {
        x[i] /= a[i * T + i];
        for (int64_t k = 0; k < i; k++) x[k] -= a[i * T + k] * x[i];
    }
}

static quern_status factor(quern_gp *gp, listed *l)
{
    q_gp_inverse *g = &gp->inverse;
    void *memory = malloc((size_t)(l->T * l->T + l->T) * sizeof(lanes) + sizeof(lanes));
    if (!memory) return q_fail_memory((size_t)(l->T * l->T) * sizeof(lanes));
    lanes *a = (lanes *)(((uintptr_t)memory + sizeof(lanes) - 1) / sizeof(lanes) * sizeof(lanes)), *x = a + l->T * l->T;
    for (int64_t k = 0; k < l->count; k += LANES) {
        int64_t some = l->count - k < LANES ? l->count - k : LANES;
        for (int lane = 0; lane < LANES; lane++) fill_lane(gp, l, k + (lane < some ? lane : 0), lane, a);
        last_row(a, l->T, x);
        for (int64_t lane = 0; lane < some; lane++)
            for (int64_t t = 0; t < l->T; t++) {
                int64_t at = (l->first + k + lane) * l->T + t;
                g->value[at] = g->which[at] < 0 ? 0 : x[t][lane];
                if (g->which[at] < 0) g->which[at] = l->first + k + lane;
            }
    }
    free(memory);
    return QUERN_OK;
}

quern_status q_gp_inverse_make(quern_gp *gp)
{
    q_gp_inverse *g = &gp->inverse;
    listed l = {0};
    g->m = gp->options.neighbours < gp->N - 1 ? gp->options.neighbours : gp->N - 1;
    if (g->m < 1) g->m = 1;
    size_t count = (size_t)gp->N * (size_t)(g->m + 1);
    g->which = malloc(count * sizeof *g->which);
    g->value = malloc(count * sizeof *g->value);
    quern_status status = g->which && g->value ? find_neighbours(gp) : q_fail_memory(count * sizeof *g->value);
    if (!status) status = listed_make(&l, gp, 1);
    for (; l.first < gp->N && !status; l.first += CHUNK) {
        l.count = gp->N - l.first < CHUNK ? gp->N - l.first : CHUNK;
        status = listed_read(&l, gp, gp->kernel.entries);
        if (!status) status = factor(gp, &l);
    }
    free(l.left);
    return status;
}

void q_gp_inverse_free(q_gp_inverse *g)
{
    free(g->which);
    free(g->value);
    *g = (q_gp_inverse){0};
}

// ---- products ----

void q_gp_inverse_apply(const quern_gp *gp, bool transposed, int64_t R, const double *in, double *out)
{
    const q_gp_inverse *g = &gp->inverse;
    memset(out, 0, (size_t)(gp->N * R) * sizeof *out);
    for (int64_t i = 0, at = 0; i < gp->N; i++)
        for (int64_t t = 0; t <= g->m; t++, at++) {
            double value = g->value[at];
            const double *from = in + (transposed ? i : g->which[at]) * R;
            double *to = out + (transposed ? g->which[at] : i) * R;
            for (int64_t r = 0; r < R; r++) to[r] += value * from[r];
        }
}

double q_gp_inverse_log_determinant(const quern_gp *gp)
{
    double sum = 0;
    for (int64_t i = 0; i < gp->N; i++) sum += 2 * log(gp->inverse.value[i * (gp->inverse.m + 1) + gp->inverse.m]);
    return sum;
}

/* What the pairs of some points give: twice the entries below the diagonal. */
static void add_pairs(const quern_gp *gp, const listed *l, double factor, double *out)
{
    const double *slope = l->numbers;
    size_t kernel = gp->kernel.numbers - 1;
    for (int64_t k = 0; k < l->count; k++) {
        const double *g = gp->inverse.value + (l->first + k) * l->T;
        for (int64_t a = 0; a < l->T; a++)
            for (int64_t b = 0; b <= a; b++, slope += kernel)
                for (size_t p = 0; p < kernel; p++) out[p] += factor * g[a] * g[b] * slope[p] * (a == b ? 1 : 2);
    }
}

quern_status q_gp_inverse_traces(quern_gp *gp, double factor, double *out)
{
    const q_gp_inverse *g = &gp->inverse;
    listed l = {0};
    for (int64_t k = 0; k < gp->N * (g->m + 1); k++) out[gp->kernel.numbers - 1] += factor * g->value[k] * g->value[k];
    Q_TRY(q_kernel_slopes(&gp->kernel));
    if (!gp->kernel.slopes) return QUERN_OK;
    quern_status status = listed_make(&l, gp, (int64_t)gp->kernel.numbers - 1);
    for (; l.first < gp->N && !status; l.first += CHUNK) {
        l.count = gp->N - l.first < CHUNK ? gp->N - l.first : CHUNK;
        status = listed_read(&l, gp, gp->kernel.slopes);
        if (!status) add_pairs(gp, &l, factor, out);
    }
    free(l.left);
    return status;
}
