/*
 * dump.c: a program as text, a line per value with its number and its loop, as `quern explain --stage=program` shows it.
 */
#include "plan/plan.h"

static void dump_value(const q_ir *p, q_ref v, q_text *out)
{
    static const char *const loops[] = {"launch", "row", "column", "pair"};
    const q_scalar *value = &p->values[v];
    q_text_add(out, "  v%-4u %-7s%s", v, value->scope & Q_LATE ? "end" : loops[value->scope & Q_PAIR],
               value->scope & Q_K_LOOP     ? "k "
               : value->scope & Q_RHS_LOOP ? "rhs "
                                           : "");
    switch ((q_value_kind)value->kind) {
    case Q_V_CONSTANT: q_text_add(out, "%.17g", value->number); break;
    case Q_V_LOAD:
        q_text_add(out, "load array %d component ", value->k[1]);
        q_text_add(out, value->scope & (Q_K_LOOP | Q_RHS_LOOP) ? "d" : "%d", value->k[0]);
        break;
    case Q_V_LOOKUP: q_text_add(out, "look up array %d component %d of row", value->k[1], value->k[0]); break;
    case Q_V_SUM: q_text_add(out, "sum %d over d of", value->k[0]); break;
    case Q_V_INDEX: q_text_add(out, "index"); break;
    case Q_V_COUNT: q_text_add(out, "count %c", q_axes[value->k[0]].letter); break;
    case Q_V_FINISH:
        q_text_add(out, "reduction %d component ", value->k[1]);
        q_text_add(out, value->scope & Q_RHS_LOOP ? "d" : "%d", value->k[0]);
        break;
    case Q_V_FMA: q_text_add(out, "%sFma", value->negate == 1 ? "-" : ""); break;
    case Q_V_WEIGHT: q_text_add(out, "weight relative to reduction %d of", value->k[0]); break;
    case Q_V_NORMALISER:
        q_text_add(out, "scale of weights of reduction %d%s", value->k[1], value->arg[0] ? " to" : "");
        break;
    case Q_V_OP: q_text_add(out, "%s", q_ops[value->op].name); break;
    }
    for (int a = 0; a < 3 && value->arg[a]; a++)
        q_text_add(out, "%s v%u", a == 2 && value->negate == 2 ? " minus" : "", value->arg[a]);
    for (int i = 0; value->kind == Q_V_OP && i < q_ops[value->op].integers; i++) q_text_add(out, " %d", value->k[i]);
    q_text_add(out, "%s\n",
               value->minus          ? "   (of minus the operand, never positive)"
               : value->not_positive ? "   (never positive)"
                                     : "");
}

/* Floating-point operations and numbers read, by loop. An operation counts as one whatever its kind (an exponential
   like a sum), a fused multiply-add as two, a reduction as one for each component that it keeps a state for, a component value once
   for each component. */
typedef struct cost {
    size_t operations[Q_LOOPS], reads[Q_LOOPS], writes;
} cost;

static cost cost_of(const q_ir *p)
{
    cost c = {{0}, {0}, 0};
    for (q_ref v = 1; v < p->count; v++) {
        const q_scalar *value = &p->values[v];
        if (!p->uses[v]) continue;
        size_t times = value->scope & Q_K_LOOP ? p->k_dim : value->scope & Q_RHS_LOOP ? p->rhs_dim : 1;
        uint8_t scope = value->scope & (uint8_t) ~(Q_K_LOOP | Q_RHS_LOOP);
        if (value->kind == Q_V_OP || value->kind == Q_V_FMA || value->kind == Q_V_WEIGHT)
            c.operations[scope] += (value->kind == Q_V_FMA ? 2 : 1) * times;
        if (value->kind == Q_V_LOAD || value->kind == Q_V_LOOKUP) c.reads[scope] += times;
        if (value->kind == Q_V_SUM) c.operations[scope] += p->k_dim;
    }
    for (size_t r = 0; r < p->reduction_count; r++)
        if (p->reductions[r].state == r) c.operations[Q_ROW | Q_COLUMN] += p->reductions[r].dim;
    for (size_t o = 0; o < p->output_count; o++) c.writes += p->outputs[o].dim;
    return c;
}

static void dump_cost(const q_ir *p, quern_dtype dtype, q_text *out)
{
    cost c = cost_of(p);
    size_t size = q_element_size(dtype), late = c.operations[Q_LATE] + c.operations[Q_LATE | Q_ROW];
    if (p->reduced)
        q_text_add(out, "  a pair: %zu flops; a column: %zu flops, %zu bytes read\n", c.operations[Q_ROW | Q_COLUMN],
                   c.operations[Q_COLUMN], c.reads[Q_COLUMN] * size);
    q_text_add(out, "  a row: %zu flops, %zu bytes read, %zu bytes written\n", c.operations[Q_ROW] + late,
               c.reads[Q_ROW] * size, c.writes * size);
}

void q_ir_dump(const q_ir *p, quern_dtype dtype, q_text *out)
{
    q_text_add(out, "program: rows %s, reduced %s; operations per launch %zu, row %zu, column %zu, pair %zu, end %zu\n",
               q_axes_text[p->rows], q_axes_text[p->reduced], p->statements[0], p->statements[Q_ROW],
               p->statements[Q_COLUMN], p->statements[Q_ROW | Q_COLUMN],
               p->statements[Q_LATE] + p->statements[Q_LATE | Q_ROW]);
    dump_cost(p, dtype, out);
    for (size_t a = 0; a < p->input_count; a++)
        q_text_add(out, "  array %zu: axis %s, length %u%s%s\n", a, q_axes_text[p->inputs[a].axis], p->inputs[a].dim,
                   p->inputs[a].variable < 0 ? ", temporary" : "", p->inputs[a].table ? ", table" : "");
    for (q_ref v = 1; v < p->count; v++)
        if (p->uses[v]) dump_value(p, v, out);
    for (size_t r = 0; r < p->reduction_count; r++)
        for (uint32_t d = 0; d < q_term_count(p, r); d++) {
            q_text_add(out, "  reduction %zu component ", r);
            q_text_add(out, p->reductions[r].rhs ? "d" : "%u", d);
            q_text_add(out, ": %s of v%u\n", q_ops[p->reductions[r].op].name, p->reductions[r].terms[d]);
        }
    for (size_t o = 0; o < p->output_count; o++)
        for (uint32_t d = 0; d < q_value_count(p, o); d++) {
            q_text_add(out, "  output %zu component ", o);
            q_text_add(out, p->outputs[o].looped ? "d" : "%u", d);
            q_text_add(out, ": v%u\n", p->results[o][d]);
        }
}
