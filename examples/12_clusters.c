/*
 * 12_clusters: what a cluster is: four answers for the same points.
 *
 *     12_clusters [clusters.png]
 *
 * Two interlocked moons, a long cloud, a round one and some points anywhere. K-means (quern/kmeans.h) cuts the plane where the
 * nearest centroid changes. A mixture of Gaussians (quern/mixture.h) has ellipses, drawn at two standard deviations. Mean shift
 * follows each point to a peak of the density, and DBSCAN joins what is dense, whatever its shape (quern/density_clusters.h);
 * grey points are in no cluster.
 */
#include <math.h>
#include <quern/density_clusters.h>
#include <quern/kmeans.h>
#include <quern/mixture.h>
#include <stdio.h>

#include "canvas.h"

enum { EACH = 150, GROUPS = 4, NOISE = 30, N = GROUPS * EACH + NOISE, K = 4, PANEL = 400, MOST = 40 };
#define PI 3.14159265358979

static double points[N][2], peaks[N][2], centroids[K][2];
static int64_t labels[4][N];
static const char *const names[4] = {"k-means", "mixture", "mean shift", "DBSCAN"};

/* The same numbers everywhere (Knuth's multiplier). */
static double uniform(void)
{
    static uint64_t state = 12;
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (double)(state >> 11) / 9007199254740992.0;
}

static double normal(void)
{
    double sum = -6;
    for (int k = 0; k < 12; k++) sum += uniform();
    return sum;
}

static void make_points(void)
{
    for (int i = 0; i < N; i++) {
        double angle = PI * uniform(), a = normal(), b = normal(), *p = points[i];
        int group = i / EACH;
        if (group == 0) p[0] = cos(angle) - 0.9 + 0.06 * a, p[1] = sin(angle) + 0.4 + 0.06 * b;
        else if (group == 1) p[0] = 0.1 - cos(angle) + 0.06 * a, p[1] = 0.75 - sin(angle) + 0.06 * b;
        else if (group == 2) p[0] = -0.5 + 0.45 * a + 0.05 * b, p[1] = -1.1 + 0.18 * a - 0.1 * b;
        else if (group == 3) p[0] = 1.35 + 0.13 * a, p[1] = -0.9 + 0.13 * b;
        else p[0] = 4 * uniform() - 2, p[1] = 4 * uniform() - 2;
    }
}

/* How many of the grouped points are of their cluster's most frequent group. */
static void tell(int method)
{
    int votes[MOST][GROUPS] = {{0}}, clusters = 0, right = 0;
    for (int i = 0; i < GROUPS * EACH; i++)
        if (labels[method][i] >= 0 && labels[method][i] < MOST) votes[labels[method][i]][i / EACH]++;
    for (int c = 0; c < MOST; c++) {
        int most = 0, all = 0;
        for (int g = 0; g < GROUPS; g++) {
            most = votes[c][g] > most ? votes[c][g] : most;
            all += votes[c][g];
        }
        right += most, clusters += all > EACH / 10;
    }
    printf("%s: %d clusters, %.0f %% with their like\n", names[method], clusters, 100.0 * right / (GROUPS * EACH));
}

static void draw_ellipses(canvas *c, double x0, double y0, double scale, const quern_mixture *g)
{
    for (int64_t k = 0; k < g->components; k++) {
        const double *s = g->covariances + 4 * k, *m = g->means + 2 * k;
        double l0 = sqrt(s[0]), l1 = s[1] / l0, l2 = sqrt(s[3] - l1 * l1), x = 0, y = 0; /* a Cholesky factor */
        for (int step = 0; step <= 90; step++) {
            double u = 2 * cos(step * PI / 45), v = 2 * sin(step * PI / 45);
            double at = x0 + scale * (m[0] + l0 * u), to = y0 - scale * (m[1] + l1 * u + l2 * v);
            if (step) canvas_line(c, x, y, at, to, 2.5, (canvas_colour){0, 0, 0});
            x = at, y = to;
        }
    }
}

static int draw(const char *path, const quern_mixture *g)
{
    canvas c;
    const double scale = PANEL / 4.2;
    int failed = canvas_create(&c, 2 * PANEL, 2 * PANEL);
    for (int method = 0; method < 4 && !failed; method++) {
        double x0 = (method % 2 + 0.5) * PANEL, y0 = (method / 2 + 0.5) * PANEL;
        for (int i = 0; i < N; i++) {
            canvas_colour colour = canvas_category(labels[method][i] < 0 ? 9 : (int)(labels[method][i] % 9));
            double x = x0 + scale * points[i][0], y = y0 - scale * points[i][1];
            if (method == 2) canvas_line(&c, x, y, x0 + scale * peaks[i][0], y0 - scale * peaks[i][1], 0.6, colour);
            canvas_disc(&c, x, y, labels[method][i] < 0 ? 2 : 3, colour);
        }
        for (int k = 0; k < K && method == 0; k++)
            canvas_disc(&c, x0 + scale * centroids[k][0], y0 - scale * centroids[k][1], 8, (canvas_colour){0, 0, 0});
        if (method == 1) draw_ellipses(&c, x0, y0, scale, g);
        canvas_text(&c, x0 - PANEL / 2 + 12, y0 - PANEL / 2 + 26, 14, names[method], (canvas_colour){0, 0, 0}, NULL);
    }
    canvas_line(&c, PANEL, 0, PANEL, 2 * PANEL, 1, (canvas_colour){120, 120, 120});
    canvas_line(&c, 0, PANEL, 2 * PANEL, PANEL, 1, (canvas_colour){120, 120, 120});
    if (!failed) failed = canvas_write(&c, path);
    canvas_free(&c);
    return failed;
}

int main(int argc, char **argv)
{
    quern_context *ctx = NULL;
    quern_mixture *g = NULL;
    quern_view x = quern_f64(points[0], N, 2), none = {0};
    quern_kmeans_options k_options = {.size = sizeof k_options, .restarts = 10};
    quern_mixture_options g_options = {.size = sizeof g_options, .restarts = 10};
    quern_mean_shift_options m_options = {.size = sizeof m_options, .bandwidth = 0.25};

    make_points();
    quern_status bad = quern_context_create(&ctx, NULL);
    if (!bad) bad = quern_kmeans(ctx, x, quern_f64(centroids[0], K, 2), quern_i64(labels[0], N, 1), &k_options, NULL);
    if (!bad) bad = quern_mixture_fit(&g, ctx, x, K, &g_options);
    if (!bad) bad = quern_mixture_assign(g, ctx, x, quern_i64(labels[1], N, 1), none, none);
    if (!bad) bad = quern_mean_shift(ctx, x, quern_i64(labels[2], N, 1), quern_f64(peaks[0], N, 2), &m_options, NULL);
    if (!bad) bad = quern_dbscan(ctx, x, 0.17, 6, quern_i64(labels[3], N, 1), NULL, NULL);
    if (bad) fprintf(stderr, "%s\n", quern_last_error_text());
    // prints: k-means: 4 clusters, 86 % with their like
    // prints: mixture: 4 clusters, 91 % with their like
    // prints: mean shift: 7 clusters, 100 % with their like
    // prints: DBSCAN: 4 clusters, 99 % with their like
    for (int method = 0; method < 4 && !bad; method++) tell(method);
    int failed = bad || (argc > 1 && draw(argv[1], g));
    quern_mixture_destroy(&g);
    quern_context_destroy(&ctx);
    return failed;
}
