/*
 * quern/space.h: which rows meet which columns.
 *
 * quern/cluster.h makes such ranges of labels, distances or a matrix of clusters.
 */
#ifndef QUERN_SPACE_H
#define QUERN_SPACE_H

#include "quern.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Rows or columns from .. to - 1. */
typedef struct quern_span {
    int64_t from, to;
} quern_span;

/* A block-sparse mask; borrowed for the call. */
typedef struct quern_ranges {
    size_t block_count;
    const quern_span *rows;    /* by block, over axis i: sorted, no overlap; rows of no block meet nothing */
    const int64_t *first;      /* block_count + 1 numbers: block k has the spans first[k] .. first[k + 1] - 1 of ... */
    const quern_span *columns; /* ... columns, over axis j: within a block sorted, no overlap */
} quern_ranges;

#ifdef __cplusplus
}
#endif

#endif
