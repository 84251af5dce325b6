/*
 * states.c: the states of a program's reductions as OpenCL C: what is kept for a row. Right-hand sides are apart, in
 * q_rhs_acc, of which a work-item keeps Q_RHS_PER_ITEM components, from d0 on.
 */
#include <stdio.h>
#include <string.h>

#include "plan/emitter.h"

/* Members of the struct of states that reduction r has. */
static uint32_t state_count(const q_ir *p, size_t r)
{
    return q_is_state_array(p, r) && q_own_dim(p, r) ? 1 : q_own_dim(p, r);
}

/* What a call for a component takes besides it: nothing, the same component of another state, or its place in memory. */
typedef enum extra { NO_MORE, OTHER_STATE, MEMORY } extra;

/* The functions of a state, each with one call per component. */
static const struct state_function {
    const char *name, *call, *parameters;
    extra more;
    bool rhs, of_parts; /* of right-hand sides; of use only where the columns are split */
} state_functions[] = {
    {"start", "start", "q_state *t", NO_MORE, false, false},
    {"start_rhs", "start", "q_rhs_acc *acc", NO_MORE, true, false},
    {"block", "block", "q_state *t", NO_MORE, false, false},
    {"merge", "merge", "q_state *t, const q_state *other", OTHER_STATE, false, true},
    {"merge_rhs", "merge", "q_rhs_acc *acc, const q_rhs_acc *other_rhs, const q_state *t, const q_state *other",
     OTHER_STATE, true, true},
    {"store_state", "store_state", "const q_state *t, __global sreal *p, const long stride", MEMORY, false, true},
    {"store_state_rhs", "store_state", "const q_rhs_acc *acc, __global sreal *p, const long stride, const int d0",
     MEMORY, true, true},
    {"load_state", "load_state", "q_state *t, __global const sreal *p, const long stride", MEMORY, false, true},
    {"load_state_rhs", "load_state", "q_rhs_acc *acc, __global const sreal *p, const long stride, const int d0", MEMORY,
     true, true},
};

/* The arguments of a call for one component, which stands at [d] of those of right-hand sides. */
static void emit_call(q_emitter *e, size_t r, const char *component, extra more, int word)
{
    bool rhs = e->p->reductions[r].rhs;
    int words = q_ops[e->p->reductions[r].op].words(e->p->reductions[r].K);
    q_text_add(e->out, "&%s->r%zu%s", rhs ? "acc" : "t", r, component);
    if (more == OTHER_STATE) q_text_add(e->out, ", &other%s->r%zu%s", rhs ? "_rhs" : "", r, component);
    if (more == OTHER_STATE && e->p->reductions[r].scaled_by)
        q_text_add(e->out, ", scale%zu, other_scale%zu", e->p->reductions[r].scaled_by - 1,
                   e->p->reductions[r].scaled_by - 1);
    if (more == MEMORY && rhs)
        q_text_add(e->out, ", p + (%d + %d * min(d0 + d, %u)) * stride, stride", word, words, e->p->rhs_dim - 1);
    if (more == MEMORY && q_is_state_array(e->p, r))
        q_text_add(e->out, ", p + (%d + %d * d) * stride, stride", word, words);
    else if (more == MEMORY && !rhs) q_text_add(e->out, ", p + %d * stride, stride", word);
    q_text_add(e->out, ");\n");
}

/* What sums with weights are scaled by before they are merged; right-hand sides are merged first. */
static void emit_merge_scales(q_emitter *e)
{
    for (size_t r = 0; r < e->p->reduction_count; r++)
        if (e->p->reductions[r].weight)
            q_text_add(e->out,
                       "    const real scale%zu = q_LogSumExp_scale(&t->r%zu_0, &other->r%zu_0),\n"
                       "               other_scale%zu = q_LogSumExp_scale(&other->r%zu_0, &t->r%zu_0);\n",
                       r, r, r, r, r, r);
}

/* The calls for a reduction whose words begin at `word`. */
static void emit_calls(q_emitter *e, const struct state_function *f, size_t r, int word)
{
    bool scaled = f->more == OTHER_STATE && e->p->reductions[r].scaled_by;
    int words = q_ops[e->p->reductions[r].op].words(e->p->reductions[r].K);
    uint32_t calls = f->rhs ? q_owns_rhs(e->p, r) : state_count(e->p, r);
    bool array = q_is_state_array(e->p, r);
    for (uint32_t d = 0; d < calls; d++) {
        char component[16];
        snprintf(component, sizeof component, f->rhs || array ? "[d]" : "_%u", d);
        q_text_add(e->out, "    ");
        if (array) q_text_add(e->out, "for (int d = 0; d < %u; d++) ", e->p->reductions[r].dim);
        if (f->rhs) q_text_add(e->out, "for (int d = 0; d < Q_RHS_PER_ITEM");
        if (f->rhs && strcmp(f->call, "store_state") == 0) q_text_add(e->out, " && d0 + d < %u", e->p->rhs_dim);
        if (f->rhs) q_text_add(e->out, "; d++) ");
        q_emit_state_name(e, r);
        q_text_add(e->out, "_%s%s(", f->call, scaled ? "_scaled" : "");
        emit_call(e, r, component, f->more, word + (int)d * words);
    }
}

