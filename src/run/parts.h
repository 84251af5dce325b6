/*
 * parts.h: runs in parts, whose arrays stay on the host: what goes to a device are some rows of a stage, and their columns
 * at once or piece by piece. The banners follow the files that share it.
 */
#ifndef QUERN_RUN_PARTS_H
#define QUERN_RUN_PARTS_H

#include "run/launcher.h"

// window.c: some rows of a stage on a device

/* Columns from `first` on; they are of `parts` parts of a split plan, the first of which is `part`, and go on with it
   unless they begin it. */
typedef struct q_piece {
    int64_t first, count;
    int64_t lead; /* columns before the first that its arrays have, too */
    int part, parts;
    bool begins;
    int turn; /* which of two buffers it is in */
} q_piece;

typedef struct q_window {
    q_launcher l; /* its slots are the stage's arrays: those of columns, and those of rows as far as the window goes */
    q_run run;    /* the whole, in `space` */
    q_space space;
    const q_space *spaces[Q_MAX_STAGES]; /* that one, at the stage's place */
    const q_space *given;                /* of all rows, where that is no rectangle: blocks in the order of rows */
    q_row_block *cut;                    /* what the window has of its blocks */
    q_row_block block;
    q_segment segment;
    q_space_entry entry;
    size_t stage;
    const q_ir *p;
    bool in_pieces;
    q_stage_plan whole; /* of all rows; programs are the same for a window */
    q_plan plan;        /* of the window */
    q_buffer states;
    int64_t first, rows;
} q_window;

/* A window of a stage without rows, planned as plan_M and plan_N of a run, mostly all there are, are in this build on a device
   of so many compute units, so that each row has the same bits in any window that begins and ends with a group. To be closed even if it fails. */
quern_status q_window_open(q_window *w, const q_run *run, q_build *build, size_t stage, int units, bool in_pieces);
void q_window_close(q_window *w);
/* The array of a slot in place of what it has: rows of the window, columns, or a parameter. Does not wait. */
quern_status q_window_load(q_window *w, q_slot *slot, const quern_view *view);
/* The last row at or before this one, which is behind the first of the window, where a window may end that is whole units. */
int64_t q_window_cut(const q_window *w, int64_t row, int64_t unit);
/* Moves on to other rows, and makes room for their results and states. */
quern_status q_window_begin(q_window *w, int64_t first, int64_t rows);
/* Launches the stage for all columns; or, with in_pieces, for some, and q_window_end after the last. */
quern_status q_window_run(q_window *w);
quern_status q_window_take(q_window *w, const q_piece *piece);
quern_status q_window_end(q_window *w);

// hosted.c: the arrays of a run on the host

typedef struct q_hosted_array {
    q_array array;
    quern_view view;
    void *own; /* temporaries, and results beside arguments that they overlap; for free() */
} q_hosted_array;

typedef struct q_hosted {
    const q_run *run;
    q_hosted_array *arrays; /* of all stages */
    size_t count;
} q_hosted;

/* To be freed even if it fails. */
quern_status q_hosted_make(q_hosted *out, const q_run *run);
void q_hosted_free(q_hosted *h);
const quern_view *q_hosted_view(const q_hosted *h, const q_array *array);
/* The rest of the run, once all stages are done: results that were computed beside their arrays. */
void q_hosted_end(q_hosted *h);
/* Loads the inputs of an axis: rows of the window, columns, or, for Q_P, parameters. */
quern_status q_hosted_load(const q_hosted *h, q_window *w, uint8_t axis);
/* Reads the window's results; waits. */
quern_status q_hosted_store(const q_hosted *h, q_window *w);

// stream.c: rows of a stage, whatever the memory

typedef struct q_stream {
    const q_hosted *hosted;
    q_window window;
    int64_t rows;      /* most at a time: whole groups */
    int64_t columns;   /* of the stage */
    int64_t piece;     /* columns of a piece; all of them, if they are on the device together */
    bool whole_parts;  /* a piece is parts of split-K; else there is one part */
    bool loaded;       /* parameters, and all columns unless they come in pieces */
    q_buffer *buffers; /* by slot, two for each that is of columns in pieces */
} q_stream;

/* Columns of the window's stage that take half of the device memory that is free. */
int64_t q_stream_columns(const q_hosted *h, const q_window *w);
/* Whether the run has all arrays on the host, and does not fit its device. */
bool q_stream_takes(const q_run *run);
/* To be closed even if it fails. */
quern_status q_stream_open(q_stream *s, const q_hosted *hosted, q_build *build, size_t stage, int units);
void q_stream_close(q_stream *s);
/* Computes some rows, up to s->rows, and stores their results on the host. */
quern_status q_stream_rows(q_stream *s, int64_t first, int64_t rows);

// devices.c: several devices

enum { Q_MAX_DEVICES = 64 };

/* Whether a formula picks rows of arrays by number, which then must be there as a whole. */
bool q_has_tables(const q_run *run);
/* UNSUPPORTED if an array of the run is on a device. */
quern_status q_check_host(const char *function, const q_run *run);
/* One run on several devices, whose builds these are. Its arrays are on the host; spaces have one entry. */
quern_status q_devices_run(const q_run *run, q_build *const *builds, size_t count);
/* quern_run_on, or, with options that have contexts, quern_run_with. */
quern_status q_run_shared(quern_operator *op, quern_context *const *contexts, size_t count, quern_args args,
                          quern_outs results, const quern_run_options *options);

#endif
