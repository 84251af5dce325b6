/*
 * call.c: what names and functions in a formula stand for: bound names, declarations, operations, sugar, reductions,
 * and the special forms, whose arguments are more than values (variables, lists).
 */
#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "formula/parser.h"

// ---- suffixes: Sum_j, Repeat_i, KeOps's Sum_Reduction ----

typedef struct suffix {
    size_t bare;      /* length of the name without it */
    uint8_t axis;     /* 0 without _i, _j or, in a table, _k */
    bool keops;       /* _Reduction */
    char written[80]; /* the whole name, for messages */
} suffix;

static suffix split_name(const q_parser *p, const char *name, size_t size)
{
    static const char reduction[] = "_Reduction";
    size_t tail = sizeof reduction - 1;
    suffix s = {.bare = size};
    snprintf(s.written, sizeof s.written, "%.*s", (int)(size < 79 ? size : 79), name);
    s.keops = size > tail && memcmp(name + size - tail, reduction, tail) == 0;
    if (s.keops) s.bare = size - tail;
    else if (size >= 3 && name[size - 2] == '_') {
        char letter = name[size - 1];
        s.axis = letter == 'k' && p->scope ? p->scope->reduced : q_axis_of(letter);
        if (s.axis) s.bare = size - 2;
    }
    return s;
}

/* Repeat_i and Gather_i, which are no reductions. */
static bool is_repeat(const suffix *s, const char *name)
{
    return s->axis && q_parse_same("Repeat", name, s->bare);
}

static bool is_gather(const suffix *s, const char *name)
{
    return s->axis && q_parse_same("Gather", name, s->bare);
}

// ---- special forms ----

enum { MAX_LISTS = 5 };

/* The arguments of a special form, checked against its pattern. */
typedef struct form {
    q_parser *p;
    q_graph *graph;
    size_t at;
    q_id value[4];
    int32_t integer[2];
    q_ints list[MAX_LISTS];
    size_t values, integers, lists;
} form;

static q_id form_diff(form *f)
{
    return q_diff(f->graph, f->value[0], f->value[1], f->value[2]);
}

static q_id form_grad(form *f)
{
    return q_grad(f->graph, f->value[0], f->value[1], f->value[2]);
}

static q_id form_grad_matrix(form *f)
{
    return q_grad_matrix(f->graph, f->value[0], f->value[1]);
}

static q_id form_divergence(form *f)
{
    return q_divergence(f->graph, f->value[0], f->value[1]);
}

static q_id form_laplacian(form *f)
{
    return q_laplacian(f->graph, f->value[0], f->value[1]);
}

static q_id form_tensor_dot(form *f)
{
    return q_tensor_dot(f->graph, f->value[0], f->value[1], f->list, f->lists);
}

static q_id form_kron(form *f)
{
    return q_kron(f->graph, f->value[0], f->value[1], &f->list[0], &f->list[1]);
}

static q_id form_contract(form *f)
{
    return q_contract_lists(f->graph, f->value[0], f->value[1], f->list, false);
}

static q_id form_contract_no_nan(form *f)
{
    return q_contract_lists(f->graph, f->value[0], f->value[1], f->list, true);
}

static q_id form_mat_vec(form *f)
{
    return q_mat_vec(f->graph, f->value[0], f->value[1]);
}

static q_id form_vec_mat(form *f)
{
    return q_vec_mat(f->graph, f->value[0], f->value[1]);
}

static q_id form_tensor_prod(form *f)
{
    return q_tensor_prod(f->graph, f->value[0], f->value[1]);
}

static q_id form_tile(form *f)
{
    return q_tile(f->graph, f->value[0], f->integer[0]);
}

static q_id form_sum_blocks(form *f)
{
    return q_sum_blocks(f->graph, f->value[0], f->integer[0]);
}

static q_id form_pair_blocks(form *f)
{
    return q_pair_blocks(f->graph, f->value[0], f->value[1], f->integer[0]);
}

static q_id form_gather(form *f)
{
    return q_lookup(f->graph, f->value[0], f->value[1], f->integer[0]);
}

