/*
 * quern/build.h: formulas made by a program instead of written as text, and the list of what there is to make them of.
 *
 * A quern_graph holds expressions. Every function takes expressions of the graph and gives a new one; equal ones are
 * the same, so nothing is computed twice. quern_compile_graph makes an operator of some of them:
 *
 *     quern_graph_create(&graph);
 *     quern_expr x = quern_vi(graph, "x", 3), y = quern_vj(graph, "y", 3), b = quern_vj(graph, "b", 1);
 *     quern_expr k = quern_exp(graph, quern_negate(graph, quern_sqdist(graph, x, y)));
 *     quern_expr a = quern_sum_j(graph, quern_multiply(graph, k, b));
 *     quern_compile_graph(&op, ctx, graph, QUERN_EXPRS(a), NULL);
 *     quern_graph_destroy(&graph);
 *
 * This is the language of docs/formulas.md, read by the same parser: quern_apply reaches each of its functions by name,
 * quern_formula takes text, and an operator made here is the operator that its text would make.
 *
 * Conventions
 *   Errors     A failure stays: the function returns 0, all later ones return 0 at once, and quern_compile_graph fails
 *              with the status and the record of the first failure. So there is one check, at the end. A graph that has
 *              failed is good for nothing else.
 *   Ownership  quern_graph_create gives a handle that quern_graph_destroy releases. Expressions belong to their graph.
 *              Names and texts are copied. An operator has its own copy of what it needs: the graph may grow on, serve
 *              for other operators, or be destroyed.
 *   Threads    One thread at a time uses a graph. Different graphs are independent.
 *   Lengths    Every expression is a vector of fixed length. In elementwise operations length 1 fits any other.
 */
#ifndef QUERN_BUILD_H
#define QUERN_BUILD_H

#include "quern.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct quern_graph quern_graph;

/* An expression of a graph; 0 after a failure. Another graph's expression is refused (USAGE). */
typedef uint32_t quern_expr;

/* ---- lists of arguments, borrowed for the duration of a call ---------------------------------------------------- */

typedef struct quern_exprs {
    const quern_expr *data;
    size_t count;
} quern_exprs;

typedef struct quern_integers {
    const int32_t *data;
    size_t count;
} quern_integers;

typedef struct quern_lists {
    const quern_integers *data;
    size_t count;
} quern_lists;

#ifdef __cplusplus
#define QUERN_EXPRS(...) (quern_exprs_of({__VA_ARGS__}))
#define QUERN_INTEGERS(...) (quern_integers_of({__VA_ARGS__}))
#define QUERN_LISTS(...) (quern_lists_of({__VA_ARGS__}))
#else
#define QUERN_EXPRS(...) ((quern_exprs){QUERN_LIST(quern_expr, 0, __VA_ARGS__)})
#define QUERN_INTEGERS(...) ((quern_integers){QUERN_LIST(int32_t, 0, __VA_ARGS__)})
#define QUERN_LISTS(...) ((quern_lists){QUERN_LIST(quern_integers, {0}, __VA_ARGS__)})
#endif
#define QUERN_NO_EXPRS QUERN_EXPRS()
#define QUERN_NO_INTEGERS QUERN_INTEGERS()

/* ---- graphs ----------------------------------------------------------------------------------------------------- */

/* An empty graph. Status: MEMORY; *out is then null, which all functions here take for a graph that has failed. */
QUERN_API quern_status quern_graph_create(quern_graph **out);
QUERN_API void quern_graph_destroy(quern_graph **graph);

/* OK, or the status of the first failure, whose record becomes quern_last_error() again. For programs that want to know
   before they compile. */
QUERN_API quern_status quern_graph_status(const quern_graph *graph);

/* An operator with these expressions as its results, 1 to 16 of them, in order. As quern_compile otherwise: `context`
   and `options` may be null, *out is null after a failure. Statuses: that of the graph, USAGE, those of
   quern_compile. */
QUERN_API quern_status quern_compile_graph(quern_operator **out, quern_context *context, const quern_graph *graph,
                                           quern_exprs results, const quern_compile_options *options);

/* ---- leaves ----------------------------------------------------------------------------------------------------- */

