/*
 * slq.c: the logarithm of the determinant of a matrix that is only multiplied with, by stochastic Lanczos quadrature (Ubaru, Chen,
 * Saad, "Fast estimation of tr(f(A)) via stochastic Lanczos quadrature", 2017): for vectors z of random signs z.log(A) z is the
 * trace of log(A) on average, and Lanczos's tridiagonal matrix T of A and z gives it as |z|^2 e1.log(T) e1. Vectors are not
 * orthogonalised again: copies of eigenvalues share the weight of the one that they are copies of (Greenbaum 1989).
 *
 * The error that is told is the standard error over the probes, and the change over the last steps of Lanczos.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "apps/gp/gp.h"

enum { CHUNK = 16, FIRST_LOOK = 10, LOOK = 5, MOST_TURNS = 60 };

// ---- tridiagonal matrices ----

/* Eigenvalues of a symmetric tridiagonal matrix to d, and the first components of its eigenvectors to z, by implicit QL (EISPACK's
   imtql2, of which only the first row is kept). e[k] couples k and k + 1; it is used up. False if it does not converge. */
static bool diagonalise(int64_t n, double *d, double *e, double *z)
{
    for (int64_t k = 0; k < n; k++) z[k] = k == 0;
    for (int64_t l = 0; l < n; l++)
        for (int turn = 0;; turn++) {
            int64_t m = l;
            while (m + 1 < n && fabs(e[m]) > 1e-16 * (fabs(d[m]) + fabs(d[m + 1]))) m++;
            if (m == l) break;
            if (turn == MOST_TURNS) return false;
            double g = (d[l + 1] - d[l]) / (2 * e[l]), r = hypot(g, 1), s = 1, c = 1, p = 0;
            g = d[m] - d[l] + e[l] / (g + copysign(r, g));
            int64_t i = m - 1;
            for (; i >= l; i--) {
                double f = s * e[i], b = c * e[i];
                e[i + 1] = r = hypot(f, g);
                if (r == 0) {
                    d[i + 1] -= p, e[m] = 0;
                    break;
                }
                s = f / r, c = g / r, g = d[i + 1] - p;
                r = (d[i] - g) * s + 2 * c * b;
                p = s * r, d[i + 1] = g + p, g = c * r - b;
                f = z[i + 1], z[i + 1] = s * z[i] + c * f, z[i] = c * z[i] - s * f;
            }
            if (r == 0 && i >= l) continue;
            d[l] -= p, e[l] = g, e[m] = 0;
        }
    return true;
}

// ---- Lanczos ----

/* Some probes at once; vectors have N x R numbers, tridiagonal matrices steps x R. */
typedef struct lanczos {
    quern_gp *gp;
    const quern_linear *a;
    int64_t N, R, steps;
    double *q, *before, *w, *diagonal, *side, *room;
    int64_t length[CHUNK]; /* steps until all of the space that A and a probe span was there */
    bool ended[CHUNK];
} lanczos;

quern_status q_gp_multiply(const quern_gp *gp, const quern_linear *a, int64_t R, const double *in, double *out)
{
    void *in_room = NULL, *out_room = NULL;
    quern_view from, to;
    quern_status status = q_gp_view(gp, &from, &in_room, in, gp->N, R);
    if (!status) status = q_gp_view(gp, &to, &out_room, out, gp->N, R);
    if (!status) status = quern_linear_apply(a, from, to);
    for (int64_t e = 0; e < gp->N * R && out_room && !status; e++) out[e] = (double)((float *)out_room)[e];
    free(in_room);
    free(out_room);
    return status;
}

static void dots(const lanczos *z, const double *x, const double *y, double *out)
{
    memset(out, 0, (size_t)z->R * sizeof *out);
    for (int64_t i = 0; i < z->N; i++)
        for (int64_t r = 0; r < z->R; r++) out[r] += x[i * z->R + r] * y[i * z->R + r];
}

static quern_status step(lanczos *z)
{
    double *alpha = z->diagonal + z->steps * z->R, *beta = z->side + z->steps * z->R;
    const double *last = z->steps ? beta - z->R : NULL;
    Q_TRY(q_gp_multiply(z->gp, z->a, z->R, z->q, z->w));
    z->gp->report.products++;
    dots(z, z->q, z->w, alpha);
    for (int64_t i = 0; i < z->N; i++)
        for (int64_t r = 0; r < z->R; r++) {
            int64_t e = i * z->R + r;
            z->w[e] -= alpha[r] * z->q[e] + (last ? last[r] * z->before[e] : 0);
        }
    dots(z, z->w, z->w, beta);
    for (int64_t r = 0; r < z->R; r++) {
        if (!z->ended[r]) z->length[r] = z->steps + 1;
        beta[r] = sqrt(beta[r]);
        if (z->ended[r] || !(beta[r] > 1e-12 * fabs(alpha[r]))) beta[r] = 0, z->ended[r] = true;
    }
    double *oldest = z->before;
    z->before = z->q;
    z->q = oldest;
    for (int64_t i = 0; i < z->N; i++)
        for (int64_t r = 0; r < z->R; r++) {
            int64_t e = i * z->R + r;
            z->q[e] = beta[r] > 0 ? z->w[e] / beta[r] : 0;
        }
    z->steps++;
    return QUERN_OK;
}

