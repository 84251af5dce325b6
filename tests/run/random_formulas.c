/*
 * random_formulas.c: random compositions of the language (random_formula.h) and their first derivatives:
 *
 *     random_formulas [--count N] [--seed S]    the device beside q_reference, in float64 and some in float32, and
 *                                               q_reference's derivatives beside its differences
 *
 * Values stay where operations are smooth and well-conditioned: variables lie between 0.2 and 0.9, and operands of
 * what grows or has a domain go through 0.5 + 0.4 Sin(.). Still some results are made by cancellation, or jump. So what a
 * device may differ by is measured: the reference is evaluated again, with every step off at random by up to four units
 * of rounding of the element type, and the result may be off by eight times what that does to it. Where that is a tenth
 * of the result itself nothing can be told but that numbers are numbers; such results are counted. So are derivatives
 * near a kink, where differences of two steps disagree.
 */
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "random_formula.h"
#include "run_helpers.h"

static random_source source;
static uint64_t seed = 1;
static size_t count = 2000, kinks, derivatives, failures;

static size_t below(size_t n)
{
    return random_below(&source, n);
}

static void say_failure(const char *formula, const char *fmt, ...) Q_PRINTF(2, 3);

/* Failures are counted, so that one run shows all of them. */
static void say_failure(const char *formula, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    printf("FAILED: ");
    vprintf(fmt, args);
    printf(" (seed %llu)\n  %s%s\n", (unsigned long long)seed, random_declarations, formula);
    fflush(stdout);
    va_end(args);
    failures++;
}

static q_id parse(sample *s, const char *formula)
{
    q_text text = {0};
    q_text_add(&text, "%s%s", random_declarations, formula);
    q_id value = sample_parse(s, text.data);
    q_text_free(&text);
    return value;
}

// ---- q_reference beside its own differences ----

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
    sample s = sample_create(4, 5, seed + strlen(formula));
    q_id value = parse(&s, formula);
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
    q_id terms = q_repeat(s.graph, q_apply2(s.graph, Q_OP_Mult, tangent, e), q_node_of(s.graph, value)->axes);
    double reverse = sample_contract(&s, q_apply2(s.graph, Q_OP_Mult, gradient, u), q_constant(s.graph, 1, 1));
    double direct = sample_contract(&s, terms, q_constant(s.graph, 1, 1));
    if (!(fabs(reverse - direct) <= 1e-9 * (size + fabs(direct))) && isfinite(direct))
        say_failure(formula, "by %s: forward %.15g, reverse %.15g", variable.name, direct, reverse);
    if (isnan(forward)) kinks++;
    else if (!(fabs(forward - direct) <= 1e-5 * size))
        say_failure(formula, "by %s: %.15g, by differences %.15g", variable.name, direct, forward);
    derivatives++;
    free(slopes), free(weights), free(got);
    sample_destroy(&s);
}

// ---- packs: many formulas as one operator, since a compiler takes a tenth of a second for the smallest program ----

enum { MOST_TOGETHER = 160, SAMPLES = 8, MORE_SAMPLES = 64, TRUST = 8, AXES = 3 };

/* Sizes and plan of a pack, in turn. Columns are split where there are more than a block of them. */
typedef struct pack_shape {
    int64_t M, N;
    int rows, lanes, local, split;
    const char *profile; /* columns of cl/profiles.txt: tiles take even the shortest vectors */
    bool narrow;         /* in float32 as well */
    bool near;           /* some of y and t are, or nearly are, of x and s: differences vanish and cancel */
    bool optimised;      /* by the driver's compiler, which takes three times as long; told to PoCL alone */
} pack_shape;

