/*
 * test_parse.c: texts that mean the same give the same id; each file of tests/bad is a wrong text with its exact
 * error (first line: the formula; the rest: quern_last_error_text(), rewritten when QUERN_UPDATE=1); damaged texts
 * never crash.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "helpers.h"

#define XY "x=Vi(3); y=Vj(3); b=Vj(1); p=Pm(1); "

static const char *const equal_texts[][2] = {
    /* precedence and associativity */
    {XY "x-y-b", XY "(x-y)-b"},
    {XY "x-y*b", XY "x-(y*b)"},
    {XY "x/y/b", XY "(x/y)/b"},
    {XY "x/y*b", XY "(x/y)*b"},
    {XY "-x*y", XY "(-x)*y"},
    {XY "-x**2", XY "-(x**2)"},
    {XY "-x**p", XY "-Powf(x,p)"},
    {XY "x**-p", XY "Powf(x,-p)"},
    {XY "x**p**b", XY "Powf(x,Powf(p,b))"},
    {XY "x*-y", XY "x*(-y)"},
    {XY "x - -y", XY "x+y"},
    {XY "+x", XY "x"},
    {XY "x+y|x-y", XY "Scalprod(x+y,x-y)"},
    {XY "(x|y)*b", XY "Sum(x*y)*b"},
    {XY "x+y<b", XY "LessThan(x+y,b)"},
    {XY "x<b==p", XY "Equal(LessThan(x,b),p)"},
    {XY "x>b", XY "LessThan(b,x)"},
    {XY "x>=b", XY "LessOrEqual(b,x)"},
    {XY "x<=b", XY "LessOrEqual(x,b)"},
    {XY "x!=b", XY "NotEqual(b,x)"},
    {"2**3**2", "512"},
    {"2+3*4-5/2", "11.5"},
    {"-2**2", "-4"},
    {"7-4-2", "1"},
    {"1.5e2+.5", "150.5"},
    /* white space and statements */
    {XY "Exp ( - SqDist ( x , y ) ) * b", XY "Exp(-SqDist(x,y))*b"},
    {"\tx = Vi( 3 ) ;\n y=Vj(3)\n;\nx+y;\n", XY "x+y"},
    {XY "d=x-y; q=Square(d); Exp(-Sum(q))", XY "Exp(-SqDist(x,y))"},
    {"# one\nx=Vi(3); # two; three\ny=Vj(3);# four\nx# five\n+y # six", XY "x+y"},
    {"2#", "2"},
    /* KeOps's positional text */
    {"Var(0,3,0)-Var(1,3,1)*Var(2,1,2)", "Vi(0,3)-Vj(1,3)*Pm(2,1)"},
    {"Sum_Reduction(Vi(0,3)*Vj(1,3),0)", "Sum_j(Vi(0,3)*Vj(1,3))"},
    {"Sum_Reduction(Vi(0,3)*Vj(1,3),1)", "Sum_i(Vi(0,3)*Vj(1,3))"},
    {"LogSumExp_Reduction(Vi(0,3)|Vj(1,3),0)", "LogSumExp_j(Scalprod(Vi(0,3),Vj(1,3)))"},
    {"ArgMin_Reduction(Vj(1,3),0)", "Repeat_i(ArgMin_j(Vj(1,3)))"},
    {"Square(Vi(0,3))*IntCst(2)", "2*Vi(0,3)**2"},
    {"RatCst(1,4)+IntInv(4)", "0.5"},
    {"Factorize(Exp(Vi(0,3)),Vi(0,3))", "AutoFactorize(Exp(Vi(0,3)))"},
    {"Zero(3)+Vi(0,3)", "Vi(0,3)"},
    {"ElemT(Vi(0,1),4,2)", "ExtractT(Vi(0,1),2,4)"},
    {"Elem(Vi(0,3),2)", "Extract(Vi(0,3),2,1)"},
    {"Minus(Vi(0,3))", "-Vi(0,3)"},
    {"Norm2(Vi(0,3))", "Sqrt(SqNorm2(Vi(0,3)))"},
    /* derivatives */
    {XY "e=Vi(1); Grad(Sum_j(b*SqDist(x,y)),b,e)", XY "e=Vi(1); Sum_i(e*SqDist(x,y))"},
    {XY "Grad(Sum(Square(x)),x,1)", XY "2*x"},
};

static void equal_texts_give_equal_ids(void **state)
{
    (void)state;
    for (size_t n = 0; n < Q_COUNT(equal_texts); n++) {
        sample s = sample_create(1, 1, 0);
        if (sample_parse(&s, equal_texts[n][0]) != sample_parse(&s, equal_texts[n][1]))
            fail_msg("not equal: %s\n           %s", equal_texts[n][0], equal_texts[n][1]);
        sample_destroy(&s);
    }
}

