/*
 * ends.c: what a function does with its values: terms are added to reductions, results are stored. Sums take both factors
 * of a product; a selection is stored by a loop over its count.
 */
#include "plan/emitter.h"

enum { SMALL_K = 32 /* selections up to this long should sit in registers */ };

static void emit_fold(q_emitter *e, const q_step *step)
{
    const q_scalar *term = &e->p->values[step->v];
    bool product = e->folded[step->v];
    q_text_add(e->out, "    ");
    q_emit_state_name(e, step->a);
    q_text_add(e->out, "_add%s(", product ? "_product" : "");
    q_emit_state_member(e, step->a, step->d);
    q_text_add(e->out, ", ");
    q_emit_operand(e, product ? term->arg[0] : step->v, e->operand[0], true, false);
    if (product) q_text_add(e->out, ", ");
    if (product) q_emit_operand(e, term->arg[1], e->operand[1], true, false);
    q_text_add(e->out, product ? ");\n" : ", j);\n");
}

static void emit_scatter(q_emitter *e, size_t o)
{
    q_text_add(e->out, "q_scatter%s(o%zu, i, %u, ", e->p->outputs[o].integer ? "_int" : "", o, e->p->outputs[o].dim);
}

/* All components by a loop over the count, in which those of a state array are a loop too. */
static void emit_selection(q_emitter *e, size_t o)
{
    size_t r = (size_t)e->p->values[e->p->results[o][0]].k[1], state = e->p->reductions[r].state;
    uint32_t dim = e->p->reductions[r].dim;
    bool registers = e->p->reductions[r].K <= SMALL_K; /* which loops over them must not stay loops */
    bool array = q_is_state_array(e->p, state);
    q_text_add(e->out, "    %sfor (int k = 0; k < %d; k++) {\n", registers ? "_Pragma(\"unroll\") " : "",
               e->p->reductions[r].K);
    for (uint32_t d = 0; d < (array ? 1 : dim); d++) {
        q_text_add(e->out, "        ");
        if (array) q_text_add(e->out, "for (int d = 0; d < %u; d++) ", dim);
        emit_scatter(e, o);
        q_text_add(e->out, array ? "k * %u + d, Q_ROW_COUNT, " : "k * %u + %u, Q_ROW_COUNT, ", dim, d);
        q_emit_state_name(e, state);
        q_text_add(e->out, "_%s(", e->p->outputs[o].integer ? "index" : "finish");
        e->component = array ? "d" : NULL;
        q_emit_state_member(e, state, d);
        e->component = NULL;
        q_text_add(e->out, ", k));\n");
    }
    q_text_add(e->out, "    }\n");
}

static void emit_output(q_emitter *e, const q_step *step)
{
    const q_array *array = &e->p->outputs[step->a];
    q_text_add(e->out, "    ");
    emit_scatter(e, step->a);
    if (array->looped) q_text_add(e->out, "d, Q_ROW_COUNT, ");
    else if (e->component) q_text_add(e->out, "%s, Q_ROW_COUNT, ", e->component);
    else q_text_add(e->out, "%u, Q_ROW_COUNT, ", step->d);
    q_emit_operand(e, step->v, e->operand[0], true, array->integer);
    q_text_add(e->out, ");\n");
}

void q_emit_end(q_emitter *e, const q_step *step)
{
    if (step->kind == Q_STEP_FOLD) emit_fold(e, step);
    if (step->kind == Q_STEP_STORE) emit_output(e, step);
    if (step->kind == Q_STEP_SELECT) emit_selection(e, step->a);
}
