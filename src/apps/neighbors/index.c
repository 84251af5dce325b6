/*
 * index.c: the points that are searched, the metrics, and an operator for each number of neighbours.
 *
 * A metric is a formula whose values are in the order of the distances: for the Euclidean one that of the squares, which
 * kernels and bounds know best, and of which the host takes the root.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "apps/kmeans/kmeans.h"
#include "apps/neighbors/neighbors.h"
#include "quern/array.h"
#include "quern/build.h"

static const q_metric metrics[] = {
    {"l2", "SqDist(x,y)", true},
    {"sqdist", "SqDist(x,y)", false},
    {"l1", "Manhattan(x,y)", false},
    /* half the squared distance of unit vectors is exact where they are close; a point that is 0 has none */
    {"cosine", "(SqDist(Normalize(x),Normalize(y))+Equal(SqNorm2(x),0)+Equal(SqNorm2(y),0))/2", false},
    {"hyperbolic", "HyperbolicBall(x,y)", false},
};

// ---- searches ----

/* The distance, or what is nowhere if it is beyond the radius. */
static quern_expr build(quern_graph *graph, const quern_neighbors *index, bool within)
{
    quern_vi(graph, "x", index->points.columns);
    quern_vj(graph, "y", index->points.columns);
    quern_expr d = quern_name(graph, Q_DISTANCE, quern_formula(graph, index->metric.formula));
    if (!within) return d;
    quern_expr radius = quern_pm(graph, Q_RADIUS, 1), nowhere = quern_literal(graph, INFINITY);
    quern_expr inside = quern_apply(graph, "LessOrEqual", QUERN_EXPRS(d, radius), QUERN_NO_INTEGERS);
    return quern_apply(graph, "Where", QUERN_EXPRS(inside, d, nowhere), QUERN_NO_INTEGERS);
}

static quern_status compile(q_search *search, quern_graph *graph, const quern_neighbors *index)
{
    quern_expr d = build(graph, index, search->within);
    const int32_t count = (int32_t)search->count;
    quern_expr found[] = {quern_apply(graph, "ArgKMin_j", QUERN_EXPRS(d), QUERN_INTEGERS(count)),
                          quern_apply(graph, "KMin_j", QUERN_EXPRS(d), QUERN_INTEGERS(count))};
    Q_TRY(quern_compile_graph(&search->op, index->context, graph, (quern_exprs){found, search->valued ? 2 : 1}, NULL));
    quern_value result = quern_result(search->op, 0);
    if (result.dim == search->count && result.axis == 'i') return q_distance_check(graph, index->metric.formula);
    q_fail(QUERN_USAGE, "the metric gives %lld numbers over %c, not one for each x and y",
           (long long)(result.dim / search->count), result.axis);
    q_fail_next_step("a metric is a formula in x and y that gives one number, such as Norm2(x-y)");
    return QUERN_USAGE;
}

static void search_destroy(q_search *search)
{
    quern_operator_destroy(&search->op);
    free(search);
}

static quern_status search_create(q_search **out, const quern_neighbors *index, int64_t count, bool within, bool valued)
{
    quern_graph *graph = NULL;
    q_search *search = calloc(1, sizeof *search);
    if (!search) return q_fail_memory(sizeof *search);
    search->count = count, search->within = within, search->valued = valued, search->prune = index->prune;
    quern_status status = quern_graph_create(&graph);
    if (!status) status = compile(search, graph, index);
    quern_graph_destroy(&graph);
    if (status) search_destroy(search);
    else *out = search;
    return status;
}

quern_status q_search_find(q_search **out, quern_neighbors *index, int64_t count, bool within, bool valued)
{
    quern_status status = QUERN_OK;
    pthread_mutex_lock(&index->lock);
    q_search *search = index->searches;
    while (search && (search->count != count || search->within != within || search->valued != valued))
        search = search->next;
    if (!search) {
        status = search_create(&search, index, count, within, valued);
        if (!status) search->next = index->searches, index->searches = search;
    }
    *out = search;
    pthread_mutex_unlock(&index->lock);
    return status;
}

// ---- arrays ----

/* An array of the device is read by way of one of the type that is wanted. */
static quern_status read_device(void *to, quern_context *context, const quern_view *from, quern_dtype dtype)
{
    quern_array *array;
    Q_TRY(quern_array_create(&array, context, dtype, from->rows, from->columns));
    quern_status status = quern_array_write(array, *from);
    if (!status) status = quern_array_read(array, quern_view_of(to, dtype, from->rows, from->columns));
    quern_array_destroy(&array);
    return status;
}

static quern_status read_host(void *to, const char *name, const quern_view *from, quern_dtype dtype)
{
    size_t size = q_element_size(dtype);
    Q_TRY(q_numbers_check(name, from, -1, -1));
    for (int64_t r = 0; r < from->rows; r++) {
        char *row = (char *)to + (size_t)(r * from->columns) * size;
        const char *given = q_host_at(from, r, 0);
        if (from->dtype == dtype) memcpy(row, given, (size_t)from->columns * size);
        else
            for (int64_t c = 0; c < from->columns; c++)
                q_element_write(dtype, row + (size_t)c * size, q_host_read(from, r, c));
    }
    return QUERN_OK;
}

