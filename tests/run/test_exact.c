/*
 * test_exact.c: where a rounding shows as a whole unit: steps of quotients of whole numbers on the device, beside exact
 * arithmetic on integers, and beside the host, bit for bit; counts and indices beyond 2^24.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "run_helpers.h"

enum { MOST = 300 };

static quern_context *host_context;

static int open_both(void **state)
{
    const quern_context_options options = {.size = sizeof options, .host = QUERN_ON};
    quern_status status = quern_context_create(&host_context, &options);
    return status && status != QUERN_NO_DEVICE ? -1 : open_context(state);
}

static int close_both(void **state)
{
    quern_context_destroy(&host_context);
    return close_context(state);
}

// ---- steps of a/b, exactly ----

static int64_t sign_of(int64_t a)
{
    return (a > 0) - (a < 0);
}

static int64_t floor_of(int64_t a, int64_t b)
{
    return a / b - (a % b != 0 && (a < 0) != (b < 0));
}

/* What a/b - k is the sign of. */
static int64_t beside(int64_t a, int64_t b, int64_t k)
{
    return sign_of(a - k * b) * sign_of(b);
}

static int64_t rounded(int64_t a, int64_t b)
{
    int64_t x = llabs(a), y = llabs(b);
    return sign_of(a) * sign_of(b) * ((2 * x + y) / (2 * y));
}

/* Formulas of the quotient q of a and b, and what they are. */
#define STEPS                                                                      \
    STEP("Floor(q)", floor_of(a, b))                                               \
    STEP("Ceil(q)", -floor_of(-a, b))                                              \
    STEP("Trunc(q)", a / b)                                                        \
    STEP("Round(q,0)", rounded(a, b))                                              \
    STEP("Mod(a,b,0)", a - b * floor_of(a, b))                                     \
    STEP("Mod(a,b,-2)", a - b * floor_of(a + 2, b))                                \
    STEP("Sign(q-2)", beside(a, b, 2))                                             \
    STEP("Step(q-3)", beside(a, b, 3) >= 0)                                        \
    STEP("q<=3", beside(a, b, 3) <= 0)                                             \
    STEP("2<q", beside(a, b, 2) > 0)                                               \
    STEP("q==Trunc(q)", a % b == 0)                                                \
    STEP("q!=5", beside(a, b, 5) != 0)                                             \
    STEP("IfElse(q-4,2,1)", beside(a, b, 4) >= 0 ? 2 : 1)                          \
    STEP("Where(q-6,1,2)", beside(a, b, 6) ? 1 : 2)                                \
    STEP("Sum(OneHot(q,4))", beside(2 * a, b, -1) >= 0 && beside(2 * a, b, 7) < 0) \
    STEP("ArgMax(Concat(q,3))", beside(a, b, 3) < 0)

enum { STEP_COUNT = 16 };

static int64_t step_of(size_t s, int64_t a, int64_t b)
{
    const int64_t values[] = {
#define STEP(formula, value) value,
        STEPS
#undef STEP
    };
    return values[s];
}

static const char *const step_formulas[STEP_COUNT] = {
#define STEP(formula, value) formula,
    STEPS
#undef STEP
};

/* One operator with a sum, or the largest, of each step. */
static quern_operator *compile_steps(const char *variables, const char *form, const quern_compile_options *options)
{
    q_text text = {0};
    q_text_add(&text, "%s", variables);
    for (size_t s = 0; s < STEP_COUNT; s++) {
        q_text_add(&text, s ? ", " : "");
        q_text_add(&text, form, step_formulas[s]);
    }
    quern_operator *op = compile(text.data, options);
    q_text_free(&text);
    return op;
}

static void fill(const trial *t, const char *name, const int64_t *numbers)
{
    size_t count;
    double *data = trial_data(t, name, &count);
    for (size_t n = 0; n < count; n++) data[n] = (double)numbers[n];
}

