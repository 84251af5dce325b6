/*
 * test_plan.c: from graphs to plans, without a device: which stages nested formulas are cut into and what shares one,
 * which loop each operation lives in, that sizes do not reach the source, when columns are split, overrides, limits.
 */
#include <stdio.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "helpers.h"
#include "run/run.h"

static quern_operator *compile(const char *text)
{
    quern_operator *op;
    if (quern_compile(&op, NULL, text, NULL)) fail_msg("%s: %s", text, quern_last_error_text());
    return op;
}

static void expect_failure(quern_status got, quern_status status, const char *part)
{
    if (got != status)
        fail_msg("%s, not %s: %s", quern_status_name(got), quern_status_name(status), quern_last_error_text());
    if (!strstr(quern_last_error()->message, part)) fail_msg("'%s' is not in '%s'", part, quern_last_error()->message);
}

/* ---- stages ---- */

/* One word a stage: rows, reduced axis, reductions, outputs; "ij1.2" is a stage with rows i that reduces j for one reduction
   and two outputs. */
static void expect_stages(const char *formula, const char *expected)
{
    quern_operator *op = compile(formula);
    q_text got = {0};
    for (size_t s = 0; s < op->stages.count; s++) {
        const q_stage *stage = &op->stages.stage[s];
        q_text_add(&got, "%s%c%c%zu.%zu", s ? " " : "", "pij"[stage->rows], "-ij"[stage->reduced],
                   stage -> reduction_count, stage -> output_count);
    }
    if (strcmp(got.data, expected) != 0) fail_msg("%s\n  has the stages %s, not %s", formula, got.data, expected);
    q_text_free(&got);
    quern_operator_destroy(&op);
}

#define X_Y "x=Vi(2); y=Vj(2); d=SqDist(x,y); k=Exp(-d); "

static void formulas_are_cut_at_reductions(void **state)
{
    (void)state;
    expect_stages(X_Y "Sum_j(k)", "ij1.1");
    expect_stages(X_Y "Sum_i(k)", "ji1.1");
    expect_stages(X_Y "2*x+1", "i-0.1");
    expect_stages("p=Pm(2); p*p", "p-0.1");
    expect_stages(X_Y "Sum_i(Sum_j(k))", "ij1.1 pi1.1");
    expect_stages(X_Y "Sum_i(x*Sum_j(k*Sum_i(d)))", "ji1.1 ij1.1 pi1.1");
    expect_stages(X_Y "Sum_j(Exp(-d-LogSumExp_j(-d))*y)", "ij2.1");
    expect_stages(X_Y "Sum_j(y)*Sum_i(x)", "pj1.1 pi1.1");
    expect_stages(X_Y "x*Sum_j(y)", "pj1.1 i-0.1");
}

static void reductions_over_the_same_axes_share_a_pass(void **state)
{
    (void)state;
    expect_stages(X_Y "Sum_j(k), Grad(Sum_j(k),x,1)", "ij2.2");
    expect_stages(X_Y "Sum_j(k), Min_j(d), ArgMin_j(d), Sum_j(k)/Sum_j(1)", "ij3.4");
    expect_stages(X_Y "Sum_j(k), Sum_i(k)", "ij1.1 ji1.1");
    expect_stages(X_Y "Sum_j(k), x, 2*x", "ij1.1 i-0.2");
    expect_stages(X_Y "Sum_j(k), Sum_j(k)", "ij1.2");
    expect_stages(X_Y "Log(Sum_j(k))+Max_j(d)", "ij2.1");
}

/* ---- loops ---- */

static size_t operations(const q_ir *p, unsigned scope)
{
    return p->statements[scope];
}

/* Live operations of one kind in one loop. */
static size_t count_operations(const q_ir *p, q_op op, unsigned scope)
{
    size_t count = 0;
    for (q_ref v = 1; v < p->count; v++)
        if (p->uses[v] && p->values[v].kind == Q_V_OP && p->values[v].op == op && p->values[v].scope == scope) count++;
    return count;
}

/* Operations in the pair loop whose operands all come from outside. */
static void expect_no_foreign_work(const q_ir *p)
{
    for (q_ref v = 1; v < p->count; v++) {
        unsigned scope = 0;
        if (!p->uses[v] || (p->values[v].kind != Q_V_OP && p->values[v].kind != Q_V_FMA)) continue;
        for (int a = 0; a < 3; a++) scope |= p->values[p->values[v].arg[a]].scope;
        if (scope != p->values[v].scope)
            fail_msg("v%u is computed in loop %u, its operands in %u", v, p->values[v].scope, scope);
    }
}