static quern_status take(quern_view *out, quern_context *context, const char *name, const quern_view *given,
                         quern_dtype dtype)
{
    size_t bytes;
    quern_view flat = *given;
    for (size_t k = 0; k < Q_COUNT(given->batch); k++)
        if (given->batch[k] < 0)
            return q_fail(QUERN_SHAPE, "%s has a batch of %lld members", name, (long long)given->batch[k]);
    flat.rows = q_batch_rows(given);
    memset(flat.batch, 0, sizeof flat.batch);
    if (flat.rows < 0 || flat.columns < 1)
        return q_fail(QUERN_SHAPE, "%s has %lld rows and %lld columns; at least 0 and 1 are needed", name,
                      (long long)given->rows, (long long)given->columns);
    if (!q_mul_size((size_t)flat.rows, (size_t)flat.columns, &bytes) ||
        !q_mul_size(bytes, q_element_size(dtype), &bytes))
        return q_fail(QUERN_SHAPE, "%s has more elements than any memory holds", name);
    void *data = malloc(bytes + 1);
    if (!data) return q_fail_memory(bytes);
    quern_status status = flat.array ? read_device(data, context, &flat, dtype) : read_host(data, name, &flat, dtype);
    if (status) {
        free(data);
        return status;
    }
    *out = *given;
    out->data = data, out->dtype = dtype, out->array = NULL, out->stride = out->offset = 0;
    return QUERN_OK;
}

quern_status q_neighbors_take(quern_view *out, const quern_neighbors *index, const char *name, const quern_view *given)
{
    Q_TRY(take(out, index->context, name, given, index->points.dtype));
    if (out->columns == index->points.columns) return QUERN_OK;
    free(out->data);
    return q_fail(QUERN_SHAPE, "%s has %lld columns, and the points of the index have %lld", name,
                  (long long)given->columns, (long long)index->points.columns);
}

// ---- create ----

static quern_status keep_metric(quern_neighbors *index, const char *metric)
{
    for (size_t k = 0; k < Q_COUNT(metrics); k++)
        if (!strcasecmp(metric ? metric : "l2", metrics[k].name)) {
            index->metric = metrics[k];
            return QUERN_OK;
        }
    index->formula = strdup(metric);
    index->metric = (q_metric){"formula", index->formula, false};
    return index->formula ? QUERN_OK : q_fail_memory(strlen(metric));
}

static quern_status keep_parameters(quern_neighbors *index, const quern_args *given)
{
    if (given->count > Q_NEIGHBOR_PARAMETERS)
        return q_fail(QUERN_LIMIT, "%zu parameters; at most %d are taken", given->count, Q_NEIGHBOR_PARAMETERS);
    for (size_t k = 0; k < given->count; k++) {
        const quern_arg *arg = &given->data[k];
        if (!arg->name) return q_fail_null("quern_neighbors_create", "the name of a parameter");
        quern_arg *to = &index->parameters[k];
        *to = (quern_arg){strdup(arg->name), arg->view};
        to->view.data = NULL;
        index->parameter_count++;
        if (!to->name) return q_fail_memory(strlen(arg->name));
        if (arg->view.dtype != QUERN_NUMBER)
            Q_TRY(take(&to->view, index->context, arg->name, &arg->view, index->points.dtype));
    }
    return QUERN_OK;
}

static quern_status create(quern_neighbors *index, const quern_view *points, const quern_neighbors_options *options)
{
    quern_dtype dtype = points->dtype == QUERN_F64 ? QUERN_F64 : QUERN_F32;
    q_search *first;
    if (options->prune > QUERN_OFF) return q_fail(QUERN_USAGE, "quern_neighbors_options.prune is %d", options->prune);
    index->prune = options->prune;
    Q_TRY(take(&index->points, index->context, "points", points, dtype));
    Q_TRY(keep_metric(index, options->metric));
    Q_TRY(keep_parameters(index, &options->parameters));
    Q_TRY(q_search_find(&first, index, 1, false, true)); /* checks the formula, and keeps the context alive */
    if (!options->cells) return QUERN_OK;
    return q_cells_create(&index->cells, index->context, &index->points, options->cells, options->probes);
}

quern_status quern_neighbors_create(quern_neighbors **out, quern_context *context, quern_view points,
                                    const quern_neighbors_options *options)
{
    if (!out) return q_fail_null(__func__, "out");
    *out = NULL;
    if (!context) return q_fail_null(__func__, "the context");
    quern_neighbors_options known = {0};
    Q_TRY(q_options_copy(&known, sizeof known, options, "quern_neighbors_options"));
    quern_neighbors *index = *out = calloc(1, sizeof *index);
    if (!index) return q_fail_memory(sizeof *index);
    pthread_mutex_init(&index->lock, NULL);
    index->context = context;
    quern_status status = create(index, &points, &known);
    if (status) quern_neighbors_destroy(out);
    return status;
}

void quern_neighbors_destroy(quern_neighbors **index)
{
    if (!index || !*index) return;
    quern_neighbors *i = *index;
    for (q_search *s = i->searches, *next; s; s = next) {
        next = s->next;
        search_destroy(s);
    }
    for (size_t k = 0; k < i->parameter_count; k++) {
        free((char *)(uintptr_t)i->parameters[k].name);
        free(i->parameters[k].view.data);
    }
    q_cells_destroy(i->cells);
    free(i->points.data);
    free(i->formula);
    pthread_mutex_destroy(&i->lock);
    free(i);
    *index = NULL;
}
