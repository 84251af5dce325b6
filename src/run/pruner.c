/*
 * pruner.c: what pruning asks of a formula: whether its blocks can be left out at all; the same formula with what each of its
 * reductions has reached as further results, so that one program finds that on a few columns and then does the rest, with
 * the same bits for each pair; and which variables decide how near a row is to a column.
 */
#include <stdlib.h>
#include <string.h>

#include "run/prune.h"

// ---- which variables matter ----

/* Marks in `found`, by node, what a pair is made of where rows meet columns, from `id` on, which depends on both. Factors of the
   row or of the column alone are weights: they scale a term and say nothing of how near the two are. */
static void find_meetings(const q_graph *graph, uint8_t *found, q_id root)
{
    uint8_t *factor = calloc(graph->count, 1); /* reached through products alone */
    if (!factor) return;
    factor[root] = found[root] = 1;
    for (q_id id = root; id > 0; id--) {
        if (!found[id]) continue;
        const q_node *node = q_node_of(graph, id);
        bool product = factor[id] && (node->op == Q_OP_Mult || node->op == Q_OP_MultNoNan || node->op == Q_OP_Minus ||
                                      node->op == Q_OP_SumT);
        for (int a = 0; a < 3 && node->arg[a]; a++) {
            bool both = q_node_of(graph, node->arg[a])->axes == (Q_I | Q_J);
            if (product && !both) continue;
            found[node->arg[a]] = 1;
            factor[node->arg[a]] = factor[node->arg[a]] || product;
        }
    }
    free(factor);
}

/* Whether the value is another one where rows have another order. */
static bool counts_rows(const q_node *node)
{
    return node->op == Q_OP_INDEX || (node->op == Q_OP_LOOKUP && node->k[0]);
}

static void find_geometry(q_pruner *pruner)
{
    const quern_operator *op = pruner->op;
    uint8_t *found = calloc(op->graph->count, 1);
    for (size_t r = 0; r < pruner->reduction_count && found; r++)
        find_meetings(op->graph, found, q_node_of(op->graph, pruner->reductions[r])->arg[0]);
    bool any[4] = {false};
    for (size_t v = 0; v < op->variable_count && found; v++) {
        const q_variable *variable = &op->graph->variables[op->variables[v]];
        pruner->matters[v] = found[variable->id];
        any[variable->axis] = any[variable->axis] || pruner->matters[v];
    }
    for (size_t v = 0; v < op->variable_count; v++) /* in a plain product all are */
        if (!any[op->graph->variables[op->variables[v]].axis]) pruner->matters[v] = true;
    if (found) q_mark(op->graph, op->results, op->result_count, false, found);
    for (q_id id = 1; id < op->graph->count && found; id++)
        pruner->ordered = pruner->ordered || (found[id] && counts_rows(q_node_of(op->graph, id)));
    free(found);
}

// ---- what a reduction has reached ----

/* The value that a term must pass to change the reduction, or what it has summed. */
static q_id reached_by(q_graph *graph, q_id reduction)
{
    const q_node node = *q_node_of(graph, reduction);
    uint8_t axis = (uint8_t)node.k[0];
    q_id term = node.arg[0], values;
    int32_t n = (int32_t)q_node_of(graph, term)->dim;
    switch (node.op) {
    case Q_RED_ArgMin: return q_reduce(graph, Q_RED_Min, axis, term, 0);
    case Q_RED_ArgMax: return q_reduce(graph, Q_RED_Max, axis, term, 0);
    case Q_RED_KMin:
    case Q_RED_ArgKMin: values = q_reduce(graph, Q_RED_KMin, axis, term, node.k[1]); break;
    case Q_RED_KMax:
    case Q_RED_ArgKMax: values = q_reduce(graph, Q_RED_KMax, axis, term, node.k[1]); break;
    default: return reduction;
    }
    return q_apply(graph, Q_OP_Extract, &values, 1, (int32_t[]){(node.k[1] - 1) * n, n}, 2);
}