static q_id form_weighted_norm(form *f)
{
    return q_weighted_sq_norm(f->graph, f->value[0], f->value[1]);
}

static q_id form_weighted_dist(form *f)
{
    return q_weighted_sq_norm(f->graph, f->value[0], q_apply2(f->graph, Q_OP_Subtract, f->value[1], f->value[2]));
}

static q_id form_b_spline(form *f)
{
    return q_b_spline(f->graph, f->value[0], f->value[1], f->integer[0]);
}

static q_id form_soft_dtw(form *f)
{
    return q_soft_dtw(f->graph, f->value[0], f->value[1], f->value[2]);
}

static const struct form_row {
    const char *name, *arguments;
    q_id (*build)(form *f);
    bool derivative;
} forms[] = {
#define FORM(name, pattern, arguments, length, build, sentence) {#name, pattern, form_##build, false},
#define DERIVATIVE(name, pattern, arguments, length, build, sentence) {#name, pattern, form_##build, true},
#include "formula/forms.def"
};

static const struct form_row *find_form(const char *name, size_t size)
{
    for (size_t f = 0; f < Q_COUNT(forms); f++)
        if (q_parse_same(forms[f].name, name, size)) return &forms[f];
    return NULL;
}

// ---- names ----

/* The axis that Vi, Vj or Pm declares a variable of; -1 for other names. */
static int declared_axis(const char *name, size_t size)
{
    for (int axis = Q_P; axis <= Q_J; axis++)
        if (q_parse_same(q_axes[axis].leaf, name, size)) return axis;
    return -1;
}

static bool is_declaration(const char *name, size_t size)
{
    return declared_axis(name, size) >= 0 || q_parse_same("Var", name, size);
}

/* The axis whose index is called so, I or J; Q_P for other names. */
static uint8_t indexed_axis(const char *name, size_t size)
{
    for (uint8_t axis = Q_I; axis <= Q_J; axis++)
        if (q_parse_same(q_axes[axis].index, name, size)) return axis;
    return Q_P;
}

bool q_parse_reserved(const q_parser *p, const char *name, size_t size)
{
    suffix s = split_name(p, name, size);
    bool reduces = s.axis || s.keops;
    if (reduces && (q_reduction_find(name, s.bare) || q_reduction_sugar_find(name, s.bare))) return true;
    if (is_repeat(&s, name) || is_gather(&s, name)) return true;
    return is_declaration(name, size) || q_op_find(name, size) || q_sugar_find(name, size) || find_form(name, size) ||
           indexed_axis(name, size);
}

typedef struct guess {
    char name[64];
    int distance;
} guess;

static void consider(guess *best, const char *wrong, const char *known, const char *tail)
{
    char name[64];
    snprintf(name, sizeof name, "%s%s", known, tail);
    int distance = q_edit_distance(wrong, name);
    if (distance >= best->distance) return;
    best->distance = distance;
    memcpy(best->name, name, sizeof name);
}

static void consider_functions(guess *best, const char *wrong)
{
    for (int op = Q_OP_REPEAT + 1; op < Q_OP_REDUCTION; op++) consider(best, wrong, q_ops[op].name, "");
    for (size_t s = 0; s < q_sugar_count; s++) consider(best, wrong, q_sugar[s].name, "");
    for (size_t f = 0; f < Q_COUNT(forms); f++) consider(best, wrong, forms[f].name, "");
    for (int op = Q_OP_REDUCTION + 1; op < Q_OP_END; op++)
        consider(best, wrong, q_ops[op].name, "_j"), consider(best, wrong, q_ops[op].name, "_i");
    for (size_t s = 0; s < q_reduction_sugar_count; s++)
        consider(best, wrong, q_reduction_sugar[s].name, "_j"), consider(best, wrong, q_reduction_sugar[s].name, "_i");
}

