/*
 * formula.h: formulas as graphs, and what is done with them on paper: build, read, print, simplify, differentiate,
 * bound. No OpenCL and no data. The banners follow the files of src/formula, in pipeline order.
 */
#ifndef QUERN_FORMULA_H
#define QUERN_FORMULA_H

#include "base/base.h"

// ops.c: the tables of operations and reductions

typedef enum q_op {
    Q_OP_NONE,
    Q_OP_VARIABLE, /* k[0]: number of the variable in its graph */
    Q_OP_CONSTANT, /* value, in each of dim components */
    Q_OP_INDEX,    /* k[0]: axis; the number of the row (I) or of the column (J), an integer */
    Q_OP_COUNT,    /* k[0]: axis; M or N; written Sum_i(1) or Sum_j(1) */
    Q_OP_WILD,     /* in patterns of rules.def, and where a derivative needs a variable of its own */
    Q_OP_CONTRACT, /* k[0]: number of the contraction in its graph */
    Q_OP_LOOKUP, /* k[0]: axis, or 0 and in k[1] the length of rows; a row of a table; written Gather_i, Gather_j, Gather */
    Q_OP_REPEAT, /* k[0]: axis; the operand as a value that has this axis; written Repeat_i, Repeat_j */
#define ELEMENTWISE(name, ...) Q_OP_##name,
#define GATHER(name, ...) Q_OP_##name,
#define EXPAND(name, ...) Q_OP_##name,
#include "formula/ops.def"
    Q_OP_REDUCTION, /* not an operation: the first reduction */
#define REDUCTION(name, ...) Q_RED_##name,
#include "formula/reductions.def"
    Q_OP_END
} q_op;

typedef enum q_op_kind {
    Q_KIND_LEAF,
    Q_KIND_ELEMENTWISE,
    Q_KIND_GATHER,
    Q_KIND_EXPAND,
    Q_KIND_CONTRACT,
    Q_KIND_LOOKUP,
    Q_KIND_REPEAT,
    Q_KIND_REDUCTION
} q_op_kind;
typedef enum q_reduction_kind { Q_LINEAR, Q_VALUE, Q_INDEX } q_reduction_kind;

/* Whether results are whole numbers: never, where all operands are, whatever they are. */
typedef enum q_whole { Q_NEVER, Q_WHEN, Q_ALWAYS } q_whole;

typedef struct q_interval {
    double low, high;
} q_interval;

/* Terms of a reduction, before they are computed. */
typedef struct q_block {
    q_interval terms;
    double
        reached; /* what the reduction has so far; of those that select, the value that a term must pass to be chosen */
    bool nan;    /* a term may be NaN */
    bool single; /* the arithmetic is that of float32 */
} q_block;

struct q_node;
struct q_graph;

/* Where component `d` of a GATHER comes from: returns the operand's number and sets *component, or -1 for zero. n, m
   are the lengths of the operands, k the node's integers. */
typedef int q_pick(uint32_t d, uint32_t n, uint32_t m, const int32_t k[2], uint32_t *component);

/* How the components of an EXPAND are made of scalar operations. The reference evaluator and lower.c each bring a
   q_expander; handles are theirs. */
typedef struct q_expander {
    void *self;
    uint32_t n; /* length of the operand */
    uint32_t (*component)(void *self, uint32_t d);
    uint32_t (*number)(void *self, double value);
    uint32_t (*apply)(void *self, q_op op, uint32_t a, uint32_t b, uint32_t c);
} q_expander;
typedef uint32_t q_expand(const q_expander *x, uint32_t d);

typedef struct q_op_row {
    const char *name; /* as written in formulas */
    q_op_kind kind;
    int operands, integers;
    const char *expression; /* ELEMENTWISE: C tokens */
    const char *derivative;
    const char *sentence;
    int32_t least, most;  /* ELEMENTWISE: of its integer; both 0: any */
    uint8_t jumps, whole; /* ELEMENTWISE, EXPAND: see EXACT in ops.def */
    bool special;         /* ELEMENTWISE: needs cl/special.cl */
    double (*evaluate)(double a, double b, double c, int32_t k, int32_t l); /* ELEMENTWISE */
    q_interval (*interval)(const q_interval *operands, const int32_t k[2]); /* ELEMENTWISE; never null there */
    const char *rule;                                                       /* ELEMENTWISE: its name */
    int decides;                                                            /* DOMAIN: the operand */
    bool (*domain)(const q_interval *operands, const int32_t k[2]);         /* null: finite for all finite operands */
    const char *domain_rule;                                                /* its name */
    q_pick *pick;                                                           /* GATHER */
    int64_t (*length)(int64_t n, int64_t m, int64_t k, int64_t l);          /* GATHER, EXPAND */
    q_expand *expand;                                                       /* EXPAND: one operand */
    const char *state;                  /* REDUCTION: its section of reductions.cl */
    q_reduction_kind reduction;         /* REDUCTION */
    int (*words)(int k);                /* REDUCTION: state carried by a merge */
    const char *within;                 /* REDUCTION: another state that holds it, or "" */
    bool smallest;                      /* REDUCTION: selects the smallest terms */
    bool (*idle)(const q_block *block); /* REDUCTION: whether these terms change nothing */
} q_op_row;