enum { PAIR = Q_ROW | Q_COLUMN };

static void heavy_factors_leave_the_pair_loop(void **state)
{
    (void)state;
    quern_operator *plain = compile("x=Vi(3); y=Vj(3); b=Vj(1); g=Pm(1); Sum_j(Exp(-SqDist(x,y))*b)");
    quern_operator *heavy =
        compile("x=Vi(3); y=Vj(3); b=Vj(1); g=Pm(1); "
                "Sum_j(Exp(-SqDist(x,y))*Sin(b)*Cos(Norm2(y))*Log(Square(g)+1)*Sqrt(Sum(Square(Sin(x))))*b)");
    const q_ir *p = heavy->build->programs[0], *q = plain->build->programs[0];
    assert_int_equal(operations(p, PAIR), operations(q, PAIR));
    assert_int_equal(count_operations(p, Q_OP_Exp, PAIR), 1);
    assert_int_equal(count_operations(p, Q_OP_Sin, Q_COLUMN), 1);
    assert_int_equal(count_operations(p, Q_OP_Cos, Q_COLUMN), 1);
    assert_int_equal(count_operations(p, Q_OP_Sin, Q_ROW), 3);
    assert_int_equal(count_operations(p, Q_OP_Sqrt, Q_ROW), 1);
    assert_int_equal(count_operations(p, Q_OP_Log, 0), 1);
    expect_no_foreign_work(p);
    quern_operator_destroy(&plain);
    quern_operator_destroy(&heavy);
}

/* Three subtractions, three multiplications of which two are fused, the exponential and the product with b; -d costs
   nothing. */
static void the_gaussian_is_tight(void **state)
{
    (void)state;
    quern_operator *op = compile("x=Vi(3); y=Vj(3); b=Vj(1); Sum_j(Exp(-SqDist(x,y))*b)");
    const q_ir *p = op->build->programs[0];
    assert_int_equal(operations(p, PAIR), 8);
    assert_int_equal(operations(p, Q_COLUMN), 0);
    assert_int_equal(operations(p, Q_ROW), 0);
    quern_operator_destroy(&op);
}

/* What a value and its gradient have in common is computed once. */
static void a_value_and_its_gradient_share_the_exponential(void **state)
{
    (void)state;
    quern_operator *op = compile("x=Vi(3); y=Vj(3); b=Vj(1); a=Sum_j(Exp(-SqDist(x,y))*b); a, Grad(a,x,1)");
    assert_int_equal(op->stages.count, 1);
    assert_int_equal(count_operations(op->build->programs[0], Q_OP_Exp, PAIR), 1);
    assert_int_equal(count_operations(op->build->programs[0], Q_OP_Subtract, PAIR), 3);
    quern_operator_destroy(&op);
}

/* ---- plans and sources ---- */

static q_plan plan_with(const quern_operator *op, const char *profile_name, const char *settings, quern_dtype dtype,
                        int64_t M, int64_t N, const quern_compile_options *options)
{
    q_profile profile;
    q_plan plan;
    assert_true(q_profile_find(&profile, profile_name));
    assert_int_equal(q_profile_set(&profile, settings, "here"), QUERN_OK);
    if (q_plan_make(&plan, op->build->programs[0], &(q_plan_request){&profile, dtype, M, N, 8, options, NULL}))
        fail_msg("%s", quern_last_error_text());
    return plan;
}

static q_plan plan_of(const quern_operator *op, const char *profile_name, quern_dtype dtype, int64_t M, int64_t N,
                      const quern_compile_options *options)
{
    return plan_with(op, profile_name, "", dtype, M, N, options);
}

static char *source_of(const quern_operator *op, const q_plan *plan, bool merge)
{
    q_text text = {0};
    char name[Q_KERNEL_NAME];
    if (q_source(&text, name, op->build->programs[0], plan, merge)) fail_msg("%s", quern_last_error_text());
    return q_text_take(&text);
}