/* Completes the error record with the known name that is nearest to a wrong one. */
static void suggest(const q_parser *p, const char *text, size_t size, bool function)
{
    char wrong[64];
    snprintf(wrong, sizeof wrong, "%.*s", (int)(size < 63 ? size : 63), text);
    guess best = {.distance = size < 2 ? 1 : size < 6 ? 2 : 3};
    if (function) consider_functions(&best, wrong);
    for (size_t n = 0; !function && n < p->names.count; n++) consider(&best, wrong, p->names.data[n].name, "");
    if (best.name[0]) q_fail_next_step("did you mean %s?", best.name);
    else if (function) q_fail_next_step("`quern ops` lists what there is");
    else
        q_fail_next_step("bind it first: %s=Vi(3); for an i-variable of length 3, or %s=...; for a formula", wrong,
                         wrong);
}

q_id q_parse_bound(const q_parser *p, const char *text, size_t size)
{
    for (size_t n = p->names.count; n-- > 0;)
        if (q_parse_same(p->names.data[n].name, text, size)) return p->names.data[n].id;
    for (size_t n = 0; p->scope && n < p->scope->count; n++)
        if (q_parse_same(p->scope->names[n].name, text, size)) return p->scope->names[n].id;
    return 0;
}

static q_id wildcard(q_parser *p, char letter)
{
    q_node node = {.op = Q_OP_WILD, .dim = 1, .k = {letter}};
    return q_intern(p->graph, &node);
}

q_id q_parse_name(q_parser *p, const char *text, size_t size, size_t at)
{
    q_id id = q_parse_bound(p, text, size);
    if (id) return id;
    if (indexed_axis(text, size)) return q_index(p->graph, indexed_axis(text, size));
    if (q_parse_same("K", text, size) && p->scope && p->scope->reduced) return q_index(p->graph, p->scope->reduced);
    if (size == 1 && p->scope && p->scope->wild) return wildcard(p, *text);
    if (q_parse_reserved(p, text, size)) {
        q_parse_fail(p, QUERN_SYNTAX, at, "%.*s is a function: it needs its operands in brackets", (int)size, text);
        return 0;
    }
    q_parse_fail(p, QUERN_NAME, at, "the name %.*s is not bound to anything", (int)(size < 80 ? size : 80), text);
    suggest(p, text, size, false);
    return 0;
}

// ---- arguments ----

static bool check_count(q_parser *p, const char *name, size_t at, size_t given, size_t wanted)
{
    if (given == wanted) return true;
    q_parse_fail(p, QUERN_SYNTAX, at, "%s takes %zu argument%s, not %zu", name, wanted, Q_S(wanted), given);
    return false;
}

static bool integer_argument(q_parser *p, const char *name, const q_parsed *arg, int32_t *out)
{
    if (arg->id && q_parse_integer(p->graph, arg->id, out)) return true;
    /* in patterns of rules.def an integer may be a wildcard: its letter stands for it, below all that can be written */
    if (arg->id && p->scope && p->scope->wild && q_node_of(p->graph, arg->id)->op == Q_OP_WILD) {
        *out = INT32_MIN + q_node_of(p->graph, arg->id)->k[0];
        return true;
    }
    q_parse_fail(p, QUERN_SYNTAX, arg->at, "%s needs a whole number here", name);
    return false;
}

static bool value_argument(q_parser *p, const char *name, const q_parsed *arg, q_id *out)
{
    if (!arg->id) q_parse_fail(p, QUERN_SYNTAX, arg->at, "%s needs a value here, not a list", name);
    *out = arg->id;
    return arg->id != 0;
}

static bool list_argument(q_parser *p, const char *name, const q_parsed *arg, q_ints *out)
{
    *out = (q_ints){.count = arg->count};
    if (arg->id) q_parse_fail(p, QUERN_SYNTAX, arg->at, "%s needs a list of whole numbers here: [1,2]", name);
    for (size_t k = 0; k < arg->count && q_parse_ok(p); k++) {
        q_parsed item = {.id = p->items[arg->first + k], .at = arg->at};
        integer_argument(p, name, &item, &out->item[k]);
    }
    return q_parse_ok(p);
}

// ---- calls ----

static q_parsed made(q_id id, size_t at)
{
    return (q_parsed){.id = id, .at = at};
}

