/*
 * lower.c: a stage as scalar values in static single assignment, one for each component of each vector, interned
 * like graph nodes; each is tagged with the loop it lives in. Broadcasts, subvectors and concatenations vanish here.
 *
 * The tags do the hoisting: a value without Q_COLUMN is computed before the loop over columns, one without Q_ROW once per
 * column. Products under a linear reduction are taken apart and put together again by loop: factors free of the reduced
 * axis leave the reduction, factors of the column alone are multiplied once per column. Products that feed a sum become fused
 * multiply-adds, which are written out because compilers may not contract across statements.
 */
#include <stdlib.h>
#include <string.h>

#include "plan/plan.h"

enum { MAX_COMPONENTS = 1 << 24 };

typedef struct lowering {
    const q_graph *graph;
    const q_stage *stage;
    q_ir *out;
    q_loops loops;
    uint32_t *first;    /* by node: index of its components in `components`, plus one */
    q_ref *loop_values; /* by node, twice: its value in the K loop, and in that over right-hand sides */
    q_ref hoisted[Q_MAX_STAGE_OUTPUTS],
        normaliser[Q_MAX_STAGE_OUTPUTS]; /* by reduction, those with right-hand sides: what multiplies it after */
    q_ref *components;
    size_t component_count, component_capacity;
    q_interval *bounds;  /* by node */
    uint8_t *exact;      /* by node: see q_exact_all */
    size_t added_scales; /* reductions besides those of the stage, which its weights need */
    bool expand;
} lowering;

static uint8_t loop_of(const lowering *s, uint8_t axis)
{
    if (!axis) return 0;
    return axis == s->stage->rows ? Q_ROW : Q_COLUMN;
}

/* Whether the node is computed as an integer. */
static bool is_counted(const lowering *s, q_id id)
{
    return s->exact[id] & Q_EXACT_COUNTED;
}

/* Whether products that are this node are to be rounded by themselves: what follows jumps, and it is not whole; or the
   difference that it is in must keep its sign. */
static bool is_rounded(const lowering *s, q_id id)
{
    uint8_t known = s->exact[id];
    return known & Q_EXACT_ALONE || (known & Q_EXACT_JUMPS && !(known & Q_EXACT_WHOLE));
}

// ---- arrays ----

static bool same_array(const q_array *a, const q_array *b)
{
    return a->variable == b->variable && a->temporary == b->temporary && a->table == b->table;
}

/* The number of the array among the inputs; false, with a status, if they are too many. */
static bool find_input(lowering *s, q_array array, size_t *out)
{
    q_ir *p = s->out;
    size_t a = 0;
    while (a < p->input_count && !same_array(&p->inputs[a], &array)) a++;
    if (a == Q_MAX_ARRAYS) {
        s->out->status = q_fail(QUERN_LIMIT, "one pass of the formula reads more than %d arrays", Q_MAX_ARRAYS);
        return false;
    }
    if (a == p->input_count) p->inputs[p->input_count++] = array;
    *out = a;
    return true;
}

/* Loop: 0, or Q_K_LOOP or Q_RHS_LOOP for the component of the loop. What belongs to no row is read with the columns there. */
static q_ref load(lowering *s, q_array array, uint32_t component, uint8_t loop)
{
    size_t a;
    if (!find_input(s, array, &a)) return 0;
    uint8_t scope = loop_of(s, array.axis);
    q_scalar scalar = {.kind = Q_V_LOAD,
                       .scope = loop ? (scope ? scope : Q_COLUMN) | loop : scope,
                       .integer = array.integer,
                       .k = {(int32_t)component, (int32_t)a}};
    return q_value_intern(s->out, &scalar);
}

static q_array array_of_variable(const lowering *s, const q_node *node)
{
    const q_variable *variable = &s->graph->variables[node->k[0]];
    return (q_array){.axis = variable->axis, .dim = variable->dim, .variable = node->k[0], .result = -1};
}

static q_ref load_variable(lowering *s, const q_node *node, uint32_t component, uint8_t loop)
{
    return load(s, array_of_variable(s, node), component, loop);
}