static void emit_state_function(q_emitter *e, const struct state_function *f)
{
    int word = 0;
    q_text_add(e->out, "Q_FN void q_%s(%s)\n{\n", f->name, f->parameters);
    if (f->more == OTHER_STATE) emit_merge_scales(e);
    for (size_t r = 0; r < e->p->reduction_count; r++) {
        emit_calls(e, f, r, word);
        if (e->p->reductions[r].state == r)
            word += q_ops[e->p->reductions[r].op].words(e->p->reductions[r].K) * (int)e->p->reductions[r].dim;
    }
    bool begins = strcmp(f->name, "start") == 0 || strcmp(f->name, "load_state") == 0;
    if (begins && q_rhs_is_scaled(e->p)) q_text_add(e->out, "    t->scales = q_no_scales();\n    t->rescaled = 0;\n");
    q_text_add(e->out, "}\n");
}

/* The LogSumExp with the weights of right-hand sides of which the work-items of a row have one scale, or reduction_count. */
static size_t common_scale(const q_emitter *e)
{
    size_t sum = q_rhs_sum(e->p);
    bool common = e->plan->scheme->pack && sum < e->p->reduction_count && e->p->reductions[sum].scaled_by;
    return common ? e->p->reductions[sum].scaled_by - 1 : e->p->reduction_count;
}

/* What right-hand sides are still to be scaled by. */
static void emit_scales(q_emitter *e)
{
    q_text_add(e->out, "typedef struct {\n");
    for (size_t r = 0; r < e->p->reduction_count; r++)
        if (e->p->reductions[r].weight) q_text_add(e->out, "    real s%zu;\n", r);
    q_text_add(e->out, "} q_scales;\nQ_FN q_scales q_no_scales(void)\n{\n    q_scales s;\n");
    for (size_t r = 0; r < e->p->reduction_count; r++)
        if (e->p->reductions[r].weight) q_text_add(e->out, "    s.s%zu = 1;\n", r);
    q_text_add(e->out, "    return s;\n}\n");
}

void q_emit_state(q_emitter *e)
{
    if (q_rhs_is_scaled(e->p)) emit_scales(e);
    q_text_add(e->out, "typedef struct {\n");
    for (size_t r = 0; r < e->p->reduction_count; r++)
        for (uint32_t d = 0; d < state_count(e->p, r); d++) {
            q_text_add(e->out, "    ");
            q_emit_state_name(e, r);
            if (q_is_state_array(e->p, r)) q_text_add(e->out, " r%zu[%u];\n", r, e->p->reductions[r].dim);
            else q_text_add(e->out, " r%zu_%u;\n", r, d);
        }
    if (!e->p->reduction_count) q_text_add(e->out, "    int none;\n");
    q_text_add(e->out, "%s%s} q_state;\n", q_rhs_is_scaled(e->p) ? "    q_scales scales;\n    int rescaled;\n" : "",
               common_scale(e) < e->p->reduction_count ? "    int mode;\n    real term;\n" : "");
    if (e->p->rhs_dim) q_text_add(e->out, "typedef struct {\n");
    for (size_t r = 0; r < e->p->reduction_count; r++)
        if (q_owns_rhs(e->p, r)) q_text_add(e->out, "    q_Sum r%zu[Q_RHS_PER_ITEM];\n", r);
    if (e->p->rhs_dim) q_text_add(e->out, "} q_rhs_acc;\n");
    for (size_t f = 0; f < Q_COUNT(state_functions); f++)
        if ((e->plan->split || e->plan->scheme->tiles || !state_functions[f].of_parts) &&
            (e->p->rhs_dim || !state_functions[f].rhs))
            emit_state_function(e, &state_functions[f]);
}

// ---- softmax weights, and the sums that are scaled by them ----

void q_mark_scaled(q_emitter *e)
{
    for (q_ref v = 1; v < e->p->count; v++) {
        const q_scalar *value = &e->p->values[v];
        if (value->scope & Q_LATE) continue;
        if (value->kind == Q_V_WEIGHT) e->scaled_by[v] = (uint8_t)(value->k[0] + 1);
        for (int a = 0; a < 3; a++)
            if (e->scaled_by[value->arg[a]]) e->scaled_by[v] = e->scaled_by[value->arg[a]];
    }
}

