/*
 * test_language.c: the whole language on a device beside q_reference: every formula of language.h, special functions
 * over their whole domain, selections of few and of many terms, products and variances, tensors, the losses of
 * test_losses.c with their gradients. Several formulas share one operator, since building programs takes most of the
 * time.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "language.h"
#include "run_helpers.h"

enum { TOGETHER = 15 };

static const quern_dtype both_types[] = {QUERN_F32, QUERN_F64};

static bool has_type(quern_dtype dtype)
{
    return dtype == QUERN_F32 || quern_context_device(context)->f64;
}

/* Multiples of 1/64 from low to high, whose products of three are exact in float32: comparisons come out the same. */
static void fill(trial *t, uint64_t seed, double low, double high)
{
    random_source random = {seed};
    for (size_t v = 0; v < t->op->variable_count; v++) {
        size_t count;
        double *data = trial_data(t, quern_variable(t->op, v).name, &count);
        for (size_t n = 0; n < count; n++)
            data[n] = low + (double)random_below(&random, (size_t)((high - low) * 64) + 1) / 64;
    }
}

static void compare(quern_operator *op, quern_dtype dtype, int64_t M, int64_t N, double low, double high,
                    double tolerance)
{
    trial t = trial_create(op, dtype, M, N, 0);
    fill(&t, (uint64_t)(1000 * M + N), low, high);
    trial_run(&t);
    trial_compare(&t, tolerance);
    trial_destroy(&t);
}

/* ---- every word ---- */

/* Mesa's llvmpipe ends all loops of a work-item after 65536 turns together, so functions that have loops themselves
   cannot be summed over many columns there; special_functions tries them alone. */
static bool can_be_summed(const char *formula)
{
    static const char *const loops[] = {"Polygamma", "Digamma", "Bessel", "Sinc", "SinXDivX"};
    bool has_loop = false;
    for (size_t n = 0; n < Q_COUNT(loops); n++) has_loop = has_loop || strstr(formula, loops[n]);
    return takes_lanes() || !has_loop;
}

/* A pair formula is summed, with a weight so that no term is taken for another. */
static void add_result(q_text *text, const char *formula, bool first)
{
    sample s = sample_create(1, 1, 0);
    q_text whole = {0};
    q_text_add(&whole, "%s%s", language_declarations, formula);
    bool pair = q_node_of(s.graph, sample_parse(&s, whole.data))->axes == (Q_I | Q_J);
    q_text_add(text, pair ? "%sSum_j(t*(%s))" : "%s%s", first ? "" : ", ", formula);
    q_text_free(&whole);
    sample_destroy(&s);
}

static void check_part(language_part part)
{
    need_device();
    char **formulas;
    size_t count = language_formulas(part, &formulas);
    for (size_t n = 0; n < count; n += TOGETHER) {
        q_text text = {0};
        q_text_add(&text, "%s", language_declarations);
        bool first = true;
        for (size_t k = n; k < count && k < n + TOGETHER; k++)
            if (can_be_summed(formulas[k])) add_result(&text, formulas[k], first), first = false;
        quern_operator *op = compile(text.data, NULL);
        for (size_t d = 0; d < 2; d++) {
            if (!has_type(both_types[d]) || (d && n / TOGETHER % 3 && !getenv("QUERN_NIGHT"))) continue;
            compare(op, both_types[d], 35, 41, 0.203125, 0.890625, d ? 1e-12 : 2e-5);
            compare(op, both_types[d], 1, 300, 0.203125, 0.890625, d ? 1e-12 : 2e-5);
        }
        quern_operator_destroy(&op);
        q_text_free(&text);
    }
    free_names(formulas, count);
}

static void every_map(void **state)
{
    (void)state;
    check_part(LANGUAGE_MAPS);
}

static void every_reduction(void **state)
{
    (void)state;
    check_part(LANGUAGE_REDUCTIONS);
}

/* ---- special functions, in vectors (of rows) and in single numbers (of columns alone) ---- */

