/*
 * random_formulas.c: random compositions of the language, up to five deep, with their first derivatives:
 *
 *     random_formulas [--count N] [--seed S]    device in float64 (float32 where there is none) beside q_reference, and
 *                                               q_reference's derivatives beside its differences
 *     random_formulas --growth [--count N]      how many nodes a first derivative has for each node of its formula
 *
 * Values stay where operations are smooth and well-conditioned: variables lie between 0.2 and 0.9, and operands of what grows
 * or has a domain go through 0.5 + 0.4 Sin(.). Where differences of two steps disagree, a kink is near, and where the
 * reference itself moves under a change of 1e-13, a jump: such results are counted and passed over.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "helpers.h"
#include "run_helpers.h"

enum { DEPTH = 5, TOGETHER = 12, ROWS = 13, COLUMNS = 17 };

static const char declarations[] = "x=Vi(3); y=Vj(3); s=Vi(1); t=Vj(1); p=Pm(3); q=Pm(1); ";
static random_source source;
static uint64_t seed = 1;
static size_t count = 240, kinks, jumps, derivatives;

static size_t below(size_t n)
{
    return random_below(&source, n);
}

// ---- formulas: text of values of length dim (1 or 3) that depend on the axes `where` at most ----

static void add_value(q_text *out, unsigned where, int dim, int depth);

static void add_leaf(q_text *out, unsigned where, int dim)
{
    static const char *const names[2][4] = {{"q", "s", "t", "0.37"}, {"p", "x", "y", "p"}};
    size_t n = below(4);
    if ((n == 1 && !(where & Q_I)) || (n == 2 && !(where & Q_J))) n = 0;
    q_text_add(out, "%s", names[dim == 3][n]);
}

/* The template with each letter a, b, c replaced by a value of dim components, A, B by values of length 3, and u, w by ones
   of length 1 between 0.1 and 0.9, as are U and W of dim. */
static void add_template(q_text *out, const char *text, unsigned where, int dim, int depth)
{
    for (; *text; text++) {
        int length = strchr("AB", *text) ? 3 : strchr("uw", *text) ? 1 : dim;
        bool tame = strchr("UWuw", *text) != NULL;
        if (*text != '@' || !text[1]) {
            q_text_append(out, text, 1);
            continue;
        }
        text++;
        length = strchr("AB", *text) ? 3 : strchr("uwe", *text) ? 1 : dim;
        tame = strchr("UWuwB", *text) != NULL;
        q_text_add(out, tame ? "(0.5+0.4*Sin(" : "(");
        add_value(out, where, length, depth - 1);
        q_text_add(out, tame ? "))" : ")");
    }
}

static bool keeps_in_range(q_op op)
{
    static const q_op plain[] = {Q_OP_Add, Q_OP_Subtract, Q_OP_Mult, Q_OP_Minus, Q_OP_Abs, Q_OP_ReLU, Q_OP_Sin, Q_OP_Cos, Q_OP_Tanh,
                                 Q_OP_Sigmoid, Q_OP_Atan, Q_OP_IfElse, Q_OP_Where, Q_OP_LessThan, Q_OP_Erf, Q_OP_Softplus, Q_OP_Finite};
    for (size_t n = 0; n < Q_COUNT(plain); n++)
        if (plain[n] == op) return true;
    return false;
}

static void add_elementwise(q_text *out, unsigned where, int dim, int depth)
{
    q_op op;
    do op = (q_op)(Q_OP_REPEAT + 1 + below(Q_OP_REDUCTION - Q_OP_REPEAT - 1));
    while (q_ops[op].kind != Q_KIND_ELEMENTWISE || (q_ops[op].derivative[0] == '0' && !strchr(q_ops[op].derivative, 'g') && below(8)));
    q_text text = {0};
    q_text_add(&text, "%s(", q_ops[op].name);
    for (int a = 0; a < q_ops[op].operands; a++) q_text_add(&text, "%s@%c", a ? "," : "", keeps_in_range(op) ? 'a' : 'U');
    if (q_ops[op].integers) q_text_add(&text, ",%zu", op == Q_OP_Round ? 1 : below(3));
    q_text_add(&text, ")");
    add_template(out, text.data, where, dim, depth);
    q_text_free(&text);
}