static q_ref load_temporary(lowering *s, q_id id, uint32_t component, uint8_t loop)
{
    const q_node *node = q_node_of(s->graph, id);
    q_array array = {.axis = node->axes,
                     .integer = is_counted(s, id),
                     .dim = node->dim,
                     .variable = -1,
                     .temporary = id,
                     .result = -1};
    return load(s, array, component, loop);
}

// ---- nodes to components ----

static q_ref component(const lowering *s, q_id id, uint32_t d)
{
    return s->components[s->first[id] - 1 + d];
}

static q_ref lower_reduction(lowering *s, q_id id, uint32_t d)
{
    for (size_t r = 0; r < s->stage->reduction_count; r++)
        if (s->stage->reductions[r] == id) {
            q_scalar scalar = {.kind = Q_V_FINISH,
                               .scope = Q_ROW | Q_LATE,
                               .integer = is_counted(s, id),
                               .k = {(int32_t)d, (int32_t)r}};
            return q_value_intern(s->out, &scalar);
        }
    return load_temporary(s, id, d, 0);
}

static q_ref lower_leaf(lowering *s, const q_node *node, uint32_t d)
{
    if (node->op == Q_OP_VARIABLE) return load_variable(s, node, d, 0);
    if (node->op == Q_OP_CONSTANT) return q_value_number(s->out, node->value);
    q_scalar scalar = {.kind = Q_V_COUNT, .integer = 1, .k = {node->k[0]}};
    if (node->op == Q_OP_INDEX)
        scalar = (q_scalar){.kind = Q_V_INDEX, .integer = 1, .scope = loop_of(s, (uint8_t)node->k[0])};
    return q_value_intern(s->out, &scalar);
}

/* The exponential of what is never positive has a cheaper bound, and takes a minus for nothing. */
static q_ref exp_not_positive(lowering *s, q_ref a)
{
    const q_scalar *argument = &s->out->values[a];
    bool minus = argument->kind == Q_V_OP && argument->op == Q_OP_Minus;
    q_scalar scalar = {.kind = Q_V_OP,
                       .op = Q_OP_Exp,
                       .scope = argument->scope,
                       .not_positive = 1,
                       .minus = minus,
                       .arg = {minus ? argument->arg[0] : a}};
    return q_value_intern(s->out, &scalar);
}

/* The operation as the formula says it, on integers where the node is one. */
static q_ref lower_exact(lowering *s, q_id id, const q_ref *args)
{
    const q_node *node = q_node_of(s->graph, id);
    q_scalar scalar = {.kind = Q_V_OP, .op = node->op, .integer = is_counted(s, id), .k = {node->k[0], node->k[1]}};
    scalar.exact = !scalar.integer;
    for (int a = 0; a < q_ops[node->op].operands; a++) {
        scalar.arg[a] = args[a];
        scalar.scope |= s->out->values[args[a]].scope;
    }
    return q_value_intern(s->out, &scalar);
}

static q_ref lower_elementwise(lowering *s, q_id id, const q_ref *args)
{
    const q_node *node = q_node_of(s->graph, id);
    bool product = node->op == Q_OP_Square || node->op == Q_OP_Mult,
         quotient = node->op == Q_OP_Divide || node->op == Q_OP_Inv || node->op == Q_OP_DivNoNan;
    if (is_counted(s, id)) return lower_exact(s, id, args);
    if (product && is_rounded(s, id))
        return q_value_product(s->out, args[0], node->op == Q_OP_Mult ? args[1] : args[0]);
    if (quotient && s->exact[id] & Q_EXACT_CHOSEN) return lower_exact(s, id, args);
    if (node->op == Q_OP_Square) return q_value_square(s->out, args[0]);
    if (node->op == Q_OP_Mult) return q_value_times(s->out, args[0], args[1]);
    if (node->op == Q_OP_MultNoNan) return q_value_times_no_nan(s->out, args[0], args[1]);
    if (node->op == Q_OP_Minus) return q_value_minus(s->out, args[0]);
    if (node->op == Q_OP_Divide) return q_value_divide(s->out, args[0], args[1]);
    if (node->op == Q_OP_Exp && s->bounds[node->arg[0]].high <= 0) return exp_not_positive(s, args[0]);
    return q_value_op(s->out, (q_op)node->op, args, node->k);
}

