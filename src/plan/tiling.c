/*
 * tiling.c: which work of a stage is done in loops over components, for the scheme `gemm`, instead of one statement for
 * each component:
 *
 *   contractions      sums over the components of long vectors that depend on row and column, such as |x_i - y_j|^2 in 128
 *                     dimensions: they come before all else that is done for a pair
 *   right-hand sides  the components of long results of Sum, such as 64 of them: they come after
 *
 * In both the vectors must be made of loads by elementwise operations, so that a component looks
 * like any other: its value is that of the loop.
 */
#include <stdlib.h>
#include <string.h>

#include "plan/plan.h"

enum { IN_K_LOOP = Q_FORM_K, IN_RHS_LOOP = Q_FORM_RHS, MOST_COMPONENTS = 8192 /* of which a work-item keeps all */ };

/* Whether a component of the node is made of the same components of its operands. */
static bool components_alike(const q_node *node)
{
    q_op_kind kind = q_ops[node->op].kind;
    return kind == Q_KIND_ELEMENTWISE || kind == Q_KIND_REPEAT || node->op == Q_OP_SumT;
}

static bool on_pairs(const q_node *node)
{
    return node->axes == (Q_I | Q_J);
}

/* In which loops the components of a node can be taken one after the other, from those of its operands. A number is the
   same in every trip; one that belongs to the pair must exist before the loop, so it can be used in the second only. */
static uint8_t loops_of(const q_node *node, const uint8_t *loopable)
{
    if (node->dim == 1) return on_pairs(node) ? IN_RHS_LOOP : IN_K_LOOP | IN_RHS_LOOP;
    const q_op_row *row = &q_ops[node->op];
    if (row->kind == Q_KIND_LEAF || row->kind == Q_KIND_REDUCTION) return IN_K_LOOP | IN_RHS_LOOP;
    uint8_t loops = components_alike(node) ? IN_K_LOOP | IN_RHS_LOOP : 0;
    for (int a = 0; a < 3 && node->arg[a]; a++) loops &= loopable[node->arg[a]];
    return loops;
}

/* The length of a contraction that can be done in a loop; 0 for any other node. */
static uint32_t contraction_length(const q_graph *graph, q_id id, const uint8_t *loopable)
{
    const q_node *node = q_node_of(graph, id);
    if (node->op != Q_OP_Sum || !on_pairs(node)) return 0;
    const q_node *term = q_node_of(graph, node->arg[0]);
    bool fits = on_pairs(term) && (loopable[node->arg[0]] & IN_K_LOOP) && term->dim <= MOST_COMPONENTS;
    return fits ? term->dim : 0;
}

/* The same of a sum over columns. */
static uint32_t rhs_length(const q_graph *graph, q_id id, const uint8_t *loopable)
{
    const q_node *node = q_node_of(graph, id);
    bool fits = node->op == Q_RED_Sum && (loopable[node->arg[0]] & IN_RHS_LOOP) && node->dim <= MOST_COMPONENTS;
    return fits ? node->dim : 0;
}

/* One loop of each kind, of the greatest length that occurs; what has another length is done by component. Where block
   accumulators take the registers, vectors as long as they are not kept there whole. */
static void find_lengths(q_loops *out, const q_graph *graph, const q_stage *stage, const q_tiling *least,
                         const uint8_t *reached, const uint8_t *loopable)
{
    for (size_t r = 0; r < stage->reduction_count && least->min_rhs; r++) {
        uint32_t length = rhs_length(graph, stage->reductions[r], loopable);
        if (length >= least->min_rhs && length > out->rhs_dim) out->rhs_dim = length;
    }
    uint32_t k_dim = out->rhs_dim && least->apart && least->min_rhs < least->min_k ? least->min_rhs : least->min_k;
    for (q_id id = 1; id < graph->count && k_dim; id++) {
        uint32_t length = reached[id] ? contraction_length(graph, id, loopable) : 0;
        if (length >= k_dim && length > out->k_dim) out->k_dim = length;
    }
}

/* Outputs with a component for each right-hand side, made of nothing but those and what else comes by component. */
static void mark_outputs(q_loops *out, const q_graph *graph, const q_stage *stage, uint8_t *loopable)
{
    for (size_t r = 0; r < stage->reduction_count; r++)
        if (!(out->forms[stage->reductions[r]] & Q_FORM_RHS_SUM) && q_node_of(graph, stage->reductions[r])->dim > 1)
            loopable[stage->reductions[r]] = 0;
    for (q_id id = 1; id < graph->count; id++)
        if (!q_is_reduction(q_node_of(graph, id))) loopable[id] = loops_of(q_node_of(graph, id), loopable);
    for (size_t o = 0; o < stage->output_count; o++) {
        q_id id = stage->outputs[o].id;
        if (q_node_of(graph, id)->dim == out->rhs_dim && (loopable[id] & IN_RHS_LOOP)) out->forms[id] |= Q_FORM_OUTPUT;
    }
}