/* z.log(A) z of each probe, by the first `count` steps. */
static quern_status estimate(const lanczos *z, int64_t count, double *out)
{
    double *d = z->room, *e = d + count, *first = e + count;
    for (int64_t r = 0; r < z->R; r++) {
        int64_t n = z->length[r] < count ? z->length[r] : count;
        for (int64_t k = 0; k < n; k++) d[k] = z->diagonal[k * z->R + r], e[k] = z->side[k * z->R + r];
        if (!diagonalise(n, d, e, first))
            return q_fail(QUERN_NUMERIC, "the eigenvalues of a matrix of Lanczos were not found");
        out[r] = 0;
        for (int64_t k = 0; k < n; k++) {
            if (!(d[k] > 0)) {
                q_fail(QUERN_NUMERIC,
                       "the matrix is not positive definite, or not within rounding: an eigenvalue is %.3g", d[k]);
                q_fail_next_step("give a larger noise, or check the kernel");
                return QUERN_NUMERIC;
            }
            out[r] += (double)z->N * first[k] * first[k] * log(d[k]);
        }
    }
    return QUERN_OK;
}

static double spread_of(const double *x, int64_t n, double *mean)
{
    double sum = 0;
    *mean = 0;
    for (int64_t k = 0; k < n; k++) *mean += x[k] / (double)n;
    for (int64_t k = 0; k < n; k++) sum += (x[k] - *mean) * (x[k] - *mean);
    return n > 1 ? sqrt(sum / (double)(n - 1)) : fabs(*mean);
}

static quern_status tell(const lanczos *z, double number)
{
    const quern_gp_options *o = &z->gp->options;
    if (!o->progress || !o->progress(o->progress_user, "determinant", z->steps, number)) return QUERN_OK;
    return q_fail(QUERN_CANCELLED, "stopped by the callback after %lld steps of Lanczos", (long long)z->steps);
}

static bool all_ended(const lanczos *z)
{
    for (int64_t r = 0; r < z->R; r++)
        if (!z->ended[r]) return false;
    return true;
}

/* Steps until what they change is small beside what the probes differ by. */
static quern_status iterate(lanczos *z, double *values, double *change)
{
    double earlier[CHUNK];
    *change = 0;
    while (z->steps < z->gp->options.steps) {
        Q_TRY(step(z));
        bool last = all_ended(z) || z->steps == z->gp->options.steps;
        if (!last && (z->steps < FIRST_LOOK || z->steps % LOOK)) continue;
        Q_TRY(estimate(z, z->steps, values));
        Q_TRY(estimate(z, z->steps > LOOK ? z->steps - LOOK : z->steps, earlier));
        double mean, before, spread = spread_of(values, z->R, &mean);
        spread_of(earlier, z->R, &before);
        *change = all_ended(z) ? 0 : fabs(mean - before);
        Q_TRY(tell(z, mean));
        if (last || *change < 0.05 * spread) return QUERN_OK;
    }
    return QUERN_OK;
}

void q_gp_probes(double *out, int64_t count, uint64_t *state)
{
    for (int64_t k = 0; k < count; k++) { /* SplitMix64 (Steele, Lea, Flood 2014) */
        uint64_t bits = (*state += 0x9e3779b97f4a7c15U);
        bits = (bits ^ (bits >> 30)) * 0xbf58476d1ce4e5b9U;
        bits = (bits ^ (bits >> 27)) * 0x94d049bb133111ebU;
        out[k] = (bits ^ (bits >> 31)) >> 63 ? 1 : -1;
    }
}

/* Some probes, from the state on. */
static quern_status run(lanczos *z, uint64_t *state, double *values, double *change)
{
    size_t vector = (size_t)(z->N * z->R), small = (size_t)((z->R * 2 + 3) * z->gp->options.steps);
    double *memory = calloc(3 * vector + small, sizeof *memory);
    if (!memory) return q_fail_memory((3 * vector + small) * sizeof *memory);
    z->q = memory, z->before = memory + vector, z->w = memory + 2 * vector;
    z->diagonal = memory + 3 * vector, z->side = z->diagonal + z->R * z->gp->options.steps;
    z->room = z->side + z->R * z->gp->options.steps;
    q_gp_probes(z->q, z->N * z->R, state);
    for (size_t e = 0; e < vector; e++) z->q[e] /= sqrt((double)z->N);
    quern_status status = iterate(z, values, change);
    free(memory);
    return status;
}

quern_status q_gp_log_determinant(quern_gp *gp, double *value, double *error)
{
    int64_t probes = gp->options.probes;
    uint64_t state = Q_GP_SEED;
    double worst = 0, *values = malloc((size_t)probes * sizeof *values);
    quern_status status = values ? QUERN_OK : q_fail_memory((size_t)probes * sizeof *values);
    for (int64_t k = 0; k < probes && !status; k += CHUNK) {
        lanczos z = {.gp = gp, .a = gp->linear, .N = gp->N, .R = probes - k < CHUNK ? probes - k : CHUNK};
        double change = 0;
        status = run(&z, &state, values + k, &change);
        worst = fmax(worst, change);
    }
    if (!status) *error = hypot(spread_of(values, probes, value) / sqrt((double)probes), worst);
    free(values);
    return status;
}