static void special_functions(void **state)
{
    (void)state;
    need_device();
    static const struct {
        const char *text;
        double low, high, single, twofold; /* tolerances */
    } rows[] = {
        {"SinXDivXD(f,0), SinXDivXD(f,1), SinXDivXD(f,2), SinXDivXD(f,3), SinXDivXD(f,4)", -12, 12, 2e-6, 1e-14},
        {"SinXDivXD(f/1024,0), SinXDivXD(f/1024,1), SinXDivXD(f/1024,2), SinXDivXD(f/1024,5)", -2, 2, 1e-6, 1e-15},
        {"BesselJ(f,0), BesselJ(f,1), BesselJ(f,-3), BesselJ(f,16)", -100, 100, 1e-5, 1e-13},
        {"Polygamma(f,0), Polygamma(f,1), Polygamma(f,2), Polygamma(f,4)", 0.25, 40, 4e-6, 1e-13},
        {"Polygamma(f-0.5078125,0), Polygamma(f-0.5078125,1)", -8, 0, 4e-6, 1e-13},
        {"Lgamma(f), Erf(f/8), Erfc(f/8), Cbrt(f), Expm1(f/16), Log1p(f), Tanh(f/8), Softplus(f)", 0.25, 40, 4e-6,
         1e-14},
        {"Erfc(f), Round(f,1), Round(f,-1), Gelu(f), Sinh(f), Cosh(f), Sigmoid(f), Hypot(f,3), Finite(f), Tan(f/8)", -9,
         9, 4e-6, 1e-14},
    };
    for (size_t r = 0; r < Q_COUNT(rows); r++)
        for (int place = 0; place < 2; place++) {
            q_text text = {0};
            q_text_add(&text, "x=%s(1); f=x; %s", place ? "Pm" : "Vi", rows[r].text);
            quern_operator *op = compile(text.data, NULL);
            for (size_t d = 0; d < 2; d++)
                for (int n = 0; n < (place ? 4 : 1) && has_type(both_types[d]); n++)
                    compare(op, both_types[d], place ? 1 : 2000 + n, n, rows[r].low, rows[r].high,
                            d ? rows[r].twofold : rows[r].single);
            quern_operator_destroy(&op);
            q_text_free(&text);
        }
}

/* ---- selections ---- */

static void check_selection(int K, int64_t M, int64_t N, const quern_compile_options *options, size_t types)
{
    q_text text = {0};
    q_text_add(&text, "x=Vi(1); y=Vj(1); f=x*y+Mod(J,7,0)/8; KMin_j(f,%d)", K);
    if (K <= 100) q_text_add(&text, ", ArgKMin_j(f,%d)", K);
    if (K <= 10) q_text_add(&text, ", KMax_j(f,%d), ArgKMax_j(f,%d), KMin_ArgKMin_j(f,%d)", K, K, K);
    quern_operator *op = compile(text.data, options);
    for (size_t d = 0; d < types; d++)
        if (has_type(both_types[d])) compare(op, both_types[d], M, N, -1, 1, 0);
    quern_operator_destroy(&op);
    q_text_free(&text);
}

static void selections_of_few_and_of_many(void **state)
{
    (void)state;
    need_device();
    static const int counts[] = {1, 2, 10, 100, 1024};
    for (size_t k = 0; k < Q_COUNT(counts); k++) {
        if (counts[k] > 100 && !takes_lanes()) continue; /* building takes minutes */
        check_selection(counts[k], 19, 1500, NULL, counts[k] > 100 ? 1 : 2);
        if (counts[k] > 1 && counts[k] <= 100)
            check_selection(counts[k], 3, counts[k] / 2, NULL, 1); /* more than there are */
    }
}

static void selections_in_parts(void **state)
{
    (void)state;
    need_device();
    quern_compile_options options = {.size = sizeof options, .split = 3};
    check_selection(10, 19, 1500, &options, 2);
}

static void selections_of_vectors_and_their_gradients(void **state)
{
    (void)state;
    need_device();
    quern_operator *op =
        compile("x=Vi(3); y=Vj(3); e=Vi(12); f=x*y; KMin_j(f,4), Grad(KMin_j(f,4),x,e), Grad(KMax_j(f,4),y,e), "
                "KMax_i(f,2), Diff(KMin_j(f,4),y,Square(y))",
                NULL);
    for (size_t d = 0; d < 2; d++)
        if (has_type(both_types[d])) compare(op, both_types[d], 37, 61, -1, 1, d ? 1e-14 : 1e-6);
    quern_operator_destroy(&op);
}

/* The largest K, among more and among fewer terms. */
static void selections_of_1024_and_their_gradients(void **state)
{
    (void)state;
    need_device();
    if (!takes_lanes()) skip(); /* building takes minutes */
    quern_compile_options options = {.size = sizeof options, .lanes = 1, .rows = 1};
    quern_operator *op = compile("x=Vi(1); y=Vj(1); e=Vi(1024); f=x*y; ArgKMin_j(f,1024), Grad(KMin_j(f,1024),x,e), "
                                 "Grad(KMin_j(f,1024),y,e), ArgKMax_j(f,1024), Grad(KMax_j(f,1024),y,e)",
                                 &options);
    compare(op, QUERN_F32, 3, 1100, -1, 1, 1e-6);
    compare(op, QUERN_F32, 2, 60, -1, 1, 1e-6);
    quern_operator_destroy(&op);
}

/* ---- products, variances, tensors ---- */