/* Sums that reduction r is the scale of, in the function being written, which has their scale. */
static void emit_scaled_sums(q_emitter *e, size_t r, const char *indent)
{
    const q_ir *p = e->p;
    for (size_t sum = 0; sum < p->reduction_count; sum++)
        for (uint32_t d = 0; d < state_count(p, sum) && p->reductions[sum].scaled_by == r + 1; d++)
            if (q_is_state_array(p, sum))
                q_text_add(e->out, "%sfor (int d = 0; d < %u; d++) q_Sum_scale(&t->r%zu[d], scale);\n", indent,
                           p->reductions[sum].dim, sum);
            else q_text_add(e->out, "%sq_Sum_scale(&t->r%zu_%u, scale);\n", indent, sum, d);
}

/* What makes the scale of right-hand sides one for several work-items. */
static void emit_raise(q_emitter *e, size_t r)
{
    q_text_add(e->out, "#define Q_RHS_STATE r%zu_0\n#define Q_RHS_SCALE s%zu\n", r, r);
    q_text_add(e->out, "Q_FN real q_raise(q_state *t, const real maximum)\n{\n");
    q_text_add(e->out, "    const real scale = q_LogSumExp_raise(&t->r%zu_0, maximum);\n", r);
    emit_scaled_sums(e, r, "    ");
    q_text_add(e->out, "    return scale;\n}\n");
}

/* Gives the weight of a term that reduction r is the scale of. Where the term is the largest so far, what follows is
   scaled; right-hand sides and weights of this tile's columns by the scheme, by t->scales. Where the scheme finds the largest
   before, by calls that only tell the term, none is. */
static void emit_weight(q_emitter *e, size_t r)
{
    const q_ir *p = e->p;
    q_text_add(e->out, "Q_FN real q_weight%zu(q_state *t, const real f)\n{\n    real bounded = f;\n", r);
    if (r == common_scale(e))
        q_text_add(e->out,
                   "    t->term = f;\n    if (t->mode == Q_TELLING) return 0;\n"
                   "    if (t->mode == Q_SETTLED) return q_LogSumExp_weight(&t->r%zu_0, f);\n",
                   r);
    q_text_add(e->out, "    if (q_LogSumExp_is_below(&t->r%zu_0, f)) {\n", r);
    q_text_add(e->out, "        const real scale = q_LogSumExp_rescale(&t->r%zu_0, f);\n", r);
    emit_scaled_sums(e, r, "        ");
    if (q_rhs_is_scaled(p)) q_text_add(e->out, "        t->scales.s%zu *= scale;\n        t->rescaled = 1;\n", r);
    q_text_add(e->out, "        bounded = q_LogSumExp_bound(f);\n    }\n");
    q_text_add(e->out, "    return q_LogSumExp_weight(&t->r%zu_0, bounded);\n}\n", r);
}

/* What the schemes need to scale weights and right-hand sides. */
static void emit_rescale(q_emitter *e)
{
    const q_ir *p = e->p;
    q_text_add(e->out, "Q_FN void q_rescale_weights(q_weights *w, const q_scales *s)\n{\n");
    for (q_ref v = 1; v < p->count; v++)
        if (e->scaled_by[v] && q_is_member(e, v, Q_PAIR))
            q_text_add(e->out, "    w->v%u *= s->s%d;\n", v, e->scaled_by[v] - 1);
    q_text_add(e->out, "}\nQ_FN void q_rescale_block_acc(q_block_acc *p, const q_scales *s)\n{\n");
    for (size_t r = 0; r < p->reduction_count; r++)
        if (q_owns_rhs(p, r) && p->reductions[r].scaled_by)
            q_text_add(e->out, "    p->r%zu *= s->s%zu;\n", r, p->reductions[r].scaled_by - 1);
    q_text_add(e->out, "}\nQ_FN void q_rescale_rhs(q_rhs_acc *acc, const q_scales *s)\n{\n");
    for (size_t r = 0; r < p->reduction_count; r++)
        if (q_owns_rhs(p, r) && p->reductions[r].scaled_by)
            q_text_add(e->out, "    for (int d = 0; d < Q_RHS_PER_ITEM; d++) q_Sum_scale(&acc->r%zu[d], s->s%zu);\n", r,
                       p->reductions[r].scaled_by - 1);
    q_text_add(e->out, "}\nQ_FN void q_rescale_more(q_scales *all, const q_scales *s)\n{\n");
    for (size_t r = 0; r < p->reduction_count; r++)
        if (p->reductions[r].weight) q_text_add(e->out, "    all->s%zu *= s->s%zu;\n", r, r);
    q_text_add(e->out, "}\n");
}

void q_emit_weights(q_emitter *e)
{
    for (size_t r = 0; r < e->p->reduction_count; r++)
        if (e->p->reductions[r].weight) emit_weight(e, r);
    if (q_rhs_is_scaled(e->p)) emit_rescale(e);
    if (common_scale(e) < e->p->reduction_count) emit_raise(e, common_scale(e));
}