/* Vi(3) as the whole of a statement that binds a name: the name. */
static bool declared_name(q_parser *p, const char *name, size_t size, size_t at, int32_t dim, char own[80])
{
    size_t start = p->bind_at + p->bind_size;
    while (isspace((unsigned char)p->text[start]) || p->text[start] == '=') start++;
    snprintf(own, 80, "%.*s", (int)(p->bind_size < 79 ? p->bind_size : 79), p->text + p->bind_at);
    if (p->bind_size && start == at && (!q_parse_peek(p) || q_parse_peek(p) == ';')) return true;
    q_parse_fail(p, QUERN_SYNTAX, at, "%.*s(%d) declares a variable and must be a statement of its own", (int)size,
                 name, dim);
    q_fail_next_step("write x=%.*s(%d); before the formula, or give a number: %.*s(0,%d)", (int)size, name, dim,
                     (int)size, name, dim);
    return false;
}

/* Vi(3), Vi(0,3) or Var(0,3,cat). */
static q_id declare(q_parser *p, const char *name, size_t size, size_t at, const q_parsed *args, size_t count)
{
    int32_t k[3] = {0};
    bool full = q_parse_same("Var", name, size);
    if (full ? count != 3 : count != 1 && count != 2)
        q_parse_fail(p, QUERN_SYNTAX, at, "%.*s takes %s", (int)size, name,
                     full ? "number, length and category: Var(0,3,1)" : "a length, or a number and a length");
    for (size_t a = 0; a < count && q_parse_ok(p); a++)
        if (!args[a].id || !q_parse_integer(p->graph, args[a].id, &k[a]) || k[a] < 0)
            q_parse_fail(p, QUERN_SYNTAX, at, "the arguments of %.*s must be whole numbers from 0 to %d", (int)size,
                         name, INT32_MAX);
    if (full && k[2] > 2)
        q_parse_fail(p, QUERN_SYNTAX, at, "the category of Var is 0 (i), 1 (j) or 2 (parameter), not %d", k[2]);
    char own[80];
    if (!q_parse_ok(p)) return 0;
    static const uint8_t categories[] = {Q_I, Q_J, Q_P};
    uint8_t axis = full ? categories[k[2]] : (uint8_t)declared_axis(name, size);
    if (count == 1) return declared_name(p, name, size, at, k[0], own) ? q_variable_make(p->graph, own, axis, k[0]) : 0;
    snprintf(own, sizeof own, "%d", k[0]);
    return q_variable_make(p->graph, own, axis, k[1]);
}

static q_id call_op(q_parser *p, q_op op, const q_parsed *args, size_t count, size_t at)
{
    const q_op_row *row = &q_ops[op];
    size_t operands = (size_t)row->operands, integers = (size_t)row->integers;
    if (!check_count(p, row->name, at, count, operands + integers)) return 0;
    q_id ids[3];
    int32_t k[2] = {0};
    for (size_t a = 0; a < operands; a++)
        if (!value_argument(p, row->name, &args[a], &ids[a])) return 0;
    for (size_t i = 0; i < integers; i++)
        if (!integer_argument(p, row->name, &args[operands + i], &k[i])) return 0;
    return q_apply(p->graph, op, ids, operands, k, integers);
}

/* The body of sugar with its parameters bound to the arguments; k and l must be whole numbers. */
static q_id call_sugar(q_parser *p, const q_sugar_row *row, const char *name, const q_parsed *args, size_t count,
                       size_t at, uint8_t axis)
{
    static const char *const letters[] = {"a", "b", "c", "k", "l"};
    q_scope scope = {.reduced = axis};
    size_t wanted = (strlen(row->parameters) + 1) / 2;
    if (!check_count(p, name, at, count, wanted)) return 0;
    for (size_t a = 0; a < wanted; a++) {
        int32_t k;
        size_t l = 0;
        while (*letters[l] != row->parameters[2 * a]) l++;
        scope.names[scope.count].name = letters[l];
        if (!value_argument(p, name, &args[a], &scope.names[scope.count++].id)) return 0;
        if (*letters[l] >= 'k' && !integer_argument(p, name, &args[a], &k)) return 0;
    }
    scope.names[scope.count++] = (q_binding){"n", q_constant(p->graph, q_node_of(p->graph, args[0].id)->dim, 1)};
    return q_parse_row(p->graph, row->body, 0, &scope);
}