static void products_and_variances(void **state)
{
    (void)state;
    need_device();
    for (int split = 0; split <= 3; split += 3) {
        quern_compile_options options = {.size = sizeof options, .split = split};
        quern_operator *op =
            compile("x=Vi(2); y=Vj(2); f=x+y; Prod_j(f), Variance_j(f), Var_j(1000+f), Mean_j(f), Prod_i(f), "
                    "Variance_i(f*1024), Grad(Prod_j(f),x,1), Grad(Variance_j(f),y,1)",
                    &options);
        static const int64_t sizes[][2] = {{17, 600}, {600, 17}, {1, 1}, {33, 2}};
        for (size_t n = 0; n < 2 * Q_COUNT(sizes); n++)
            if (has_type(both_types[n % 2])) /* products of 600 factors around 1 */
                compare(op, both_types[n % 2], sizes[n / 2][0], sizes[n / 2][1], 0.46875, 0.53125,
                        n % 2 ? 1e-11 : 1e-4);
        quern_operator_destroy(&op);
    }
}

static void tensors(void **state)
{
    (void)state;
    need_device();
    if (!takes_lanes()) skip(); /* llvmpipe takes minutes to build it */
    quern_operator *op =
        compile("a=Vi(12); b=Vj(12); c=Pm(6); k=TensorDot(a,b,[3,2,2],[2,3,2],[0,2],[1,2],[1,0]); e=Vi(4); "
                "Sum_j(k), Max_j(k), Grad(Sum_j(k),a,e), Grad(Sum_j(k),b,e), "
                "Sum_j(MatVecMult(Kron(c,a,[3,2],[4,3]),Extract(b,0,6))), "
                "Sum_j(GradMatrix(Kron(c,a*b,[2,3],[3,4]),c)), VecMatMult(Extract(a,0,3),a), Sum_j(TensorProd(a,b)), "
                "Sum_j(Diff(k,b,Square(b)))",
                NULL);
    for (size_t d = 0; d < 2; d++)
        if (has_type(both_types[d])) compare(op, both_types[d], 35, 41, -1, 1, d ? 1e-14 : 2e-6);
    quern_operator_destroy(&op);
}

/* ---- losses ---- */

static void losses_and_their_gradients(void **state)
{
    (void)state;
    need_device();
    static const char *const texts[] = {
        "x=Vi(3); y=Vj(3); p=Vi(3); q=Vj(3); g=Pm(1); L=Sum_i(p|Sum_j(Exp(-g*SqDist(x,y))*q))/2; "
        "L, Grad(L,[x,y,p,q,g],1)",
        "x=Vi(3); m=Vj(3); w=Vj(1); s=Vj(1); L=-Sum_i(LogSumExp_j(w-LogSumExp_j(w)+1.5*s-0.5*Exp(s)*SqDist(x,m))); "
        "L, Grad(L,[x,m,w,s],1)",
        "x=Vi(3); z=Vj(3); u=Vi(3); y=Vj(3); L=Sum_i(Sum_j(2*Norm2(x-y)-Norm2(x-z)-Norm2(u-y))); "
        "L, Grad(L,[x,z,u,y],1)",
        "q=Vi(3); k=Vj(3); v=Vj(3); t=Vi(3); L=Sum_i(SqDist(SumSoftMaxWeight_j((q|k)/Sqrt(3),v),t)); "
        "L, Grad(L,[q,k,v,t],1)",
        "x=Vi(3); y=Vj(3); a=Vi(1); b=Vj(1); g=Vj(1); e=Pm(1); C=SqDist(x,y); f=-e*LogSumExp_j(b+(g-C)/e); "
        "L=Sum_i(Exp(a)*f)+Sum_j(Exp(b)*(-e*LogSumExp_i(a+(f-C)/e))); L, Grad(L,[x,y,a,b,g,e],1)",
    };
    for (size_t n = 0; n < Q_COUNT(texts); n++) {
        quern_operator *op = compile(texts[n], NULL);
        for (size_t d = 0; d < 2; d++)
            if (has_type(both_types[d])) compare(op, both_types[d], 67, 51, 0.203125, 0.890625, d ? 1e-12 : 2e-5);
        quern_operator_destroy(&op);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_map),
        cmocka_unit_test(every_reduction),
        cmocka_unit_test(special_functions),
        cmocka_unit_test(selections_of_few_and_of_many),
        cmocka_unit_test(selections_in_parts),
        cmocka_unit_test(selections_of_vectors_and_their_gradients),
        cmocka_unit_test(selections_of_1024_and_their_gradients),
        cmocka_unit_test(products_and_variances),
        cmocka_unit_test(tensors),
        cmocka_unit_test(losses_and_their_gradients),
    };
    return cmocka_run_group_tests(tests, open_context, close_context);
}