static void sizes_do_not_reach_the_source(void **state)
{
    (void)state;
    static const char *const profiles[] = {"cpu", "soft", "nvidia", "amd", "intel", "default"};
    quern_operator *op = compile("x=Vi(3); y=Vj(3); b=Vj(1); Sum_j(Exp(-SqDist(x,y))*b), ArgMin_j(SqDist(x,y))");
    for (size_t p = 0; p < Q_COUNT(profiles); p++)
        for (int64_t few = 0; few < 2; few++) {
            int64_t M = few ? 3 : 200000;
            q_plan plan = plan_of(op, profiles[p], QUERN_F32, M, 7919, NULL);
            q_plan other = plan_of(op, profiles[p], QUERN_F32, few ? 4 : 300000, 8011, NULL);
            assert_int_equal(plan.split, few);
            for (int merge = 0; merge <= plan.split; merge++) {
                char *source = source_of(op, &plan, merge), *again = source_of(op, &other, merge);
                assert_string_equal(source, again);
                assert_null(strstr(source, "7919"));
                free(source);
                free(again);
            }
        }
    quern_operator_destroy(&op);
}

/* Several columns between two looks at the counter: where many are staged and the text for them short. */
static void short_formulas_take_several_columns_at_once(void **state)
{
    (void)state;
    static const struct {
        const char *profile, *text;
        quern_dtype dtype;
        int unroll, align; /* align: of a column in local memory */
    } cases[] = {
        {"nvidia", "x=Vi(3); y=Vj(3); b=Vj(1); Sum_j(Exp(-SqDist(x,y))*b)", QUERN_F32, 8, 16},
        {"nvidia", "x=Vi(3); y=Vj(3); b=Vj(1); Sum_j(Exp(-SqDist(x,y))*b)", QUERN_F64, 1, 16},
        {"soft", "x=Vi(3); y=Vj(3); b=Vj(1); Sum_j(Exp(-SqDist(x,y))*b)", QUERN_F32, 2, 16},
        {"cpu", "x=Vi(3); y=Vj(3); b=Vj(1); Sum_j(Exp(-SqDist(x,y))*b)", QUERN_F32, 1, 16},
        {"nvidia", "x=Vi(1); y=Vj(1); Min_j(Abs(x-y))", QUERN_F32, 8, 4},
        {"nvidia", "x=Vi(1); y=Vj(1); Min_j(Abs(x-y))", QUERN_F64, 1, 8},
        {"nvidia", "x=Vi(23); y=Vj(23); Min_j(SqDist(x,y)+SqDist(x,3*y)+SqDist(2*x,y)+Sum(Abs(x-y)))", QUERN_F32, 1,
         16},
    };
    for (size_t c = 0; c < Q_COUNT(cases); c++) {
        quern_operator *op = compile(cases[c].text);
        q_plan plan = plan_of(op, cases[c].profile, cases[c].dtype, 1000000, 1000000, NULL);
        char *source = source_of(op, &plan, false), align[32];
        snprintf(align, sizeof align, "} Q_STAGED(%d) q_column;", cases[c].align);
        assert_non_null(strstr(source, align));
        if (q_plan_shape(&plan, "UNROLL") != cases[c].unroll)
            fail_msg("%s, %s: %d columns at once, not %d", cases[c].profile, cases[c].text,
                     q_plan_shape(&plan, "UNROLL"), cases[c].unroll);
        assert_true(cases[c].unroll == 1 || q_plan_shape(&plan, "STAGED_COLS") % (16 * cases[c].unroll) == 0);
        free(source);
        quern_operator_destroy(&op);
    }
}