/* KeOps writes the axis after the integers and before the weights, 0 for one output per i: takes it out of the
   arguments. */
static uint8_t keops_axis(q_parser *p, const char *name, q_parsed *args, size_t *count, size_t position)
{
    int32_t along = 0;
    if (*count <= position || !integer_argument(p, name, &args[position], &along) || along < 0 || along > 1) {
        q_parse_fail(p, QUERN_SYNTAX, *count > position ? args[position].at : p->now.at,
                     "%s takes 0 (reduce over j) or 1 (over i) as argument %zu", name, position + 1);
        return 0;
    }
    memmove(&args[position], &args[position + 1], (*count - position - 1) * sizeof *args);
    --*count;
    return along == 0 ? Q_J : Q_I;
}

/* KeOps's reductions give one row for each i (or j) even of a term that is free of it. */
static q_id per_row(q_parser *p, const suffix *s, uint8_t axis, q_id id)
{
    return s->keops ? q_repeat(p->graph, id, axis == Q_J ? Q_I : Q_J) : id;
}

/* In rows Sum_k(1) counts the terms of `a`, which is bound first. */
static q_id per_term(q_parser *p, uint8_t axis, q_id id)
{
    if (!p->scope || p->scope->reduced != axis) return id;
    return q_repeat_over(p->graph, id, q_node_of(p->graph, p->scope->names[0].id)->axes & ~(unsigned)axis);
}

static q_id call_reduction(q_parser *p, q_op op, const suffix *s, const q_parsed *given, size_t count, size_t at)
{
    const q_op_row *row = &q_ops[op];
    q_parsed args[4] = {{0}};
    size_t integers = (size_t)row->integers;
    for (size_t a = 0; a < count && a < 4; a++) args[a] = given[a];
    if (count > 4) count = 5;
    uint8_t axis = s->keops && count <= 4 ? keops_axis(p, s->written, args, &count, 1 + integers) : s->axis;
    int32_t k = 0;
    q_id term;
    if (!q_parse_ok(p) || !check_count(p, s->written, at, count, 1 + integers)) return 0;
    if (!value_argument(p, s->written, &args[0], &term)) return 0;
    if (integers && !integer_argument(p, s->written, &args[1], &k)) return 0;
    return q_reduce(p->graph, op, axis, per_term(p, axis, per_row(p, s, axis, term)), k);
}

static q_id call_reduction_sugar(q_parser *p, const q_sugar_row *row, const suffix *s, const q_parsed *given,
                                 size_t count, size_t at)
{
    q_parsed args[4] = {{0}};
    for (size_t a = 0; a < count && a < 4; a++) args[a] = given[a];
    if (count > 4) count = 5;
    /* after the term and its integers, before a weight */
    size_t position = row->parameters[1] && row->parameters[2] == 'k' ? 2 : 1;
    uint8_t axis = s->keops && count <= 4 ? keops_axis(p, s->written, args, &count, position) : s->axis;
    if (args[0].id) args[0].id = per_row(p, s, axis, args[0].id);
    return q_parse_ok(p) ? call_sugar(p, row, s->written, args, count, at, axis) : 0;
}

static bool form_argument(form *f, char kind, const char *name, const q_parsed *arg)
{
    if (kind == 'v') return value_argument(f->p, name, arg, &f->value[f->values++]);
    if (kind == 'k') return integer_argument(f->p, name, arg, &f->integer[f->integers++]);
    return list_argument(f->p, name, arg, &f->list[f->lists++]);
}

/* Grad(F,[x,y],e) is the list of Grad(F,x,e) and Grad(F,y,e). */
static q_parsed call_grad_list(q_parser *p, const q_parsed *args, size_t at)
{
    q_id ids[Q_MAX_LIST];
    for (size_t k = 0; k < args[1].count; k++)
        ids[k] = q_grad(p->graph, args[0].id, p->items[args[1].first + k], args[2].id);
    return q_parse_list(p, ids, q_parse_ok(p) ? args[1].count : 0, at);
}