/* -MOST to MOST without 0. */
static void nonzero(int64_t *out)
{
    for (int64_t n = 0; n < MOST; n++) out[n] = n - MOST, out[MOST + n] = n + 1;
}

/* All a/b, with b of a column (or a row), summed over columns with weights that tell them apart. */
static void check_quotients(bool row_divides, quern_dtype dtype, const quern_compile_options *options)
{
    const char *variables =
        row_divides ? "x=Vi(1); y=Vj(1); w=Vj(1); a=y; b=x; q=a/b; " : "x=Vi(1); y=Vj(1); w=Vj(1); a=x; b=y; q=a/b; ";
    quern_operator *op = compile_steps(variables, "Sum_j(w*(%s))", options);
    static int64_t numbers[2 * MOST], weights[2 * MOST];
    nonzero(numbers);
    for (int64_t n = 0; n < 2 * MOST; n++) weights[n] = 1 + n * n % 7;
    trial t = trial_create(op, dtype, 2 * MOST, 2 * MOST, 1);
    fill(&t, "x", numbers);
    fill(&t, "y", numbers);
    fill(&t, "w", weights);
    trial_run(&t);
    for (size_t s = 0; s < STEP_COUNT; s++)
        for (size_t i = 0; i < 2 * MOST; i++) {
            int64_t sum = 0;
            for (size_t j = 0; j < 2 * MOST; j++)
                sum += weights[j] *
                       (row_divides ? step_of(s, numbers[j], numbers[i]) : step_of(s, numbers[i], numbers[j]));
            if (t.got[s][i] != (double)sum)
                fail_msg("%s, %s of %d: %.17g, not %lld", step_formulas[s], row_divides ? "quotients by" : "quotients",
                         (int)numbers[i], t.got[s][i], (long long)sum);
        }
    trial_destroy(&t);
    quern_operator_destroy(&op);
}

/* The same with b a parameter, each by itself. */
static void check_parameter(quern_dtype dtype, const quern_compile_options *options)
{
    quern_operator *op = compile_steps("x=Vi(1); y=Vj(1); p=Pm(1); a=x-y; b=p; q=a/b; ", "Max_j(%s)", options);
    static int64_t numbers[2 * MOST];
    int64_t zero = 0;
    nonzero(numbers);
    for (int64_t b = -MOST; b <= MOST; b += b < 0 && b > -40 ? 1 : 7) {
        if (!b) continue;
        trial t = trial_create(op, dtype, 2 * MOST, 1, 1);
        fill(&t, "x", numbers);
        fill(&t, "y", &zero);
        fill(&t, "p", &b);
        trial_run(&t);
        for (size_t s = 0; s < STEP_COUNT; s++)
            for (size_t i = 0; i < 2 * MOST; i++)
                if (t.got[s][i] != (double)step_of(s, numbers[i], b))
                    fail_msg("%s of %d/%d: %.17g, not %d", step_formulas[s], (int)numbers[i], (int)b, t.got[s][i],
                             (int)step_of(s, numbers[i], b));
        trial_destroy(&t);
    }
    quern_operator_destroy(&op);
}

static const int lane_counts[] = {1, 2, 4, 8, 16};

static void steps_of_quotients_are_exact(void **state)
{
    quern_dtype dtype = *(quern_dtype *)*state;
    need_type(dtype);
    for (size_t l = 0; l < Q_COUNT(lane_counts); l++) {
        if (lane_counts[l] > 1 && !takes_lanes()) continue;
        quern_compile_options options = {.size = sizeof options, .lanes = lane_counts[l]};
        check_quotients(l % 2, dtype, &options);
        if (l % 3 == 0) check_parameter(dtype, &options);
    }
    const quern_compile_options like_gpu = {
        .size = sizeof like_gpu, .lanes = 1, .local = 16, .profile = "staged_cols=16"};
    check_quotients(false, dtype, &like_gpu);
    quern_context *device = context;
    context = host_context;
    check_parameter(dtype, NULL);
    context = device;
}

