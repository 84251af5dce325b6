/*
 * pairs.c: entries of a symbolic matrix on request. A row of it is a map over j: the formula with the i-variables as
 * parameters, which are rows of their arrays. The diagonal is a map over i: the formula with the j-variables as i-variables. Both
 * are made of the formula by q_substitute; what numbers of rows and columns are, and how many there are, become hidden
 * parameters, whose names no formula can have. Bounds of entries are those that pruning asks for (formula/ranges.c).
 *
 * A block is as many runs as it has rows, on device arrays, so that none waits; rows begin at places that kernels can take
 * as they are.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "quern/array.h"
#include "quern/pairs.h"
#include "run/array.h"

struct quern_pairs {
    q_graph *graph; /* the formula of an entry */
    q_id entry;
    quern_operator *row, *diagonal;
};

/* By axis: the number of the first row or column, and how many there are. */
static const char *const hidden_firsts[] = {NULL, "#I", "#J"}, *const hidden_counts[] = {NULL, "#M", "#N"};

// ---- compile ----

static q_id replace(void *self, q_graph *to, const q_node *node)
{
    const quern_pairs *pairs = self;
    uint8_t axis = (uint8_t)node->k[0];
    if (node->op == Q_OP_INDEX) {
        q_id first = q_variable_make(to, hidden_firsts[axis], Q_P, 1);
        return axis == Q_I ? first : q_apply2(to, Q_OP_Add, q_index(to, axis), first);
    }
    if (node->op == Q_OP_COUNT) return q_variable_make(to, hidden_counts[axis], Q_P, 1);
    const q_variable *variable = &pairs->graph->variables[node->k[0]];
    return q_variable_make(to, variable->name, variable->axis == Q_J ? Q_J : Q_P, variable->dim);
}

static q_id replace_in_diagonal(void *self, q_graph *to, const q_node *node)
{
    const quern_pairs *pairs = self;
    if (node->op == Q_OP_INDEX)
        return q_apply2(to, Q_OP_Add, q_index(to, Q_I), q_variable_make(to, hidden_firsts[Q_I], Q_P, 1));
    if (node->op == Q_OP_COUNT) return q_variable_make(to, hidden_counts[node->k[0]], Q_P, 1);
    const q_variable *variable = &pairs->graph->variables[node->k[0]];
    return q_variable_make(to, variable->name, variable->axis ? Q_I : Q_P, variable->dim);
}

static quern_status compile(quern_operator **out, quern_pairs *pairs, quern_context *context, uint8_t axis,
                            const quern_compile_options *options)
{
    q_graph *graph;
    Q_TRY(q_graph_create(&graph));
    q_id map = q_substitute(graph, pairs->graph, pairs->entry, axis == Q_I ? replace_in_diagonal : replace, pairs);
    map = q_repeat(graph, map, axis);
    quern_status status = graph->status;
    if (!status) status = q_operator_from_graph(out, context, graph, &map, 1, options);
    q_graph_destroy(&graph);
    return status;
}

static quern_status read(quern_pairs *pairs, const char *formula)
{
    q_id results[Q_MAX_RESULTS];
    size_t count;
    Q_TRY(q_graph_create(&pairs->graph));
    Q_TRY(q_parse(pairs->graph, formula, results, &count));
    pairs->entry = results[0];
    return count == 1 ? QUERN_OK
                      : q_fail(QUERN_USAGE, "quern_pairs_create: the formula has %zu results; an entry is one", count);
}

quern_status quern_pairs_create(quern_pairs **out, quern_context *context, const char *formula,
                                const quern_compile_options *options)
{
    if (!out) return q_fail_null(__func__, "out");
    *out = NULL;
    if (!context) return q_fail_null(__func__, "the context");
    if (!formula) return q_fail_null(__func__, "the formula");
    quern_pairs *pairs = *out = calloc(1, sizeof *pairs);
    if (!pairs) return q_fail_memory(sizeof *pairs);
    q_locale locale = q_locale_enter();
    quern_status status = read(pairs, formula);
    if (!status) status = compile(&pairs->row, pairs, context, Q_J, options);
    if (!status) status = compile(&pairs->diagonal, pairs, context, Q_I, options);
    if (status) quern_pairs_destroy(out);
    q_locale_leave(locale);
    return status;
}

void quern_pairs_destroy(quern_pairs **pairs)
{
    if (!pairs || !*pairs) return;
    quern_operator_destroy(&(*pairs)->row);
    quern_operator_destroy(&(*pairs)->diagonal);
    q_graph_destroy(&(*pairs)->graph);
    free(*pairs);
    *pairs = NULL;
}