/* A variable with one row per i, per j, or one row (a parameter), of `dim` columns. The name, under which quern_run
   takes its array, begins with a letter and has letters, digits and _; it is new to the graph and no function's. */
QUERN_API quern_expr quern_vi(quern_graph *graph, const char *name, int64_t dim);
QUERN_API quern_expr quern_vj(quern_graph *graph, const char *name, int64_t dim);
QUERN_API quern_expr quern_pm(quern_graph *graph, const char *name, int64_t dim);

/* A number, of length 1. */
QUERN_API quern_expr quern_literal(quern_graph *graph, double value);
/* The number of the row or of the column, from 0, exact: I and J in text. */
QUERN_API quern_expr quern_index_i(quern_graph *graph);
QUERN_API quern_expr quern_index_j(quern_graph *graph);

/* ---- text and names --------------------------------------------------------------------------------------------- */

/* Reads formula text with one result. Variables of the graph, and names that quern_name or an earlier text gave, are
   known in it; what it declares and binds itself stays known. */
QUERN_API quern_expr quern_formula(quern_graph *graph, const char *text);
/* Gives an expression a name for later texts; returns the expression. */
QUERN_API quern_expr quern_name(quern_graph *graph, const char *name, quern_expr a);

/* The length of an expression; 0 for one that failed. */
QUERN_API int64_t quern_length(const quern_graph *graph, quern_expr a);

/* ---- every function of the language ----------------------------------------------------------------------------- */

/* Applies a function or reduction by its name in the language: first the expressions, then the integers, in the order
   of the formula text.
       quern_apply(graph, "Atan2", QUERN_EXPRS(a, b), QUERN_NO_INTEGERS)              Atan2(a,b)
       quern_apply(graph, "Extract", QUERN_EXPRS(a), QUERN_INTEGERS(2, 3))            Extract(a,2,3)
       quern_apply(graph, "ArgKMin_j", QUERN_EXPRS(d), QUERN_INTEGERS(10))            ArgKMin_j(d,10)
       quern_apply(graph, "Laplacian", QUERN_EXPRS(f, x), QUERN_NO_INTEGERS)          Laplacian(f,x)
   quern_language below lists the names. */
QUERN_API quern_expr quern_apply(quern_graph *graph, const char *function, quern_exprs operands,
                                 quern_integers integers);
/* The same for those that take lists of integers: TensorDot, Kron, Contract.
       quern_apply_lists(graph, "Kron", QUERN_EXPRS(a, b), QUERN_LISTS(QUERN_INTEGERS(2, 2), QUERN_INTEGERS(2, 3))) */
QUERN_API quern_expr quern_apply_lists(quern_graph *graph, const char *function, quern_exprs operands,
                                       quern_lists lists);

/* ---- the usual ones --------------------------------------------------------------------------------------------- */

/* Elementwise. */
QUERN_API quern_expr quern_add(quern_graph *graph, quern_expr a, quern_expr b);
QUERN_API quern_expr quern_subtract(quern_graph *graph, quern_expr a, quern_expr b);
QUERN_API quern_expr quern_multiply(quern_graph *graph, quern_expr a, quern_expr b);
QUERN_API quern_expr quern_divide(quern_graph *graph, quern_expr a, quern_expr b);
QUERN_API quern_expr quern_negate(quern_graph *graph, quern_expr a);
QUERN_API quern_expr quern_exp(quern_graph *graph, quern_expr a);
QUERN_API quern_expr quern_log(quern_graph *graph, quern_expr a);
QUERN_API quern_expr quern_sqrt(quern_graph *graph, quern_expr a);
QUERN_API quern_expr quern_square(quern_graph *graph, quern_expr a);

/* Vectors: squared distance |a - b|^2, inner product and norm, of length 1. */
QUERN_API quern_expr quern_sqdist(quern_graph *graph, quern_expr a, quern_expr b);
QUERN_API quern_expr quern_scalprod(quern_graph *graph, quern_expr a, quern_expr b);
QUERN_API quern_expr quern_norm2(quern_graph *graph, quern_expr a);
/* The sum of the components of one vector; quern_sum_i and quern_sum_j sum over rows and columns. */
QUERN_API quern_expr quern_sum_components(quern_graph *graph, quern_expr a);
/* Components first .. first + count - 1. */
QUERN_API quern_expr quern_extract(quern_graph *graph, quern_expr a, int32_t first, int32_t count);
/* a, then b. */
QUERN_API quern_expr quern_concat(quern_graph *graph, quern_expr a, quern_expr b);

