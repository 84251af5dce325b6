/*
 * views.h: arrays of the user's as applications take them: whether they are there, whether their shape is right, and their numbers,
 * of any element type, at any alignment, on the host or the device.
 */
#ifndef QUERN_APPS_VIEWS_H
#define QUERN_APPS_VIEWS_H

#include "base/base.h"
#include "quern/array.h"

/* Whether an argument that may be left out, {0}, is given. */
bool q_view_given(const quern_view *view);
/* Whether rows, columns and stride are those of an array, which has data unless it has no rows; rows or columns of -1: any number
   of rows, any from 1 on of columns. `name` is for the message. SHAPE, USAGE. */
quern_status q_extent_check(const char *name, const quern_view *view, int64_t rows, int64_t columns);

/* The same, and whether it has an element type and is no batch: an array of the host or the device, one member. */
quern_status q_shape_check(const char *name, const quern_view *view, int64_t rows, int64_t columns);
/* USAGE for a batch, where one member at a time is taken. */
quern_status q_member_check(const char *name, const quern_view *view);
/* USAGE: a coordinate of a point, one of some points, that is not finite. */
quern_status q_coordinate_fail(int64_t point, double number);

/* USAGE for an option that is not from `low` to `high`, which may be infinite; for a switch or a choice beyond the last. */
quern_status q_range_check(const char *name, double number, double low, double high);
quern_status q_choice_check(const char *name, int number, int last);

/* An element of an array of the host. */
void *q_host_at(const quern_view *view, int64_t row, int64_t column);
double q_host_read(const quern_view *view, int64_t row, int64_t column);
void q_host_write(const quern_view *view, int64_t row, int64_t column, double number);

/* Copies numbers from one view to another, wherever they are. `context` may be null where both are on the host. */
quern_status q_view_write(quern_context *context, quern_view to, quern_view from);

#endif
