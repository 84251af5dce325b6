/*
 * tiling.c: which work of a stage is done in loops over components, for the scheme `tile`, instead of one statement for
 * each component:
 *
 *   contractions  sums over the components of long vectors that depend on row and column, such as |x_i - y_j|^2 in 128
 *                 dimensions: they come before all else that is done for a pair
 *   wide sums     long results of Sum, such as 64 right-hand sides: they come after
 *
 * In both the vectors must be made of loads by elementwise operations, so that a component looks like any other: a slice.
 */
#include <stdlib.h>
#include <string.h>

#include "plan/plan.h"

enum { IN_DEPTH = Q_FORM_DEEP, IN_WIDTH = Q_FORM_WIDE, MOST_COMPONENTS = 8192 /* of which a work-item keeps slices */ };

/* Whether a slice of the node is made of the same slices of its operands. */
static bool slices_alike(const q_node *node)
{
    q_op_kind kind = q_ops[node->op].kind;
    return kind == Q_KIND_ELEMENTWISE || kind == Q_KIND_REPEAT || node->op == Q_OP_SumT;
}

static bool on_pairs(const q_node *node)
{
    return node->axes == (Q_I | Q_J);
}

/* In which loops the components of a node can be taken one after the other, from those of its operands. A number is the
   same in every turn; one that belongs to the pair must exist before the loop, so it can be used in the second only. */
static uint8_t loops_of(const q_node *node, const uint8_t *sliceable)
{
    if (node->dim == 1) return on_pairs(node) ? IN_WIDTH : IN_DEPTH | IN_WIDTH;
    const q_op_row *row = &q_ops[node->op];
    if (row->kind == Q_KIND_LEAF || row->kind == Q_KIND_REDUCTION) return IN_DEPTH | IN_WIDTH;
    uint8_t loops = slices_alike(node) ? IN_DEPTH | IN_WIDTH : 0;
    for (int a = 0; a < 3 && node->arg[a]; a++) loops &= sliceable[node->arg[a]];
    return loops;
}

/* The length of a contraction that can be done in a loop; 0 for any other node. */
static uint32_t contraction_length(const q_graph *graph, q_id id, const uint8_t *sliceable)
{
    const q_node *node = q_node_of(graph, id);
    if (node->op != Q_OP_Sum || !on_pairs(node)) return 0;
    const q_node *term = q_node_of(graph, node->arg[0]);
    bool fits = on_pairs(term) && (sliceable[node->arg[0]] & IN_DEPTH) && term->dim <= MOST_COMPONENTS;
    return fits ? term->dim : 0;
}

/* The same of a sum over columns. */
static uint32_t wide_length(const q_graph *graph, q_id id, const uint8_t *sliceable)
{
    const q_node *node = q_node_of(graph, id);
    bool fits = node->op == Q_RED_Sum && (sliceable[node->arg[0]] & IN_WIDTH) && node->dim <= MOST_COMPONENTS;
    return fits ? node->dim : 0;
}

/* One loop of each kind, of the greatest length that occurs; what has another length is done by component. Where partial
   wide sums take the registers, vectors as long as they are not kept there whole. */
static void find_lengths(q_loops *out, const q_graph *graph, const q_stage *stage, const q_tiling *least,
                         const uint8_t *reached, const uint8_t *sliceable)
{
    for (size_t r = 0; r < stage->reduction_count && least->width; r++) {
        uint32_t length = wide_length(graph, stage->reductions[r], sliceable);
        if (length >= least->width && length > out->width) out->width = length;
    }
    uint32_t depth = out->width && least->apart && least->width < least->depth ? least->width : least->depth;
    for (q_id id = 1; id < graph->count && depth; id++) {
        uint32_t length = reached[id] ? contraction_length(graph, id, sliceable) : 0;
        if (length >= depth && length > out->depth) out->depth = length;
    }
}

/* Outputs of the length of wide sums, made of nothing but wide sums and what else comes in slices. */
static void mark_outputs(q_loops *out, const q_graph *graph, const q_stage *stage, uint8_t *sliceable)
{
    for (size_t r = 0; r < stage->reduction_count; r++)
        if (!(out->forms[stage->reductions[r]] & Q_FORM_WIDE_SUM) && q_node_of(graph, stage->reductions[r])->dim > 1)
            sliceable[stage->reductions[r]] = 0;
    for (q_id id = 1; id < graph->count; id++)
        if (!q_is_reduction(q_node_of(graph, id))) sliceable[id] = loops_of(q_node_of(graph, id), sliceable);
    for (size_t o = 0; o < stage->output_count; o++) {
        q_id id = stage->outputs[o].id;
        if (q_node_of(graph, id)->dim == out->width && (sliceable[id] & IN_WIDTH)) out->forms[id] |= Q_FORM_OUTPUT;
    }
}