extern const q_op_row q_ops[Q_OP_END];

typedef struct q_sugar_row {
    const char *name, *parameters, *body, *sentence;
} q_sugar_row;

extern const q_sugar_row q_sugar[];
extern const size_t q_sugar_count;
extern const q_sugar_row q_reduction_sugar[];
extern const size_t q_reduction_sugar_count;

/* The row named so (size bytes), or Q_OP_NONE / null. Reductions are found by their bare name, "Sum". */
q_op q_op_find(const char *name, size_t size);
q_op q_reduction_find(const char *name, size_t size);
const q_sugar_row *q_sugar_find(const char *name, size_t size);
const q_sugar_row *q_reduction_sugar_find(const char *name, size_t size);

// notation.c: how axes and infix operators are written

/* Axes double as bits of `axes`: a value that depends on i has bit Q_I, on j bit Q_J, a pair formula both. */
enum { Q_P = 0, Q_I = 1, Q_J = 2 };

typedef struct q_axis_row {
    char letter;      /* of the axis, as in Sum_i; 'p' of parameters, which have none */
    const char *leaf; /* declares a variable: Vi */
    const char *index,
        *rows; /* its index in formulas, I or "", and its number of rows in sources and messages, M or 1 */
} q_axis_row;

extern const q_axis_row q_axes[];       /* by axis: Q_P, Q_I, Q_J */
extern const char *const q_axes_text[]; /* by bits of axes: "-", "i", "j", "ij" */
/* The axis of this letter; Q_P for all other letters. */
uint8_t q_axis_of(char letter);

typedef struct q_infix_row {
    const char *symbol;
    int precedence; /* higher ones bind more strongly */
    q_op op;        /* Q_OP_NONE: a|b, which is Sum(a*b) */
    bool swap;      /* it is the operation on b and a */
    bool right;     /* a**b**c is a**(b**c) */
} q_infix_row;

enum { Q_UNARY_PRECEDENCE = 6 }; /* of the sign in -a */
extern const q_infix_row q_infixes[];
extern const size_t q_infix_count;

// graph.c: interned nodes; operands have smaller ids than their users

typedef uint32_t q_id; /* a node of a graph; 0 is none */

typedef struct q_node {
    uint16_t op;     /* q_op */
    uint8_t axes;    /* Q_I | Q_J */
    uint8_t integer; /* an index: exact, -1 for none */
    uint32_t dim;    /* number of components */
    q_id arg[3];     /* operands, 0 where there are fewer */
    int32_t k[2];    /* integers: see q_op; reductions: the reduced axis, then K */
    uint32_t digest; /* of the structure, the same in every graph: orders commutative operands */
    double value;    /* constants */
} q_node;

typedef struct q_variable {
    const char *name; /* the number as text for KeOps's positional variables */
    uint8_t axis;     /* Q_P, Q_I or Q_J */
    uint32_t dim;
    q_id id;
} q_variable;

enum {
    Q_MAX_TEXT = 65536,   /* bytes of formula text */
    Q_MAX_NODES = 200000, /* nodes of a graph */
    Q_MAX_DIM = 65536,    /* components of a value */
    Q_MAX_VARIABLES = 256,
    Q_MAX_NESTING = 256, /* brackets in formula text */
    Q_MAX_RESULTS = 16,
    Q_MAX_LIST = 16,      /* members of a list */
    Q_MAX_RANK = 8,       /* axes of a tensor */
    Q_MAX_SELECTED = 1024 /* K of KMin and its family */
};

typedef struct q_ints {
    int32_t item[Q_MAX_LIST];
    size_t count;
} q_ints;

