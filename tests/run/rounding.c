/*
 * rounding.c: what the rewriting rules that change rounding do to results in float32:
 *
 *     rounding [--markdown]
 *
 * A row per rule: a formula that it applies to, evaluated by the device with and without it, beside q_reference in
 * float64. Rules of rules.def are switched off in the graph; those of lower.c have no switch, but do not see through
 * Finite, nor take Where(x-y,p,p) for the row's or launch's p that it is. Both leave finite numbers as they are. Errors
 * are relative, in units of u = 2^-24, the most that one rounding does. A row's bound follows from the roundings that are
 * left, and holds where division and square roots round correctly, as they do on CPUs.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "run_helpers.h"

enum { ROWS = 4000, COLUMNS = 300, FUSED = Q_OP_END };

static const char declarations[] = "x=Vi(1); y=Vj(1); b=Vj(1); p=Pm(1); c=Vi(3); d=Vj(3); v=Vi(64); w=Vj(64); ";

typedef struct rule {
    const char *name, *formula;
    const char *without; /* the formula where the rule finds nothing; null: the same without rules.def */
    int counted;         /* operation, or FUSED, ... */
    size_t count[2];     /* ... and how many of it the program has with the rule and without */
    double bound;        /* of the error with it, in u */
    int64_t columns;
} rule;

/* Operands between 0.2 and 0.9. With one column a sum is its term. */
static const rule rules[] = {
    {"inv_inv", "Max_j(Inv(Inv(x)))", NULL, Q_OP_Inv, {0, 2}, 0, 1},
    {"sqrt_square", "Max_j(Sqrt(Square(x)))", NULL, Q_OP_Sqrt, {0, 1}, 0, 1},
    {"square_sqrt", "Max_j(Square(Sqrt(Abs(x))))", NULL, Q_OP_Sqrt, {0, 1}, 0, 1},
    {"powf_two", "Max_j(Powf(x,2))", NULL, Q_OP_Powf, {0, 1}, 1, 1},
    {"log_exp", "Max_j(Log(Exp(x)))", NULL, Q_OP_Exp, {0, 1}, 0, 1},
    /* the sum, the number, the product */
    {"constants fold", "Max_j(2.3*(1.7*(x+y)))", "Max_j(2.3*Finite(1.7*(x+y)))", Q_OP_Mult, {1, 2}, 3, 1},
    /* the sum, the inverse, the product */
    {"division by a number", "Max_j((x+y)/3)", "Max_j((x+y)/Where(x-y,3,3))", Q_OP_Divide, {0, 1}, 3, 1},
    {"division by a parameter", "Max_j((x+y)/p)", "Max_j((x+y)/Where(x-y,p,p))", Q_OP_Divide, {0, 1}, 3, 1},
    {"division by a row's value", "Max_j((x+y)/x)", "Max_j((x+y)/Where(x-y,x,x))", Q_OP_Divide, {0, 1}, 3, 1},
    {"division by a column's value", "Max_j((x+y)/y)", "Max_j((x+y)/Where(x-y,y,y))", Q_OP_Divide, {0, 1}, 3, 1},
    /* five products of six factors in any order */
    {"products regrouped by loop",
     "Sum_j(x*(y*(p*(b*(x*(y+x))))))",
     "Sum_j(Finite(x*Finite(y*Finite(p*Finite(b*Finite(x*(y+x)))))))",
     Q_OP_Finite,
     {0, 5},
     6,
     1},
    /* one rounding, however much cancels */
    {"fused multiply-add", "Max_j(x*y+b)", "Max_j(Finite(x*y)+b)", FUSED, {1, 0}, 1, 1},
    {"fused, where it cancels", "Max_j(x*y-b*0.5)", "Max_j(Finite(x*y)-Finite(b*0.5))", FUSED, {1, 0}, 1, 1},
    /* differences count twice, one product, two fused */
    {"fused squared distance",
     "Max_j(SqDist(c,d))",
     "Max_j(Finite(Square(Elem(c,0)-Elem(d,0)))+Finite(Square(Elem(c,1)-Elem(d,1)))+Finite(Square(Elem(c,2)-Elem(d,2))))",
     FUSED,
     {2, 0},
     5,
     1},
    /* the expansion: 2 * 64 + 8 roundings of what is at most 8 times the distance */
    {"expanded squared distance",
     "Sum_j(SqDist(v,w))",
     "Sum_j(Sum(Square(Finite(v-w))))",
     Q_OP_Finite,
     {0, 1},
     1088,
     COLUMNS},
    /* the argument, between -20 and 0, has up to 20 times 8 roundings; the exponential 4 u, 256 terms of a block */
    {"all, in a Gaussian sum",
     "Sum_j(p*(Exp(-SqDist(c,d)/(2*Square(p)))*(3*(b/x))))",
     "Sum_j(Finite(p*Finite(Exp(-SqDist(c,d)/Where(x-y,2*Square(p),0))*Finite(3*(b/Where(x-y,x,x))))))",
     Q_OP_Divide,
     {0, 2},
     60,
     COLUMNS},
};

