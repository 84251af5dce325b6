/*
 * build.c: the builder API. A call is composed as text, its operands under the names a, b, c, ..., and read by the
 * parser that reads users' formulas, so what a function takes, gives and complains of stands in one place.
 *
 * Invariant: when the graph inside has failed, `failure` holds the error record of that moment.
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "quern/build.h"
#include "run/run.h"

/* An expression is a node's id with the graph's tag above it, so that another graph's is (almost always) recognised. */
enum { ID_BITS = 18, MAX_OPERANDS = 8 };
_Static_assert(Q_MAX_NODES < 1 << ID_BITS, "the id of a node must fit below the tag");

struct quern_graph {
    q_graph *graph;
    q_names names; /* known to texts: variables, and what texts have bound */
    uint32_t tag;  /* in the bits above ID_BITS */
    struct {
        char message[2048], formula[2048], next_step[1024];
        int64_t at;
    } failure;
};

// ---- failures that stay ----

/* Keeps the record of a failure that has just happened. */
static quern_expr fail(quern_graph *graph, quern_status status)
{
    const quern_error *error = quern_last_error();
    graph->graph->status = status;
    snprintf(graph->failure.message, sizeof graph->failure.message, "%s", error->message);
    snprintf(graph->failure.formula, sizeof graph->failure.formula, "%s", error->formula);
    snprintf(graph->failure.next_step, sizeof graph->failure.next_step, "%s", error->next_step);
    graph->failure.at = error->at;
    return 0;
}

static bool is_alive(const quern_graph *graph)
{
    return graph && !graph->graph->status;
}

quern_status quern_graph_status(const quern_graph *graph)
{
    if (!graph) return q_fail_null("quern_graph_status", "the graph");
    if (is_alive(graph)) return QUERN_OK;
    quern_status status = graph->graph->status;
    if (graph->failure.at >= 0)
        q_fail_at(status, graph->failure.formula, (size_t)graph->failure.at, "%s", graph->failure.message);
    else q_fail(status, "%s", graph->failure.message);
    if (*graph->failure.next_step) q_fail_next_step("%s", graph->failure.next_step);
    return status;
}

// ---- graphs ----

quern_status quern_graph_create(quern_graph **out)
{
    if (!out) return q_fail_null("quern_graph_create", "out");
    quern_graph *graph = *out = calloc(1, sizeof *graph);
    if (!graph) return q_fail_memory(sizeof *graph);
    q_locale locale = q_locale_enter();
    quern_status status = q_graph_create(&graph->graph);
    q_locale_leave(locale);
    graph->tag = (uint32_t)q_hash64(&graph, sizeof graph) << ID_BITS;
    if (status) quern_graph_destroy(out);
    return status;
}

void quern_graph_destroy(quern_graph **given)
{
    if (!given || !*given) return;
    q_graph_destroy(&(*given)->graph);
    free((*given)->names.data);
    free(*given);
    *given = NULL;
}

// ---- expressions and nodes ----

static quern_expr expression_of(const quern_graph *graph, q_id id)
{
    return id ? graph->tag | id : 0;
}

/* The node behind an expression; 0 if it is none of this graph's. */
static q_id node_of(const quern_graph *graph, quern_expr a)
{
    q_id id = a & ((1u << ID_BITS) - 1);
    return expression_of(graph, id) == a && id < graph->graph->count ? id : 0;
}

static quern_status not_an_expression(quern_expr a, const char *where, size_t number)
{
    return q_fail(QUERN_USAGE, "%s: number %zu is %s", where, number + 1,
                  a ? "not an expression of this graph" : "0, which is no expression");
}

int64_t quern_length(const quern_graph *graph, quern_expr a)
{
    q_id id = is_alive(graph) ? node_of(graph, a) : 0;
    return id ? (int64_t)q_node_of(graph->graph, id)->dim : 0;
}

quern_status quern_compile_graph(quern_operator **out, quern_context *context, const quern_graph *graph,
                                 quern_exprs results, const quern_compile_options *options)
{
    q_id ids[Q_MAX_RESULTS];
    if (!out) return q_fail_null("quern_compile_graph", "out");
    *out = NULL;
    if (!graph) return q_fail_null("quern_compile_graph", "the graph");
    Q_TRY(quern_graph_status(graph));
    if (!results.data && results.count) return q_fail_null("quern_compile_graph", "the list of results");
    if (!results.count || results.count > Q_MAX_RESULTS)
        return q_fail(QUERN_USAGE, "quern_compile_graph: an operator has 1 to %d results, not %zu", Q_MAX_RESULTS,
                      results.count);
    for (size_t r = 0; r < results.count; r++)
        if (!(ids[r] = node_of(graph, results.data[r])))
            return not_an_expression(results.data[r], "results of quern_compile_graph", r);
    q_locale locale = q_locale_enter();
    quern_status status = q_operator_from_graph(out, context, graph->graph, ids, results.count, options);
    q_locale_leave(locale);
    return status;
}

// ---- text ----

