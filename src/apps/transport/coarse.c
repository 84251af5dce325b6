/*
 * coarse.c: potentials to begin with, from clusters.
 *
 * Large clouds are replaced by the centroids of small clusters (quern/cluster.h), again and again while they are large. The
 * coarse problem goes through the schedule as far as its clusters are small beside the blur; one step then takes the other
 * side's coarse potential to all points, since T(g) is a function of space. What is solved afterwards is the problem of all
 * points: clusters cost nothing but the few steps that they save too little.
 *
 * Where the cost is a formula, clusters stand at the point that is nearest to their centroid, where the formula is sure to mean
 * something, and how large they are is said by C(x,y) - C(c,y) - C(x,d) + C(c,d) for points x, y of clusters at c, d, taken from a few: what no
 * potentials can make up for. That is |x-c| |y-d| for half the squared distance.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "apps/transport/transport.h"
#include "quern/cluster.h"

enum { CLUSTER = 8 }; /* points of a cluster */

typedef struct host_cloud {
    void *points, *weights, *centroids, *sums;
    quern_clusters *clusters;
} host_cloud;

static void free_host(host_cloud *host)
{
    quern_clusters_destroy(&host->clusters);
    free(host->points), free(host->weights), free(host->centroids), free(host->sums);
}

static double squared_distance(quern_dtype dtype, const char *a, const char *b, int64_t dim)
{
    double sum = 0;
    for (size_t d = 0; d < (size_t)dim; d++) {
        size_t at = d * q_element_size(dtype);
        double apart = q_element_read(dtype, a + at) - q_element_read(dtype, b + at);
        sum += apart * apart;
    }
    return sum;
}

/* The root of the mean squared distance of points to where their clusters stand. */
static double spread(const host_cloud *host, quern_dtype dtype, int64_t dim)
{
    const quern_clusters *clusters = host->clusters;
    size_t bytes = (size_t)dim * q_element_size(dtype);
    double sum = 0;
    for (int64_t r = 0; r < clusters->rows; r++)
        sum += squared_distance(dtype, (const char *)host->points + (size_t)r * bytes,
                                (const char *)host->centroids + (size_t)clusters->label[r] * bytes, dim);
    return sqrt(sum / (double)clusters->rows);
}

/* Takes centroids to the nearest of their points. */
static void settle_on_points(host_cloud *host, quern_dtype dtype, int64_t dim)
{
    const quern_clusters *clusters = host->clusters;
    size_t bytes = (size_t)dim * q_element_size(dtype);
    for (int64_t k = 0; k < clusters->count; k++) {
        char *centre = (char *)host->centroids + (size_t)k * bytes;
        const char *best = NULL;
        double least = INFINITY;
        for (int64_t place = clusters->first[k]; place < clusters->first[k + 1]; place++) {
            const char *point = (const char *)host->points + (size_t)clusters->order[place] * bytes;
            double apart = squared_distance(dtype, point, centre, dim);
            if (!best || apart < least) best = point, least = apart;
        }
        if (best) memcpy(centre, best, bytes);
    }
}

static quern_status cluster(q_cloud *out, host_cloud *host, q_transport *t, const q_cloud *cloud)
{
    size_t size = q_element_size(t->dtype), rows = (size_t)cloud->rows, dim = (size_t)cloud->dim;
    host->points = malloc(rows * dim * size), host->weights = malloc(rows * size);
    if (!host->points || !host->weights) return q_fail_memory(rows * (dim + 1) * size);
    quern_view points = quern_view_of(host->points, t->dtype, cloud->rows, cloud->dim);
    quern_view weights = quern_view_of(host->weights, t->dtype, cloud->rows, 1);
    Q_TRY(quern_array_read(cloud->points, points));
    Q_TRY(quern_array_read(cloud->weights, weights));
    Q_TRY(quern_clusters_kd(&host->clusters, points, CLUSTER));
    size_t count = (size_t)host->clusters->count;
    host->centroids = malloc(count * dim * size), host->sums = malloc(count * size);
    if (!host->centroids || !host->sums) return q_fail_memory(count * (dim + 1) * size);
    quern_view centroids = quern_view_of(host->centroids, t->dtype, host->clusters->count, cloud->dim);
    quern_view sums = quern_view_of(host->sums, t->dtype, host->clusters->count, 1);
    Q_TRY(quern_clusters_centroids(host->clusters, centroids, points, weights));
    Q_TRY(quern_clusters_weights(host->clusters, sums, weights));
    if (!t->symmetric) settle_on_points(host, t->dtype, cloud->dim);
    *out = (q_cloud){.rows = host->clusters->count, .dim = cloud->dim, .mass = cloud->mass};
    Q_TRY(quern_array_from(&out->points, t->context, centroids));
    Q_TRY(quern_array_from(&out->weights, t->context, sums));
    Q_TRY(q_transport_array(&out->logs, t, out->rows, 1));
    const quern_arg args[] = {{"a", q_array(out->weights)}, {NULL, {0}}};
    Q_TRY(q_transport_run(t, Q_LOGS, Q_X, NULL, args, QUERN_OUTS(q_array(out->logs))));
    return q_cloud_sort(out, t);
}

// ---- how large clusters are ----

enum { SAMPLE = 64 }; /* points of a cloud, and as many clusters */