static q_ref lower_elementwise_component(lowering *s, q_id id, uint32_t d)
{
    const q_node *node = q_node_of(s->graph, id);
    q_ref args[3] = {0};
    for (int a = 0; a < q_ops[node->op].operands; a++) args[a] = component(s, node->arg[a], d);
    return lower_elementwise(s, id, args);
}

static q_ref lower_gather(lowering *s, const q_node *node, uint32_t d)
{
    uint32_t n = q_node_of(s->graph, node->arg[0])->dim, m = node->arg[1] ? q_node_of(s->graph, node->arg[1])->dim : 0,
             from;
    int a = q_ops[node->op].pick(d, n, m, node->k, &from);
    return a < 0 ? q_value_number(s->out, 0) : component(s, node->arg[a], from);
}

static q_ref lower_lookup(lowering *s, const q_node *node, uint32_t d)
{
    q_array array = array_of_variable(s, q_node_of(s->graph, node->arg[0]));
    q_ref row = component(s, node->arg[1], 0);
    size_t a;
    array.table = true;
    if (s->out->status || !find_input(s, array, &a)) return 0;
    q_scalar scalar = {.kind = Q_V_LOOKUP,
                       .scope = s->out->values[row].scope,
                       .arg = {row},
                       .k = {(int32_t)d, (int32_t)a},
                       .number = node->k[1]};
    return q_value_intern(s->out, &scalar);
}

/* Expansions build with the lowering's own values. */
typedef struct expansion {
    lowering *s;
    q_id operand;
} expansion;

static uint32_t expand_component(void *self, uint32_t d)
{
    const expansion *x = self;
    return component(x->s, x->operand, d);
}

static uint32_t expand_number(void *self, double value)
{
    return q_value_number(((expansion *)self)->s->out, value);
}

static uint32_t expand_apply(void *self, q_op op, uint32_t a, uint32_t b, uint32_t c)
{
    lowering *s = ((expansion *)self)->s;
    return op == Q_OP_Add ? q_value_plus(s->out, a, b) : q_value_op(s->out, op, (q_ref[]){a, b, c}, NULL);
}

static q_ref lower_expand(lowering *s, const q_node *node, uint32_t d)
{
    expansion self = {s, node->arg[0]};
    q_expander x = {&self, q_node_of(s->graph, node->arg[0])->dim, expand_component, expand_number, expand_apply};
    return q_ops[node->op].expand(&x, d);
}

static q_ref lower_contract(lowering *s, q_id id, uint32_t d)
{
    const q_node *node = q_node_of(s->graph, id);
    const q_contraction *c = q_contraction_of(s->graph, node);
    q_ref sum = q_value_number(s->out, 0);
    for (uint32_t t = 0; t < q_contraction_terms(c) && !s->out->status; t++) {
        uint32_t a, b;
        q_contraction_term(c, d, t, &a, &b);
        q_ref x = component(s, node->arg[0], a), y = component(s, node->arg[1], b);
        q_ref product = c->no_nan           ? q_value_times_no_nan(s->out, x, y)
                        : is_rounded(s, id) ? q_value_product(s->out, x, y)
                                            : q_value_times(s->out, x, y);
        sum = q_value_plus(s->out, sum, product);
    }
    return sum;
}

// ---- softmax weights: see weights.c ----

static bool is_weight(const lowering *s, q_id id)
{
    for (size_t r = 0; r < s->stage->reduction_count; r++)
        if (s->stage->weights[r] == id) return true;
    return false;
}

/* The reduction whose largest term weights of `a` are relative to: the LogSumExp of it, which is added to those of the
   stage if need be. */