static void several_results(void **state)
{
    (void)state;
    sample s = sample_create(1, 1, 0);
    q_id results[Q_MAX_RESULTS];
    size_t count;
    assert_int_equal(q_parse(s.graph, XY "k=Exp(-SqDist(x,y)); Sum_j(k*b), Max_j(k), Sum_j(k*b)", results, &count), 0);
    assert_int_equal(count, 3);
    assert_int_equal(results[0], results[2]);
    assert_int_equal(q_node_of(s.graph, results[1])->op, Q_RED_Max);
    sample_destroy(&s);
}

// ---- errors ----

static quern_status parse_status(const char *text)
{
    q_graph *graph;
    assert_int_equal(q_graph_create(&graph), QUERN_OK);
    q_id results[Q_MAX_RESULTS];
    size_t count = 7;
    quern_status status = q_parse(graph, text, results, &count);
    assert_int_equal(status, graph->status);
    if (status) assert_int_equal(count, 0);
    else assert_in_range(count, 1, Q_MAX_RESULTS);
    q_graph_destroy(&graph);
    return status;
}

static void update(const char *path, const char *formula)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fprintf(file, "%s\n%s\n", formula, quern_last_error_text());
    fclose(file);
}

static void check_bad_file(const char *path)
{
    char *text;
    size_t size;
    assert_int_equal(q_read_file(path, &text, &size), QUERN_OK);
    char *end = text + strcspn(text, "\n"), *expected = *end ? end + 1 : end;
    *end = 0;
    if (!parse_status(text)) fail_msg("%s: the formula is not bad: %s", path, text);
    size_t length = strlen(expected);
    if (length && expected[length - 1] == '\n') expected[length - 1] = 0;
    const char *rewrite = getenv("QUERN_UPDATE");
    if (rewrite && strcmp(rewrite, "1") == 0) update(path, text);
    else if (strcmp(expected, quern_last_error_text()) != 0)
        fail_msg("%s:\nexpected\n%s\ngot\n%s", path, expected, quern_last_error_text());
    free(text);
}

static void bad_texts_have_their_error(void **state)
{
    (void)state;
    char *directory = test_path("bad"), **names;
    size_t count = list_directory(directory, ".txt", &names);
    assert_true(count >= 12);
    for (size_t n = 0; n < count; n++) {
        q_text path = {0};
        q_text_add(&path, "%s/%s", directory, names[n]);
        check_bad_file(path.data);
        q_text_free(&path);
    }
    free_names(names, count);
    free(directory);
}

static void too_long_text(void **state)
{
    (void)state;
    char *text = malloc(Q_MAX_TEXT + 2);
    memset(text, ' ', Q_MAX_TEXT + 1);
    text[Q_MAX_TEXT + 1] = 0;
    text[0] = '1';
    assert_int_equal(parse_status(text), QUERN_LIMIT);
    assert_string_equal(quern_last_error()->message, "the formula text has 65537 bytes; the limit is 65536");
    text[Q_MAX_TEXT] = 0;
    assert_int_equal(parse_status(text), QUERN_OK);
    memset(text + 1, '-', Q_MAX_TEXT - 2); /* no C stack is used for it */
    text[Q_MAX_TEXT - 1] = '1';
    assert_int_equal(parse_status(text), QUERN_OK);
    free(text);
}

static void too_many_results(void **state)
{
    (void)state;
    q_text text = {0};
    q_text_add(&text, "1");
    for (int n = 1; n < Q_MAX_RESULTS; n++) q_text_add(&text, ",%d", n);
    assert_int_equal(parse_status(text.data), QUERN_OK);
    q_text_add(&text, ",1");
    assert_int_equal(parse_status(text.data), QUERN_LIMIT);
    assert_string_equal(quern_last_error()->message, "a formula has at most 16 results");
    q_text_free(&text);
}

/* Every formula of the conformance cases, cut anywhere or with a byte replaced: OK or an error with a message. */
static void damaged_texts_do_no_harm(void **state)
{
    (void)state;
    static const char bytes[] = "()+-*/|,;=<>!.0129xIJ_ [$\n\"\x80";
    char **formulas;
    size_t count = conformance_formulas(&formulas), bad = 0;
    random_source random = {1};
    for (size_t n = 0; n < count; n++) {
        for (int times = 0; times < 3; times++) {
            char *text = strdup(formulas[n]);
            size_t at = random_below(&random, strlen(text));
            text[at] = times ? bytes[random_below(&random, sizeof bytes - 1)] : 0;
            if (parse_status(text)) {
                bad++;
                assert_true(*quern_last_error()->message);
                assert_in_range(quern_last_error()->at, 0, (LargestIntegralType)strlen(text));
            }
            free(text);
        }
    }
    assert_in_range(bad, count, 3 * count - 1);
    free_names(formulas, count);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equal_texts_give_equal_ids), cmocka_unit_test(several_results),
        cmocka_unit_test(bad_texts_have_their_error), cmocka_unit_test(too_long_text),
        cmocka_unit_test(too_many_results),           cmocka_unit_test(damaged_texts_do_no_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