int64_t quern_pairs_length(const quern_pairs *pairs)
{
    return pairs ? q_node_of(pairs->graph, pairs->entry)->dim : 0;
}

// ---- arguments ----

/* A request for entries: the arrays of the whole matrix, and those of a run. */
typedef struct request {
    const quern_pairs *pairs;
    quern_context *context;
    quern_args args;
    int64_t sizes[3];    /* by axis */
    quern_span spans[3]; /* by axis */
    quern_dtype dtype;   /* of the runs */
    quern_array *arrays[Q_MAX_VARIABLES + 1];
    size_t array_count;
    quern_arg of_run[Q_MAX_VARIABLES];
    bool moves[Q_MAX_VARIABLES]; /* the argument is a row, the next one in the next run */
} request;

static bool is_size(const quern_arg *arg, uint8_t *axis)
{
    const char *name = arg->name ? arg->name : "";
    *axis = strcmp(name, "M") == 0 ? Q_I : strcmp(name, "N") == 0 ? Q_J : Q_P;
    return *axis && arg->view.dtype == QUERN_NUMBER && !arg->view.columns;
}

static quern_status learn_size(request *q, const char *name, uint8_t axis, int64_t rows)
{
    if (q->sizes[axis] < 0) q->sizes[axis] = rows;
    return q->sizes[axis] == rows ? QUERN_OK
                                  : q_fail(QUERN_SHAPE, "%s has %lld rows, where other %c-variables have %lld", name,
                                           (long long)rows, q_axes[axis].letter, (long long)q->sizes[axis]);
}

static void begin_sizes(request *q)
{
    q->sizes[Q_P] = 1;
    q->sizes[Q_I] = q->args.M ? q->args.M : -1, q->sizes[Q_J] = q->args.N ? q->args.N : -1;
}

/* Every argument is a variable of the formula, of its length, and all of an axis have as many rows. */
static quern_status check_arguments(request *q)
{
    const q_graph *graph = q->pairs->graph;
    if (q->args.count && !q->args.data) return q_fail_null("quern_pairs_block", "the list of arguments");
    for (size_t a = 0; a < q->args.count; a++) {
        const quern_arg *arg = &q->args.data[a];
        uint8_t axis;
        if (is_size(arg, &axis)) {
            Q_TRY(learn_size(q, arg->name, axis, arg->view.rows));
            continue;
        }
        if (!arg->name) return q_fail(QUERN_USAGE, "the name of argument %zu is null", a);
        const q_variable *variable = q_variable_find(graph, arg->name);
        if (!variable) return q_fail(QUERN_NAME, "the formula has no variable %s", arg->name);
        if (arg->view.batch[0]) return q_fail(QUERN_UNSUPPORTED, "%s is a batch; entries are of one member", arg->name);
        Q_TRY(q_view_check(q->context, arg->name, &arg->view));
        if (arg->view.columns != variable->dim)
            return q_fail(QUERN_SHAPE, "%s has %lld columns; the formula wants %u", arg->name,
                          (long long)arg->view.columns, variable->dim);
        Q_TRY(learn_size(q, arg->name, variable->axis, arg->view.rows));
        if (arg->view.dtype == QUERN_F64) q->dtype = QUERN_F64;
    }
    return QUERN_OK;
}

static quern_status check_span(const request *q, uint8_t axis)
{
    quern_span span = q->spans[axis];
    int64_t size = q->sizes[axis];
    const char *what = axis == Q_I ? "rows" : "columns";
    if (size < 0 && q_axes[axis].letter)
        return span.from == span.to && !span.from
                   ? QUERN_OK
                   : q_fail(QUERN_MISSING, "no array tells how many %s there are: add quern_size(...) as %s", what,
                            q_axes[axis].rows);
    if (span.from >= 0 && span.from <= span.to && span.to <= size) return QUERN_OK;
    return q_fail(QUERN_SHAPE, "there are no %s from %lld to %lld: the matrix has %lld", what, (long long)span.from,
                  (long long)span.to - 1, (long long)size);
}