typedef struct error {
    double mean, most; /* root of the mean square */
} error;

static quern_operator *make(const rule *r, bool with)
{
    sample s = sample_create(1, 1, 0);
    q_rules *kept = s.graph->rules;
    q_text text = {0};
    quern_operator *op;
    q_text_add(&text, "%s%s", declarations, with || !r->without ? r->formula : r->without);
    if (!with && !r->without) s.graph->rules = NULL;
    q_id value = sample_parse(&s, text.data);
    s.graph->rules = kept;
    succeed(q_operator_from_graph(&op, context, s.graph, &value, 1, NULL));
    sample_destroy(&s);
    q_text_free(&text);
    return op;
}

static size_t count_operations(const quern_operator *op, int wanted)
{
    size_t count = 0;
    for (size_t s = 0; s < op->stages.count; s++)
        for (q_ref v = 1; v < op->build->programs[s]->count; v++) {
            const q_scalar *value = &op->build->programs[s]->values[v];
            bool is = wanted == FUSED ? value->kind == Q_V_FMA : value->kind == Q_V_OP && value->op == wanted;
            count += is && op->build->programs[s]->uses[v];
        }
    return count;
}

static error measure(const rule *r, bool with)
{
    quern_operator *op = make(r, with);
    size_t found = count_operations(op, r->counted);
    if (found != r->count[!with])
        fail_msg("%s: %zu operations %s the rule, not %zu", r->name, found, with ? "with" : "without", r->count[!with]);
    trial t = trial_create(op, QUERN_F32, ROWS, r->columns, 1);
    random_source source = {7};
    for (size_t v = 0; v < op->variable_count; v++) {
        size_t numbers;
        double *data = trial_data(&t, quern_variable(op, v).name, &numbers);
        for (size_t n = 0; n < numbers; n++) data[n] = random_between(&source, 0.2, 0.9);
    }
    trial_run(&t); /* rounds the data to float32 */
    trial_compare(&t, 1e-3);
    error e = {0};
    for (size_t n = 0; n < ROWS; n++) {
        double one = fabs(t.got[0][n] / t.expected[0][n] - 1) * 0x1p24;
        e.mean += one * one / ROWS;
        e.most = fmax(e.most, one);
    }
    e.mean = sqrt(e.mean);
    trial_destroy(&t);
    quern_operator_destroy(&op);
    return e;
}

static bool markdown;

static void rounding(void **state)
{
    (void)state;
    need_device();
    if (markdown)
        printf(
            "| rule | example | with: mean | most | without: mean | most | bound |\n|---|---|---|---|---|---|---|\n");
    for (size_t n = 0; n < Q_COUNT(rules); n++) {
        const rule *r = &rules[n];
        error with = measure(r, true), without = measure(r, false);
        printf(markdown ? "| %s | `%s` | %.2f | %.2f | %.2f | %.3g | %g |\n"
                        : "%s, %s: with %.2f, at most %.2f; without %.2f, at most %.3g; bound %g\n",
               r->name, r->formula, with.mean, with.most, without.mean, without.most, r->bound);
        if (with.most > r->bound) fail_msg("%s: an error of %.2f u; the bound is %g", r->name, with.most, r->bound);
    }
}

int main(int argc, char **argv)
{
    markdown = argc > 1 && strcmp(argv[1], "--markdown") == 0;
    if (argc > 2 || (argc > 1 && !markdown)) return fprintf(stderr, "usage: rounding [--markdown]\n"), 2;
    const struct CMUnitTest tests[] = {cmocka_unit_test(rounding)};
    return cmocka_run_group_tests(tests, open_context, close_context);
}