static const pack_shape shapes[] = {
    {.M = 13, .N = 17, .lanes = 1, .narrow = true},
    {.M = 13, .N = 17, .lanes = 8},
    {.M = 17, .N = 13, .lanes = 1, .rows = 3, .local = 2},
    {.M = 5, .N = 300, .lanes = 1, .split = 2},
    {.M = 13, .N = 17, .lanes = 2, .rows = 2},
    {.M = 13, .N = 17, .optimised = true},
    {.M = 13, .N = 17, .lanes = 16, .narrow = true},
    {.M = 300, .N = 5, .lanes = 4, .split = 2},
    {.M = 13, .N = 17, .lanes = 1, .narrow = true, .near = true},
    {.M = 13, .N = 17, .lanes = 4, .rows = 2, .profile = "min_k=2 min_rhs=2"},
    {.M = 5, .N = 300, .lanes = 1, .split = 2, .profile = "min_k=2 min_rhs=2 reg_n=3", .narrow = true},
};

static void set_compiler(const pack_shape *shape)
{
    if (shape->optimised) unsetenv("POCL_EXTRA_BUILD_FLAGS");
    else setenv("POCL_EXTRA_BUILD_FLAGS", "-cl-opt-disable", 1);
}

/* Where a formula's numbers are: `dim` of each row of a result, from `at` on. */
typedef struct place {
    size_t result, at, dim;
} place;

typedef struct pack {
    char *const *formulas;
    size_t count;
    place places[MOST_TOGETHER];
    quern_operator *op;
    trial t;
    double noise;                  /* of the element type */
    double *spread[Q_MAX_RESULTS]; /* what noise has done to each number so far */
    uint64_t samples;
} pack;

/* In float32, in float64. */
static size_t compared[2], ill[2];
static double closest[2]; /* largest share of what is allowed that an error has taken */

/* Formulas over one axis become one vector, which is one result. */
static quern_status pack_compile(pack *p, const pack_shape *shape)
{
    const quern_compile_options options = {sizeof options, .rows = shape->rows, shape->lanes,
                                           shape->local,   shape->split,        .profile = shape->profile};
    sample s = sample_create(1, 1, 0);
    q_id vectors[AXES] = {0}, results[AXES];
    size_t result_count = 0, numbers[AXES];
    uint8_t axes[MOST_TOGETHER];
    for (size_t n = 0; n < p->count; n++) {
        q_id value = parse(&s, p->formulas[n]);
        const q_node node = *q_node_of(s.graph, value);
        axes[n] = node.axes;
        q_id *vector = &vectors[axes[n]];
        p->places[n] = (place){.at = *vector ? q_node_of(s.graph, *vector)->dim : 0, .dim = node.dim};
        *vector = *vector ? q_apply2(s.graph, Q_OP_Concat, *vector, value) : value;
    }
    for (size_t w = 0; w < AXES; w++)
        if (vectors[w]) results[numbers[w] = result_count++] = vectors[w];
    for (size_t n = 0; n < p->count; n++) p->places[n].result = numbers[axes[n]];
    quern_status status = q_operator_from_graph(&p->op, context, s.graph, results, result_count, &options);
    sample_destroy(&s);
    return status;
}

/* Makes a third of a variable's numbers those of another, and a third nearly so. */
static void bring_near(const pack *p, const char *name, const char *other)
{
    const q_graph *graph = p->op->graph;
    const q_variable *to = q_variable_find(graph, name), *from = q_variable_find(graph, other);
    const double *theirs = from ? p->t.data[from - graph->variables] : NULL;
    double *own = to ? p->t.data[to - graph->variables] : NULL;
    if (!theirs || !own) return;
    size_t numbers = (size_t)(p->t.M < p->t.N ? p->t.M : p->t.N) * to->dim;
    for (size_t n = 0; n < numbers; n++)
        if (n / 3 % 3) own[n] = (double)(float)(theirs[n] * (n / 3 % 3 == 1 ? 1 : 1 + 1e-5));
}