static void mark_forms(q_loops *out, const q_graph *graph, const q_stage *stage, const uint8_t *reached,
                       const uint8_t *loopable)
{
    for (q_id id = 1; id < graph->count && out->k_dim; id++)
        if (reached[id] && contraction_length(graph, id, loopable) == out->k_dim) out->forms[id] |= Q_FORM_CONTRACTION;
    for (size_t r = 0; r < stage->reduction_count && out->rhs_dim; r++)
        if (rhs_length(graph, stage->reductions[r], loopable) == out->rhs_dim)
            out->forms[stage->reductions[r]] |= Q_FORM_RHS_SUM;
}

/* Where the right-hand sides are kept in different work-items, outputs must be made of them and of what comes by
   component: each other use of a sum of right-hand sides, such as the norm of all of it, needs all components in one. */
static bool kept_apart(const q_loops *loops, const q_graph *graph, const q_stage *stage, const uint8_t *loopable,
                       uint8_t *reached)
{
    q_id ids[Q_MAX_STAGE_OUTPUTS];
    const uint8_t *forms = loops->forms;
    bool apart = true;
    for (size_t o = 0; o < stage->output_count; o++) ids[o] = stage->outputs[o].id;
    q_mark(graph, ids, stage->output_count, true, reached);
    for (q_id id = 1; id < graph->count; id++) {
        const q_node *node = q_node_of(graph, id);
        bool of_rhs = forms[id] & Q_FORM_RHS_SUM;
        for (int a = 0; a < 3 && node->arg[a] && !q_is_reduction(node); a++)
            of_rhs = of_rhs || (reached[node->arg[a]] & 2);
        if (!reached[id] || !of_rhs) continue;
        reached[id] |= 2;
        apart = apart && node->dim == loops->rhs_dim && (loopable[id] & IN_RHS_LOOP);
    }
    for (size_t o = 0; o < stage->output_count; o++)
        apart = apart && (!(reached[ids[o]] & 2) || (forms[ids[o]] & Q_FORM_OUTPUT));
    return apart;
}

/* One loop of each kind, with the forms of their nodes. */
static void find_loops(q_loops *out, const q_graph *graph, const q_stage *stage, const q_tiling *least,
                       uint8_t *reached, uint8_t *loopable)
{
    q_id terms[Q_MAX_STAGE_OUTPUTS];
    memset(out->forms, 0, graph->count);
    memset(loopable, 0, graph->count);
    out->k_dim = out->rhs_dim = 0;
    for (size_t r = 0; r < stage->reduction_count; r++) terms[r] = q_node_of(graph, stage->reductions[r])->arg[0];
    q_mark(graph, terms, stage->reduction_count, true, reached);
    for (q_id id = 1; id < graph->count; id++) loopable[id] = loops_of(q_node_of(graph, id), loopable);
    find_lengths(out, graph, stage, least, reached, loopable);
    mark_forms(out, graph, stage, reached, loopable);
    if (out->rhs_dim) mark_outputs(out, graph, stage, loopable);
    if (!out->rhs_dim || !least->apart || kept_apart(out, graph, stage, loopable, reached)) return;
    find_loops(out, graph, stage, &(q_tiling){.min_k = least->min_k, .expand = least->expand}, reached, loopable);
}

quern_status q_loops_find(q_loops *out, const q_graph *graph, const q_stage *stage, const q_tiling *least)
{
    *out = (q_loops){.forms = calloc(graph->count, 1)};
    uint8_t *reached = calloc(graph->count, 1), *loopable = calloc(graph->count, 1);
    if (out->forms && reached && loopable && stage->rows && stage->reduced)
        find_loops(out, graph, stage, least, reached, loopable);
    quern_status status = out->forms && reached && loopable ? QUERN_OK : q_fail_memory(graph->count);
    free(reached);
    free(loopable);
    return status;
}

/* A table is read where its rows are looked up. */
static void pass_down(q_loops *loops, const q_node *node, uint8_t form)
{
    for (int a = node->op == Q_OP_LOOKUP; a < 3 && node->arg[a]; a++) loops->forms[node->arg[a]] |= form;
}

/* Operands come before users, so one way down the ids meets each node after all its users. */
void q_loops_mark(q_loops *loops, const q_graph *graph)
{
    for (q_id id = (q_id)graph->count - 1; id; id--) {
        const q_node *node = q_node_of(graph, id);
        uint8_t *forms = &loops->forms[id], loops_in = *forms & (IN_K_LOOP | IN_RHS_LOOP);
        bool reduction = q_ops[node->op].kind == Q_KIND_REDUCTION;
        if (loops_in && node->dim == 1) *forms |= Q_FORM_COMPONENTS;
        if (*forms & Q_FORM_COMPONENTS && !reduction)
            pass_down(loops, node, *forms & Q_FORM_CONTRACTION ? IN_K_LOOP : Q_FORM_COMPONENTS);
        if (loops_in && node->dim > 1 && !reduction) pass_down(loops, node, loops_in);
    }
}

void q_loops_free(q_loops *loops)
{
    free(loops->forms);
    loops->forms = NULL;
}
