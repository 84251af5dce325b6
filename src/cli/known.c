/*
 * known.c: the arrays of commands that learn from values at points: `quern gp` and `quern ridge`. The first two words are points and
 * values, at and truth have their names; all others are parameters of the kernel, which are read in float64. Where a table of
 * points has no values beside it, its last column has them.
 */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"

enum { POINTS, VALUES, AT, TRUTH, ARRAYS };
static const char *const array_names[ARRAYS + 1] = {"points", "values", "at", "truth"};

/* Takes the last columns of points as their values. */
static quern_status take_columns(quern_view *points, quern_view *values, int64_t count, const char *name)
{
    if (values->data) return QUERN_OK;
    if (points->columns <= count)
        return cli_fail(QUERN_MISSING, "%s has one column and there are no values; give points and values", name);
    *values = *points;
    values->stride = points->stride = points->stride ? points->stride : points->columns;
    points->columns -= count;
    values->columns = count;
    values->data = (char *)points->data + (size_t)points->columns * cli_element_size(points->dtype);
    return QUERN_OK;
}

/* What predictions are compared with is finite. */
static quern_status check_truth(const cli_known *known)
{
    for (int64_t i = 0; known->truth.data && i < known->truth.rows; i++)
        for (int64_t c = 0; c < known->truth.columns; c++) {
            double number = cli_known_truth(known, i, c);
            if (!isfinite(number))
                return cli_fail(QUERN_USAGE, "truth: %g in row %lld, column %lld; leave such rows out", number,
                                (long long)i, (long long)c);
        }
    return QUERN_OK;
}

static quern_status find_arrays(cli_known *known, const char *command)
{
    quern_view *views[ARRAYS] = {&known->points, &known->values, &known->at, &known->truth};

    for (size_t k = 0; k < known->arrays.count; k++)
        for (int a = 0; a < ARRAYS; a++)
            if (!strcmp(known->arrays.args[k].name, array_names[a])) *views[a] = known->arrays.args[k].view;
    if (!known->points.data)
        return cli_fail(QUERN_MISSING, "%s needs points and their values: quern %s points.npy values.npy at=more.npy",
                        command, command);
    quern_status status = take_columns(&known->points, &known->values, 1, "points");
    int64_t count = known->values.columns, rows = known->truth.rows;
    if (!status && known->at.data && !known->truth.data && known->at.columns == known->points.columns + count)
        status = take_columns(&known->at, &known->truth, count, "at");
    if (!status && known->truth.data && !known->at.data)
        status = cli_fail(QUERN_MISSING, "truth is compared with predictions; give their points: at=FILE");
    if (!status && known->truth.data && ((rows = known->truth.rows) != known->at.rows || known->truth.columns != count))
        status =
            cli_fail(QUERN_SHAPE, "truth has %lld x %lld numbers, and predictions are %lld x %lld", (long long)rows,
                     (long long)known->truth.columns, (long long)known->at.rows, (long long)count);
    return status ? status : check_truth(known);
}

quern_status cli_known_read(cli_known *known, const char *command, const cli_list *words, const cli_list *outputs,
                            quern_dtype dtype)
{
    const cli_points how = {.names = array_names, .plain = 2, .parameters = &known->parameters};
    quern_status status = cli_output_check(outputs, "table of predictions");

    if (!status) status = cli_points_read(&known->arrays, words, &how, dtype);
    for (size_t k = 0; k < known->parameters.count && !status; k++) {
        quern_view *view = &known->parameters.args[k].view;
        if (view->rows * view->columns == 1) *view = quern_number(*(double *)view->data);
    }
    if (!status) status = find_arrays(known, command);
    if (!status && outputs->count && !known->at.data)
        status = cli_fail(QUERN_MISSING, "-o writes predictions; say where, with at=FILE");
    return status;
}

void cli_known_free(cli_known *known)
{
    cli_inputs_free(&known->arrays);
    cli_inputs_free(&known->parameters);
}

bool cli_known_progress(void *unused, const char *what, int64_t step, double number)
{
    (void)unused;
    if (cli_progress_wanted()) fprintf(stderr, "\r%12s %6" PRId64 "  %-14.6g\r", what, step, number);
    return false;
}

double cli_known_truth(const cli_known *known, int64_t row, int64_t column)
{
    const quern_view *truth = &known->truth;

    return cli_element(truth, row * (truth->stride ? truth->stride : truth->columns) + column);
}

double cli_known_rmse(const cli_known *known, const double *predicted, int64_t stride)
{
    int64_t rows = known->at.rows, columns = known->truth.columns;
    double sum = 0;

    if (!known->truth.data) return NAN;
    for (int64_t i = 0; i < rows; i++)
        for (int64_t c = 0; c < columns; c++) sum += pow(predicted[i * stride + c] - cli_known_truth(known, i, c), 2);
    return sqrt(sum / (double)(rows * columns));
}
