/*
 * prune.h: what the files of pruned runs share. The banners follow them.
 */
#ifndef QUERN_RUN_PRUNE_H
#define QUERN_RUN_PRUNE_H

#include "quern/prune.h"
#include "run/run.h"
#include "run/spaces.h"

// tree.c: points in the order of a k-d tree, with the boxes of its nodes

typedef struct q_tree_node {
    int64_t from, to; /* places */
    size_t next;      /* the node after all that are below this one; they stand between. A leaf has none below. */
} q_tree_node;

/* Of the variables of an axis: node 0 has all points. */
typedef struct q_tree {
    int64_t count;  /* points */
    int64_t *order; /* by place: the point that stands there */
    q_tree_node *nodes;
    size_t node_count; /* 0 without points */
    q_interval *boxes; /* by node and component of all variables; infinite where a point is or may be NaN */
    size_t dim;
} q_tree;

/* Cells of places, which no leaf leaves and which keep their order: cell c has the places at[c] .. at[c + 1] - 1, and one at least;
   one cell has all. */
typedef struct q_cells {
    const int64_t *at;
    size_t count;
} q_cells;

/* points: count x dim; order: by place, of which the tree takes possession. Leaves have `size` points, but for the last of a
   cell. To be freed even if it fails. */
quern_status q_tree_make(q_tree *out, const double *points, size_t dim, int64_t *order, const q_cells *cells,
                         int64_t size);
void q_tree_free(q_tree *tree);
static inline bool q_tree_is_leaf(const q_tree *tree, size_t node)
{
    return tree->nodes[node].next == node + 1;
}

// pruner.c: what pruning asks of a formula

/* An order of points that was found: points of the same digest have it too. */
typedef struct q_order {
    char digest[33];
    int64_t *places;
} q_order;

/* What an axis of a run is when sorted. Runs on the same numbers share it: it does not change. */
typedef struct q_sorted {
    int users; /* under the lock of the operator */
    char digest[33];
    q_tree tree;
    int32_t *names;                    /* by place */
    quern_view views[Q_MAX_VARIABLES]; /* by op->variables: copies of those of this axis */
} q_sorted;

/* Of an operator, made when it is first pruned. */
struct q_pruner {
    const char *refusal;   /* why its runs cannot be pruned; null: they can */
    quern_operator *op;    /* the same with more results: what each reduction of it has reached */
    size_t result_count;   /* without those */
    uint8_t rows, reduced; /* axes */
    size_t reduction_count;
    q_id reductions[Q_MAX_RESULTS]; /* of its graph */
    bool named;                     /* indices of columns are wanted */
    bool lists;                     /* a reduction keeps a list: KMin and its kin */
    bool ordered;                   /* numbers of rows or columns are used: they keep their order */
    /* under the lock of the operator, of the rows and columns of the last run */
    q_order orders[2];
    q_sorted *sorted[2];
    bool matters[Q_MAX_VARIABLES]; /* by op->variables: it decides which pairs matter, in contrast to weights */
};

/* Thread-safe; lives as long as the operator. */
quern_status q_pruner_find(q_pruner **out, quern_operator *op);

/* order of points of `dim` numbers, cell by cell in leaves of `size`: the one that is known of axis 0 (rows) or 1 (columns), or a new
   one that will be. Thread-safe. */
quern_status q_pruner_order(q_pruner *pruner, int axis, pthread_mutex_t *lock, int64_t *order, const double *points,
                            size_t dim, const q_cells *cells, int64_t size);
/* What is known of an axis of this digest, with one more user, or null; makes it known; takes a user away (null: none). */
q_sorted *q_pruner_sorted(q_pruner *pruner, int axis, pthread_mutex_t *lock, const char *digest);
void q_pruner_keep(q_pruner *pruner, int axis, pthread_mutex_t *lock, q_sorted *sorted);
void q_sorted_release(q_sorted *sorted, pthread_mutex_t *lock);

// prune_arrays.c: the arrays of a run in another order of rows and columns

/* What a run has, by axis: 0: the parameters, 1: the rows, 2: the columns of its only stage. */
typedef struct q_pruned_arrays {
    const q_run *run;
    q_pruner *pruner;
    pthread_mutex_t *lock;          /* of the operator */
    void *fetched[Q_MAX_VARIABLES]; /* by op->variables: dense copies on the host of what is not so */
    quern_view given[Q_MAX_VARIABLES];
    q_sorted *axes[3];
    quern_view results[Q_MAX_RESULTS]; /* sorted, those of the pruner's operator */
    double *parameters;
    size_t dim[3];
    size_t offsets[Q_MAX_VARIABLES]; /* of a variable's first component among those of its axis */
} q_pruned_arrays;