/* The one value of the text, in which `names` are known. */
static q_id read(quern_graph *graph, const char *text, q_names *names)
{
    q_id results[Q_MAX_RESULTS];
    size_t count;
    q_locale locale = q_locale_enter();
    quern_status status = q_parse_known(graph->graph, text, names, results, &count);
    q_locale_leave(locale);
    if (!status && count == 1) return results[0];
    if (!status) status = q_fail(QUERN_USAGE, "quern_formula: an expression is one value, the text gives %zu", count);
    return fail(graph, status);
}

quern_expr quern_formula(quern_graph *graph, const char *text)
{
    if (!is_alive(graph)) return 0;
    if (!text) return fail(graph, q_fail_null("quern_formula", "the text"));
    return expression_of(graph, read(graph, text, &graph->names));
}

/* Fails unless `name` is one word; all else about names is the parser's business. */
static bool check_word(quern_graph *graph, const char *name, const char *what)
{
    size_t size = 0;
    bool word = name && (isalpha((unsigned char)*name) || *name == '_');
    while (word && (isalnum((unsigned char)name[size]) || name[size] == '_')) size++;
    word = word && !name[size] && size < 80;
    if (!word)
        fail(graph,
             q_fail(QUERN_USAGE, "%s is a word of letters, digits and _, not %.80s", what, name ? name : "null"));
    return word;
}

static quern_expr declare(quern_graph *graph, const char *name, const char *function, int64_t dim)
{
    char text[160];
    if (!is_alive(graph) || !check_word(graph, name, "the name of a variable")) return 0;
    snprintf(text, sizeof text, "%s=%s(%lld)", name, function, (long long)dim);
    return quern_formula(graph, text);
}

quern_expr quern_vi(quern_graph *graph, const char *name, int64_t dim)
{
    return declare(graph, name, q_axes[Q_I].leaf, dim);
}

quern_expr quern_vj(quern_graph *graph, const char *name, int64_t dim)
{
    return declare(graph, name, q_axes[Q_J].leaf, dim);
}

quern_expr quern_pm(quern_graph *graph, const char *name, int64_t dim)
{
    return declare(graph, name, q_axes[Q_P].leaf, dim);
}

/* What a constructor without operands has made. */
static quern_expr made(quern_graph *graph, q_id id)
{
    return id ? expression_of(graph, id) : fail(graph, graph->graph->status);
}

quern_expr quern_index_i(quern_graph *graph)
{
    return is_alive(graph) ? made(graph, q_index(graph->graph, Q_I)) : 0;
}

quern_expr quern_index_j(quern_graph *graph)
{
    return is_alive(graph) ? made(graph, q_index(graph->graph, Q_J)) : 0;
}

quern_expr quern_literal(quern_graph *graph, double value)
{
    return is_alive(graph) ? made(graph, q_constant(graph->graph, value, 1)) : 0;
}

// ---- calls ----

/* Operands of a call, by the names that they have in its text. */
typedef struct bindings {
    q_binding bound[MAX_OPERANDS];
    size_t count;
} bindings;

static bool bind(quern_graph *graph, const char *function, quern_exprs given, bindings *out)
{
    static const char *const letters[MAX_OPERANDS] = {"a", "b", "c", "d", "e", "f", "g", "h"};
    out->count = given.count;
    if (given.count > MAX_OPERANDS) {
        fail(graph, q_fail(QUERN_USAGE, "%s: no function takes %zu operands", function, given.count));
        return false;
    }
    for (size_t n = 0; n < given.count; n++) {
        out->bound[n] = (q_binding){letters[n], node_of(graph, given.data[n])};
        if (!out->bound[n].id) {
            fail(graph, not_an_expression(given.data[n], function, n));
            return false;
        }
    }
    return true;
}

static void write_integers(q_text *out, quern_integers integers, const char *between)
{
    for (size_t n = 0; n < integers.count; n++) q_text_add(out, "%s%d", n ? "," : between, integers.data[n]);
}

static void write_call(q_text *out, const char *function, const bindings *operands, quern_integers integers,
                       quern_lists lists)
{
    bool leaf = !operands->count && !integers.count && !lists.count; /* I and J */
    q_text_add(out, leaf ? "%s" : "%s(", function);
    if (leaf) return;
    for (size_t n = 0; n < operands->count; n++) q_text_add(out, "%s%s", n ? "," : "", operands->bound[n].name);
    write_integers(out, integers, operands->count ? "," : "");
    for (size_t n = 0; n < lists.count; n++) {
        q_text_add(out, n || operands->count ? ",[" : "[");
        write_integers(out, lists.data[n], "");
        q_text_add(out, "]");
    }
    q_text_add(out, ")");
}

static bool has_lists(quern_graph *graph, const char *function, quern_exprs given, quern_integers integers,
                      quern_lists lists)
{
    bool missing = (given.count && !given.data) || (integers.count && !integers.data) || (lists.count && !lists.data);
    for (size_t n = 0; n < lists.count && !missing; n++) missing = lists.data[n].count && !lists.data[n].data;
    if (missing) fail(graph, q_fail_null(function, "a list of arguments"));
    return !missing;
}

