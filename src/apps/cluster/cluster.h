/*
 * cluster.h: what the files behind quern/cluster.h share: views on the host, read as doubles.
 */
#ifndef QUERN_APPS_CLUSTER_H
#define QUERN_APPS_CLUSTER_H

#include "apps/views/views.h"
#include "quern/cluster.h"

/* Whether a view is host memory that can be read or written as it says, with so many rows, -1: any, and columns, -1: any from 1 on;
   `name` is for the message. */
quern_status q_host_shape_check(const char *name, const quern_view *view, int64_t rows, int64_t columns);
/* LIMIT where a label is not below 2^53, since they are compared as doubles. */
quern_status q_label_check(const quern_view *labels, int64_t row, double label);
/* A block of count elements, null where memory runs out or the count overflows; never null for count 0. */
void *q_block(int64_t count, size_t size);

#endif