/* Reads the parameters. To be freed even if it fails. */
quern_status q_pruned_open(q_pruned_arrays *out, const q_run *run, q_pruner *pruner);
/* Sorts the rows (1) or columns (2) of each cell, in leaves of `size`. */
quern_status q_pruned_sort(q_pruned_arrays *a, int axis, const q_cells *cells, int64_t size);
/* A variable as it is sorted. */
quern_view q_pruned_view(const q_pruned_arrays *a, size_t v);
/* Room for the sorted results. */
quern_status q_pruned_make_results(q_pruned_arrays *a);
/* Stores the results in the order of the run. */
quern_status q_pruned_store(const q_pruned_arrays *a);
void q_pruned_free(q_pruned_arrays *a);

// prune_device.c: the same as prune_bounds.c on a device

typedef struct q_pruning_blocks q_pruning_blocks;
typedef struct q_kept q_kept;
typedef struct q_walker q_walker;

/* *out is null where the formula or the device cannot, or its compiler: then the host does it. */
quern_status q_walker_create(q_walker **out, quern_context *context, const q_pruning_blocks *b);
void q_walker_destroy(q_walker **walker);
quern_status q_walker_near(q_kept *out, q_walker *w, int64_t columns);
/* About what part of all leaves blocks must meet, from a few of them. */
quern_status q_walker_share(double *out, q_walker *w, const double *reached);
quern_status q_walker_kept(q_kept *out, q_walker *w, const double *reached);

// prune_bounds.c: which blocks matter

/* Boxes of what a block of rows has: its intervals lie in a node of the tree of rows. */
struct q_pruning_blocks {
    const q_pruner *pruner;
    const q_tree *rows, *columns;
    const size_t *row_blocks; /* nodes of the tree of rows */
    size_t block_count;
    const q_mask *mask;  /* null: rows meet all columns */
    const size_t *masks; /* by block: its block of the mask, which has the columns that it meets */
    const q_interval *parameters;
    size_t parameter_count; /* components */
    const size_t *offsets;  /* by op->variables: of its first component among those of its axis */
    quern_dtype dtype;
    double absolute, relative;
    const q_kept
        *met; /* columns that a block is to meet first, or, where states are carried, has met for good; null: none */
    bool carried;
    int lanes; /* blocks that a device bounds at a time */
};

/* Segments for each block, as a space has them; for free(). */
struct q_kept {
    q_row_block *blocks; /* block_count of them */
    q_segment *segments;
    size_t segment_count, capacity;
    double *
        dropped; /* by block, reduction and component: what a Sum has lost at most, and the sum of exponentials relative
                        to what the block had reached */
};

/* Some columns for each block, from `columns` on, among which those that decide it are likely to be. */
quern_status q_blocks_near(q_kept *out, const q_pruning_blocks *b, int64_t columns);
/* All that may matter, once each block is known to have `reached` so much: by block, reduction and component, the least favourable
   of its rows. */
quern_status q_blocks_kept(q_kept *out, const q_pruning_blocks *b, const double *reached);
void q_kept_free(q_kept *kept);
/* Room for all blocks, to be freed even if it fails; block k, which meets nothing yet; one more run of columns for it, false
   when memory runs out. Blocks in order. */
quern_status q_kept_begin(q_kept *out, const q_pruning_blocks *b);
q_row_block *q_kept_block(q_kept *out, const q_pruning_blocks *b, size_t k);
/* What block k has met, for a walk over the columns: one run of them, and others in order. */
typedef struct q_met {
    const q_segment *first, *next, *end;
} q_met;
q_met q_kept_met(const q_pruning_blocks *b, size_t k);
/* Whether a leaf, the next of the walk, is in it. */
bool q_kept_has_met(q_met *met, const q_tree_node *columns);
/* Begins a block with what it has met, if that is to be met again first; false when memory runs out. */
bool q_kept_begin_met(q_kept *out, q_row_block *block, const q_pruning_blocks *b, size_t k);
bool q_kept_add(q_kept *out, q_row_block *block, const q_tree_node *columns);
/* The first segment of the mask of a block that ends behind a place, or null. Whether the block meets a node: all of it; nothing
   of it. */
const q_segment *q_blocks_segment(const q_pruning_blocks *b, size_t k, int64_t place);
bool q_blocks_meet(const q_pruning_blocks *b, size_t k, const q_tree_node *columns);
bool q_blocks_miss(const q_pruning_blocks *b, size_t k, const q_tree_node *columns);
/* Numbers of one block in `reached` and `dropped`. */
size_t q_blocks_stride(const q_pruner *pruner);

// prune.c: one rectangle, or one with a mask

/* Why a run of so many rows, columns and pairs that meet is not pruned, as it is told; null: it may be. */
quern_status q_prune_refusal(const char **out, const q_run *run, const quern_pruning *pruning, double pairs);
/* Runs without what cannot matter, if that can be done and is expected to pay: *done says so. The options are checked, and the
   run is one that the device does. The mask is that of the stage and has all rows; null: all meet. The report is filled in any case. */
quern_status q_prune_run(const q_run *run, const quern_pruning *pruning, const q_mask *mask, bool *done);
/* Copies what the caller's version of the report has. */
void q_prune_tell(const quern_pruning *pruning, const quern_pruning_report *report);

#endif