static size_t scale_of(lowering *s, q_id a)
{
    for (size_t r = 0; r < s->stage->reduction_count; r++) {
        const q_node *node = q_node_of(s->graph, s->stage->reductions[r]);
        if (node->op == Q_RED_LogSumExp && node->arg[0] == a) return r;
    }
    size_t r = s->stage->reduction_count;
    for (; r < s->stage->reduction_count + s->added_scales; r++)
        if (s->out->values[s->out->reductions[r].weight].arg[0] == component(s, a, 0)) return r;
    s->added_scales++;
    s->out->reductions[r].op = Q_RED_LogSumExp;
    s->out->reductions[r].dim = 1;
    return r;
}

static q_ref lower_weight(lowering *s, q_id id)
{
    q_weight weight = {0};
    q_weight_of_exp(&weight, s->graph, id);
    size_t r = scale_of(s, weight.term);
    q_scalar scalar = {.kind = Q_V_WEIGHT, .scope = Q_PAIR, .arg = {component(s, weight.term, 0)}, .k = {(int32_t)r}};
    return s->out->reductions[r].weight = q_value_intern(s->out, &scalar);
}

/* What a sum that is scaled by weights is multiplied with at the end; 1 for others. */
static q_ref normaliser_of(lowering *s, size_t r)
{
    q_weight weight = {0};
    if (!s->stage->weights[r] || s->out->status) return q_value_number(s->out, 1);
    q_weight_of_exp(&weight, s->graph, s->stage->weights[r]);
    size_t scale = (size_t)s->out->values[component(s, s->stage->weights[r], 0)].k[0];
    s->out->reductions[r].scaled_by = scale + 1;
    q_scalar scalar = {.kind = Q_V_NORMALISER, .scope = Q_ROW | Q_LATE, .k = {weight.finite, (int32_t)scale}};
    if (q_node_of(s->graph, weight.scale)->op == Q_RED_Max) scalar.arg[0] = component(s, weight.scale, 0);
    return q_value_intern(s->out, &scalar);
}

// ---- component values in loops ----

static q_ref *loop_value_of(const lowering *s, q_id id, uint8_t loop)
{
    return &s->loop_values[2 * id + (loop == Q_RHS_LOOP)];
}

/* A sum of right-hand sides of this stage when it is finished, or what an earlier stage has left. */
static q_ref lower_reduction_loop_value(lowering *s, q_id id, uint8_t loop)
{
    for (size_t r = 0; r < s->stage->reduction_count; r++)
        if (s->stage->reductions[r] == id) {
            q_scalar scalar = {.kind = Q_V_FINISH, .scope = Q_ROW | Q_LATE | loop, .k = {0, (int32_t)r}};
            q_ref finish = q_value_times(s->out, q_value_intern(s->out, &scalar), s->normaliser[r]);
            return q_value_times(s->out, finish, s->hoisted[r]);
        }
    return load_temporary(s, id, 0, loop);
}

static q_ref lower_loop_value(lowering *s, q_id id, uint8_t loop)
{
    const q_node *node = q_node_of(s->graph, id);
    if (node->dim == 1) return component(s, id, 0);
    if (node->op == Q_OP_VARIABLE) return load_variable(s, node, 0, loop);
    if (node->op == Q_OP_CONSTANT) return q_value_number(s->out, node->value);
    if (q_is_reduction(node)) return lower_reduction_loop_value(s, id, loop);
    q_ref args[3] = {0};
    for (int a = 0; a < 3 && node->arg[a]; a++) args[a] = *loop_value_of(s, node->arg[a], loop);
    return q_ops[node->op].kind == Q_KIND_ELEMENTWISE ? lower_elementwise(s, id, args) : args[0];
}

/* The expansion of a squared distance rounds otherwise. */
static q_ref lower_contraction(lowering *s, q_id id)
{
    q_ir *p = s->out;
    const q_node *node = q_node_of(s->graph, id);
    if (s->exact[id] & Q_EXACT_JUMPS) s->expand = false;
    q_scalar sum = {.kind = Q_V_SUM, .scope = Q_PAIR, .arg = {*loop_value_of(s, node->arg[0], Q_K_LOOP)}};
    sum.k[0] = (int32_t)p->sum_count;
    if (p->sum_count == Q_MAX_CONTRACTIONS)
        p->status = q_fail(QUERN_LIMIT, "one pass of the formula sums more than %d long vectors", Q_MAX_CONTRACTIONS);
    return p->status ? 0 : (p->sums[p->sum_count++] = q_value_intern(p, &sum));
}