static void add_of_vectors(q_text *out, unsigned where, int dim, int depth)
{
    static const char *const scalars[] = {
        "Sum(@A)", "Max(@A)", "Min(@A)", "(@A|@A)", "SqDist(@A,@A)", "Norm2(@B)", "Elem(@A,1)", "Manhattan(@A,@A)", "Cosine(@B,@B)",
        "WeightedSqNorm(@B,@A)", "Elem(ComplexMult(Concat(@A,@e),Concat(@A,@e)),2)", "SoftDTW_SqDist(@A,@A,@u)", "Matern32(@u,@w)",
        "Hyperbolic(@B/3,@B/3)", "Chebyshev(@A,@A)", "Elem(BSpline(Concat(Concat(-0.4,-0.1),Concat(Concat(0.2,0.6),Concat(1,1.4))),@u,2),1)",
    };
    static const char *const vectors[] = {
        "SumT(@e,3)", "ExtractT(@e,1,3)", "Extract(Concat(@A,@A),2,3)", "Normalize(@B)", "MatVecMult(TensorProd(@A,@A),@A)",
        "VecMatMult(@A,TensorProd(@A,@A))", "OneHot(ArgMax(@A),3)", "TensorDot(TensorProd(@A,@A),@A,[3,3],[3],[0],[0])",
        "SumBlocks(Kron(@A,@A,[3],[3]),3)", "Extract(ComplexExp1j(@A),1,3)", "Extract(Tile(@A,2),1,3)", "Clamp(@A,@u-0.5,@w)",
        "GradMatrix(Sin(x*p)|@B,p)",
    };
    add_template(out, dim == 3 ? vectors[below(Q_COUNT(vectors))] : scalars[below(Q_COUNT(scalars))], where, dim, depth);
}

static void add_reduction(q_text *out, unsigned where, int dim, int depth)
{
    static const char *const kinds[] = {
        "Sum_*(@a)", "0.1*Sum_*(@a)", "Max_*(@a)", "Min_*(@a)", "LogSumExp_*(@a)", "Prod_*(@U)", "Variance_*(@a)", "Mean_*(@a)",
        "SumSoftMaxWeight_*(@e,@a)", "LogSumExpWeight_*(@e,@U)", "0.1*ArgMin_*(@a)", "Extract(KMin_*(@a,3),#,#)",
        "Extract(KMax_*(@a,2),#,#)", "Extract(Min_ArgMin_*(@a),0,#)", "Count_*((@a)<(@a))*(@a)", "Any_*((@a)<(@a))",
    };
    const char *kind = kinds[below(Q_COUNT(kinds))];
    bool over_i = below(2);
    q_text text = {0};
    for (; *kind; kind++) {
        if (*kind == '*') q_text_append(&text, kind[-1] != '_' ? "*" : over_i ? "i" : "j", 1);
        else if (*kind == '#') q_text_add(&text, "%d", dim);
        else q_text_append(&text, kind, 1);
    }
    /* the weights beside a reduction may not bring its axis back */
    bool outside = strstr(text.data, ")*(@a)") != NULL;
    if (outside) text.data[strlen(text.data) - 5] = 0;
    add_template(out, text.data, where | (over_i ? Q_I : Q_J), dim, depth - 1);
    q_text_free(&text);
}

static void add_value(q_text *out, unsigned where, int dim, int depth)
{
    size_t choice = below(16);
    if (depth <= 0 || choice == 0) add_leaf(out, where, dim);
    else if (choice < 7) add_elementwise(out, where, dim, depth);
    else if (choice < 12) add_of_vectors(out, where, dim, depth);
    else add_reduction(out, where, dim, depth);
}

/* A result: what depends on i and on j is summed over one of them; every third is a gradient. */
static char *random_formula(void)
{
    static const char *const variables = "xystpq";
    q_text text = {0};
    int depth = 2 + (int)below(DEPTH - 1);
    bool over_i = below(2);
    q_text_add(&text, "Sum_%c(", over_i ? 'i' : 'j');
    add_value(&text, Q_I | Q_J, below(2) ? 3 : 1, depth);
    q_text_add(&text, ")");
    if (below(3)) return q_text_take(&text);
    q_text gradient = {0};
    q_text_add(&gradient, "Grad(%s,%c,1)", text.data, variables[below(6)]);
    q_text_free(&text);
    return q_text_take(&gradient);
}

// ---- q_reference beside its own differences ----

static sample sample_of(const char *formula, q_id *value)
{
    sample s = sample_create(4, 5, seed + strlen(formula));
    q_text text = {0};
    q_text_add(&text, "%s%s", declarations, formula);
    *value = sample_parse(&s, text.data);
    q_text_free(&text);
    return s;
}

/* Some variable that the value is made of. */
static size_t used_variable(const sample *s, q_id value)
{
    uint8_t *marks = malloc(s->graph->count);
    q_mark(s->graph, &value, 1, false, marks);
    size_t v = below(s->graph->variable_count);
    for (size_t n = 0; n < s->graph->variable_count && !marks[s->graph->variables[v].id]; n++) v = (v + 1) % s->graph->variable_count;
    free(marks);
    return v;
}