/* What a group shares fits local memory, whatever its size; a group too large for that reads components directly. */
static void long_contractions_fit_local_memory(void **state)
{
    (void)state;
    static const struct {
        int local;
        quern_dtype dtype;
        int tile_k, threads_n, epilogue_n;
    } cases[] = {{0, QUERN_F32, 4, 8, 16}, {0, QUERN_F64, 2, 4, 8},   {12, QUERN_F32, 4, 4, 32},
                 {1, QUERN_F32, 1, 1, 8},  {512, QUERN_F32, 1, 8, 8}, {1024, QUERN_F64, 0, 0, 0}};
    quern_operator *op = compile("x=Vi(128); y=Vj(128); b=Vj(1); Sum_j(Exp(-SqDist(x,y))*b)");
    for (size_t c = 0; c < Q_COUNT(cases); c++) {
        quern_compile_options options = {.size = sizeof options, .local = cases[c].local};
        q_plan plan = plan_with(op, "nvidia", "tile_k=0", cases[c].dtype, 1000000, 1000000, &options);
        int tile_k = q_plan_shape(&plan, "TILE_K"), threads_n = q_plan_shape(&plan, "THREADS_N"),
            epilogue_n = q_plan_shape(&plan, "EPILOGUE_N"), tile_n = q_plan_shape(&plan, "TILE_N");
        if (tile_k != cases[c].tile_k || threads_n != cases[c].threads_n || epilogue_n != cases[c].epilogue_n)
            fail_msg("local %d: tile_k %d, threads_n %d, epilogue_n %d", cases[c].local, tile_k, threads_n, epilogue_n);
        assert_true(q_plan_local_bytes(&plan, op->build->programs[0]) <= 32768);
        assert_true(plan.scheme == (tile_k ? &q_scheme_gemm_local : &q_scheme_gemm));
        assert_true(tile_n == threads_n * q_plan_shape(&plan, "REG_N") * (tile_k > 0) &&
                    (!tile_k || tile_n % epilogue_n == 0));
        char *source = source_of(op, &plan, false);
        assert_true((strstr(source, "q_shared") != NULL) == (tile_k > 0));
        free(source);
    }
    quern_operator_destroy(&op);
}

/* The scheme for products of matrices: tiles that fit local memory, and what it leaves to others. */
static void sums_of_long_contractions_are_products_of_tiles(void **state)
{
    (void)state;
    static const struct {
        const char *formula, *settings;
        quern_dtype dtype;
        int64_t M, N;
        int local, rows, tile_n, tile_k, threads_n; /* the last three: 0 if it is left to others */
    } cases[] = {
        {"x=Vi(128); y=Vj(128); Sum_j(Exp(-SqDist(x,y)))", "", QUERN_F32, 40000, 40000, 0, 0, 64, 8, 8},
        {"x=Vi(128); y=Vj(128); Sum_j(Exp(-SqDist(x,y)))", "", QUERN_F64, 40000, 40000, 0, 0, 32, 8, 4},
        {"x=Vi(128); y=Vj(128); Sum_j(Exp(-SqDist(x,y)))", "", QUERN_F32, 40000, 40000, 256, 0, 64, 8, 8},
        {"x=Vi(128); y=Vj(128); Sum_j(Exp(-SqDist(x,y)))", "", QUERN_F32, 40000, 40000, 128, 2, 32, 8, 4},
        {"x=Vi(128); y=Vj(128); Sum_j(Exp(-SqDist(x,y)))", "", QUERN_F32, 40000, 40000, 12, 0, 32, 4, 4},
        {"x=Vi(128); y=Vj(128); Sum_j(Exp(-SqDist(x,y)))", "", QUERN_F32, 40000, 255, 0, 0, 0, 0, 0},
        {"x=Vi(128); y=Vj(128); Sum_j(Exp(-SqDist(x,y)))", "", QUERN_F32, 1024, 40000, 0, 0, 0, 0, 0},
        {"x=Vi(128); y=Vj(128); Sum_j(Exp(-SqDist(x,y)))", "", QUERN_F32, 40000, 40000, 0, 8, 0, 0, 0},
        {"x=Vi(128); y=Vj(128); Sum_j(Exp(-SqDist(x,y)))", "tile_k=0", QUERN_F32, 40000, 40000, 0, 0, 0, 0, 0},
        {"x=Vi(128); y=Vj(128); Sum_j(Exp(-SqDist(x,y)))", "reg_n=6", QUERN_F32, 40000, 40000, 0, 0, 0, 0, 0},
        {"x=Vi(128); y=Vj(128); LogSumExp_j(x|y)", "", QUERN_F32, 40000, 40000, 0, 0, 64, 8, 8},
        {"x=Vi(128); y=Vj(128); Sum_j((x|y)*SqDist(x,y))", "", QUERN_F32, 40000, 40000, 0, 0, 32, 8, 8},
        {"x=Vi(128); y=Vj(128); ArgMin_j(x|y)", "", QUERN_F32, 40000, 40000, 0, 0, 0, 0, 0},
        {"x=Vi(128); y=Vj(128); Sum_j(Exp(x|y)*y)", "", QUERN_F32, 40000, 40000, 0, 0, 0, 0, 0},
    };
    for (size_t c = 0; c < Q_COUNT(cases); c++) {
        quern_operator *op = compile(cases[c].formula);
        quern_compile_options options = {.size = sizeof options, .local = cases[c].local, .rows = cases[c].rows};
        q_plan plan = plan_with(op, "nvidia", cases[c].settings, cases[c].dtype, cases[c].M, cases[c].N, &options);
        bool taken = plan.scheme == &q_scheme_gemm_tile;
        if (taken != (cases[c].tile_k > 0) || (taken && (q_plan_shape(&plan, "TILE_N") != cases[c].tile_n ||
                                                         q_plan_shape(&plan, "TILE_K") != cases[c].tile_k ||
                                                         q_plan_shape(&plan, "THREADS_N") != cases[c].threads_n)))
            fail_msg("case %zu: %s", c, plan.scheme->name);
        assert_true(q_plan_local_bytes(&plan, op->build->programs[0]) <= 32768);
        assert_int_equal(q_plan_max_registers(&plan), taken && cases[c].dtype == QUERN_F32 ? 128 : 0);
        quern_operator_destroy(&op);
    }
}