static q_ref lower_component(lowering *s, q_id id, uint32_t d)
{
    const q_node *node = q_node_of(s->graph, id);
    if (s->loops.forms[id] & Q_FORM_CONTRACTION) return lower_contraction(s, id);
    if (is_weight(s, id)) return lower_weight(s, id);
    switch (q_ops[node->op].kind) {
    case Q_KIND_LEAF: return lower_leaf(s, node, d);
    case Q_KIND_ELEMENTWISE: return lower_elementwise_component(s, id, d);
    case Q_KIND_GATHER: return lower_gather(s, node, d);
    case Q_KIND_EXPAND: return lower_expand(s, node, d);
    case Q_KIND_CONTRACT: return lower_contract(s, id, d);
    case Q_KIND_REPEAT: return component(s, node->arg[0], d);
    case Q_KIND_LOOKUP: return lower_lookup(s, node, d);
    case Q_KIND_REDUCTION: return lower_reduction(s, id, d);
    }
    return 0;
}

static void lower_components(lowering *s, q_id id)
{
    uint32_t dim = q_node_of(s->graph, id)->dim;
    bool many = s->component_count + dim > MAX_COMPONENTS;
    if (many || !q_grow(&s->components, &s->component_capacity, s->component_count + dim, sizeof(q_ref))) {
        s->out->status = many ? q_fail(QUERN_LIMIT, "the values of a pass have more than %d components", MAX_COMPONENTS)
                              : q_fail_memory(dim * sizeof(q_ref));
        return;
    }
    s->first[id] = (uint32_t)s->component_count + 1;
    for (uint32_t d = 0; d < dim && !s->out->status; d++)
        s->components[s->component_count++] = lower_component(s, id, d);
}

/* Lowers what the roots, marked in `forms`, are made of, up to reductions, and is not lowered yet; in order, so that
   operands come first. */
static void lower_marked(lowering *s)
{
    q_loops_mark(&s->loops, s->graph);
    for (q_id id = 1; id < s->graph->count; id++) {
        uint8_t forms = s->loops.forms[id];
        if (forms & Q_FORM_COMPONENTS && !s->first[id] && !s->out->status) lower_components(s, id);
        if (forms & Q_FORM_K && !s->out->status) *loop_value_of(s, id, Q_K_LOOP) = lower_loop_value(s, id, Q_K_LOOP);
        if (forms & Q_FORM_RHS && !s->out->status)
            *loop_value_of(s, id, Q_RHS_LOOP) = lower_loop_value(s, id, Q_RHS_LOOP);
    }
}

// ---- the stage ----

static q_ref *refs(lowering *s, uint32_t dim)
{
    q_ref *memory = q_arena_alloc(&s->out->arena, dim * sizeof(q_ref));
    if (!memory) s->out->status = q_fail_memory(dim * sizeof(q_ref));
    return memory;
}

/* Whether both reductions reduce the same values, and the state of `other` is of the kind `wanted`: ArgMin keeps the
   smallest term, ArgKMin and KMin have one state. */
static bool holds(const q_ir *p, size_t other, size_t r, const char *wanted)
{
    if (strcmp(q_ops[p->reductions[other].op].state, wanted) != 0) return false;
    if (p->reductions[other].K != p->reductions[r].K || p->reductions[other].dim != p->reductions[r].dim) return false;
    for (uint32_t d = 0; d < q_term_count(p, r); d++)
        if (p->reductions[other].terms[d] != p->reductions[r].terms[d]) return false;
    return true;
}

/* The first reduction whose state holds more, as with indices, holds the others; if there is none, the first of equals.
   So what holds another has its own state. */
static void share_states(q_ir *p)
{
    for (size_t r = 0; r < p->reduction_count; r++) {
        const q_op_row *row = &q_ops[p->reductions[r].op];
        size_t other = 0, equal = 0;
        while (other < p->reduction_count && !holds(p, other, r, row->within)) other++;
        while (equal < r && !holds(p, equal, r, row->state)) equal++;
        p->reductions[r].state = other < p->reduction_count ? other : equal;
    }
}

