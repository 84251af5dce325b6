/*
 * quern/prune.h: runs that leave out what cannot matter, and prove it.
 *
 * Rows and columns are put in an order in which neighbours stand together; while the variables of a block of rows and of a
 * block of columns lie in boxes, intervals tell how large the terms of the formula can be there, whatever the formula is.
 * Blocks that cannot matter are not computed:
 *
 *     quern_pruning_report report = QUERN_DEFAULTS(quern_pruning_report);
 *     quern_pruning pruning = QUERN_DEFAULTS(quern_pruning);
 *     pruning.relative = 1e-6, pruning.report = &report;
 *     quern_run_options options = QUERN_DEFAULTS(quern_run_options);
 *     options.pruning = &pruning;
 *     quern_run_with(op, args, results, &options);
 *
 * What can be pruned: formulas of one pass (`quern explain` tells, and why not) whose reductions are Min, Max, KMin, KMax, their Arg...,
 * Sum and LogSumExp; their gradients too. All others are run as they are, and the report says why.
 *
 *   Min, Max, KMin, KMax, Arg...   the result is that of the run without pruning, bit for bit, ties included
 *   Sum, LogSumExp                 what is left out is within a tolerance; without one it is 0
 *
 * Ranges and batches (quern/space.h) go with it: pairs that do not meet are left out all the same, and each member of a batch is
 * pruned by itself, one after the other, where that is worth it; the report is then of all of them.
 *
 * docs/pruning.md has measurements, docs/numbers.md says what is certified.
 */
#ifndef QUERN_PRUNE_H
#define QUERN_PRUNE_H

#include "quern/space.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What became of a run. */
typedef struct quern_pruning_report {
    size_t size;
    bool pruned;      /* else all pairs were computed */
    char reason[120]; /* why not; "" if it was */
    double touched;   /* pairs computed / all pairs that meet; 1 if it was not pruned */
    double absolute;  /* no Sum or LogSumExp of a row is off by more; what rounding adds is in docs/numbers.md */
    double relative;  /* nor, where all terms of a Sum are positive, by more than this times itself; else infinity */
    int64_t rows, columns;              /* of a block; 0 if it was not pruned */
    double ordering, bounding, running; /* seconds: order and boxes; which blocks matter; the rest */
} quern_pruning_report;

typedef struct quern_pruning {
    size_t size;
    /* What may be left out of each row of a Sum, or changed of a LogSumExp: the larger of `absolute` and of `relative` times the
       result. A relative one counts only for a Sum whose terms are nowhere negative, and for a LogSumExp above 0. */
    double absolute, relative;
    /* QUERN_AUTO: where it is expected to pay; QUERN_ON: wherever it can be done. */
    quern_switch use;
    quern_pruning_report *report; /* null: none */
} quern_pruning;

#ifdef __cplusplus
}
#endif

#endif
