/*
 * stages.c: a graph with reductions anywhere in it as a list of stages, each one loop over rows and at most one loop
 * over the other axis.
 *
 * A reduction's level is one more than the deepest reduction it needs; reductions of one level with the same axes are
 * one stage, so a value and its gradient share a pass. A sum with softmax weights is of the level of the reduction that is
 * their scale (weights.c). A result that is computed from reductions of one stage (and
 * earlier ones) on that stage's row axis is computed where they end; other results get a map of their own.
 */
#include <stdlib.h>
#include <string.h>

#include "plan/plan.h"

typedef struct partitioner {
    const q_graph *graph;
    q_stages *out;
    uint8_t *marks;  /* nodes reached from the results */
    uint32_t *level; /* by node: 0 without reductions below or at it */
    int *stage_of;   /* by reduction: its stage */
    q_id *weight;    /* by reduction: see q_weight_of */
} partitioner;

static quern_status too_many(const char *what, int limit)
{
    quern_status status = q_fail(QUERN_LIMIT, "the formula needs more than %d %s", limit, what);
    q_fail_next_step("split it into several operators");
    return status;
}

/* What the reduction runs over: every row of `rows`, along `reduced`. */
static uint8_t row_axis(const q_node *node)
{
    return node->axes;
}

static quern_status find_levels(partitioner *c)
{
    uint8_t *reached = malloc(c->graph->count), *form = malloc(c->graph->count);
    for (q_id id = 1; id < c->graph->count && reached && form; id++) {
        const q_node *node = q_node_of(c->graph, id);
        uint32_t level = 0;
        for (int a = 0; a < 3 && c->marks[id]; a++)
            if (c->level[node->arg[a]] > level) level = c->level[node->arg[a]];
        if (c->marks[id]) c->weight[id] = q_weight_of(c->graph, id, c->level, reached, form);
        c->level[id] = level + (q_is_reduction(node) && !c->weight[id] ? 1 : 0);
    }
    bool memory = reached && form;
    free(reached);
    free(form);
    return memory ? QUERN_OK : q_fail_memory(c->graph->count);
}

static quern_status place_reduction(partitioner *c, q_id id, uint32_t level)
{
    const q_node *node = q_node_of(c->graph, id);
    q_stage *stage = NULL;
    for (size_t s = 0; s < c->out->count && !stage; s++) {
        q_stage *old = &c->out->stage[s];
        bool fits = old->rows == row_axis(node) && old->reduced == node->k[0] && c->level[old->reductions[0]] == level;
        if (fits && old->reduction_count < Q_MAX_STAGE_OUTPUTS) stage = old;
    }
    if (!stage) {
        if (c->out->count == Q_MAX_STAGES) return too_many("stages", Q_MAX_STAGES);
        stage = &c->out->stage[c->out->count++];
        *stage = (q_stage){.rows = row_axis(node), .reduced = (uint8_t)node->k[0]};
    }
    c->stage_of[id] = (int)(stage - c->out->stage);
    q_weight weight = {0};
    if (c->weight[id]) q_weight_of_exp(&weight, c->graph, c->weight[id]);
    bool scaled_by = weight.scale && c->stage_of[weight.scale] == c->stage_of[id]; /* unless that stage was full */
    stage->weights[stage->reduction_count] = scaled_by ? c->weight[id] : 0;
    stage->reductions[stage->reduction_count++] = id;
    return QUERN_OK;
}

static quern_status place_reductions(partitioner *c)
{
    uint32_t deepest = 0;
    for (q_id id = 1; id < c->graph->count; id++)
        if (c->marks[id] && c->level[id] > deepest) deepest = c->level[id];
    for (uint32_t level = 1; level <= deepest; level++)
        for (q_id id = 1; id < c->graph->count; id++)
            if (c->marks[id] && c->level[id] == level && q_is_reduction(q_node_of(c->graph, id)))
                Q_TRY(place_reduction(c, id, level));
    return QUERN_OK;
}

/* The stage whose end can compute the value: the last one that it needs, if the axes agree; else -1. */
static int stage_of_value(partitioner *c, q_id id, uint8_t *marks)
{
    const q_node *node = q_node_of(c->graph, id);
    if (q_is_reduction(node)) return c->stage_of[id];
    q_mark(c->graph, &id, 1, true, marks);
    int last = -1;
    for (q_id r = 1; r <= id; r++)
        if (marks[r] && q_is_reduction(q_node_of(c->graph, r)) && c->stage_of[r] > last) last = c->stage_of[r];
    return last >= 0 && c->out->stage[last].rows == node->axes ? last : -1;
}