/* Rows of tables, zeros where there is no row of that number: row k of `table`, whose rows of `length` components stand one
   after the other; and row k of an i-variable or j-variable, on whose index k must not depend. */
QUERN_API quern_expr quern_gather(quern_graph *graph, quern_expr table, quern_expr k, int32_t length);
QUERN_API quern_expr quern_gather_i(quern_graph *graph, quern_expr table, quern_expr k);
QUERN_API quern_expr quern_gather_j(quern_graph *graph, quern_expr table, quern_expr k);

/* Reductions over the rows (_i) or the columns (_j), of every component on its own. */
QUERN_API quern_expr quern_sum_i(quern_graph *graph, quern_expr a);
QUERN_API quern_expr quern_sum_j(quern_graph *graph, quern_expr a);
QUERN_API quern_expr quern_min_i(quern_graph *graph, quern_expr a);
QUERN_API quern_expr quern_min_j(quern_graph *graph, quern_expr a);
QUERN_API quern_expr quern_argmin_i(quern_graph *graph, quern_expr a);
QUERN_API quern_expr quern_argmin_j(quern_graph *graph, quern_expr a);
QUERN_API quern_expr quern_max_i(quern_graph *graph, quern_expr a);
QUERN_API quern_expr quern_max_j(quern_graph *graph, quern_expr a);
QUERN_API quern_expr quern_argmax_i(quern_graph *graph, quern_expr a);
QUERN_API quern_expr quern_argmax_j(quern_graph *graph, quern_expr a);
QUERN_API quern_expr quern_logsumexp_i(quern_graph *graph, quern_expr a);
QUERN_API quern_expr quern_logsumexp_j(quern_graph *graph, quern_expr a);

/* The adjoint of the derivative of f with respect to the variable v, applied to e, which has the length of f or length
   1: Grad(f,v,e). Pair by pair where f has no reduction in it, else total. */
QUERN_API quern_expr quern_grad(quern_graph *graph, quern_expr f, quern_expr v, quern_expr e);

/* ---- what the language has -------------------------------------------------------------------------------------- */

/* A function of the language. Static strings, "" where there is nothing to say. In them a b c are the operands, k l
   whole numbers, n m the lengths of a and b, r the result and g its adjoint. */
typedef struct quern_function_info {
    const char *name;       /* "Exp", "Sum" */
    const char *family;     /* what it is listed under: "arithmetic" */
    const char *kind;       /* "leaf", "elementwise", "vector", "sugar", "form", "derivative" or "reduction" */
    bool over_axis;         /* the name is written with the axis: Sum_i or Sum_j */
    const char *arguments;  /* "a,k" for Extract(a,k); "" for none */
    const char *length;     /* of the result: "n", "n + m"; "" for sugar, whose definition tells */
    const char *meaning;    /* one sentence */
    const char *derivative; /* the adjoint that flows to each operand, separated by "; " */
    const char *definition; /* the formula that stands for it; _k in it is the reduced axis */
} quern_function_info;

/* The function of this number, in the order of the documentation; false past the last. Thread-safe. */
QUERN_API bool quern_language(size_t index, quern_function_info *out);

#ifdef __cplusplus
}

/* What the macros are in C++. */
extern "C++" {
static inline quern_exprs quern_exprs_of(std::initializer_list<quern_expr> list)
{
    quern_exprs exprs = {list.begin(), list.size()};
    return exprs;
}
static inline quern_integers quern_integers_of(std::initializer_list<int32_t> list)
{
    quern_integers integers = {list.begin(), list.size()};
    return integers;
}
static inline quern_lists quern_lists_of(std::initializer_list<quern_integers> list)
{
    quern_lists lists = {list.begin(), list.size()};
    return lists;
}
}
#endif
#endif
