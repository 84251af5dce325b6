/*
 * language.h: one formula, or a few, for each word of the language: every row of ops.def and reductions.def, sugar,
 * and the special forms. A new row gets its formula by itself where its operands may be any numbers between 0.2 and
 * 0.9; otherwise language_formulas fails the test that calls it and says which row needs an example.
 */
#ifndef QUERN_TESTS_LANGUAGE_H
#define QUERN_TESTS_LANGUAGE_H

#include "helpers.h"

/* What the formulas are made of: x=Vi(4); y=Vj(4); s=Vi(1); t=Vj(1); p=Pm(4); q=Pm(1); */
extern const char language_declarations[];

typedef enum language_part { LANGUAGE_MAPS, LANGUAGE_REDUCTIONS } language_part;

/* The formulas, without declarations: values of i, j or both, or reductions over i and j; for free_names. Their values
   and first derivatives are smooth almost everywhere where the variables are between 0.2 and 0.9. */
size_t language_formulas(language_part part, char ***formulas);

#endif