static quern_status add_output(q_stage *stage, q_id id, int result)
{
    for (size_t o = 0; o < stage->output_count; o++)
        if (stage->outputs[o].id == id && stage->outputs[o].result == result) return QUERN_OK;
    if (stage->output_count == Q_MAX_STAGE_OUTPUTS) return too_many("values from one pass", Q_MAX_STAGE_OUTPUTS);
    stage->outputs[stage->output_count++] = (q_output){id, result};
    return QUERN_OK;
}

static quern_status place_result(partitioner *c, q_id id, int result, uint8_t *marks)
{
    const q_node *node = q_node_of(c->graph, id);
    if (node->axes == (Q_I | Q_J)) {
        quern_status status = q_fail(QUERN_UNSUPPORTED, "result %d depends on i and on j: it has M x N values", result);
        q_fail_next_step(
            "reduce it over one index, for example Sum_j(...), or ask for some entries: quern block, quern/pairs.h");
        return status;
    }
    int stage_of = stage_of_value(c, id, marks);
    for (size_t s = 0; s < c->out->count && stage_of < 0; s++) /* a map that is there already */
        if (c->out->stage[s].reduced == Q_P && c->out->stage[s].rows == node->axes) stage_of = (int)s;
    if (stage_of < 0) {
        if (c->out->count == Q_MAX_STAGES) return too_many("stages", Q_MAX_STAGES);
        stage_of = (int)c->out->count++;
        c->out->stage[stage_of] = (q_stage){.rows = node->axes, .reduced = Q_P};
    }
    return add_output(&c->out->stage[stage_of], id, result);
}

/* Reductions that another stage reads are stored by their own. */
static quern_status place_temporaries(partitioner *c, uint8_t *marks)
{
    for (size_t s = 0; s < c->out->count; s++) {
        q_stage *stage = &c->out->stage[s];
        q_id roots[2 * Q_MAX_STAGE_OUTPUTS];
        size_t count = 0;
        for (size_t r = 0; r < stage->reduction_count; r++)
            roots[count++] = q_node_of(c->graph, stage->reductions[r])->arg[0];
        for (size_t o = 0; o < stage->output_count; o++) roots[count++] = stage->outputs[o].id;
        q_mark(c->graph, roots, count, true, marks);
        for (q_id id = 1; id < c->graph->count; id++)
            if (marks[id] && q_is_reduction(q_node_of(c->graph, id)) && c->stage_of[id] != (int)s)
                Q_TRY(add_output(&c->out->stage[c->stage_of[id]], id, -1));
    }
    return QUERN_OK;
}

static quern_status partition(partitioner *c, const q_id *results, size_t count)
{
    q_mark(c->graph, results, count, false, c->marks);
    Q_TRY(find_levels(c));
    Q_TRY(place_reductions(c));
    uint8_t *marks = malloc(c->graph->count);
    quern_status status = marks ? QUERN_OK : q_fail_memory(c->graph->count);
    for (size_t r = 0; r < count && !status; r++) status = place_result(c, results[r], (int)r, marks);
    if (!status) status = place_temporaries(c, marks);
    free(marks);
    return status;
}

quern_status q_stages_make(q_stages *out, const q_graph *graph, const q_id *results, size_t count)
{
    memset(out, 0, sizeof *out);
    partitioner c = {.graph = graph, .out = out};
    c.marks = malloc(graph->count);
    c.level = calloc(graph->count, sizeof *c.level);
    c.stage_of = calloc(graph->count, sizeof *c.stage_of);
    c.weight = calloc(graph->count, sizeof *c.weight);
    quern_status status =
        c.marks && c.level && c.stage_of && c.weight ? partition(&c, results, count) : q_fail_memory(graph->count);
    free(c.marks);
    free(c.level);
    free(c.stage_of);
    free(c.weight);
    return status;
}

void q_stages_dump(const q_graph *graph, const q_stages *stages, q_text *out)
{
    static const char *const rows[] = {"one row", "rows i", "rows j"}, *const over[] = {"map", "over i", "over j"};
    for (size_t s = 0; s < stages->count; s++) {
        const q_stage *stage = &stages->stage[s];
        q_text_add(out, "stage %zu: %s, %s\n", s, rows[stage->rows], over[stage->reduced]);
        for (size_t r = 0; r < stage->reduction_count; r++) {
            q_text_add(out, "  reduce %%%u = %s of %%%u", stage->reductions[r],
                       q_ops[q_node_of(graph, stage->reductions[r])->op].name,
                       q_node_of(graph, stage->reductions[r])->arg[0]);
            if (stage->weights[r]) q_text_add(out, ", with weights %%%u of this pass", stage->weights[r]);
            q_text_add(out, "\n");
        }
        for (size_t o = 0; o < stage->output_count; o++) {
            q_text_add(out, "  store  %%%u as ", stage->outputs[o].id);
            if (stage->outputs[o].result < 0) q_text_add(out, "a temporary\n");
            else q_text_add(out, "result %d\n", stage->outputs[o].result);
        }
    }
}