static quern_status extend(q_pruner *pruner, const quern_operator *op)
{
    q_graph *graph;
    q_id results[Q_MAX_RESULTS];
    quern_compile_options options = op->options;
    options.size = sizeof options;
    Q_TRY(q_graph_copy(&graph, op->graph));
    memcpy(results, op->results, op->result_count * sizeof *results);
    for (size_t r = 0; r < pruner->reduction_count; r++)
        results[op->result_count + r] = reached_by(graph, pruner->reductions[r]);
    quern_status status = graph->status;
    if (!status)
        status = q_operator_from_graph(&pruner->op, op->context, graph, results,
                                       op->result_count + pruner->reduction_count, &options);
    q_graph_destroy(&graph);
    return status;
}

// ---- whether it can be done ----

const char *q_pruner_refusal(const quern_operator *op)
{
    const q_stage *stage = &op->stages.stage[0];
    if (op->stages.count != 1) return "the formula takes several passes";
    if (!stage->reduced || !stage->rows) return "in the formula no row meets a column";
    if (op->result_count + stage->reduction_count > Q_MAX_RESULTS) return "it has too many reductions";
    for (size_t r = 0; r < stage->reduction_count; r++) {
        const q_node *node = q_node_of(op->graph, stage->reductions[r]);
        if (stage->weights[r]) return "a sum has softmax weights";
        if (q_ops[node->op].idle == q_idle_never) return "Prod and Variance need every term";
        if (q_node_of(op->graph, node->arg[0])->axes != (Q_I | Q_J)) return "a term is the same for all rows";
    }
    return NULL;
}

static quern_status make(q_pruner *pruner, const quern_operator *op)
{
    const q_stage *stage = &op->stages.stage[0];
    pruner->refusal = q_pruner_refusal(op);
    if (pruner->refusal) return QUERN_OK;
    pruner->rows = stage->rows, pruner->reduced = stage->reduced;
    pruner->result_count = op->result_count;
    pruner->reduction_count = stage->reduction_count;
    for (size_t r = 0; r < stage->reduction_count; r++) pruner->reductions[r] = stage->reductions[r];
    Q_TRY(extend(pruner, op));
    find_geometry(pruner);
    for (size_t r = 0; r < stage->reduction_count; r++) {
        bool index = q_ops[q_node_of(op->graph, stage->reductions[r])->op].reduction == Q_INDEX;
        pruner->named = pruner->named || (index && !pruner->ordered);
        pruner->lists = pruner->lists || q_node_of(op->graph, stage->reductions[r])->k[1];
    }
    return QUERN_OK;
}

quern_status q_pruner_find(q_pruner **out, quern_operator *op)
{
    quern_status status = QUERN_OK;
    pthread_mutex_lock(&op->lock);
    if (!op->pruner) {
        q_pruner *pruner = calloc(1, sizeof *pruner);
        q_locale locale = q_locale_enter();
        status = pruner ? make(pruner, op) : q_fail_memory(sizeof *pruner);
        q_locale_leave(locale);
        if (status) q_pruner_destroy(pruner);
        else op->pruner = pruner;
    }
    *out = op->pruner;
    pthread_mutex_unlock(&op->lock);
    return status;
}

static void sorted_destroy(q_sorted *sorted)
{
    if (!sorted) return;
    for (size_t v = 0; v < Q_MAX_VARIABLES; v++) free(sorted->views[v].data);
    q_tree_free(&sorted->tree);
    free(sorted->names);
    free(sorted);
}

void q_pruner_destroy(q_pruner *pruner)
{
    if (!pruner) return;
    quern_operator_destroy(&pruner->op);
    for (int axis = 0; axis < 2; axis++) {
        free(pruner->orders[axis].places);
        sorted_destroy(pruner->sorted[axis]);
    }
    free(pruner);
}