static quern_expr call(quern_graph *graph, const char *function, quern_exprs given, quern_integers integers,
                       quern_lists lists)
{
    bindings operands;
    q_text text = {0};
    if (!is_alive(graph) || !check_word(graph, function, "the name of a function")) return 0;
    if (!has_lists(graph, function, given, integers, lists) || !bind(graph, function, given, &operands)) return 0;
    write_call(&text, function, &operands, integers, lists);
    q_names names = {operands.bound, operands.count, MAX_OPERANDS};
    q_id id = text.failed ? fail(graph, q_fail_memory(text.capacity)) : read(graph, text.data, &names);
    q_text_free(&text);
    return expression_of(graph, id);
}

quern_expr quern_apply(quern_graph *graph, const char *function, quern_exprs operands, quern_integers integers)
{
    return call(graph, function, operands, integers, (quern_lists){0});
}

quern_expr quern_apply_lists(quern_graph *graph, const char *function, quern_exprs operands, quern_lists lists)
{
    return call(graph, function, operands, QUERN_NO_INTEGERS, lists);
}

quern_expr quern_name(quern_graph *graph, const char *name, quern_expr a)
{
    static const char value[] = "quern_name_value";
    char text[160];
    if (!is_alive(graph) || !check_word(graph, name, "a name")) return 0;
    q_id id = node_of(graph, a);
    q_names *names = &graph->names;
    if (!id) return fail(graph, not_an_expression(a, "quern_name", 0));
    if (!q_grow(&names->data, &names->capacity, names->count + 1, sizeof *names->data))
        return fail(graph, q_fail_memory(sizeof *names->data));
    names->data[names->count++] = (q_binding){value, id};
    snprintf(text, sizeof text, "%s=%s", name, value);
    if (!read(graph, text, names)) return 0;
    names->count--; /* the name takes the place of its value */
    names->data[names->count - 1] = names->data[names->count];
    return a;
}

// ---- the usual ones ----

static quern_expr call1(quern_graph *graph, const char *function, quern_expr a)
{
    return quern_apply(graph, function, QUERN_EXPRS(a), QUERN_NO_INTEGERS);
}

static quern_expr call2(quern_graph *graph, const char *function, quern_expr a, quern_expr b)
{
    return quern_apply(graph, function, QUERN_EXPRS(a, b), QUERN_NO_INTEGERS);
}

#define USUAL1(name, function)                                \
    quern_expr quern_##name(quern_graph *graph, quern_expr a) \
    {                                                         \
        return call1(graph, function, a);                     \
    }
#define USUAL2(name, function)                                              \
    quern_expr quern_##name(quern_graph *graph, quern_expr a, quern_expr b) \
    {                                                                       \
        return call2(graph, function, a, b);                                \
    }

// clang-format off
USUAL2(add, "Add")
USUAL2(subtract, "Subtract")
USUAL2(multiply, "Mult")
USUAL2(divide, "Divide")
USUAL1(negate, "Minus")
USUAL1(exp, "Exp")
USUAL1(log, "Log")
USUAL1(sqrt, "Sqrt")
USUAL1(square, "Square")
USUAL2(sqdist, "SqDist")
USUAL2(scalprod, "Scalprod")
USUAL1(norm2, "Norm2")
USUAL1(sum_components, "Sum")
USUAL2(concat, "Concat")
USUAL1(sum_i, "Sum_i")
USUAL1(sum_j, "Sum_j")
USUAL1(min_i, "Min_i")
USUAL1(min_j, "Min_j")
USUAL1(argmin_i, "ArgMin_i")
USUAL1(argmin_j, "ArgMin_j")
USUAL1(max_i, "Max_i")
USUAL1(max_j, "Max_j")
USUAL1(argmax_i, "ArgMax_i")
USUAL1(argmax_j, "ArgMax_j")
USUAL1(logsumexp_i, "LogSumExp_i")
USUAL1(logsumexp_j, "LogSumExp_j")
// clang-format on

quern_expr quern_extract(quern_graph *graph, quern_expr a, int32_t first, int32_t count)
{
    return quern_apply(graph, "Extract", QUERN_EXPRS(a), QUERN_INTEGERS(first, count));
}

quern_expr quern_gather(quern_graph *graph, quern_expr table, quern_expr k, int32_t length)
{
    return quern_apply(graph, "Gather", QUERN_EXPRS(table, k), QUERN_INTEGERS(length));
}

quern_expr quern_gather_i(quern_graph *graph, quern_expr table, quern_expr k)
{
    return quern_apply(graph, "Gather_i", QUERN_EXPRS(table, k), QUERN_NO_INTEGERS);
}

quern_expr quern_gather_j(quern_graph *graph, quern_expr table, quern_expr k)
{
    return quern_apply(graph, "Gather_j", QUERN_EXPRS(table, k), QUERN_NO_INTEGERS);
}

quern_expr quern_grad(quern_graph *graph, quern_expr f, quern_expr v, quern_expr e)
{
    return quern_apply(graph, "Grad", QUERN_EXPRS(f, v, e), QUERN_NO_INTEGERS);
}
