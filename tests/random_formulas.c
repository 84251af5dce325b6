/*
 * random_formulas.c: random compositions of the language (random_formula.h) and their first derivatives:
 *
 *     random_formulas [--count N] [--seed S]    device in float64 (float32 where there is none) beside q_reference, and
 *                                               q_reference's derivatives beside its differences
 *     random_formulas --growth [--count N]      how many nodes a first derivative has for each node of its formula
 *
 * Values stay where operations are smooth and well-conditioned: variables lie between 0.2 and 0.9, and operands of
 * what grows or has a domain go through 0.5 + 0.4 Sin(.). Where differences of two steps disagree, a kink is near, and
 * where the reference itself moves under a change of 1e-13, a jump: such results are counted and passed over.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "random_formula.h"
#include "run_helpers.h"

enum { TOGETHER = 12, ROWS = 13, COLUMNS = 17 };

static random_source source;
static uint64_t seed = 1;
static size_t count = 240, kinks, jumps, derivatives;

static size_t below(size_t n)
{
    return random_below(&source, n);
}

// ---- q_reference beside its own differences ----

static sample sample_of(const char *formula, q_id *value)
{
    sample s = sample_create(4, 5, seed + strlen(formula));
    q_text text = {0};
    q_text_add(&text, "%s%s", random_declarations, formula);
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
    for (size_t n = 0; n < s->graph->variable_count && !marks[s->graph->variables[v].id]; n++)
        v = (v + 1) % s->graph->variable_count;
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
    succeed(
        q_reference(t->op->graph, t->op->results, t->op->result_count, t->M, t->N, (const double *const *)data, moved));
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
    for (size_t r = 0; r < t->op->result_count; r++)
        t->expected[r] = calloc(trial_result_count(t, r) + 1, sizeof(double));
    succeed(q_reference(t->op->graph, t->op->results, t->op->result_count, t->M, t->N, (const double *const *)t->data,
                        t->expected));
    for (size_t r = 0; r < t->op->result_count; r++) {
        size_t numbers = trial_result_count(t, r);
        double error = relative_error(t->got[r], t->expected[r], numbers), largest = 0;
        for (size_t n = 0; n < numbers; n++) largest = fmax(largest, fabs(t->expected[r][n]));
        double allowed = t->dtype == QUERN_F64 ? 1e-10 : 1e-3;
        if (error * fmin(largest, 1) <= allowed) continue;
        if (t->dtype == QUERN_F64 && !jumps_here(t, r))
            fail_msg("%s%s\n  differs from the reference by %g (seed %llu)", random_declarations, formulas[r], error,
                     (unsigned long long)seed);
        jumps++;
    }
}

static void check_together(char *const *formulas, size_t together)
{
    q_text text = {0};
    q_text_add(&text, "%s", random_declarations);
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
            formulas[k] = random_formula(&source);
            check_derivative(formulas[k]);
        }
        if (context) check_together(formulas, together);
        for (size_t k = 0; k < together; k++) free(formulas[k]);
    }
    printf("seed %llu: %zu formulas, %zu derivatives of which %zu near a kink, %zu results near a jump\n",
           (unsigned long long)seed, count, derivatives, kinks, jumps);
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
        char *formula = random_formula(&source);
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
    printf("%zu formulas of %zu nodes on average; nodes of a derivative for each node: median %.2f, 90 %% %.2f, "
           "99 %% %.2f, most %.2f; above 6x by %g nodes at most\n",
           known, all / known, ratios[known / 2], ratios[known * 9 / 10], ratios[known * 99 / 100], ratios[known - 1],
           fmax(constant, 0));
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
    return grows ? cmocka_run_group_tests(paper, NULL, NULL)
                 : cmocka_run_group_tests(device, open_context, close_context);
}