static q_parsed call_form(q_parser *p, const struct form_row *row, const q_parsed *args, size_t count, size_t at)
{
    form f = {.p = p, .graph = p->graph, .at = at};
    size_t wanted = strlen(row->arguments);
    bool optional = row->arguments[wanted - 1] == 'L';
    if (row->build == form_grad && count == 3 && args[0].id && !args[1].id && args[2].id)
        return call_grad_list(p, args, at);
    if (!(optional && count == wanted - 1) && !check_count(p, row->name, at, count, wanted)) return made(0, at);
    for (size_t a = 0; a < count; a++)
        if (!form_argument(&f, row->arguments[a], row->name, &args[a])) return made(0, at);
    return made(row->build(&f), at);
}

static q_id call_repeat(q_parser *p, uint8_t axis, const q_parsed *args, size_t count, size_t at)
{
    q_id id;
    if (!check_count(p, "Repeat", at, count, 1) || !value_argument(p, "Repeat", &args[0], &id)) return 0;
    return q_repeat(p->graph, id, axis);
}

static q_id call_gather(q_parser *p, const suffix *s, const q_parsed *args, size_t count, size_t at)
{
    q_id table, number;
    if (!check_count(p, s->written, at, count, 2) || !value_argument(p, s->written, &args[0], &table) ||
        !value_argument(p, s->written, &args[1], &number))
        return 0;
    return q_lookup_rows(p->graph, table, number, s->axis);
}

static q_parsed call(q_parser *p, size_t at, size_t size, const q_parsed *args, size_t count)
{
    const char *name = p->text + at;
    suffix s = split_name(p, name, size);
    bool reduces = s.axis || s.keops;
    q_op reduction = reduces ? q_reduction_find(name, s.bare) : Q_OP_NONE, op = q_op_find(name, size);
    const q_sugar_row *sugar = reduces ? q_reduction_sugar_find(name, s.bare) : q_sugar_find(name, size);
    const struct form_row *special = find_form(name, size);
    if (!p->scope) p->graph->at = at;
    if (reduction) return made(call_reduction(p, reduction, &s, args, count, at), at);
    if (reduces && sugar) return made(call_reduction_sugar(p, sugar, &s, args, count, at), at);
    if (is_repeat(&s, name)) return made(call_repeat(p, s.axis, args, count, at), at);
    if (is_gather(&s, name)) return made(call_gather(p, &s, args, count, at), at);
    if (is_declaration(name, size)) return made(declare(p, name, size, at, args, count), at);
    if (special) return call_form(p, special, args, count, at);
    if (op) return made(call_op(p, op, args, count, at), at);
    if (sugar) return made(call_sugar(p, sugar, sugar->name, args, count, at, p->scope ? p->scope->reduced : 0), at);
    q_parse_fail(p, QUERN_NAME, at, "there is no function %.*s", (int)(size < 80 ? size : 80), name);
    suggest(p, name, size, true);
    return made(0, at);
}

/* The axes that the result of a call has by its arguments, whatever simplification makes of it. */
static unsigned axes_of_call(const q_parser *p, const suffix *s, const struct form_row *special, const q_parsed *args,
                             size_t count)
{
    unsigned axes = 0;
    for (size_t a = 0; a < count; a++)
        if (args[a].id) axes |= q_node_of(p->graph, args[a].id)->axes;
    if (s->keops) return 0; /* its result has one row for each i or j in any case */
    if (special && special->derivative && count && args[0].id && q_reduces(p->graph, args[0].id))
        return special->build == form_diff ? q_node_of(p->graph, args[0].id)->axes : 0;
    return axes & ~(unsigned)s->axis;
}

q_parsed q_parse_call(q_parser *p, size_t at, size_t size, const q_parsed *args, size_t count)
{
    const char *name = p->text + at;
    suffix s = split_name(p, name, size);
    q_parsed made = call(p, at, size, args, count);
    if (p->scope || !made.id || is_repeat(&s, name)) return made;
    made.id = q_repeat_over(p->graph, made.id, axes_of_call(p, &s, find_form(name, size), args, count));
    return made;
}