/* Registers what the reductions reduce; the components of a linear one get the factor that left it. */
static void lower_terms(lowering *s)
{
    for (size_t r = 0; r < s->stage->reduction_count && !s->out->status; r++) {
        q_id id = s->stage->reductions[r];
        const q_node *node = q_node_of(s->graph, id);
        uint32_t n = q_node_of(s->graph, node->arg[0])->dim;
        bool rhs = s->loops.forms[id] & Q_FORM_RHS_SUM;
        q_ref *terms = refs(s, n), hoisted = q_value_number(s->out, 1), normaliser = normaliser_of(s, r);
        if (rhs && !s->out->status)
            terms[0] = q_split_loop_value(s->out, *loop_value_of(s, node->arg[0], Q_RHS_LOOP), &hoisted);
        s->hoisted[r] = hoisted, s->normaliser[r] = normaliser;
        s->first[id] = (uint32_t)s->component_count + 1;
        if (!q_grow(&s->components, &s->component_capacity, s->component_count + node->dim, sizeof(q_ref)))
            s->out->status = q_fail_memory(node->dim * sizeof(q_ref));
        for (uint32_t d = 0; d < node->dim && !s->out->status; d++) {
            if (d < n && !rhs) terms[d] = component(s, node->arg[0], d);
            if (q_ops[node->op].reduction == Q_LINEAR && !rhs && !is_counted(s, id))
                terms[d] = q_split_term(s->out, terms[d], &hoisted);
            q_ref finish = q_value_times(s->out, lower_reduction(s, id, d), normaliser);
            if (!s->out->status) s->components[s->component_count++] = q_value_times(s->out, finish, hoisted);
        }
        if (s->out->reductions[r].weight) terms[0] = s->out->reductions[r].weight;
        s->out->reductions[r].op = (q_op)node->op;
        s->out->reductions[r].K = node->k[1];
        s->out->reductions[r].dim = n;
        s->out->reductions[r].terms = terms;
        s->out->reductions[r].rhs = rhs;
    }
    s->out->reduction_count = s->stage->reduction_count + s->added_scales;
    for (size_t r = s->stage->reduction_count; r < s->out->reduction_count && !s->out->status; r++) {
        s->out->reductions[r].terms = refs(s, 1);
        if (!s->out->status) s->out->reductions[r].terms[0] = s->out->reductions[r].weight;
    }
    if (!s->out->status) share_states(s->out);
}

static void lower_outputs(lowering *s)
{
    for (size_t o = 0; o < s->stage->output_count && !s->out->status; o++) {
        const q_output *output = &s->stage->outputs[o];
        const q_node *node = q_node_of(s->graph, output->id);
        q_array array = {.axis = node->axes,
                         .integer = output->result < 0 ? is_counted(s, output->id) : node->integer,
                         .dim = node->dim,
                         .variable = -1,
                         .temporary = output->result < 0 ? output->id : 0,
                         .result = output->result};
        array.looped = s->loops.forms[output->id] & Q_FORM_OUTPUT;
        s->out->outputs[o] = array;
        uint32_t values = q_value_count(s->out, o);
        s->out->results[o] = refs(s, values);
        for (uint32_t d = 0; d < values && !s->out->status; d++)
            s->out->results[o][d] =
                array.looped ? *loop_value_of(s, output->id, Q_RHS_LOOP) : component(s, output->id, d);
    }
    s->out->output_count = s->stage->output_count;
}

// ---- uses ----

static void use_roots(q_ir *p)
{
    for (size_t r = 0; r < p->reduction_count; r++)
        for (uint32_t d = 0; d < q_term_count(p, r); d++) p->uses[p->reductions[r].terms[d]]++;
    for (size_t o = 0; o < p->output_count; o++)
        for (uint32_t d = 0; d < q_value_count(p, o); d++) p->uses[p->results[o][d]]++;
}