/* Numbers of float32, so that it gets the same. */
static void pack_fill(pack *p, bool near)
{
    for (size_t v = 0; v < p->op->variable_count; v++) {
        size_t numbers;
        double *data = trial_data(&p->t, quern_variable(p->op, v).name, &numbers);
        for (size_t n = 0; n < numbers; n++) data[n] = (double)(float)random_between(&source, 0.2, 0.9);
    }
    if (near) bring_near(p, "y", "x");
    if (near) bring_near(p, "t", "s");
}

static void allocate_results(const pack *p, double **out)
{
    for (size_t r = 0; r < p->op->result_count; r++) {
        free(out[r]);
        out[r] = calloc(trial_result_count(&p->t, r) + 1, sizeof(double));
        assert_non_null(out[r]);
    }
}

static void free_results(double **results)
{
    for (size_t r = 0; r < Q_MAX_RESULTS; r++) free(results[r]);
}

static void pack_evaluate(const pack *p, double noise, double *const *out)
{
    succeed(q_reference_with(&(q_rounding){.noise = noise, .seed = p->samples}, p->op->graph, p->op->results,
                             p->op->result_count, p->t.M, p->t.N, (const double *const *)p->t.data, out));
}

/* How far apart two numbers are: infinity where only one is a number, or finite. */
static double distance(double a, double b)
{
    if (a == b || (isnan(a) && isnan(b))) return 0;
    return isnan(a - b) ? INFINITY : fabs(a - b);
}

static void pack_disturb(pack *p, size_t samples)
{
    double *moved[Q_MAX_RESULTS] = {NULL};
    allocate_results(p, moved);
    for (; samples; samples--, p->samples++) {
        pack_evaluate(p, p->noise, moved);
        for (size_t r = 0; r < p->op->result_count; r++)
            for (size_t n = 0; n < trial_result_count(&p->t, r); n++)
                p->spread[r][n] = fmax(p->spread[r][n], distance(moved[r][n], p->t.expected[r][n]));
    }
    free_results(moved);
}

typedef enum verdict { AGREES, ILL_CONDITIONED, DIFFERS } verdict;

static verdict judge(const pack *p, size_t n, double *error, double *allowed)
{
    place own = p->places[n];
    const double *expected = p->t.expected[own.result], *got = p->t.got[own.result];
    size_t dim = (size_t)quern_result(p->op, own.result).dim, numbers = trial_result_count(&p->t, own.result);
    /* squares of rounding errors are no difference: the variance of equal terms may be one */
    double largest = 0, spread = 0, least = TRUST * p->noise * TRUST * p->noise;
    least = fmax(least, p->t.dtype == QUERN_F64 ? DBL_MIN : (double)FLT_MIN);
    *error = 0;
    for (size_t row = own.at; row < numbers; row += dim)
        for (size_t k = row; k < row + own.dim; k++) {
            if (isfinite(expected[k])) largest = fmax(largest, fabs(expected[k]));
            spread = fmax(spread, p->spread[own.result][k]);
            *error = fmax(*error, distance(got[k], expected[k]));
        }
    /* noise is another in each term, but equal factors are rounded alike: so many of them may be off by as many roundings */
    double factors = strstr(p->formulas[n], "Prod_") ? (double)(p->t.M > p->t.N ? p->t.M : p->t.N) : 1;
    *allowed = TRUST * spread + factors * p->noise * largest + least;
    if (isinf(*error) && isfinite(spread)) return DIFFERS;
    if (TRUST * spread > 0.1 * largest + least) return ILL_CONDITIONED;
    return *error <= *allowed ? AGREES : DIFFERS;
}

static void pack_compare(pack *p)
{
    bool wide = p->t.dtype == QUERN_F64;
    for (size_t n = 0; n < p->count; n++) {
        double error, allowed;
        verdict found = judge(p, n, &error, &allowed);
        if (found == DIFFERS) { /* a jump may be near that few samples miss */
            pack_disturb(p, MORE_SAMPLES);
            found = judge(p, n, &error, &allowed);
        }
        compared[wide]++;
        ill[wide] += found == ILL_CONDITIONED;
        if (found == AGREES) closest[wide] = fmax(closest[wide], error / allowed);
        if (found == DIFFERS)
            say_failure(p->formulas[n],
                        "%s differs from the reference by %g, allowed %g, among %zu; M %lld, N %lld, lanes %d",
                        wide ? "float64" : "float32", error, allowed, p->count, (long long)p->t.M, (long long)p->t.N,
                        p->op->options.lanes);
    }
}