static void mark_forms(q_loops *out, const q_graph *graph, const q_stage *stage, const uint8_t *reached,
                       const uint8_t *sliceable)
{
    for (q_id id = 1; id < graph->count && out->depth; id++)
        if (reached[id] && contraction_length(graph, id, sliceable) == out->depth) out->forms[id] |= Q_FORM_CONTRACTION;
    for (size_t r = 0; r < stage->reduction_count && out->width; r++)
        if (wide_length(graph, stage->reductions[r], sliceable) == out->width)
            out->forms[stage->reductions[r]] |= Q_FORM_WIDE_SUM;
}

/* Where the components of wide sums are kept in different work-items, outputs must be slices of them and of what comes in
   slices: each other use of a wide sum, such as the norm of all of it, needs all components in one. */
static bool kept_apart(const q_loops *loops, const q_graph *graph, const q_stage *stage, const uint8_t *sliceable,
                       uint8_t *reached)
{
    q_id ids[Q_MAX_STAGE_OUTPUTS];
    const uint8_t *forms = loops->forms;
    bool apart = true;
    for (size_t o = 0; o < stage->output_count; o++) ids[o] = stage->outputs[o].id;
    q_mark(graph, ids, stage->output_count, true, reached);
    for (q_id id = 1; id < graph->count; id++) {
        const q_node *node = q_node_of(graph, id);
        bool of_wide = forms[id] & Q_FORM_WIDE_SUM;
        for (int a = 0; a < 3 && node->arg[a] && !q_is_reduction(node); a++)
            of_wide = of_wide || (reached[node->arg[a]] & 2);
        if (!reached[id] || !of_wide) continue;
        reached[id] |= 2;
        apart = apart && node->dim == loops->width && (sliceable[id] & IN_WIDTH);
    }
    for (size_t o = 0; o < stage->output_count; o++)
        apart = apart && (!(reached[ids[o]] & 2) || (forms[ids[o]] & Q_FORM_OUTPUT));
    return apart;
}

/* One loop of each kind, with the forms of their nodes. */
static void find_loops(q_loops *out, const q_graph *graph, const q_stage *stage, const q_tiling *least,
                       uint8_t *reached, uint8_t *sliceable)
{
    q_id terms[Q_MAX_STAGE_OUTPUTS];
    memset(out->forms, 0, graph->count);
    memset(sliceable, 0, graph->count);
    out->depth = out->width = 0;
    for (size_t r = 0; r < stage->reduction_count; r++) terms[r] = q_node_of(graph, stage->reductions[r])->arg[0];
    q_mark(graph, terms, stage->reduction_count, true, reached);
    for (q_id id = 1; id < graph->count; id++) sliceable[id] = loops_of(q_node_of(graph, id), sliceable);
    find_lengths(out, graph, stage, least, reached, sliceable);
    mark_forms(out, graph, stage, reached, sliceable);
    if (out->width) mark_outputs(out, graph, stage, sliceable);
    if (!out->width || !least->apart || kept_apart(out, graph, stage, sliceable, reached)) return;
    find_loops(out, graph, stage, &(q_tiling){.depth = least->depth, .expand = least->expand}, reached, sliceable);
}

quern_status q_loops_find(q_loops *out, const q_graph *graph, const q_stage *stage, const q_tiling *least)
{
    *out = (q_loops){.forms = calloc(graph->count, 1)};
    uint8_t *reached = calloc(graph->count, 1), *sliceable = calloc(graph->count, 1);
    if (out->forms && reached && sliceable && stage->rows && stage->walk)
        find_loops(out, graph, stage, least, reached, sliceable);
    quern_status status = out->forms && reached && sliceable ? QUERN_OK : q_fail_memory(graph->count);
    free(reached);
    free(sliceable);
    return status;
}

static void pass_down(q_loops *loops, const q_node *node, uint8_t form)
{
    for (int a = 0; a < 3 && node->arg[a]; a++) loops->forms[node->arg[a]] |= form;
}

/* Operands come before users, so one way down the ids meets each node after all its users. */
void q_loops_mark(q_loops *loops, const q_graph *graph)
{
    for (q_id id = (q_id)graph->count - 1; id; id--) {
        const q_node *node = q_node_of(graph, id);
        uint8_t *forms = &loops->forms[id], slices = *forms & (IN_DEPTH | IN_WIDTH);
        bool reduction = q_ops[node->op].kind == Q_KIND_REDUCTION;
        if (slices && node->dim == 1) *forms |= Q_FORM_COMPONENTS;
        if (*forms & Q_FORM_COMPONENTS && !reduction)
            pass_down(loops, node, *forms & Q_FORM_CONTRACTION ? IN_DEPTH : Q_FORM_COMPONENTS);
        if (slices && node->dim > 1 && !reduction) pass_down(loops, node, slices);
    }
}

void q_loops_free(q_loops *loops)
{
    free(loops->forms);
    loops->forms = NULL;
}
