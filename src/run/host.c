/*
 * host.c: small runs, done by the reference evaluator: they are over before a device would have begun, and need no
 * program.
 *
 * What it costs is known beforehand: the numbers that are read or computed, at about 5.5 ns each. A launch takes 20 us
 * and more, whatever the size (PoCL 3.1; GPUs are no faster at that). HOST_NUMBERS is where the host needs about half
 * of that: 12 x 12 entries of a Gaussian in three dimensions. It is a constant and not measured where quern runs, so
 * that a run gives the same bits every time.
 */
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "run/run.h"

enum { HOST_NUMBERS = 2048 };

// ---- what it costs ----

/* Numbers that one component of a node is made of. */
static double terms_of(const q_graph *graph, const q_node *node)
{
    switch (q_ops[node->op].kind) {
    case Q_KIND_EXPAND: return q_node_of(graph, node->arg[0])->dim;
    case Q_KIND_CONTRACT: return q_contraction_terms(q_contraction_of(graph, node));
    default: return 1;
    }
}

quern_status q_host_count(quern_operator *op)
{
    const q_graph *graph = op->graph;
    uint8_t *marks = malloc(graph->count);
    if (!marks) return q_fail_memory(graph->count);
    q_mark(graph, op->results, op->result_count, false, marks);
    for (q_id id = 1; id < graph->count; id++) {
        const q_node *node = q_node_of(graph, id);
        bool reduces = q_ops[node->op].kind == Q_KIND_REDUCTION;
        unsigned axes = node->axes | (reduces ? (unsigned)node->k[0] : 0);
        if (marks[id]) op->host_numbers[axes] += node->dim * terms_of(graph, node);
    }
    free(marks);
    return QUERN_OK;
}

static double count_numbers(const quern_operator *op, int64_t M, int64_t N)
{
    const double *numbers = op->host_numbers, m = (double)M, n = (double)N;
    return numbers[Q_P] + numbers[Q_I] * m + numbers[Q_J] * n + numbers[Q_I | Q_J] * m * n;
}

bool q_host_would_take(const quern_operator *op, const quern_context *context, quern_dtype dtype, int64_t M, int64_t N)
{
    const quern_compile_options *o = &op->options;
    quern_switch choice = context ? context->options.host : QUERN_AUTO;
    if (choice == QUERN_OFF || (context && dtype == QUERN_F64 && !quern_context_device(context)->f64)) return false;
    bool planned = o->sum || o->rows || o->lanes || o->local || o->split; /* whoever plans launches wants them */
    return choice == QUERN_ON || (!planned && count_numbers(op, M, N) <= HOST_NUMBERS);
}

bool q_host_takes(const q_run *run)
{
    for (size_t v = 0; v < run->op->variable_count; v++)
        if (run->variables[v].array) return false;
    for (size_t r = 0; r < run->op->result_count; r++)
        if (run->results[r].array) return false;
    return q_host_would_take(run->op, run->build->context, run->dtype, run->M, run->N);
}

// ---- a run ----

/* Variables and results as doubles, by number. */
typedef struct arrays {
    double *variables[Q_MAX_VARIABLES], *results[Q_MAX_RESULTS];
} arrays;

static double *allocate(size_t rows, size_t columns)
{
    size_t count;
    return q_mul_size(rows, columns, &count) ? calloc(count + 1, sizeof(double)) : NULL;
}

static void read_view(double *out, const quern_view *view, quern_dtype dtype)
{
    size_t size = q_element_size(view->dtype), stride = (size_t)q_view_stride(view) * size;
    bool single = dtype == QUERN_F32;
    if (view->dtype == QUERN_NUMBER) {
        *out = single ? (double)(float)view->number : view->number;
        return;
    }
    for (int64_t row = 0; row < view->rows; row++) {
        const char *at = (const char *)view->data + (size_t)row * stride;
        for (int64_t column = 0; column < view->columns; column++, at += size) {
            double number = q_element_read(view->dtype, at);
            *out++ = single ? (double)(float)number : number;
        }
    }
}

static void write_view(const quern_view *view, const double *numbers)
{
    size_t size = q_element_size(view->dtype), stride = (size_t)q_view_stride(view) * size;
    for (int64_t row = 0; row < view->rows; row++) {
        char *at = (char *)view->data + (size_t)row * stride;
        for (int64_t column = 0; column < view->columns; column++, at += size)
            q_element_write(view->dtype, at, *numbers++);
    }
}

static quern_status fill(arrays *a, const q_run *run)
{
    const quern_operator *op = run->op;
    bool ok = true;
    for (size_t v = 0; v < op->variable_count && ok; v++) {
        const quern_view *view = &run->variables[v];
        double *numbers = a->variables[op->variables[v]] = allocate((size_t)view->rows, (size_t)view->columns);
        ok = numbers != NULL;
        if (ok) read_view(numbers, view, run->dtype);
    }
    for (size_t r = 0; r < op->result_count && ok; r++) {
        const quern_view *view = &run->results[r];
        ok = (a->results[r] = allocate((size_t)view->rows, (size_t)view->columns)) != NULL;
    }
    return ok ? QUERN_OK
              : q_fail(QUERN_MEMORY, "no memory for M = %lld, N = %lld on the host", (long long)run->M,
                       (long long)run->N);
}

quern_status q_host_run(const q_run *run)
{
    const quern_operator *op = run->op;
    arrays a = {0};
    if (!atomic_exchange(&run->build->host_notified, true))
        q_context_log(run->build->context, "on the host, without a launch: M = %lld, N = %lld of %s", (long long)run->M,
                      (long long)run->N, op->text);
    quern_status status = fill(&a, run);
    if (!status)
        status = q_reference_with(&(q_rounding){.single = run->dtype == QUERN_F32}, op->graph, op->results,
                                  op->result_count, run->M, run->N, (const double *const *)a.variables, a.results);
    for (size_t r = 0; r < op->result_count && !status; r++) write_view(&run->results[r], a.results[r]);
    for (size_t v = 0; v < op->variable_count; v++) free(a.variables[op->variables[v]]);
    for (size_t r = 0; r < op->result_count; r++) free(a.results[r]);
    return status;
}
