/*
 * cluster.h: what the files behind quern/cluster.h share: views on the host, read as doubles.
 */
#ifndef QUERN_APPS_CLUSTER_H
#define QUERN_APPS_CLUSTER_H

#include "base/base.h"
#include "quern/cluster.h"

/* Whether a view is host memory that can be read or written as it says; `name` is for the message. */
quern_status q_host_view_check(const char *name, const quern_view *view);
/* The same, with so many rows; columns of -1: any number from 1 on. */
quern_status q_host_shape_check(const char *name, const quern_view *view, int64_t rows, int64_t columns);
/* The element of a checked view. */
void *q_host_at(const quern_view *view, int64_t row, int64_t column);
double q_host_read(const quern_view *view, int64_t row, int64_t column);
/* A block of count elements, null where memory runs out or the count overflows; never null for count 0. */
void *q_block(int64_t count, size_t size);

#endif
