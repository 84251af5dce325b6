/*
 * coarse.c: potentials to begin with, from clusters.
 *
 * Large clouds are replaced by the centroids of small clusters (quern/cluster.h), again and again while they are large. The
 * coarse problem goes through the schedule as far as its clusters are small beside the blur; one step then takes the other
 * side's coarse potential to all points, since T(g) is a function of space. What is solved afterwards is the problem of all
 * points: clusters cost nothing but the few steps that they save too little.
 */
#include <math.h>
#include <stdlib.h>

#include "apps/transport/transport.h"
#include "quern/cluster.h"

enum { CLUSTER = 8 }; /* points of a cluster */

/* The root of the mean squared distance of points to their centroids. */
static double spread(const quern_clusters *clusters, quern_dtype dtype, const void *points, const void *centroids,
                     int64_t dim)
{
    double sum = 0;
    size_t size = q_element_size(dtype);
    for (int64_t r = 0; r < clusters->rows; r++)
        for (int64_t d = 0; d < dim; d++) {
            const char *at = (const char *)points + (size_t)(r * dim + d) * size;
            const char *centre = (const char *)centroids + (size_t)(clusters->label[r] * dim + d) * size;
            double apart = q_element_read(dtype, at) - q_element_read(dtype, centre);
            sum += apart * apart;
        }
    return sqrt(sum / (double)clusters->rows);
}

typedef struct host_cloud {
    void *points, *weights, *centroids, *sums;
    quern_clusters *clusters;
} host_cloud;

static quern_status cluster(q_cloud *out, host_cloud *host, q_transport *t, const q_cloud *cloud, double *radius)
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
    *radius = fmax(*radius, spread(host->clusters, t->dtype, host->points, host->centroids, cloud->dim));
    *out = (q_cloud){.rows = host->clusters->count, .dim = cloud->dim, .mass = cloud->mass};
    Q_TRY(quern_array_from(&out->points, t->context, centroids));
    Q_TRY(quern_array_from(&out->weights, t->context, sums));
    Q_TRY(q_transport_array(&out->logs, t, out->rows, 1));
    const quern_arg args[] = {{"a", q_array(out->weights)}, {NULL, {0}}};
    Q_TRY(q_transport_run(t, Q_LOGS, Q_X, NULL, args, QUERN_OUTS(q_array(out->logs))));
    return q_cloud_sort(out, t);
}

static quern_status make_cluster(q_cloud *out, q_transport *t, const q_cloud *cloud, double *radius)
{
    host_cloud host = {0};
    quern_status status = cluster(out, &host, t, cloud, radius);
    quern_clusters_destroy(&host.clusters);
    free(host.points), free(host.weights), free(host.centroids), free(host.sums);
    return status;
}

/* Solves between the coarse clouds as far as they go, and steps to all points. */
static quern_status descend(q_problem *fine, q_transport *t, q_problem *coarse, q_cloud clouds[2], double *blur)
{
    const quern_transport_options *o = &t->options;
    double radius = 0;
    for (int k = 0; k < 2; k++) Q_TRY(make_cluster(&clouds[k], t, fine->side[k].cloud, &radius));
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
    if (!t->symmetric || t->grid || t->members > 1 || p->side[0].cloud->rows < Q_LARGE ||
        p->side[1].cloud->rows < Q_LARGE)
        return QUERN_OK;
    quern_status status = descend(p, t, &coarse, clouds, blur);
    q_problem_destroy(&coarse);
    for (int k = 0; k < 2; k++) q_cloud_destroy(&clouds[k]);
    return status;
}