static quern_status check_result(const request *q, const quern_view *result, int64_t rows, int64_t columns)
{
    Q_TRY(q_view_check(q->context, "the result", result));
    Q_TRY(q_view_check_access("the result", result, true));
    if (result->dtype == QUERN_NUMBER || result->dtype == QUERN_I32 || result->dtype == QUERN_I64)
        return q_fail(QUERN_DTYPE, "entries are numbers; the result is %s", q_dtype_name(result->dtype));
    if (result->rows == rows && result->columns == columns) return QUERN_OK;
    return q_fail(QUERN_SHAPE, "the result has %lld x %lld numbers; the entries asked for are %lld x %lld",
                  (long long)result->rows, (long long)result->columns, (long long)rows, (long long)columns);
}

// ---- arrays ----

/* An array on the device in which each row begins where kernels can read or write it as it is; its elements per row. */
static quern_status make_rows(request *q, quern_array **out, quern_dtype dtype, int64_t rows, int64_t columns)
{
    int64_t most = (int64_t)(q->context->session->alignment / q_element_size(dtype));
    if (most < 1) most = 1;
    Q_TRY(quern_array_create(out, q->context, dtype, rows, (columns + most - 1) / most * most));
    q->arrays[q->array_count++] = *out;
    return QUERN_OK;
}

static quern_view row_of(const quern_array *array, int64_t row, int64_t rows, int64_t columns)
{
    quern_view view = quern_array_view(array);
    view.offset = row * view.columns;
    view.rows = rows, view.columns = columns;
    return view;
}

/* What a run gets for an array: the part of it that the block needs, on the device. */
static quern_status place(request *q, size_t a, const quern_arg *arg, uint8_t axis, bool by_rows)
{
    quern_array *array = NULL;
    quern_view view = arg->view;
    q->of_run[a] = *arg;
    if (!axis) return QUERN_OK;
    view = quern_view_rows(view, q->spans[axis].from, q->spans[axis].to - q->spans[axis].from);
    q->of_run[a].view = view;
    q->moves[a] = by_rows;
    if (by_rows) {
        Q_TRY(make_rows(q, &array, view.dtype, view.rows, view.columns));
        Q_TRY(quern_copy(q->context, quern_view_columns(quern_array_view(array), 0, view.columns), view));
        q->of_run[a].view = row_of(array, 0, 1, view.columns);
    } else if (!view.array) {
        Q_TRY(quern_array_from(&array, q->context, view));
        q->arrays[q->array_count++] = array;
        q->of_run[a].view = quern_array_view(array);
    }
    return QUERN_OK;
}

/* The value of a hidden parameter, or false. */
static bool find_hidden(const request *q, const char *name, double *out)
{
    for (int axis = Q_I; axis <= Q_J; axis++) {
        if (strcmp(name, hidden_firsts[axis]) == 0) return *out = (double)q->spans[axis].from, true;
        if (strcmp(name, hidden_counts[axis]) == 0) return *out = (double)q->sizes[axis], true;
    }
    return false;
}

static quern_status place_all(request *q, const quern_operator *op, bool by_rows)
{
    for (size_t v = 0; v < op->variable_count; v++) {
        quern_value value = quern_variable(op, v);
        const quern_arg *given = NULL;
        double number;
        if (find_hidden(q, value.name, &number)) {
            q->of_run[v] = (quern_arg){value.name, quern_number(number)};
            q->moves[v] = by_rows && strcmp(value.name, hidden_firsts[Q_I]) == 0;
            continue;
        }
        for (size_t a = 0; a < q->args.count && !given; a++)
            if (strcmp(q->args.data[a].name, value.name) == 0) given = &q->args.data[a];
        if (!given) return q_fail(QUERN_MISSING, "variable %s is not given", value.name);
        uint8_t axis = q_variable_find(q->pairs->graph, value.name)->axis;
        Q_TRY(place(q, v, given, axis, by_rows && axis == Q_I));
    }
    return QUERN_OK;
}

/* Arrays of rows are one row further, and so is the number of the row. */
static void next_row(request *q, size_t count)
{
    for (size_t v = 0; v < count; v++) {
        quern_view *view = &q->of_run[v].view;
        if (!q->moves[v]) continue;
        if (view->dtype == QUERN_NUMBER) view->number += 1;
        else view->offset += quern_array_view(view->array).columns;
    }
}

// ---- runs ----

static quern_status begin(request *q, const quern_pairs *pairs, quern_args args, quern_span rows, quern_span columns)
{
    *q = (request){.pairs = pairs, .args = args, .spans = {{0, 1}, rows, columns}, .dtype = QUERN_F32};
    q->context = pairs->row->context;
    Q_TRY(q_session_check(q->context->session));
    begin_sizes(q);
    Q_TRY(check_arguments(q));
    Q_TRY(check_span(q, Q_I));
    return check_span(q, Q_J);
}