/* out = sum of a * b over the labels that out lacks. A label is a number below `labels`, the axes of a tensor are
   labels, row-major. Every label of an operand is one of the result or of the other operand, so adjoints are
   contractions too. */
typedef struct q_contraction {
    int32_t labels, rank_a, rank_b, rank_out;
    int32_t size[Q_MAX_LIST]; /* by label */
    int32_t a[Q_MAX_RANK], b[Q_MAX_RANK], out[Q_MAX_LIST];
    int32_t no_nan; /* 1: products are those of MultNoNan */
} q_contraction;

typedef struct q_rules q_rules;

typedef struct q_graph {
    q_node *nodes; /* nodes[0] is unused */
    size_t count, capacity;
    q_id *table; /* open addressing, a power of two */
    size_t table_size;
    q_variable variables[Q_MAX_VARIABLES];
    size_t variable_count;
    q_contraction *contractions;
    size_t contraction_count, contraction_capacity;
    q_arena arena;
    q_rules *rules;      /* null: the constructor does not rewrite */
    bool keeps_pairs;    /* nothing is simplified that holds only where all rows meet all columns */
    bool lost_pairs;     /* something was */
    quern_status status; /* sticky: the first failure, which is also in the thread's error record */
    const char *text;    /* while parsing: the text and byte that errors point at */
    size_t at;
} q_graph;

/* An empty graph whose constructor simplifies by rules.def. */
quern_status q_graph_create(q_graph **out);
void q_graph_destroy(q_graph **graph);
/* A copy that can grow on its own; ids stay the same. */
quern_status q_graph_copy(q_graph **out, const q_graph *graph);
/* Interns a node as it stands: computes where and integer, finds or adds. The lowest constructor; 0 on failure. */
q_id q_intern(q_graph *graph, const q_node *node);
/* Forgets the nodes from number `count` on, which nothing may refer to any more. */
void q_graph_trim(q_graph *graph, size_t count);
static inline const q_node *q_node_of(const q_graph *graph, q_id id)
{
    return &graph->nodes[id];
}
static inline bool q_is_reduction(const q_node *node)
{
    return node->op > Q_OP_REDUCTION;
}
bool q_is_constant(const q_graph *graph, q_id id, double value);
/* Marks (1) in marks[id], an array of graph->count bytes, what the roots are made of. With cut, reductions are marked
   but not entered. */
void q_mark(const q_graph *graph, const q_id *roots, size_t count, bool cut, uint8_t *marks);
/* Checks every invariant; INTERNAL with the first that is broken. Runs after each compile in debug builds and in tests.
   */
quern_status q_graph_verify(const q_graph *graph);
/* One line per node reached from the roots, as `quern explain --stage=graph` shows it. */
void q_graph_dump(const q_graph *graph, const q_id *roots, size_t count, q_text *out);

// build.c: constructors; any operand 0, or an earlier failure, gives 0

q_id q_variable_make(q_graph *graph, const char *name, uint8_t axis, int64_t dim);
/* The variable of this name, or null. */
const q_variable *q_variable_find(const q_graph *graph, const char *name);
q_id q_constant(q_graph *graph, double value, int64_t dim);
q_id q_index(q_graph *graph, uint8_t axis);
q_id q_count(q_graph *graph, uint8_t axis);
q_id q_repeat(q_graph *graph, q_id a, uint8_t axis);
/* The same for a set of axes: what a simplification has freed of an axis still has it. */
q_id q_repeat_over(q_graph *graph, q_id a, unsigned axes);
/* The same of a value of pairs that is summed; nothing where all rows meet all columns, and other axes than those of pairs. */
q_id q_repeat_pairs(q_graph *graph, q_id a, unsigned axes);
/* Whether a simplification that takes each row to meet all columns, or each column all rows, is made. */
bool q_may_lose_pairs(q_graph *graph);
/* Any ELEMENTWISE, GATHER or EXPAND operation, with broadcasting, folding of constants and rewriting. */
q_id q_apply(q_graph *graph, q_op op, const q_id *args, size_t count, const int32_t *k, size_t integers);
q_id q_apply1(q_graph *graph, q_op op, q_id a);
q_id q_apply2(q_graph *graph, q_op op, q_id a, q_id b);
/* K is 0 for reductions without it. A reduction whose result has an axis takes the terms that a row of it meets, one whose
   result is one number all of them; see keeps_pairs. */