// ---- host and device, bit for bit ----

/* Of whole numbers x, y, and v and w, which are long enough for tiles. */
static const char *const regrouped[] = {
    "Max_j(Floor(2*((x-y)/7)))",
    "Max_j(Ceil((x-y)/7*7))",
    "Max_j(Floor(0.1*(10*(x-y))))",
    "Max_j(Floor((x-y)/3/5))",
    "Max_j(Floor((x-y)/p/p))",
    "Max_j(Floor(Inv(7)*(x-y)))",
    "Max_j(Floor((x-y)*(1/7)))",
    "Max_j(Floor((x-y)*Pow(p,-1)))",
    "Max_j(Floor((x+y)/(7*p)))",
    "Max_j(Step(0.1*x-y-3))",
    "Max_j(Ceil(x*0.1-(y+1)))",
    "Max_j(Floor(Square(x-y)/Square(p)))",
    "Max_j(Sign((0.1*x)*y-0.1*(x*y)))",
    "Max_j(Floor(Abs(-x/7-y)))",
    "Max_j(Round((x-y)/20,1))",
    "Max_j(Round(x+y,-1))",
    "Max_j(Mod(x-y,0.1,0))",
    "Max_j(Mod(0.1*x-y,0.7,-0.3))",
    "Sum_j(Floor(x/(y+3)))",
    "Sum_j((x/p-y/p<=1))",
    "Sum_j(Equal(0.1*x,0.1*y))",
    "Sum_j((0.1*x-0.3*y<0))",
    "Ceil(Max_j((x-y)/49))",
    "Ceil(Sum_j((x-y)*(J==0)/7)/0.5)",
    "Floor(Min_j((x-y)/p)/3)",
    "Sum_j(Where((x-y)/7-3,1,0))",
    "Sum_j(IfElse((x-y)/7-3,1,0))",
    "Equal(Sum_j(IfElse(J-1,-0.1,0.1)*x),0)",
    "ArgMin_j(Abs(x/(y+3)-3))",
    "ArgMax_j(x/(y+0.5))",
    "ArgKMin_j((x-y)/(x+0.5),3)",
    "Max_j(Elem(OneHot((x-y)/7,40),3))",
    "Max_j(Powf(-1,(x-y)/p))",
    "Sum_j(TensorDot(Concat(x,p),Concat(y,p),[2],[2],[0],[0])/7<=4)",
    "Sum_j(SqDist(v,w)<=100)",
    "Sum_j((v|w)/p<=3)",
};

enum { GROUP = 12 };

/* Whole numbers from -limit to limit. */
static void fill_whole(const trial *t, const char *name, int64_t first, int64_t limit)
{
    size_t count;
    double *data = trial_data(t, name, &count);
    for (size_t n = 0; n < count; n++) data[n] = (double)((first + (int64_t)n) % (2 * limit + 1) - limit);
}

static trial run_whole(quern_operator *op, quern_dtype dtype, double p)
{
    trial t = trial_create(op, dtype, 601, 3, 1);
    size_t count;
    fill_whole(&t, "x", 0, 300);
    fill_whole(&t, "y", 300, 300);
    trial_data(&t, "p", &count)[0] = p;
    if (strstr(quern_operator_text(op), "v=Vi")) fill_whole(&t, "v", 0, 3), fill_whole(&t, "w", 2, 3);
    trial_run(&t);
    return t;
}

static quern_operator *compile_group(quern_context *where, size_t first, size_t end)
{
    q_text text = {0};
    q_text_add(&text, "x=Vi(1); y=Vj(1); p=Pm(1); v=Vi(32); w=Vj(32); ");
    for (size_t f = first; f < end; f++) q_text_add(&text, "%s%s", f > first ? ", " : "", regrouped[f]);
    quern_context *device = context;
    context = where;
    quern_operator *op = compile(text.data, NULL);
    context = device;
    q_text_free(&text);
    return op;
}

