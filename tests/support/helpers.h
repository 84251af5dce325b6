/*
 * helpers.h: what the tests of formulas share: deterministic random numbers, graphs made from text, data for their
 * variables, and evaluation by q_reference. Every function fails the running test when something goes wrong.
 */
#ifndef QUERN_TESTS_HELPERS_H
#define QUERN_TESTS_HELPERS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "formula/formula.h"

/* ---- random numbers: SplitMix64 (Steele, Lea, Flood 2014), the same on every machine ---- */

typedef struct random_source {
    uint64_t state;
} random_source;

double random_between(random_source *source, double low, double high);
/* 0 .. count - 1 */
size_t random_below(random_source *source, size_t count);

/* ---- a graph with numbers for its variables ---- */

typedef struct sample {
    q_graph *graph;
    int64_t M, N;
    random_source random;
    double *data[Q_MAX_VARIABLES]; /* by variable of the graph; made by sample_fill */
} sample;

sample sample_create(int64_t M, int64_t N, uint64_t seed);
void sample_destroy(sample *s);
/* The value of a formula with one result; names have the meaning they had in earlier texts of the same sample. */
q_id sample_parse(sample *s, const char *text);
/* Gives random numbers to the variables that have none yet. */
void sample_fill(sample *s, double low, double high);
/* The numbers of a variable, for setting them by hand. */
double *sample_data(sample *s, const char *name);
/* How many numbers a node has in all rows. */
size_t sample_numbers(const sample *s, q_id id);
/* Where the numbers of row i and column j begin; axes that the node lacks do not matter. */
size_t sample_offset(const sample *s, q_id id, size_t i, size_t j);
/* Evaluates a node; for free(). */
double *sample_evaluate(const sample *s, q_id id);
/* The sum of <value, weights> over all rows; weights of length 1, or that lack an axis, are repeated. */
double sample_contract(const sample *s, q_id value, q_id weights);

/* A value with the axes and length of `value`, made of variables whose names begin so. */
q_id sample_weights(sample *s, q_id value, const char *name);
/* The derivative of every number of `value` as the data of variable v move along u (as many numbers): central
   differences of two steps, extrapolated. NaN where the two disagree, because a jump or a kink is near. For free(). */
double *sample_differences(sample *s, q_id value, size_t v, const double *u);

/* ---- comparing ---- */

/* Largest |got - expected| over largest |expected| (over 1 if all are 0); infinity if anything is not a number. */
double relative_error(const double *got, const double *expected, size_t count);

/* ---- text ---- */

/* Whether the formula calls the operation of this name, which may be the end or the beginning of others. */
bool formula_calls(const char *formula, const char *name);

/* ---- files ---- */

/* Path of a file or directory below tests/, found by QUERN_TEST_DIR; for free(). */
char *test_path(const char *name);
/* The numbers of a table of examples/data whose first line names its columns, row after row; for free(). */
double *example_table(const char *name, int64_t *rows, int64_t columns);
/* Names in a directory that end so, sorted; each and the array for free(). */
size_t list_directory(const char *path, const char *ending, char ***names);
/* Formulas of the conformance cases, one for each case, in the order of the files; each and the array for free(). */
size_t conformance_formulas(char ***formulas);
void free_names(char **names, size_t count);

#endif