q_id q_reduce(q_graph *graph, q_op reduction, uint8_t axis, q_id a, int32_t K);
/* A failure of a constructor: sticky, at the user's byte if there is one. Returns 0. */
q_id q_graph_fail(q_graph *graph, quern_status status, const char *fmt, ...) Q_PRINTF(3, 4);
/* Makes `id` `dim` components long; DIMENSION unless it is or has length 1. */
q_id q_broadcast(q_graph *graph, q_id id, uint32_t dim);

// contract.c: products of tensors

q_id q_contract(q_graph *graph, q_id a, q_id b, const q_contraction *contraction);
/* [labels a], [labels b], [labels out], [sizes of labels]; with no_nan a product is 0 where one of its factors is */
q_id q_contract_lists(q_graph *graph, q_id a, q_id b, const q_ints lists[4], bool no_nan);
/* KeOps's TensorDot: [dims a], [dims b], [contracted axes of a], [of b], and, with 5 lists, a permutation of the
   result's axes as in numpy.transpose. */
q_id q_tensor_dot(q_graph *graph, q_id a, q_id b, const q_ints *lists, size_t count);
q_id q_kron(q_graph *graph, q_id a, q_id b, const q_ints *dims_a, const q_ints *dims_b);
q_id q_mat_vec(q_graph *graph, q_id matrix, q_id vector);
q_id q_vec_mat(q_graph *graph, q_id vector, q_id matrix);
q_id q_tensor_prod(q_graph *graph, q_id a, q_id b);
q_id q_tile(q_graph *graph, q_id a, int32_t times);
q_id q_sum_blocks(q_graph *graph, q_id a, int32_t length);
/* a[0..length), b[0..length), a[length..2 length), ... */
q_id q_pair_blocks(q_graph *graph, q_id a, q_id b, int32_t length);
/* s has length 1, n or n*n, x length n. */
q_id q_weighted_sq_norm(q_graph *graph, q_id s, q_id x);
/* The contraction whose result is the adjoint of operand 0 (a) or 1 (b), from the adjoint g and the other operand. With
   no_nan it is one of products in which 0 wins. */
q_id q_contract_adjoint(q_graph *graph, const q_node *node, int operand, q_id g, bool no_nan);
const q_contraction *q_contraction_of(const q_graph *graph, const q_node *node);
/* Products that component d sums, and the components of the t-th. */
uint32_t q_contraction_terms(const q_contraction *c);
void q_contraction_term(const q_contraction *c, uint32_t d, uint32_t t, uint32_t *a, uint32_t *b);

// lookup.c: rows of tables, picked by number

/* Components k*length .. k*length + length - 1 of the table; zeros if there is no such row. */
q_id q_lookup(q_graph *graph, q_id table, q_id k, int32_t length);
/* Row k of a table with rows along the axis, on which k must not depend. */
q_id q_lookup_rows(q_graph *graph, q_id table, q_id k, uint8_t axis);
/* What a lookup's adjoint g adds to its table's: of a table along an axis, for each of its rows. */
q_id q_lookup_adjoint(q_graph *graph, const q_node *node, q_id g);
/* The lookup's tangent, from its table's. */
q_id q_lookup_tangent(q_graph *graph, const q_node *node, q_id tangent);
/* Component d of a lookup from a table of numbers, of length dim and with so many rows. */
double q_lookup_read(const q_node *node, uint32_t dim, const double *table, size_t rows, double k, uint32_t d);

// special.c: functions that are whole graphs of scalar operations, and special functions of the host

/* The len(knots) - order - 1 values of the B-spline basis at x (Cox-de Boor). */
q_id q_b_spline(q_graph *graph, q_id knots, q_id x, int32_t order);
/* Soft dynamic time warping of two sequences of scalars (Cuturi and Blondel 2017), squared differences as costs. */
q_id q_soft_dtw(q_graph *graph, q_id x, q_id y, q_id gamma);

double q_host_sinc(double x, int32_t k);
double q_host_polygamma(double x, int32_t k);
double q_host_besselj(double x, int32_t k);
double q_host_matern(double u, int32_t k);

// parse.c, call.c: text to graph, without recursion

typedef struct q_binding {
    const char *name;
    q_id id;
} q_binding;

/* What names mean in a formula that stands in a table: a derivative, a rule, the body of sugar. */
typedef struct q_scope {
    q_binding names[10];
    size_t count;
    uint8_t reduced; /* the axis that K and the suffix _k stand for; 0 outside reductions */
    bool wild;       /* unknown one-letter names are wildcards */
} q_scope;

