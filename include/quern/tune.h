/*
 * quern/tune.h: learning how to generate for one device. Formulas that stand for many are timed with changed rows of
 * profiles, one column at a time; what is best is kept, in the user's configuration, for all later contexts on the same
 * device with the same driver. `quern tune` is this from the shell.
 */
#ifndef QUERN_TUNE_H
#define QUERN_TUNE_H

#include "quern.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum quern_verdict {
    QUERN_BETTER,  /* faster than the best so far, which it replaces */
    QUERN_WORSE,   /* not faster, or by too little to tell */
    QUERN_WRONG,   /* its results are not those of the reference */
    QUERN_REFUSED, /* the device cannot build or run it */
    QUERN_BASELINE /* none of these: the shipped row, before any other is tried */
} quern_verdict;

/* One value of one column, tried. */
typedef struct quern_trial {
    const char
        *column; /* of cl/profiles.txt; null: the shipped row, first of all, or in the end the row that was chosen,
                           timed once more beside the shipped one */
    int value;
    quern_verdict verdict;
    double ns; /* time per pair, geometric mean over the formulas; 0 if it was given up before all were timed */
    /* Geometric mean over the formulas whose plans change of time with this value / time with the best so far; with
       column null, over all formulas, to the shipped row. 0 for WRONG and REFUSED. */
    double ratio;
    const char *formula; /* verdict WRONG or REFUSED: that of the failure, else "" */
    const char *reason;
} quern_trial;

typedef struct quern_tune_options {
    size_t size;
    double seconds; /* to be done in, but for the formulas before the first value; 0: 120 */
    int64_t points; /* rows M = N of the formulas; 0: as many as can be timed well; else at least 64 */
    bool dry_run;   /* the tuned row is not written */
    /* Called after each trial on the thread that tunes, with `user`; returning true stops the tuning, which then fails with
       QUERN_CANCELLED and has written nothing. May be null. */
    bool (*report)(void *user, const quern_trial *trial);
    void *user;
} quern_tune_options;

typedef struct quern_tuning {
    double ratio;     /* time of the chosen row, of that of the shipped one; 1 if that was chosen */
    const char *row;  /* the tuned row's text */
    const char *path; /* the file that it was written to; "" after a dry run */
} quern_tuning;

/* Tunes for the context's device; *out is one block for quern_free, null after a failure. Results of every value are
   compared with the reference before it is timed. `options` may be null. Contexts that are created later use the learned
   row; this one and its operators stay as they are. The device should have nothing else to do.
   The file is QUERN_PROFILES, else XDG_CONFIG_HOME/quern/profiles, else HOME/.config/quern/profiles; it is replaced
   in one step, and rows of other devices stay. QUERN_PROFILES empty or "none": tuned rows are ignored, and only dry
   runs are possible. Statuses: USAGE (no file), IO, DEVICE (the shipped row gives wrong results), CANCELLED, and those
   of quern_run. */
QUERN_API quern_status quern_tune(quern_tuning **out, quern_context *context, const quern_tune_options *options);

#ifdef __cplusplus
}
#endif
#endif