/* Some points, and below them where their clusters stand: 2 SAMPLE rows. */
static void sample_points(char *out, const host_cloud *host, quern_dtype dtype, int64_t dim)
{
    const quern_clusters *clusters = host->clusters;
    size_t bytes = (size_t)dim * q_element_size(dtype);
    for (int64_t k = 0; k < SAMPLE; k++) {
        int64_t row = clusters->order[k * clusters->rows / SAMPLE];
        memcpy(out + (size_t)k * bytes, (const char *)host->points + (size_t)row * bytes, bytes);
        memcpy(out + (size_t)(SAMPLE + k) * bytes, (const char *)host->centroids + (size_t)clusters->label[row] * bytes,
               bytes);
    }
}

/* The largest mixed difference of costs between points and clusters, of 2 SAMPLE x 2 SAMPLE. */
static double largest_difference(const char *costs, quern_dtype dtype)
{
    size_t size = q_element_size(dtype), down = SAMPLE * 2 * SAMPLE;
    double most = 0;
    for (size_t i = 0; i < SAMPLE; i++)
        for (size_t j = 0; j < SAMPLE; j++) {
            size_t at = 2 * SAMPLE * i + j;
            double cost[] = {q_element_read(dtype, costs + at * size),
                             q_element_read(dtype, costs + (at + down) * size),
                             q_element_read(dtype, costs + (at + SAMPLE) * size),
                             q_element_read(dtype, costs + (at + down + SAMPLE) * size)};
            most = fmax(most, fabs(cost[0] - cost[1] - cost[2] + cost[3]));
        }
    return most;
}

static quern_status measure_difference(double *out, q_transport *t, const host_cloud hosts[2])
{
    const quern_span all = {0, 2 * SAMPLE};
    const size_t size = q_element_size(t->dtype), dim[] = {(size_t)t->cloud[Q_X].dim, (size_t)t->cloud[Q_Y].dim};
    quern_pairs *pairs;
    size_t numbers = 2 * SAMPLE * (dim[Q_X] + dim[Q_Y] + 2 * SAMPLE);
    char *x = malloc(numbers * size);
    if (!x) return q_fail_memory(numbers * size);
    char *y = x + 2 * SAMPLE * dim[Q_X] * size, *costs = y + 2 * SAMPLE * dim[Q_Y] * size;
    sample_points(x, &hosts[Q_X], t->dtype, t->cloud[Q_X].dim);
    sample_points(y, &hosts[Q_Y], t->dtype, t->cloud[Q_Y].dim);
    quern_status status = q_transport_pairs(&pairs, t);
    if (!status)
        status = quern_pairs_block(pairs,
                                   QUERN_ARGS({"x", quern_view_of(x, t->dtype, all.to, t->cloud[Q_X].dim)},
                                              {"y", quern_view_of(y, t->dtype, all.to, t->cloud[Q_Y].dim)}),
                                   all, all, quern_view_of(costs, t->dtype, all.to, all.to));
    if (!status) *out = largest_difference(costs, t->dtype);
    free(x);
    return status;
}

/* As a blur. */
static quern_status measure_radius(double *radius, q_transport *t, const host_cloud hosts[2])
{
    *radius = 0;
    for (int k = 0; k < 2 && t->symmetric; k++) *radius = fmax(*radius, spread(&hosts[k], t->dtype, t->cloud[k].dim));
    if (t->symmetric) return QUERN_OK;
    Q_TRY(measure_difference(radius, t, hosts));
    *radius = pow(*radius, 1 / t->options.power);
    return QUERN_OK;
}

static quern_status make_clusters(q_cloud clouds[2], q_transport *t, const q_problem *fine, double *radius)
{
    host_cloud hosts[2] = {{0}};
    quern_status status = QUERN_OK;
    for (int k = 0; k < 2 && !status; k++) status = cluster(&clouds[k], &hosts[k], t, fine->side[k].cloud);
    if (!status) status = measure_radius(radius, t, hosts);
    free_host(&hosts[0]), free_host(&hosts[1]);
    return status;
}

/* Solves between the coarse clouds as far as they go, and steps to all points. */
static quern_status descend(q_problem *fine, q_transport *t, q_problem *coarse, q_cloud clouds[2], double *blur)
{
    const quern_transport_options *o = &t->options;
    double radius = 0;
    Q_TRY(make_clusters(clouds, t, fine, &radius));
    if (radius >= t->diameter * o->scaling) return QUERN_OK;
    double stop = fmax(radius, o->blur), next = fmax(stop * o->scaling, o->blur);
    Q_TRY(q_problem_create(coarse, t, &clouds[0], &clouds[1]));
    Q_TRY(q_problem_anneal(coarse, t, pow(stop, o->power), true));
    *blur = next;
    return q_problem_extend(fine, t, coarse, pow(stop, o->power), pow(next, o->power));
}

quern_status q_problem_coarsen(q_problem *p, q_transport *t, double *blur)
{
    q_problem coarse = {0};
    q_cloud clouds[2] = {{0}};
    if (t->grid || t->members > 1 || p->side[0].cloud->rows < Q_LARGE || p->side[1].cloud->rows < Q_LARGE)
        return QUERN_OK;
    quern_status status = descend(p, t, &coarse, clouds, blur);
    q_problem_destroy(&coarse);
    for (int k = 0; k < 2; k++) q_cloud_destroy(&clouds[k]);
    return status;
}