/* Compilers are told how many work-items share an instruction by rows that say so, and where matrix units want it. */
static void sub_groups_are_told(void **state)
{
    (void)state;
    static const struct {
        const char *profile, *settings;
        int size;
    } cases[] = {{"intel-xe-hpc", "", 16},
                 {"intel-xe-hpc", "min_k=16 matrix=8", 16},
                 {"intel-xe-hpg", "", 0},
                 {"intel-xe-hpg", "min_k=16 matrix=10", 8}};
    quern_operator *op = compile("x=Vi(30); y=Vj(30); Sum_j(Exp(-SqDist(x,y)))");
    for (size_t c = 0; c < Q_COUNT(cases); c++) {
        q_plan plan = plan_with(op, cases[c].profile, cases[c].settings, QUERN_F32, 40000, 40000, NULL);
        char *source = source_of(op, &plan, false), *line = strstr(source, "#define Q_SUB_GROUP ");
        assert_int_equal(line ? atoi(line + 20) : 0, cases[c].size);
        free(source);
    }
    quern_operator_destroy(&op);
}

static void the_element_type_changes_the_source(void **state)
{
    (void)state;
    quern_operator *op = compile("x=Vi(3); y=Vj(3); Sum_j(0.1*Exp(-SqDist(x,y))+0.1*x)");
    q_plan single = plan_of(op, "cpu", QUERN_F32, 20000, 20000, NULL),
           full = plan_of(op, "cpu", QUERN_F64, 20000, 20000, NULL);
    char *source = source_of(op, &single, false), *other = source_of(op, &full, false);
    assert_non_null(strstr(source, "0.100000001f"));
    assert_non_null(strstr(other, "0.10000000000000001"));
    assert_true(single.lanes == 16 && full.lanes == 8);
    free(source);
    free(other);
    quern_operator_destroy(&op);
}

static void columns_are_split_where_rows_are_few(void **state)
{
    (void)state;
    quern_operator *op = compile("x=Vi(3); y=Vj(3); Sum_j(Exp(-SqDist(x,y)))");
    static const struct {
        int64_t M, N;
        bool split;
    } cases[] = {{1, 1000000, true}, {100, 1000000, true}, {1, 1000, false},
                 {1, 0, false},      {0, 1000000, false},  {1000000, 1000000, false}};
    for (size_t c = 0; c < Q_COUNT(cases); c++) {
        q_plan plan = plan_of(op, "cpu", QUERN_F32, cases[c].M, cases[c].N, NULL);
        assert_int_equal(plan.split, cases[c].split);
        assert_int_equal(plan.split, plan.split_count > 1);
        assert_true((int64_t)plan.split_count * plan.split_extent >= cases[c].N &&
                    (int64_t)(plan.split_count - 1) * plan.split_extent <= cases[c].N);
        if (plan.split) assert_int_equal(plan.split_extent % plan.block, 0);
        assert_true(plan.groups * q_plan_group_rows(&plan) >= cases[c].M);
    }
    quern_operator_destroy(&op);
}

/* Groups of a plan for a GPU of so many compute units. */
static int64_t groups_of(const quern_operator *op, const char *name, int units, int64_t size, q_plan *plan)
{
    q_profile profile;
    assert_true(q_profile_find(&profile, name));
    assert_int_equal(q_plan_make(plan, op->build->programs[0],
                                 &(q_plan_request){&profile, QUERN_F32, size, size, units, &op->options, NULL}),
                     QUERN_OK);
    return plan->groups * plan->split_count;
}

