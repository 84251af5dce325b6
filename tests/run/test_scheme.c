/*
 * test_scheme.c: a scheme that the library does not have: a row of a table, functions of it and tests/run/serial.cl. It takes
 * the place of `row` in all that this program runs; CONTRIBUTING.md says how to add one for good.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "run_helpers.h"

// ---- the scheme ----

enum { STEP };

static char kernel[8192];
static bool is_ill; /* refuses all */

static const char *choose(q_plan *plan, const q_ir *program)
{
    if (is_ill) return "it is ill";
    if (program->k_dim || program->rhs_dim) return "it is for single columns";
    plan->rows = 1;
    plan->shape[STEP] = plan->profile.staged_cols ? 3 : 1;
    return NULL;
}

static void dump(const q_plan *plan, const q_ir *program, q_text *out)
{
    (void)program;
    q_text_add(out, "  %d columns in a row\n", plan->shape[STEP]);
}

static const char *text(void)
{
    return kernel;
}

static const q_scheme serial = {.name = "serial", .shape = {"STEP"}, .choose = choose, .dump = dump, .text = text};

/* In place of schemes.c. */
const q_scheme *const q_schemes[] = {&serial, &q_scheme_gemm, NULL};

// ---- what it runs ----

static int read_kernel(void **state)
{
    char path[512];
    snprintf(path, sizeof path, "%s/run/serial.cl", getenv("QUERN_TEST_DIR"));
    FILE *file = fopen(path, "r");
    if (!file) return -1;
    kernel[fread(kernel, 1, sizeof kernel - 1, file)] = 0;
    fclose(file);
    return open_context(state);
}

static const char *const formulas[] = {
    "x=Vi(3); y=Vj(3); b=Vj(2); Sum_j(Exp(-SqDist(x,y))*b), Min_j(SqDist(x,y))",
    "x=Vi(2); y=Vj(2); Grad(Sum_j(Exp(-SqDist(x,y))),y,1)",
    "x=Vi(2); y=Vj(2); b=Vj(1); SumSoftMaxWeight_j(x|y,b), LogSumExp_j(x|y)",
    "x=Vi(2); y=Vj(2); KMin_j(SqDist(x,y),3), ArgKMin_j(SqDist(x,y),3), ArgMax_j(x|y)",
    "x=Vi(2); y=Vj(2); p=Pm(1); Sum_i(p*Norm2(x-y)), Sum_i(Sum_j(x|y))",
    "x=Vi(3); Norm2(x)*2",
    "x=Vi(3); x*0", /* of no array */
};

static void check(const char *formula, const quern_compile_options *options, quern_dtype dtype, int64_t M, int64_t N)
{
    quern_operator *op = compile(formula, options);
    trial t = trial_create(op, dtype, M, N, 3);
    trial_run(&t);
    trial_compare(&t, dtype == QUERN_F64 ? 1e-12 : 1e-4);
    trial_destroy(&t);
    quern_operator_destroy(&op);
}

static void it_runs_every_formula(void **state)
{
    (void)state;
    need_device();
    static const struct {
        int64_t M, N;
        int lanes, local, split;
        quern_sum sum;
        const char *profile;
    } ways[] = {{37, 23, 4, 1, 0, QUERN_SUM_BLOCKED, NULL},
                {0, 5, 4, 1, 0, QUERN_SUM_BLOCKED, NULL},
                {5, 0, 1, 4, 0, QUERN_SUM_BLOCKED, NULL},
                {1, 1, 1, 1, 0, QUERN_SUM_KAHAN, NULL},
                {9, 700, 1, 4, 3, QUERN_SUM_BLOCKED, "staged_cols=4"}};
    for (size_t f = 0; f < Q_COUNT(formulas); f++)
        for (size_t w = 0; w < Q_COUNT(ways); w++) {
            quern_compile_options options = {.size = sizeof options,
                                             .sum = ways[w].sum,
                                             .lanes = takes_lanes() ? ways[w].lanes : 1,
                                             .local = ways[w].local,
                                             .split = ways[w].split,
                                             .profile = ways[w].profile};
            check(formulas[f], &options, QUERN_F32, ways[w].M, ways[w].N);
        }
    need_type(QUERN_F64);
    for (size_t f = 0; f < Q_COUNT(formulas); f++) check(formulas[f], NULL, QUERN_F64, 20, 33);
}

/* Why a scheme was taken or not; the kernel has its name and its numbers. */
static void it_is_explained(void **state)
{
    (void)state;
    static const struct {
        const char *formula, *profile, *expected[4];
    } cases[] = {
        {"x=Vi(3); y=Vj(3); Sum_j(x|y)",
         "nvidia",
         {"  scheme serial: taken, about ", "  scheme gemm: no: no contraction is of min_k", "  3 columns in a row\n",
          "#define Q_NAME quern_serial_f32_"}},
        {"x=Vi(3); y=Vj(3); Sum_j(x|y)",
         "cpu",
         {"  1 columns in a row\n", "#define Q_STEP 1\n", "#line 1 \"serial.cl\""}},
        {"x=Vi(50); y=Vj(50); Sum_j(Exp(-SqDist(x,y)))",
         "cpu",
         {"  scheme serial: no: it is for single columns\n", "  scheme gemm: taken, about ", "quern_gemm_f32_"}},
    };
    for (size_t c = 0; c < Q_COUNT(cases); c++) {
        quern_operator *op = compile(cases[c].formula, NULL);
        char *got;
        quern_explain_options options = {.size = sizeof options, .stage = "all", .profile = cases[c].profile};
        succeed(quern_explain(op, &options, &got));
        for (size_t e = 0; e < 4 && cases[c].expected[e]; e++)
            if (!strstr(got, cases[c].expected[e])) fail_msg("'%s' is not in:\n%s", cases[c].expected[e], got);
        quern_free(got);
        quern_operator_destroy(&op);
    }
}

/* Without `row` nothing is left for a stage that `serial` refuses and `gemm` cannot run. */
static void a_stage_that_no_scheme_runs_is_a_failure(void **state)
{
    (void)state;
    quern_operator *op = compile("x=Vi(3); y=Vj(3); Sum_j(x|y)", NULL);
    q_profile profile;
    q_plan plan;
    assert_true(q_profile_find(&profile, "cpu"));
    q_plan_request request = {&profile, QUERN_F32, 5, 5, 1, NULL, NULL};
    succeed(q_plan_make(&plan, op->build->programs[0], &request));
    assert_ptr_equal(plan.scheme, &serial);
    assert_int_equal(q_plan_shape(&plan, "STEP"), 1);
    assert_int_equal(q_plan_shape(&plan, "REG_N"), 0); /* another scheme's */
    assert_int_equal(q_plan_local_bytes(&plan, op->build->programs[0]), 0);
    is_ill = true;
    quern_status status = q_plan_make(&plan, op->build->programs[0], &request);
    is_ill = false;
    expect_failure(status, QUERN_UNSUPPORTED, "no scheme can run this stage");
    expect_failure(status, QUERN_UNSUPPORTED, "serial: it is ill; gemm: no contraction is of min_k");
    quern_operator_destroy(&op);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_explained),
        cmocka_unit_test(it_runs_every_formula),
        cmocka_unit_test(a_stage_that_no_scheme_runs_is_a_failure),
    };
    return cmocka_run_group_tests(tests, read_kernel, close_context);
}
