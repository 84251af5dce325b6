/*
 * random_formula.h: formulas of random operations: rows of ops.def and reductions.def, sugar, tensors, gradients,
 * nested up to five deep. Values stay where operations are smooth and well-conditioned, if variables lie between 0.2
 * and 0.9: operands of what grows or has a domain go through 0.5 + 0.4 Sin(.).
 */
#ifndef QUERN_TESTS_RANDOM_FORMULA_H
#define QUERN_TESTS_RANDOM_FORMULA_H

#include "helpers.h"

/* Of the variables x y (length 3, over i and j), s t (length 1, over i and j), p q (parameters of length 3 and 1). */
extern const char random_declarations[];

/* A formula that depends on one axis at most, without declarations; for free(). */
char *random_formula(random_source *random);

/* A value of length dim (1 or 3), which depends on the axes, Q_I and Q_J, at most; for free(). */
char *random_value(random_source *random, unsigned axes, int dim, int depth);

/* Reads the options --count N and --seed S of a program that makes such formulas; false, having told how it is called, at
   anything else. */
bool random_options(int argc, char **argv, size_t *count, uint64_t *seed);

#endif