static void check_derivative(const char *formula)
{
    q_id value;
    sample s = sample_of(formula, &value);
    size_t v = used_variable(&s, value);
    const q_variable variable = s.graph->variables[v];
    q_id u = q_variable_make(s.graph, "u", variable.axis, variable.dim), e = sample_weights(&s, value, "e");
    q_id tangent = q_diff(s.graph, value, variable.id, u), gradient = q_grad_total(s.graph, value, variable.id, e);
    if (!tangent || !gradient) fail_msg("%s by %s: %s", formula, variable.name, quern_last_error_text());
    sample_fill(&s, 0.2, 0.9);
    double *slopes = sample_differences(&s, value, v, sample_data(&s, "u")), *weights = sample_evaluate(&s, e);
    double *got = sample_evaluate(&s, value), forward = 0, size = 1;
    size_t numbers = sample_numbers(&s, value);
    for (size_t n = 0; n < numbers; n++) {
        forward += weights[n] * slopes[n];
        size += fabs(got[n]) + (isnan(slopes[n]) ? 0 : fabs(slopes[n]));
    }
    q_id terms = q_repeat(s.graph, q_apply2(s.graph, Q_OP_Mult, tangent, e), q_node_of(s.graph, value)->where);
    double reverse = sample_contract(&s, q_apply2(s.graph, Q_OP_Mult, gradient, u), q_constant(s.graph, 1, 1));
    double direct = sample_contract(&s, terms, q_constant(s.graph, 1, 1));
    if (!(fabs(reverse - direct) <= 1e-9 * (size + fabs(direct))) && isfinite(direct))
        fail_msg("%s\nby %s: forward %.15g, reverse %.15g", formula, variable.name, direct, reverse);
    if (isnan(forward)) kinks++;
    else if (!(fabs(forward - direct) <= 1e-5 * size))
        fail_msg("%s\nby %s: %.15g, by differences %.15g", formula, variable.name, direct, forward);
    derivatives++;
    free(slopes), free(weights), free(got);
    sample_destroy(&s);
}

// ---- the device beside q_reference ----

/* Whether the reference's result moves when the data do by 1e-13 of themselves. */
static bool jumps_here(const trial *t, size_t r)
{
    double *moved[Q_MAX_RESULTS], *data[Q_MAX_VARIABLES], largest = 1, difference = 0;
    for (size_t k = 0; k < t->op->result_count; k++) moved[k] = calloc(trial_result_count(t, k) + 1, sizeof(double));
    memcpy(data, t->data, sizeof data);
    for (size_t v = 0; v < t->op->variable_count; v++) {
        size_t numbers;
        const double *own = trial_data(t, quern_variable(t->op, v).name, &numbers);
        double *copy = data[t->op->variables[v]] = malloc((numbers + 1) * sizeof *copy);
        for (size_t n = 0; n < numbers; n++) copy[n] = own[n] * (1 + 1e-13 * (n % 3 ? 1 : -1));
    }
    succeed(q_reference(t->op->graph, t->op->results, t->op->result_count, t->M, t->N, (const double *const *)data, moved));
    for (size_t n = 0; n < trial_result_count(t, r); n++) {
        if (!isfinite(t->expected[r][n])) difference = INFINITY;
        largest = fmax(largest, fabs(t->expected[r][n]));
        difference = fmax(difference, fabs(moved[r][n] - t->expected[r][n]));
    }
    for (size_t v = 0; v < t->op->variable_count; v++) free(data[t->op->variables[v]]);
    for (size_t k = 0; k < t->op->result_count; k++) free(moved[k]);
    return !(difference <= 1e-10 * largest);
}

static void compare(trial *t, char *const *formulas)
{
    for (size_t r = 0; r < t->op->result_count; r++) t->expected[r] = calloc(trial_result_count(t, r) + 1, sizeof(double));
    succeed(q_reference(t->op->graph, t->op->results, t->op->result_count, t->M, t->N, (const double *const *)t->data, t->expected));
    for (size_t r = 0; r < t->op->result_count; r++) {
        size_t numbers = trial_result_count(t, r);
        double error = relative_error(t->got[r], t->expected[r], numbers), largest = 0;
        for (size_t n = 0; n < numbers; n++) largest = fmax(largest, fabs(t->expected[r][n]));
        double allowed = t->dtype == QUERN_F64 ? 1e-10 : 1e-3;
        if (error * fmin(largest, 1) <= allowed) continue;
        if (t->dtype == QUERN_F64 && !jumps_here(t, r))
            fail_msg("%s%s\n  differs from the reference by %g (seed %llu)", declarations, formulas[r], error, (unsigned long long)seed);
        jumps++;
    }
}