static void compare_group(quern_operator *op, quern_operator *on_host, quern_dtype dtype, double p, size_t first,
                          size_t end)
{
    trial got = run_whole(op, dtype, p), expected = run_whole(on_host, dtype, p);
    for (size_t f = first; f < end; f++)
        for (size_t i = 0; i < trial_result_count(&got, f - first); i++) {
            double a = got.got[f - first][i], b = expected.got[f - first][i];
            if (a != b && !(isnan(a) && isnan(b)))
                fail_msg("%s, p = %g, row %zu: %.17g on the device, %.17g on the host", regrouped[f], p, i, a, b);
        }
    trial_destroy(&got);
    trial_destroy(&expected);
}

static void host_and_device_agree(void **state)
{
    quern_dtype dtype = *(quern_dtype *)*state;
    need_type(dtype);
    for (size_t first = 0; first < Q_COUNT(regrouped); first += GROUP) {
        size_t end = first + GROUP < Q_COUNT(regrouped) ? first + GROUP : Q_COUNT(regrouped);
        quern_operator *op = compile_group(context, first, end), *on_host = compile_group(host_context, first, end);
        for (double p = 3; p <= 49; p += p < 9 ? 1 : 8) compare_group(op, on_host, dtype, p, first, end);
        quern_operator_destroy(&op);
        quern_operator_destroy(&on_host);
    }
}

// ---- whole numbers that float32 is too short for ----

/* M = 1, N = 2^24 + 4, p = 2^24 + 1, which is no number of float32, or the next one below. */
static const struct {
    const char *formula;
    int64_t is; /* exactly, or rounded to float32 */
} beyond[] = {
    {"Sum_j(J==16777217)*p", 16777216},
    {"Sum_j(J==p)", 1},
    {"Sum_j(J<p)", 16777216},
    {"Sum_j(J<=p)", 16777217 - 1}, /* rounded */
    {"Sum_j(p<J)", 3},
    {"Sum_j(p<=J)", 4},
    {"Sum_j((Abs(J-16777217)<=1)*p)/p", 3},
    {"Sum_j(J-1==16777216)+0*p", 1},
    {"Sum_j(J>=1)+p*0", 16777220}, /* 16777219, rounded */
    {"(Sum_j(J>=1)==Sum_j(1))+0*p", 0},
    {"(Sum_j(J>=1)+1==Sum_j(1))+0*p", 1},
    {"(Sum_j(J<=16777216)==16777217)+0*p", 1},
    {"(Count_j(J)<Sum_j(1))+0*p", 1},
    {"All_j(J-5)+0*p", 0},
    {"All_j(J+1)+Any_j(J<0)+2*Any_j(J==16777219)+0*p", 3},
    {"Sum_j(J==ArgMax_j(J>=16777217))+0*p", 1},
};

static void counts_are_integers(void **state)
{
    (void)state;
    need_device();
    q_text text = {0};
    q_text_add(&text, "p=Pm(1); ");
    for (size_t f = 0; f < Q_COUNT(beyond); f++) q_text_add(&text, "%s%s", f ? ", " : "", beyond[f].formula);
    quern_operator *op = compile(text.data, NULL);
    float got[Q_COUNT(beyond)];
    quern_view views[Q_COUNT(beyond)];
    for (size_t f = 0; f < Q_COUNT(beyond); f++) views[f] = quern_f32(&got[f], 1, 1);
    quern_args args = QUERN_ARGS({"p", quern_number(16777216)});
    args.M = 1, args.N = 16777220;
    succeed(quern_run_all(op, args, (quern_outs){views, Q_COUNT(beyond)}));
    for (size_t f = 0; f < Q_COUNT(beyond); f++)
        if (got[f] != (float)beyond[f].is)
            fail_msg("%s: %.9g, not %lld", beyond[f].formula, (double)got[f], (long long)beyond[f].is);
    q_text_free(&text);
    quern_operator_destroy(&op);
}