static quern_status pack_run(pack *p, quern_dtype dtype)
{
    p->t.dtype = dtype;
    p->noise = 2 * (dtype == QUERN_F64 ? DBL_EPSILON : (double)FLT_EPSILON);
    Q_TRY(trial_attempt(&p->t));
    allocate_results(p, p->spread);
    pack_disturb(p, SAMPLES);
    pack_compare(p);
    return QUERN_OK;
}

/* Builds, runs and compares the formulas as one operator. */
static quern_status pack_check(char *const *formulas, size_t together, const pack_shape *shape)
{
    pack p = {.formulas = formulas, .count = together};
    bool wide = quern_context_device(context)->f64;
    set_compiler(shape);
    Q_TRY(pack_compile(&p, shape));
    p.t = trial_create(p.op, QUERN_F64, shape->M, shape->N, seed);
    pack_fill(&p, shape->near);
    allocate_results(&p, p.t.expected);
    pack_evaluate(&p, 0, p.t.expected);
    quern_status status = wide ? pack_run(&p, QUERN_F64) : QUERN_OK;
    if (!status && (shape->narrow || !wide)) status = pack_run(&p, QUERN_F32);
    trial_destroy(&p.t);
    quern_operator_destroy(&p.op);
    free_results(p.spread);
    return status;
}

/* A pack that cannot be built or run is halved until it can, or has one formula. Beyond a limit that is as it should be;
   anything else is a failure, whichever part it is found in. */
static void check_together(char *const *formulas, size_t together, const pack_shape *shape)
{
    quern_status status = pack_check(formulas, together, shape);
    if (!status) return;
    if (together == 1 || status != QUERN_LIMIT)
        say_failure(formulas[0], "%zu formulas, of which this is the first: %s: %.2000s", together,
                    quern_status_name(status), quern_last_error_text());
    if (together == 1) return;
    check_together(formulas, together / 2, shape);
    check_together(formulas + together / 2, together - together / 2, shape);
}

static void random_formulas(void **state)
{
    (void)state;
    char *formulas[MOST_TOGETHER];
    for (size_t n = 0; n < count; n += MOST_TOGETHER) {
        source.state = seed + n;
        size_t together = count - n < MOST_TOGETHER ? count - n : MOST_TOGETHER;
        for (size_t k = 0; k < together; k++) {
            formulas[k] = random_formula(&source);
            check_derivative(formulas[k]);
        }
        if (context) check_together(formulas, together, &shapes[n / MOST_TOGETHER % Q_COUNT(shapes)]);
        for (size_t k = 0; k < together; k++) free(formulas[k]);
    }
    printf("seed %llu: %zu formulas, %zu derivatives of which %zu near a kink\n", (unsigned long long)seed, count,
           derivatives, kinks);
    for (size_t wide = 0; wide < 2; wide++)
        printf("float%d on the device: %zu compared, %zu ill-conditioned; errors are at most %.2f of what is allowed\n",
               wide ? 64 : 32, compared[wide], ill[wide], closest[wide]);
    printf("%zu failures\n", failures);
    assert_true(10 * ill[1] <= count && 10 * ill[0] <= count && 10 * kinks <= count);
    assert_int_equal(failures, 0);
}

int main(int argc, char **argv)
{
    if (!random_options(argc, argv, &count, &seed)) return 2;
    const struct CMUnitTest tests[] = {cmocka_unit_test(random_formulas)};
    return cmocka_run_group_tests(tests, open_context, close_context);
}