static void count_uses(q_ir *p)
{
    memset(p->uses, 0, p->count * sizeof *p->uses);
    memset(p->statements, 0, sizeof p->statements);
    use_roots(p);
    for (q_ref v = (q_ref)p->count - 1; v; v--) {
        const q_scalar *value = &p->values[v];
        if (!p->uses[v]) continue;
        for (int a = 0; a < 3; a++) p->uses[value->arg[a]]++;
        bool computed = value->kind == Q_V_OP || value->kind == Q_V_FMA || value->kind == Q_V_WEIGHT;
        if (computed || value->kind == Q_V_LOOKUP) p->statements[value->scope]++;
    }
}

static void run(lowering *s)
{
    q_ir *p = s->out;
    p->k_dim = s->loops.k_dim, p->rhs_dim = s->loops.rhs_dim;
    for (size_t r = 0; r < s->stage->reduction_count; r++) {
        q_id id = s->stage->reductions[r];
        bool rhs = s->loops.forms[id] & Q_FORM_RHS_SUM;
        s->loops.forms[q_node_of(s->graph, id)->arg[0]] |= rhs ? Q_FORM_RHS : Q_FORM_COMPONENTS;
    }
    lower_marked(s);
    lower_terms(s);
    for (size_t o = 0; o < s->stage->output_count; o++) {
        uint8_t *forms = &s->loops.forms[s->stage->outputs[o].id];
        *forms |= *forms & Q_FORM_OUTPUT ? Q_FORM_RHS : Q_FORM_COMPONENTS;
    }
    lower_marked(s);
    lower_outputs(s);
    p->uses = q_arena_alloc(&p->arena, p->count * sizeof(uint32_t));
    if (!p->status && !p->uses) p->status = q_fail_memory(p->count * sizeof(uint32_t));
    if (p->status) return;
    count_uses(p);
    if (s->expand) q_expansion_find(p);
    q_fuse(p);
    count_uses(p);
    q_count_weights(p);
}

/* What the lowering knows of all nodes. */
static quern_status analyse(lowering *s, const q_stages *stages)
{
    q_id results[Q_MAX_RESULTS];
    size_t count = 0;
    for (size_t k = 0; k < stages->count; k++)
        for (size_t o = 0; o < stages->stage[k].output_count; o++)
            if (stages->stage[k].outputs[o].result >= 0) results[count++] = stages->stage[k].outputs[o].id;
    q_bounds_all(s->graph, s->bounds);
    return q_exact_all(s->graph, results, count, s->exact);
}

quern_status q_lower(q_ir **out, const q_graph *graph, const q_stages *stages, size_t stage, const q_tiling *tiling)
{
    q_ir *p = *out = calloc(1, sizeof *p);
    if (!p) return q_fail_memory(sizeof *p);
    lowering s = {.graph = graph, .stage = &stages->stage[stage], .out = p, .expand = tiling->expand};
    p->rows = s.stage->rows;
    p->reduced = s.stage->reduced;
    p->count = 1;
    p->status = q_loops_find(&s.loops, graph, s.stage, tiling);
    s.first = calloc(graph->count, sizeof *s.first);
    s.loop_values = calloc(graph->count, 2 * sizeof *s.loop_values);
    s.bounds = malloc(graph->count * sizeof *s.bounds);
    s.exact = malloc(graph->count);
    bool memory =
        s.first && s.loop_values && s.bounds && s.exact && q_grow(&p->values, &p->capacity, 64, sizeof(q_scalar));
    if (!p->status && !memory) p->status = q_fail_memory(graph->count * sizeof *s.bounds);
    if (!p->status) {
        memset(p->values, 0, sizeof(q_scalar));
        p->status = analyse(&s, stages);
    }
    if (!p->status) run(&s);
    q_loops_free(&s.loops);
    free(s.loop_values);
    free(s.first);
    free(s.bounds);
    free(s.exact);
    free(s.components);
    quern_status status = p->status;
    if (status) q_ir_destroy(out);
    return status;
}

void q_ir_destroy(q_ir **program)
{
    if (!*program) return;
    q_arena_free(&(*program)->arena);
    free((*program)->values);
    free((*program)->table);
    free(*program);
    *program = NULL;
}