static void none_and_one_count_too(void **state)
{
    (void)state;
    need_device();
    static const double expected[3][5] = {{0, 0, 1, 0, 1}, {1, 1, 1, 1, 0}, {1, 1, 0, 1, 0}};
    static const float data[] = {NAN, 0};
    quern_operator *op = compile("y=Vj(1); Count_j(y), Any_j(y), All_j(y), Sum_j(y!=0)>0, Sum_j(y!=0)==0", NULL);
    for (int64_t N = 0; N <= 2; N++) {
        float got[5];
        quern_view views[5];
        for (size_t r = 0; r < 5; r++) views[r] = quern_f32(&got[r], 1, 1);
        succeed(quern_run_all(op, QUERN_ARGS({"y", quern_f32(data, N, 1)}), (quern_outs){views, 5}));
        for (size_t r = 0; r < 5; r++) assert_true(got[r] == (float)expected[N][r]);
    }
    quern_operator_destroy(&op);
}

// ---- bounded in exact arithmetic ----

/* Of x and y, the same random rows: whether 0 is what is said of each row, or its own index. */
static const struct {
    const char *formula;
    bool index;
} bounded[] = {
    {"ArgMin_j(Acos(Cosine(x,y)))", true},
    {"Min_j(Acos(Cosine(x,y)))", false},
    {"ArgMin_j(Acos((x|y)/(Norm2(x)*Norm2(y))))", true},
    {"ArgMin_j(Acos((x|y)/Norm2(x)/Norm2(y)))", true},
    {"ArgMin_j(Acos((x/Norm2(x)|y/Norm2(y))))", true},
    {"ArgMin_j(Acos(Scalprod(Normalize(x),Normalize(y))))", true},
    {"ArgMax_j(Asin((x|y)*Rsqrt(SqNorm2(x)*SqNorm2(y))))", true},
    {"ArgMin_j(Sqrt(SqNorm2(x)+SqNorm2(y)-2*(x|y)))", true},
    {"Sum_j((Abs(Cosine(x,y))>1)+(Abs(Cosine(x,-y))>1))", false},
    {"Sum_j(IsNaN(Sqrt(1-Square(Cosine(x,y)))))", false},
    {"Sum_j(IsNaN(Acos(-(x|y)/(Norm2(x)*Norm2(y)))))", false},
    {"Sum_j(IsNaN(Sqrt(SqNorm2(x)-2*(x|y)+SqNorm2(y))))", false},
    {"Sum_j(Where(I==J,Sqrt(Square(Elem(x,0))-Square(Elem(y,0))),0))", false},
    {"Sum_j(Where(I==J,Sqrt(Elem(x,0)*Elem(y,1)-Elem(x,1)*Elem(y,0)),0))", false},
    {"Sum_j(Where(I==J,Elem(x,2)*Elem(y,5)-Elem(x,5)*Elem(y,2)!=0,0))", false},
    {"Sum_j(IsNaN(HyperbolicBall(x/64,y/64)))+HyperbolicBall(x/64,x/64)", false},
};

static quern_operator *compile_bounded(void)
{
    q_text text = {0};
    q_text_add(&text, "x=Vi(8); y=Vj(8); ");
    for (size_t f = 0; f < Q_COUNT(bounded); f++) {
        const char *p = bounded[f].formula, *nan = strstr(p, "IsNaN");
        q_text_add(&text, f ? ", " : "");
        if (!nan) q_text_add(&text, "%s", p);
        for (; nan; p = nan, nan = NULL) {
            const char *end = nan + 5; /* IsNaN(a) is a!=a */
            size_t open = 0, size = 0;
            do open += (size_t)(end[size] == '(') - (size_t)(end[size] == ')'), size++;
            while (open);
            q_text_add(&text, "%.*s(%.*s!=%.*s)%s", (int)(nan - p), p, (int)size, end, (int)size, end, end + size);
        }
    }
    quern_operator *op = compile(text.data, NULL);
    q_text_free(&text);
    return op;
}