static void end(request *q)
{
    for (size_t a = 0; a < q->array_count; a++) quern_array_destroy(&q->arrays[a]);
}

static quern_status run_rows(request *q, const quern_view *result, int64_t rows, int64_t columns)
{
    quern_operator *op = q->pairs->row;
    quern_array *block;
    int64_t length = quern_pairs_length(q->pairs);
    Q_TRY(place_all(q, op, true));
    Q_TRY(make_rows(q, &block, q->dtype, rows, columns * length));
    quern_args args = {q->of_run, op->variable_count, 0, columns};
    for (int64_t row = 0; row < rows; row++, next_row(q, op->variable_count)) {
        quern_view out = row_of(block, row, columns, length);
        Q_TRY(quern_run_in(op, q->context, args, (quern_outs){&out, 1}));
    }
    return quern_copy(q->context, *result, quern_view_columns(quern_array_view(block), 0, columns * length));
}

quern_status quern_pairs_block(const quern_pairs *pairs, quern_args args, quern_span rows, quern_span columns,
                               quern_view result)
{
    request q;
    if (!pairs) return q_fail_null(__func__, "pairs");
    Q_TRY(begin(&q, pairs, args, rows, columns));
    int64_t height = rows.to - rows.from, width = columns.to - columns.from;
    Q_TRY(check_result(&q, &result, height, width * quern_pairs_length(pairs)));
    quern_status status = height && width ? run_rows(&q, &result, height, width) : QUERN_OK;
    end(&q);
    return status;
}

static quern_status run_diagonal(request *q, const quern_view *result, int64_t rows)
{
    quern_operator *op = q->pairs->diagonal;
    Q_TRY(place_all(q, op, false));
    return quern_run_in(op, q->context, (quern_args){q->of_run, op->variable_count, rows, 0}, (quern_outs){result, 1});
}

quern_status quern_pairs_diagonal(const quern_pairs *pairs, quern_args args, quern_span span, quern_view result)
{
    request q;
    if (!pairs) return q_fail_null(__func__, "pairs");
    Q_TRY(begin(&q, pairs, args, span, span));
    int64_t rows = span.to - span.from;
    Q_TRY(check_result(&q, &result, rows, quern_pairs_length(pairs)));
    quern_status status = rows ? run_diagonal(&q, &result, rows) : QUERN_OK;
    end(&q);
    return status;
}

// ---- bounds ----

/* Boxes of all variables, one after the other: that of a row by intervals. */
typedef struct boxes {
    q_interval *data[Q_MAX_VARIABLES];
    q_box of_pair[Q_MAX_VARIABLES];
} boxes;

static const quern_arg *find_argument(quern_args args, const char *name)
{
    for (size_t a = 0; a < args.count; a++)
        if (args.data[a].name && strcmp(args.data[a].name, name) == 0) return &args.data[a];
    return NULL;
}

/* One end of the intervals of a variable. */
static void read_ends(q_interval *out, const quern_view *view, bool high)
{
    size_t size = q_element_size(view->dtype), columns = (size_t)view->columns;
    for (int64_t row = 0; row < view->rows; row++)
        for (size_t d = 0; d < columns; d++) {
            size_t at = ((size_t)(row * q_view_stride(view)) + d) * size;
            double end =
                view->dtype == QUERN_NUMBER ? view->number : q_element_read(view->dtype, (const char *)view->data + at);
            *(high ? &out->high : &out->low) = end;
            out++;
        }
}

/* The same of an array that may be on the device. */
static quern_status fetch_ends(const request *q, q_interval *out, quern_view view, bool high)
{
    size_t bytes = (size_t)(view.rows * view.columns) * q_element_size(view.dtype);
    char *memory = malloc(bytes + 1);
    if (!memory) return q_fail_memory(bytes);
    quern_view dense = quern_view_of(memory, view.dtype, view.rows, view.columns);
    quern_status status = view.array ? quern_copy(q->context, dense, view) : QUERN_OK;
    if (!status) read_ends(out, view.array ? &dense : &view, high);
    free(memory);
    return status;
}

