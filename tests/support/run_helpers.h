/*
 * run_helpers.h: what the tests of the run layer share: a context on the device that the environment chooses, operators
 * made from text, and trials: one run of an operator beside q_reference on the same numbers. Functions fail the running
 * test when something goes wrong; without a device need_device skips it.
 */
#ifndef QUERN_TESTS_RUN_HELPERS_H
#define QUERN_TESTS_RUN_HELPERS_H

#include "helpers.h"
#include "quern/build.h"
#include "quern/space.h"
#include "run/run.h"

/* ---- the device ---- */

/* Shared by all tests of a program; null if there is no device. All its runs are launches. open_context and close_context are the group's
   fixtures. */
extern quern_context *context;
int open_context(void **state);
int close_context(void **state);
void need_device(void);
/* Skips unless the device has float64, where that is the type. */
void need_type(quern_dtype dtype);
/* Whether the device takes vectors of rows well. Mesa's llvmpipe takes minutes over them. */
bool takes_lanes(void);

/* ---- operators ---- */

quern_operator *compile(const char *text, const quern_compile_options *options);
quern_graph *new_graph(void);
/* Compiles an expression and fails unless the operator is that of the text. */
quern_operator *check_text(const quern_graph *graph, quern_expr result, const char *text);
/* The result of `status`, or the failure of the test with the error's text. */
void succeed(quern_status status);
/* Fails the test unless the last error has this status, and its message or next step this part. */
void expect_failure(quern_status got, quern_status status, const char *part);
/* Fails the test unless two numbers differ by the tolerance at most. */
void check_near(double got, double expected, double tolerance);
/* The next number of rand(), from 0 to 1. */
double uniform(void);

/* ---- trials ---- */

/* A run of an operator. Variables, by their number in the graph, and results, in order, are kept as doubles. */
typedef struct trial {
    quern_operator *op; /* borrowed */
    quern_dtype dtype;
    int64_t M, N;
    double *data[Q_MAX_VARIABLES]; /* null where the operator does not use it */
    double *got[Q_MAX_RESULTS], *expected[Q_MAX_RESULTS];
    const q_space *space;             /* null: all rows with all columns; else trial_compare is of no use */
    const quern_run_options *options; /* null: none */
    quern_context *const *contexts;   /* null: the operator's own */
    size_t context_count;
    quern_status (*run)(quern_operator *op, quern_args args, quern_outs results); /* null: quern_run_all */
} trial;

/* Every variable gets multiples of 1/8 between -1 and 1: their sums, differences and products are exact in float32,
   so that comparisons and indices come out the same on the device and in the reference, and ties are frequent. */
trial trial_create(quern_operator *op, quern_dtype dtype, int64_t M, int64_t N, uint64_t seed);
/* The numbers of a variable, and how many there are, for setting them by hand. */
double *trial_data(const trial *t, const char *name, size_t *count);
/* Sets the first number of a variable, if the operator uses it. */
void trial_set(const trial *t, const char *name, double value);
/* Rounds the data to the element type, runs the operator and fills `got`. Fails when something beside the results was
   written to. */
void trial_run(trial *t);
/* The same, but returns what the run returned; `got` stays as it was after a failure. */
quern_status trial_attempt(trial *t);
/* Fills `expected` from q_reference, and compares: indices, infinities and NaN must be the same, other numbers may
   differ by the tolerance times the largest of their result (times 1, if that is more). */
void trial_compare(trial *t, double tolerance);
size_t trial_result_count(const trial *t, size_t result);
void trial_destroy(trial *t);

/* ---- values at given numbers ---- */

enum { Q_MAX_VALUES = 256 };

/* Runs the formula on data like "x=1,2 y=3", on the host and on the device, in float32 and float64; all results, one after
   the other, must be the numbers of the text: NaN and infinities, others to a few units of the type's last place. */
void check_values(const char *formula, const char *data, const char *expected);

/* The same for a table. Skips the test where there is no device. */
typedef struct value_row {
    const char *formula, *data, *expected;
} value_row;
void check_value_rows(const value_row *rows, size_t count);

#endif