/* Names that outlive a text; data is for free(). */
typedef struct q_names {
    q_binding *data;
    size_t count, capacity;
} q_names;

/* Reads statements; results[0..*count) are the values of the last one (at most Q_MAX_RESULTS). */
quern_status q_parse(q_graph *graph, const char *text, q_id *results, size_t *count);
/* The same where `names` are bound already; what the text binds is added to them. */
quern_status q_parse_known(q_graph *graph, const char *text, q_names *names, q_id *results, size_t *count);
/* Reads one formula, or the `part`-th of several separated by ';', of a table. 0 on failure (INTERNAL: a broken table).
   */
q_id q_parse_row(q_graph *graph, const char *text, size_t part, const q_scope *scope);

// print.c: graph to canonical text; parsing it in the same graph gives the same ids

void q_print(const q_graph *graph, const q_id *roots, size_t count, q_text *out);

// dot.c: a graph as a picture

/* What the roots are made of, as a digraph for Graphviz. */
void q_graph_dot(const q_graph *graph, const q_id *roots, size_t count, q_text *out);

// rewrite.c: rules.def applied to new nodes

quern_status q_rules_create(q_rules **out);
void q_rules_destroy(q_rules **rules);
/* Tries the rules on a node that is not yet interned: *out is its replacement, or 0 if none applies. */
void q_rewrite(q_graph *graph, const q_node *node, q_id *out);
/* As rules.def has them. */
typedef enum q_rule_effect { Q_RULE_EXACT, Q_RULE_ROUNDS, Q_RULE_POSITIVE } q_rule_effect;

/* For tests: the name, sides and effect of a rule; false past the last. */
bool q_rule_info(size_t index, const char **name, const char **pattern, const char **replacement,
                 q_rule_effect *effect);

// chain.c: the product in the chain rule

typedef struct q_fact q_fact;

/* What is known of a graph's nodes while it is differentiated. */
typedef struct q_chain {
    q_graph *graph;
    bool forward; /* the first factor is a tangent, not an adjoint */
    q_fact *facts;
    size_t count, capacity;
} q_chain;

/* Whether the product of an adjoint and a local derivative may be 0 * infinity or 0 * NaN where the 0 decides. */
bool q_chain_is_delicate(q_chain *chain, q_id g, q_id local);
/* Their product, in which 0 wins where that matters. */
q_id q_chain_product(q_chain *chain, q_id g, q_id local);
/* q_graph_trim, and what is known of the nodes. */
void q_chain_trim(q_chain *chain, size_t count);
void q_chain_free(q_chain *chain);

// diff.c: derivatives

/* The adjoint of the derivative of `value` with respect to variable `variable`, applied to `e` (length of value). Of a
   pair formula without reductions it is pairwise; otherwise total: summed over every axis that the variable lacks, and
   the result has the variable's axis. 0 on failure. */
q_id q_grad(q_graph *graph, q_id value, q_id variable, q_id e);
/* The derivative applied to u, which is as long as the variable (forward mode); total wherever Grad is. */
q_id q_diff(q_graph *graph, q_id value, q_id variable, q_id u);
/* Whether derivatives of this value are total: whether a reduction is in it. */
bool q_reduces(const q_graph *graph, q_id value);
/* Grad(value, variable, e) for each unit vector e of value's length, one after the other; the trace of the derivative
   of a value as long as the variable; the divergence of the gradient of a scalar. Of pair formulas. */
q_id q_grad_matrix(q_graph *graph, q_id value, q_id variable);
q_id q_divergence(q_graph *graph, q_id value, q_id variable);
q_id q_laplacian(q_graph *graph, q_id value, q_id variable);
/* The same, but total for every value: the gradient of an operator, whose result has the variable's axis in any case.
   */
q_id q_grad_total(q_graph *graph, q_id value, q_id variable, q_id e);

// substitute.c: other leaves

/* What stands for a leaf, which is no constant, in another graph. */
typedef q_id q_replace(void *self, q_graph *to, const q_node *leaf);
/* The formula with other leaves, in graph `to`; 0 on failure. UNSUPPORTED for formulas with reductions. */
q_id q_substitute(q_graph *to, const q_graph *from, q_id root, q_replace *replace, void *self);

// bounds.c: intervals