static void long_runs_on_gpus_have_several_waves(void **state)
{
    (void)state;
    static const char *const formulas[] = {"x=Vi(3); y=Vj(3); b=Vj(1); Sum_j(Exp(-SqDist(x,y))*b)",
                                           "x=Vi(3); y=Vj(3); LogSumExp_j(-SqDist(x,y))"};
    static const char *const names[] = {"nvidia-sm_90", "amd-gfx942", "intel-xe-hpg"};
    static const int units[] = {16, 108, 132, 304};
    for (size_t c = 0; c < Q_COUNT(formulas) * Q_COUNT(names) * Q_COUNT(units); c++) {
        quern_operator *op = compile(formulas[c % 2]);
        const char *name = names[c / 2 % 3];
        q_plan plan;
        for (int64_t size = 200000; size <= 1000000; size += 200000) {
            int64_t groups = groups_of(op, name, units[c / 6], size, &plan);
            double each = (double)groups / units[c / 6], loss = ceil(each) / each - 1;
            /* from two and a half waves on one group more or less for each unit is 4 % or so */
            bool short_parts = plan.split_extent < 40000;
            assert_true(groups >= 5 * q_plan_wave(&plan) / 2 || short_parts);
            assert_true(loss <= 0.04 || each < 25);
            if (!strcmp(name, "nvidia-sm_90") && units[c / 6] == 132)
                assert_true((groups >= 2300 || short_parts) && groups <= 10000);
            assert_true(!plan.split || plan.split_extent >= 1024);
        }
        groups_of(op, name, units[c / 6], 20000, &plan);
        assert_true(plan.split_count == 1 || plan.groups * (plan.split_count - 1) < q_plan_wave(&plan));
        quern_operator_destroy(&op);
    }
    quern_operator *nearest = compile("x=Vi(3); y=Vj(3); ArgKMin_j(SqDist(x,y),10)");
    q_plan plan;
    groups_of(nearest, "nvidia-sm_90", 132, 300000, &plan);
    assert_int_equal(plan.split_count, 1); /* each part begins lists of its own, which costs more than a wave */
    quern_operator_destroy(&nearest);
}

/* Groups are large where rows are many and states short, unless the user says otherwise. */
static void groups_are_large_where_it_pays(void **state)
{
    (void)state;
    static const struct {
        const char *formula;
        int64_t size;
        int local, expected;
    } cases[] = {{"x=Vi(3); y=Vj(3); Sum_j(Exp(-SqDist(x,y)))", 200000, 0, 256},
                 {"x=Vi(3); y=Vj(3); Sum_j(Exp(-SqDist(x,y)))", 20000, 0, 128},
                 {"x=Vi(3); y=Vj(3); Sum_j(Exp(-SqDist(x,y)))", 1, 0, 128},
                 {"x=Vi(3); y=Vj(3); Sum_j(Exp(-SqDist(x,y)))", 200000, 32, 32},
                 {"x=Vi(3); y=Vj(3); ArgKMin_j(SqDist(x,y),10)", 200000, 0, 128},
                 {"x=Vi(200); y=Vj(200); Sum_j(Exp(-SqDist(x,y)))", 200000, 0, 128},
                 {"x=Vi(3); Exp(x)", 200000, 0, 128}};
    for (size_t c = 0; c < Q_COUNT(cases); c++) {
        quern_operator *op = compile(cases[c].formula);
        q_plan plan;
        op->options.local = cases[c].local;
        groups_of(op, "nvidia-sm_90", 132, cases[c].size, &plan);
        assert_int_equal(plan.local, cases[c].expected);
        quern_operator_destroy(&op);
    }
}

/* No slice of whole waves takes much longer than a launch should. */
static void long_runs_are_split_for_time(void **state)
{
    (void)state;
    quern_operator *op = compile("x=Vi(3); y=Vj(3); b=Vj(1); Sum_j(Exp(-SqDist(x,y))*b)");
    q_plan plan;
    for (int64_t size = 100000; size <= 20000000; size *= 2) {
        int64_t groups = groups_of(op, "nvidia-sm_90", 132, size, &plan);
        double seconds = q_plan_seconds(&plan, op->build->programs[0], (double)size * (double)size);
        assert_true(seconds * (double)q_plan_wave(&plan) / (double)groups <= 0.051);
    }
    quern_operator_destroy(&op);
}