static void check_bounded(quern_dtype dtype, int64_t rows, bool whole, uint64_t seed)
{
    quern_operator *op = compile_bounded();
    trial t = trial_create(op, dtype, rows, rows, 1);
    size_t count;
    double *x = trial_data(&t, "x", &count), *y = trial_data(&t, "y", &count);
    for (size_t n = 0; n < count; n++) {
        uint64_t draw = q_hash64(&(uint64_t){seed + n}, sizeof(uint64_t));
        x[n] = y[n] = whole ? (double)(draw % 9) - 4 + (n % 8 == 0 ? 9 : 0) : (double)(draw >> 11) * 0x1p-52 - 1;
    }
    trial_run(&t);
    for (size_t f = 0; f < Q_COUNT(bounded); f++)
        for (size_t i = 0; i < (size_t)rows && !(whole && bounded[f].index); i++)
            if (t.got[f][i] != (bounded[f].index ? (double)i : 0))
                fail_msg("%s in row %zu is %.9g", bounded[f].formula, i, t.got[f][i]);
    trial_destroy(&t);
    quern_operator_destroy(&op);
}

static void a_point_is_its_own_neighbour(void **state)
{
    quern_dtype dtype = *(quern_dtype *)*state;
    need_type(dtype);
    check_bounded(dtype, 3000, false, 1);
    check_bounded(dtype, 500, true, 2);
    quern_context *device = context;
    context = host_context;
    check_bounded(dtype, 100, false, 3);
    check_bounded(dtype, 100, true, 4);
    context = device;
}

/* Where a function's domain ends, gradients are finite, and 0 as they are just beside. */
static void gradients_at_the_edge_are_finite(void **state)
{
    (void)state;
    need_device();
    static const char *const formulas[] = {
        "x=Vi(3); y=Vj(3); Grad(Sum_j(Acos(Cosine(x,y))),x,1)",
        "x=Vi(3); y=Vj(3); Grad(Sum_j(Acos((x|y)/(Norm2(x)*Norm2(y)))),x,1)",
        "x=Vi(3); y=Vj(3); Grad(Sum_j(Sqrt(SqNorm2(x)+SqNorm2(y)-2*(x|y))),x,1)",
        "x=Vi(3); y=Vj(3); Grad(Sum_j(Acosh(1+SqDist(x,y))),x,1)",
    };
    for (size_t f = 0; f < Q_COUNT(formulas); f++) {
        quern_operator *op = compile(formulas[f], NULL);
        trial t = trial_create(op, QUERN_F32, 20, 20, 7);
        size_t count;
        double *x = trial_data(&t, "x", &count), *y = trial_data(&t, "y", &count);
        memcpy(y, x, count * sizeof *x);
        trial_run(&t);
        for (size_t n = 0; n < count; n++)
            if (!isfinite(t.got[0][n])) fail_msg("%s: %g", formulas[f], t.got[0][n]);
        trial_destroy(&t);
        quern_operator_destroy(&op);
    }
}

static quern_dtype single = QUERN_F32, twice = QUERN_F64;

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_prestate(steps_of_quotients_are_exact, &single),
        cmocka_unit_test_prestate(steps_of_quotients_are_exact, &twice),
        cmocka_unit_test_prestate(host_and_device_agree, &single),
        cmocka_unit_test_prestate(host_and_device_agree, &twice),
        cmocka_unit_test_prestate(a_point_is_its_own_neighbour, &single),
        cmocka_unit_test_prestate(a_point_is_its_own_neighbour, &twice),
        cmocka_unit_test(gradients_at_the_edge_are_finite),
        cmocka_unit_test(counts_are_integers),
        cmocka_unit_test(none_and_one_count_too),
    };
    return cmocka_run_group_tests(tests, open_both, close_both);
}