/* Bounds of every component of the value over all values of its variables; NaN is not considered. */
q_interval q_bounds(const q_graph *graph, q_id id);
/* The same for all nodes at once: out[graph->count]. */
void q_bounds_all(const q_graph *graph, q_interval *out);
/* The logarithm of a softmax weight, term - scale, where scale is the LogSumExp or the largest of the terms. */
typedef struct q_weight {
    q_id term, scale; /* scale: a reduction of term */
    bool finite;      /* LogRatio(term, scale): the weights are 1 and 0 where the scale is infinite, not NaN */
} q_weight;

/* Reads a difference as one; false if it is none. */
bool q_weight_read(q_weight *out, const q_graph *graph, const q_node *node);

/* Of a node, from those of its operands, as one expects them: exponentials do not vanish, softmax weights are 1 at most,
   and, if so wished, parameters are positive. */
q_interval q_bounds_expected(const q_graph *graph, q_id id, const q_interval *x, bool parameters);

/* Whether the value may be multiplied with others in another order: what lower.c takes apart. */
bool q_is_product(const q_node *node);
/* Of an elementwise node, from those of its operands. */
q_interval q_bounds_elementwise(const q_node *node, const q_interval *x);

// ranges.c: intervals over boxes, component by component

/* Where the components of a node lie: a variable, an index (the rows or columns of a block, counted from 0), or what is
   known of a reduction's results. */
typedef struct q_box {
    q_id id;
    const q_interval *ranges; /* as many as the node has components; finite ones promise that none is NaN */
} q_box;

typedef struct q_ranges q_ranges;

/* Room for the intervals of all that the roots are made of, as arrays of this type (float32 or float64) are computed with. */
quern_status q_ranges_create(q_ranges **out, const q_graph *graph, const q_id *roots, size_t count, quern_dtype dtype);
void q_ranges_destroy(q_ranges **ranges);
/* Bounds every node while these are in their boxes; other variables may be anything. */
void q_bounds_over(q_ranges *ranges, const q_box *boxes, size_t count);
/* The intervals of a node's components; what is computed on a device lies in them, unless it is NaN. */
const q_interval *q_ranges_of(const q_ranges *ranges, q_id id);
bool q_ranges_nan(const q_ranges *ranges, q_id id);
/* Where a number of this interval is once a device has read it as one of this type. */
q_interval q_range_read(q_interval x, quern_dtype dtype);
/* Whether the terms in the boxes change nothing of what the reduction has `reached`, a number for each component of the term. */
bool q_ranges_idle(const q_ranges *ranges, q_id reduction, const double *reached);

// cauchy.c: what the inequality of Cauchy and Schwarz bounds

/* Whether the value is written as an inner product divided by both norms: from -1 to 1 but for rounding. */
bool q_is_cosine(const q_graph *graph, q_id id);
/* Whether it is written as a squared distance or a variance, expanded: never negative but for rounding. */
bool q_is_square_sum(const q_graph *graph, q_id id);

// exact.c: where rounding shows

/* What is known of a node, bits: */
enum {
    Q_EXACT_WHOLE = 1, /* a whole number where the variables are: sums and products of such are the same in any order */
    Q_EXACT_ALWAYS = 2,  /* a whole number whatever the variables are */
    Q_EXACT_COUNTED = 4, /* an integer that fits 32 bits, made of indices and counts: computed as one */
    Q_EXACT_CHOSEN = 8,  /* something equal to it decides which index is found: quotients are not to be approximated */
    Q_EXACT_EDGE = 32,   /* what follows ends where it is 0 or 1, as Sqrt does */
    Q_EXACT_ALONE = 64,  /* a product that must not join the difference that it is in, which would change its sign */
    Q_EXACT_JUMPS = 16   /* what follows jumps at some value of it: every step is rounded as the formula says */
};
/* Of all nodes that the roots are made of: out[graph->count], 0 for others. */
quern_status q_exact_all(const q_graph *graph, const q_id *roots, size_t count, uint8_t *out);
/* Whether a constant is a whole number of 32 bits. */
bool q_is_whole(double value);

/* (declared once per rule; equal declarations may repeat) */
#define ELEMENTWISE(name, operands, integers, expression, derivative, interval, sentence) \
    q_interval q_interval_##interval(const q_interval *x, const int32_t k[2]);
#define DOMAIN(name, operand, rule) bool q_domain_##rule(const q_interval *x, const int32_t k[2]);
#include "formula/ops.def"
#define REDUCTION(name, kind, integers, length, state, words, within, smallest, idle, derivative, sentence) \
    bool q_idle_##idle(const q_block *block);
#include "formula/reductions.def"

#endif