static void options_override_the_profile(void **state)
{
    (void)state;
    quern_operator *op = compile("x=Vi(3); y=Vj(3); Sum_j(Exp(-SqDist(x,y)))");
    quern_compile_options options = {
        .size = sizeof options, .lanes = 8, .rows = 3, .local = 32, .split = 5, .sum = QUERN_SUM_KAHAN};
    q_plan plan = plan_of(op, "nvidia", QUERN_F32, 100000, 10000, &options);
    assert_true(plan.lanes == 8 && plan.rows == 3 && plan.local == 32 && q_plan_shape(&plan, "STAGED_COLS") == 32 &&
                plan.split_count == 5 && plan.kahan);
    assert_int_equal(q_plan_group_rows(&plan), 8 * 3 * 32);
    assert_int_equal(q_plan_split_bytes(&plan, op->build->programs[0]), (uint64_t)plan.groups * 768 * 5 * 2 * 4);
    options = (quern_compile_options){.size = sizeof options, .sum = QUERN_SUM_PLAIN, .split = 1};
    plan = plan_of(op, "nvidia", QUERN_F32, 1, 1000000, &options);
    assert_true(!plan.kahan && !plan.split && plan.block >= 1 << 30);
    options = (quern_compile_options){.size = sizeof options, .split = 100};
    plan = plan_of(op, "cpu", QUERN_F32, 1, 700, &options);
    assert_int_equal(plan.split_count, 3); /* no part is shorter than a block */
    quern_operator_destroy(&op);
}

/* ---- limits ---- */

static void compile_fails(const char *text, const char *part)
{
    quern_operator *op;
    expect_failure(quern_compile(&op, NULL, text, NULL), QUERN_LIMIT, part);
    assert_null(op);
}

/* Sums that need each other, over i and j in turn: a stage each. */
static char *nested_sums(int count)
{
    q_text text = {0};
    q_text_add(&text, "x=Vi(1); y=Vj(1); s0=Sum_j(Exp(x*y)); ");
    for (int s = 1; s < count; s++) q_text_add(&text, "s%d=Sum_%c(Exp(x*y*s%d)); ", s, s % 2 ? 'i' : 'j', s - 1);
    q_text_add(&text, "s%d", count - 1);
    return q_text_take(&text);
}

static void limits_are_told(void **state)
{
    (void)state;
    char *text = nested_sums(Q_MAX_STAGES), *longer = nested_sums(Q_MAX_STAGES + 1);
    quern_operator *op = compile(text);
    assert_int_equal(op->stages.count, Q_MAX_STAGES);
    quern_operator_destroy(&op);
    compile_fails(longer, "more than 64 stages");
    compile_fails("x=Vi(60000); y=Vj(60000); Sum_j(Exp(x-y)*Exp(x+y)*Sin(x*y)*x)", "more than 262144 scalar values");
    free(text);
    free(longer);
    /* the number of statements is known when the source is written */
    op = compile("x=Vi(40000); y=Vj(40000); Sum_j(Exp(x-y))");
    q_plan plan = plan_of(op, "cpu", QUERN_F32, 1000, 1000, NULL);
    q_text source = {0};
    char name[Q_KERNEL_NAME];
    expect_failure(q_source(&source, name, op->build->programs[0], &plan, false), QUERN_LIMIT,
                   "80000 statements of OpenCL C; the limit is 65536");
    q_text_free(&source);
    q_profile profile = plan.profile;
    expect_failure(q_plan_make(&plan, op->build->programs[0],
                               &(q_plan_request){&profile, QUERN_F32, 2147483647, 5, 2, NULL, NULL}),
                   QUERN_LIMIT, "M = 2147483647");
    quern_compile_options options = {.size = sizeof options, .lanes = 5};
    expect_failure(
        q_plan_make(&plan, op->build->programs[0], &(q_plan_request){&profile, QUERN_F32, 5, 5, 2, &options, NULL}),
        QUERN_USAGE, "not 5");
    quern_operator_destroy(&op);
}

static void many_arrays_are_told(void **state)
{
    (void)state;
    q_text text = {0};
    for (int v = 0; v < Q_MAX_ARRAYS + 1; v++) q_text_add(&text, "v%d=Vj(1); ", v);
    q_text_add(&text, "Sum_j(v0");
    for (int v = 1; v < Q_MAX_ARRAYS + 1; v++) q_text_add(&text, "+v%d", v);
    q_text_add(&text, ")");
    compile_fails(text.data, "more than 128 arrays");
    q_text_free(&text);
}

