/*
 * 20_attention.c: attention of a language model, with its derivatives: 8 heads over 300 words, each of which looks at those before
 * it and at itself. A head is a member of a batch, "before" is a condition on the indices I and J, the softmax is one reduction:
 * no matrix of 300 x 300 is there. All three derivatives are formulas that quern makes of this one. Checked beside the definition
 * in float64, entry by entry.
 */
#include <math.h>
#include <quern.h>
#include <quern/space.h>
#include <stdio.h>

enum { HEADS = 8, WORDS = 300, DIM = 16, ALL = HEADS * WORDS * DIM };
#define ATTENTION "x=Vi(16); y=Vj(16); b=Vj(16); SumSoftMaxWeight_j(Where(J<=I, Scalprod(x,y)/4, -1/0), b)"

/* Queries, keys, values; what the loss says of the results; and what comes out. */
static float query[ALL], key[ALL], value[ALL], wanted[ALL], out[ALL], to_query[ALL], to_key[ALL], to_value[ALL];
static double expected[ALL], query_expected[ALL], key_expected[ALL], value_expected[ALL];

static quern_view in_heads(const float *data)
{
    return quern_in_batch(quern_f32(data, WORDS, DIM), HEADS);
}

static quern_status run(quern_operator *op, float *result)
{
    return quern_run(
        op, QUERN_ARGS({"x", in_heads(query)}, {"y", in_heads(key)}, {"b", in_heads(value)}, {"e", in_heads(wanted)}),
        in_heads(result));
}

static double dot(const float *a, const float *b)
{
    double sum = 0;
    for (int d = 0; d < DIM; d++) sum += (double)a[d] * (double)b[d];
    return sum;
}

/* Word i of a head, by the book: weights, their mean of values, and what a change of each score would do. */
static void attend(int head, int i)
{
    const int start = head * WORDS, row = (start + i) * DIM;
    double weight[WORDS], sum = 0, mean = 0;

    for (int j = 0; j <= i; j++) sum += weight[j] = exp(dot(query + row, key + (start + j) * DIM) / 4);
    for (int j = 0; j <= i; j++) {
        weight[j] /= sum;
        mean += weight[j] * dot(wanted + row, value + (start + j) * DIM);
    }
    for (int j = 0; j <= i; j++) {
        const int column = (start + j) * DIM;
        const double change = weight[j] * (dot(wanted + row, value + column) - mean) / 4;
        for (int d = 0; d < DIM; d++) {
            expected[row + d] += weight[j] * (double)value[column + d];
            value_expected[column + d] += weight[j] * (double)wanted[row + d];
            query_expected[row + d] += change * (double)key[column + d];
            key_expected[column + d] += change * (double)query[row + d];
        }
    }
}

static double largest_error(const float *got, const double *right)
{
    double error = 0, size = 0;
    for (int k = 0; k < ALL; k++) {
        error = fmax(error, fabs((double)got[k] - right[k]));
        size = fmax(size, fabs(right[k]));
    }
    return error / size;
}

int main(void)
{
    quern_context *ctx = NULL;
    quern_operator *op = NULL, *by_query = NULL, *by_key = NULL, *by_value = NULL;

    for (int k = 0; k < ALL; k++) {
        query[k] = (float)(2 * sin(0.37 * k)), key[k] = (float)(2 * sin(0.61 * k + 1));
        value[k] = (float)cos(0.83 * k), wanted[k] = (float)cos(1.7 * k);
    }
    quern_status bad = quern_context_create(&ctx, NULL);
    if (!bad) bad = quern_compile(&op, ctx, ATTENTION, NULL);
    if (!bad) bad = quern_gradient(&by_query, op, "x", "e");
    if (!bad) bad = quern_gradient(&by_key, op, "y", "e");
    if (!bad) bad = quern_gradient(&by_value, op, "b", "e");
    if (!bad)
        bad = quern_run(op, QUERN_ARGS({"x", in_heads(query)}, {"y", in_heads(key)}, {"b", in_heads(value)}),
                        in_heads(out));
    if (!bad) bad = run(by_query, to_query);
    if (!bad) bad = run(by_key, to_key);
    if (!bad) bad = run(by_value, to_value);
    if (bad) fprintf(stderr, "%s\n", quern_last_error_text());
    for (int head = 0; head < HEADS && !bad; head++)
        for (int i = 0; i < WORDS; i++) attend(head, i);
    if (!bad) {
        const double error[] = {largest_error(out, expected), largest_error(to_query, query_expected),
                                largest_error(to_key, key_expected), largest_error(to_value, value_expected)};
        const char *const names[] = {"attention", "by queries", "by keys", "by values"};
        for (int k = 0; k < 4; k++) printf("%s: %s\n", names[k], error[k] < 2e-6 ? "right to 2e-6" : "wrong");
        // prints: attention: right to 2e-6
        // prints: by queries: right to 2e-6
        // prints: by keys: right to 2e-6
        // prints: by values: right to 2e-6
    }
    quern_operator_destroy(&op), quern_operator_destroy(&by_query);
    quern_operator_destroy(&by_key), quern_operator_destroy(&by_value);
    quern_context_destroy(&ctx);
    return (int)bad;
}