static void check_together(char *const *formulas, size_t together)
{
    q_text text = {0};
    q_text_add(&text, "%s", declarations);
    for (size_t n = 0; n < together; n++) q_text_add(&text, "%s%s", n ? ", " : "", formulas[n]);
    quern_operator *op = compile(text.data, NULL);
    trial t = trial_create(op, quern_context_device(context)->f64 ? QUERN_F64 : QUERN_F32, ROWS, COLUMNS, seed);
    for (size_t v = 0; v < op->variable_count; v++) {
        size_t numbers;
        double *data = trial_data(&t, quern_variable(op, v).name, &numbers);
        for (size_t n = 0; n < numbers; n++) data[n] = random_between(&source, 0.2, 0.9);
    }
    trial_run(&t);
    compare(&t, formulas);
    trial_destroy(&t);
    quern_operator_destroy(&op);
    q_text_free(&text);
}

static void random_formulas(void **state)
{
    (void)state;
    char *formulas[TOGETHER];
    for (size_t n = 0; n < count; n += TOGETHER) {
        source.state = seed + n;
        size_t together = count - n < TOGETHER ? count - n : TOGETHER;
        for (size_t k = 0; k < together; k++) {
            formulas[k] = random_formula();
            check_derivative(formulas[k]);
        }
        if (context) check_together(formulas, together);
        for (size_t k = 0; k < together; k++) free(formulas[k]);
    }
    printf("seed %llu: %zu formulas, %zu derivatives of which %zu near a kink, %zu results near a jump\n", (unsigned long long)seed, count,
           derivatives, kinks, jumps);
    assert_true(10 * jumps <= count && 4 * kinks <= count);
}

// ---- growth ----

static size_t nodes_of(const q_graph *graph, q_id id)
{
    uint8_t *marks = malloc(graph->count);
    size_t nodes = 0;
    q_mark(graph, &id, 1, false, marks);
    for (size_t n = 0; n < graph->count; n++) nodes += marks[n] != 0;
    free(marks);
    return nodes;
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Nodes of the gradient with respect to each variable, with all that the formula itself needs, for each node. */
static void growth(void **state)
{
    (void)state;
    size_t known = 0, all = 0;
    double *ratios = malloc(count * sizeof *ratios), constant = 0;
    for (size_t n = 0; n < count; n++) {
        q_id value;
        source.state = seed + 7919 * n;
        char *formula = random_formula();
        sample s = sample_of(formula, &value);
        size_t v = used_variable(&s, value), own = nodes_of(s.graph, value);
        q_id gradient = q_grad_total(s.graph, value, s.graph->variables[v].id, sample_weights(&s, value, "e"));
        size_t derived = nodes_of(s.graph, gradient);
        if (!q_is_constant(s.graph, gradient, 0)) {
            all += own;
            ratios[known++] = (double)derived / (double)own;
            constant = fmax(constant, (double)derived - 6 * (double)own);
        }
        free(formula);
        sample_destroy(&s);
    }
    qsort(ratios, known, sizeof *ratios, by_size);
    printf("%zu formulas of %zu nodes on average; nodes of a derivative for each node: median %.2f, 90 %% %.2f, 99 %% %.2f, "
           "most %.2f; above 6x by %g nodes at most\n", known, all / known, ratios[known / 2], ratios[known * 9 / 10], ratios[known * 99 / 100], ratios[known - 1], fmax(constant, 0));
    assert_true(constant <= 60);
    free(ratios);
}

int main(int argc, char **argv)
{
    bool grows = false;
    for (int a = 1; a < argc; a++) {
        if (strcmp(argv[a], "--growth") == 0) grows = true;
        else if (a + 1 < argc && strcmp(argv[a], "--count") == 0) count = (size_t)atoll(argv[++a]);
        else if (a + 1 < argc && strcmp(argv[a], "--seed") == 0) seed = (uint64_t)atoll(argv[++a]);
        else return fprintf(stderr, "usage: random_formulas [--growth] [--count N] [--seed S]\n"), 2;
    }
    const struct CMUnitTest device[] = {cmocka_unit_test(random_formulas)}, paper[] = {cmocka_unit_test(growth)};
    return grows ? cmocka_run_group_tests(paper, NULL, NULL) : cmocka_run_group_tests(device, open_context, close_context);
}