static quern_status read_boxes(const request *q, boxes *b, size_t v, quern_args low, quern_args high)
{
    const q_variable *variable = &q->pairs->graph->variables[v];
    const quern_arg *from = find_argument(low, variable->name), *to = find_argument(high, variable->name);
    if (!from || !to)
        return q_fail(QUERN_MISSING, "the %s corner of %s is not given", from ? "high" : "low", variable->name);
    int64_t rows = variable->axis ? q->sizes[variable->axis] : 1;
    size_t count = (size_t)rows * variable->dim;
    b->of_pair[v].id = variable->id;
    if (!(b->data[v] = malloc((count + 1) * sizeof *b->data[v]))) return q_fail_memory(count * sizeof *b->data[v]);
    Q_TRY(fetch_ends(q, b->data[v], from->view, false));
    Q_TRY(fetch_ends(q, b->data[v], to->view, true));
    for (size_t n = 0; n < count; n++)
        if (!(b->data[v][n].low <= b->data[v][n].high))
            return q_fail(QUERN_USAGE, "box %zu of %s is from %g to %g", n / variable->dim, variable->name,
                          b->data[v][n].low, b->data[v][n].high);
    return QUERN_OK;
}

static void bound_pair(const request *q, boxes *b, q_ranges *ranges, int64_t i, int64_t j, double *lower, double *upper)
{
    const q_graph *graph = q->pairs->graph;
    for (size_t v = 0; v < graph->variable_count; v++) {
        const q_variable *variable = &graph->variables[v];
        int64_t row = variable->axis == Q_I ? i : variable->axis == Q_J ? j : 0;
        b->of_pair[v].ranges = b->data[v] + (size_t)row * variable->dim;
    }
    q_bounds_over(ranges, b->of_pair, graph->variable_count);
    bool nan = q_ranges_nan(ranges, q->pairs->entry);
    for (int64_t d = 0; d < quern_pairs_length(q->pairs); d++) {
        lower[d] = nan ? -INFINITY : q_ranges_of(ranges, q->pairs->entry)[d].low;
        upper[d] = nan ? INFINITY : q_ranges_of(ranges, q->pairs->entry)[d].high;
    }
}

static quern_status bound_all(const request *q, boxes *b, double *lower, double *upper)
{
    q_ranges *ranges;
    int64_t columns = q->sizes[Q_J], length = quern_pairs_length(q->pairs);
    Q_TRY(q_ranges_create(&ranges, q->pairs->graph, &q->pairs->entry, 1, q->dtype));
    for (int64_t i = 0; i < q->sizes[Q_I]; i++)
        for (int64_t j = 0; j < columns; j++) {
            int64_t at = (i * columns + j) * length;
            bound_pair(q, b, ranges, i, j, lower + at, upper + at);
        }
    q_ranges_destroy(&ranges);
    return QUERN_OK;
}

static quern_status check_bounds(const request *q, const char *name, const quern_view *view)
{
    int64_t rows = q->sizes[Q_I], columns = q->sizes[Q_J] * quern_pairs_length(q->pairs);
    if (view->dtype != QUERN_F64 || view->array || q_view_stride(view) != view->columns)
        return q_fail(QUERN_DTYPE, "%s is not a dense array of float64 on the host", name);
    Q_TRY(q_view_check(q->context, name, view));
    if (view->rows == rows && view->columns == columns) return QUERN_OK;
    return q_fail(QUERN_SHAPE, "%s has %lld x %lld numbers; there are %lld x %lld bounds", name, (long long)view->rows,
                  (long long)view->columns, (long long)rows, (long long)columns);
}

static quern_status bounds(request *q, boxes *b, quern_args low, quern_args high, quern_view lower, quern_view upper)
{
    for (int axis = Q_I; axis <= Q_J; axis++)
        if (q->sizes[axis] < 0) q->sizes[axis] = 1; /* the formula does not have it */
    Q_TRY(check_bounds(q, "lower", &lower));
    Q_TRY(check_bounds(q, "upper", &upper));
    for (size_t v = 0; v < q->pairs->graph->variable_count; v++) Q_TRY(read_boxes(q, b, v, low, high));
    return bound_all(q, b, lower.data, upper.data);
}

quern_status quern_pairs_bounds(const quern_pairs *pairs, quern_args low, quern_args high, quern_view lower,
                                quern_view upper)
{
    boxes b = {0};
    if (!pairs) return q_fail_null(__func__, "pairs");
    request q = {.pairs = pairs, .args = low, .context = pairs->row->context, .dtype = QUERN_F32};
    Q_TRY(q_session_check(q.context->session));
    begin_sizes(&q);
    Q_TRY(check_arguments(&q));
    q.args = high;
    Q_TRY(check_arguments(&q));
    quern_status status = bounds(&q, &b, low, high, lower, upper);
    for (size_t v = 0; v < Q_MAX_VARIABLES; v++) free(b.data[v]);
    return status;
}