/* Bytes of generated source with the length in place of each @. */
static size_t source_bytes(const char *formula, int length)
{
    q_text text = {0}, source = {0};
    for (; *formula; formula++)
        if (*formula == '@') q_text_add(&text, "%d", length);
        else q_text_append(&text, formula, 1);
    quern_operator *op = compile(text.data);
    q_profile profile;
    char name[Q_KERNEL_NAME];
    q_plan plan;
    q_profile_find(&profile, "cpu-avx512");
    for (size_t s = 0; s < op->stages.count; s++) {
        assert_int_equal(q_plan_make(&plan, op->build->programs[s],
                                     &(q_plan_request){&profile, QUERN_F32, 1000, 1000, 2, NULL, NULL}),
                         QUERN_OK);
        assert_int_equal(q_source(&source, name, op->build->programs[s], &plan, false), QUERN_OK);
    }
    size_t bytes = source.size;
    q_text_free(&source);
    q_text_free(&text);
    quern_operator_destroy(&op);
    return bytes;
}

static void long_vectors_make_no_long_source(void **state)
{
    (void)state;
    static const char *const formulas[] = {
        "x=Vi(@); Norm2(x)",
        "x=Vi(@); Normalize(x)",
        "x=Vi(@); y=Vi(@); x+y",
        "x=Vi(@); Exp(x)",
        "x=Vi(@); Exp(x-Max(x))/Sum(Exp(x-Max(x)))",
        "x=Vi(@); ArgMax(x)",
        "p=Pm(@); x=Vi(1); x*Norm2(p)",
        "x=Vi(@); y=Vj(@); Sum_j(Cosine(x,y))",
        "x=Vi(@); y=Vj(@); Sum_j(Max(Abs(x-y)))",
        "x=Vi(@); y=Vj(@); Max_j(x*y)",
        "l=Vi(1); OneHot(l,@)",
        "l=Vi(1); x=Vi(@); TensorProd(OneHot(l,3),x)",
        "A=Vi(@0); x=Vi(@); MatVecMult(A,x)",
        "x=Vi(@); e=Vi(@); Grad(Normalize(x),x,e)",
        "x=Vi(@); y=Vi(@); e=Vi(1); Grad(Cosine(x,y),x,e)",
        "x=Vi(@); e=Vi(1); Grad(Max(x),x,e)",
        "x=Vi(@); y=Vj(@); e=Vi(1); Grad(Sum_j(Cosine(x,y)),x,e)",
    };
    for (size_t f = 0; f < Q_COUNT(formulas); f++) {
        size_t least = source_bytes(formulas[f], 96);
        for (int length = 192; length <= 768; length *= 2) {
            size_t bytes = source_bytes(formulas[f], length);
            if (bytes * 5 > least * 6)
                fail_msg("%s: %zu bytes for 96 components, %zu for %d", formulas[f], least, bytes, length);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(formulas_are_cut_at_reductions),
        cmocka_unit_test(reductions_over_the_same_axes_share_a_pass),
        cmocka_unit_test(heavy_factors_leave_the_pair_loop),
        cmocka_unit_test(the_gaussian_is_tight),
        cmocka_unit_test(a_value_and_its_gradient_share_the_exponential),
        cmocka_unit_test(sizes_do_not_reach_the_source),
        cmocka_unit_test(sub_groups_are_told),
        cmocka_unit_test(the_element_type_changes_the_source),
        cmocka_unit_test(short_formulas_take_several_columns_at_once),
        cmocka_unit_test(columns_are_split_where_rows_are_few),
        cmocka_unit_test(long_runs_on_gpus_have_several_waves),
        cmocka_unit_test(groups_are_large_where_it_pays),
        cmocka_unit_test(long_runs_are_split_for_time),
        cmocka_unit_test(options_override_the_profile),
        cmocka_unit_test(long_contractions_fit_local_memory),
        cmocka_unit_test(sums_of_long_contractions_are_products_of_tiles),
        cmocka_unit_test(limits_are_told),
        cmocka_unit_test(many_arrays_are_told),
        cmocka_unit_test(long_vectors_make_no_long_source),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