// ---- orders ----

static bool find_order(const q_order *known, const char *digest, int64_t *order, size_t bytes)
{
    bool same = known->places && strcmp(known->digest, digest) == 0;
    if (same) memcpy(order, known->places, bytes);
    return same;
}

/* Without memory for it, it will be found anew. */
static void keep_order(q_order *known, const char *digest, const int64_t *order, size_t bytes)
{
    free(known->places);
    known->places = malloc(bytes);
    if (known->places) memcpy(known->places, order, bytes);
    memcpy(known->digest, digest, sizeof known->digest);
}

enum { VECTOR = 16 /* rows that are likely to change their lists at the same columns */ };

/* The points of a cell; runs of `fine` points are near each other within a leaf of `size`. */
static quern_status order_cell(int64_t *order, const double *points, const q_cells *cells, size_t c, size_t dim,
                               int64_t size, int64_t fine)
{
    int64_t from = cells->at[c], count = cells->at[c + 1] - from;
    Q_TRY(q_kd_order(order + from, points + (size_t)from * dim, count, (int64_t)dim, size, fine));
    for (int64_t place = from; place < from + count; place++) order[place] += from;
    return QUERN_OK;
}

quern_status q_pruner_order(q_pruner *pruner, int axis, pthread_mutex_t *lock, int64_t *order, const double *points,
                            size_t dim, const q_cells *cells, int64_t size)
{
    struct {
        char points[33], cells[33];
        int64_t count, dim, size;
    } key;
    char digest[33];
    int64_t count = cells->count ? cells->at[cells->count] : 0;
    size_t bytes = (size_t)count * sizeof *order;
    for (int64_t place = 0; place < count && (pruner->ordered || !dim); place++) order[place] = place;
    if (pruner->ordered || !dim || !count) return QUERN_OK;
    memset(&key, 0, sizeof key);
    key.count = count, key.dim = (int64_t)dim, key.size = size;
    q_digest_hex(points, (size_t)count * dim * sizeof *points, key.points);
    q_digest_hex(cells->at, (cells->count + 1) * sizeof *cells->at, key.cells);
    q_digest_hex(&key, sizeof key, digest);
    pthread_mutex_lock(lock);
    bool known = find_order(&pruner->orders[axis], digest, order, bytes);
    pthread_mutex_unlock(lock);
    if (known) return QUERN_OK;
    bool vectors = pruner->lists && axis == 0 && size > VECTOR;
    for (size_t c = 0; c < cells->count; c++)
        Q_TRY(order_cell(order, points, cells, c, dim, size, vectors ? VECTOR : size));
    pthread_mutex_lock(lock);
    keep_order(&pruner->orders[axis], digest, order, bytes);
    pthread_mutex_unlock(lock);
    return QUERN_OK;
}

// ---- axes ----

q_sorted *q_pruner_sorted(q_pruner *pruner, int axis, pthread_mutex_t *lock, const char *digest)
{
    pthread_mutex_lock(lock);
    q_sorted *known = pruner->sorted[axis];
    if (known && strcmp(known->digest, digest) != 0) known = NULL;
    if (known) known->users++;
    pthread_mutex_unlock(lock);
    return known;
}

void q_sorted_release(q_sorted *sorted, pthread_mutex_t *lock)
{
    if (!sorted) return;
    pthread_mutex_lock(lock);
    bool last = --sorted->users == 0;
    pthread_mutex_unlock(lock);
    if (last) sorted_destroy(sorted);
}

void q_pruner_keep(q_pruner *pruner, int axis, pthread_mutex_t *lock, q_sorted *sorted)
{
    pthread_mutex_lock(lock);
    q_sorted *before = pruner->sorted[axis];
    sorted->users++;
    pruner->sorted[axis] = sorted;
    pthread_mutex_unlock(lock);
    q_sorted_release(before, lock);
}
