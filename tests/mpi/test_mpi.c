/*
 * test_mpi.c: quern_mpi_run on the ranks that this is started with, beside the same run of one process: uneven rows, ranks with
 * none, formulas of several passes, gradients; the bits of quern/parts.h in one process; failures of one rank, that all tell.
 * Each rank runs all; `ok` and `not ok` lines and the sum come from rank 0. mpi_test.py starts it.
 */
#include <math.h>
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "quern/mpi.h"
#include "quern/parts.h"

enum { MOST_ARRAYS = 8, MOST_RANKS = 8 };

static int rank, size, passed, failed;
static quern_context *context;

/* A verdict is good if it is on all ranks. */
static void check(const char *name, bool good)
{
    int own = good, all;
    MPI_Allreduce(&own, &all, 1, MPI_INT, MPI_MIN, MPI_COMM_WORLD);
    if (!good) fprintf(stderr, "# rank %d: %s: %s\n", rank, name, quern_last_error_text());
    passed += all;
    failed += !all;
    if (!rank) printf("%s - %s\n", all ? "ok" : "not ok", name);
}

// ---- arrays ----

/* The cuts of an axis: even, or by thousandths of which some are equal. */
static void cut(int64_t out[MOST_RANKS + 1], int64_t length, bool even)
{
    for (int k = 0; k <= size; k++)
        out[k] = even ? length * k / size : k == size ? length : length * (k * k) / (size * size) / 2 * (k > 1);
}

typedef struct problem {
    quern_operator *op;
    quern_dtype dtype;
    int64_t cuts_i[MOST_RANKS + 1], cuts_j[MOST_RANKS + 1];
    void *data[MOST_ARRAYS], *whole[MOST_ARRAYS],
        *part[MOST_ARRAYS]; /* arguments; results of one process, and of all */
    quern_arg all_args[MOST_ARRAYS], own_args[MOST_ARRAYS];
    quern_view all_results[MOST_ARRAYS], own_results[MOST_ARRAYS];
} problem;

static int64_t rows_of(const problem *p, char axis)
{
    return axis == 'i' ? p->cuts_i[size] : axis == 'j' ? p->cuts_j[size] : 1;
}

static quern_view own_part(const problem *p, quern_view view, char axis)
{
    const int64_t *cuts = axis == 'i' ? p->cuts_i : p->cuts_j;
    if (axis == 'p') return view;
    size_t bytes = view.dtype == QUERN_F32 ? 4 : 8;
    view.data = (char *)view.data + (size_t)(cuts[rank] * view.columns) * bytes;
    view.rows = cuts[rank + 1] - cuts[rank];
    return view;
}

static void fill(void *data, quern_dtype dtype, size_t count, size_t seed)
{
    for (size_t n = 0; n < count; n++) {
        double number = (double)((n * 2654435761u + seed * 40503u) / 7 % 1000) / 1000;
        if (dtype == QUERN_F32) ((float *)data)[n] = (float)number;
        else ((double *)data)[n] = number;
    }
}

static problem make_problem(quern_operator *op, quern_dtype dtype, int64_t M, int64_t N, bool even)
{
    problem p = {.op = op, .dtype = dtype};
    cut(p.cuts_i, M, even);
    cut(p.cuts_j, N, even);
    for (size_t v = 0; v < quern_variable_count(op); v++) {
        quern_value value = quern_variable(op, v);
        size_t count = (size_t)(rows_of(&p, value.axis) * value.dim);
        p.data[v] = calloc(count + 1, 8);
        fill(p.data[v], dtype, count, v);
        p.all_args[v] = (quern_arg){value.name, quern_view_of(p.data[v], dtype, rows_of(&p, value.axis), value.dim)};
        p.own_args[v] = (quern_arg){value.name, own_part(&p, p.all_args[v].view, value.axis)};
    }
    for (size_t r = 0; r < quern_result_count(op); r++) {
        quern_value value = quern_result(op, r);
        size_t count = (size_t)(rows_of(&p, value.axis) * value.dim);
        quern_dtype type = value.integer ? QUERN_I64 : dtype;
        p.whole[r] = calloc(count + 1, 8);
        p.part[r] = calloc(count + 1, 8);
        p.all_results[r] = quern_view_of(p.whole[r], type, rows_of(&p, value.axis), value.dim);
        p.own_results[r] = own_part(&p, quern_view_of(p.part[r], type, rows_of(&p, value.axis), value.dim), value.axis);
    }
    return p;
}

static void free_problem(problem *p)
{
    for (int a = 0; a < MOST_ARRAYS; a++) free(p->data[a]), free(p->whole[a]), free(p->part[a]);
}

static quern_args args_of(const problem *p, const quern_arg *args, bool own)
{
    return (quern_args){args, quern_variable_count(p->op),
                        own ? p->cuts_i[rank + 1] - p->cuts_i[rank] : p->cuts_i[size],
                        own ? p->cuts_j[rank + 1] - p->cuts_j[rank] : p->cuts_j[size]};
}

static quern_status run_all(problem *p)
{
    return quern_mpi_run(p->op, NULL, MPI_COMM_WORLD, args_of(p, p->own_args, true),
                         (quern_outs){p->own_results, quern_result_count(p->op)});
}

static quern_status run_one(problem *p)
{
    return quern_run_all(p->op, args_of(p, p->all_args, false),
                         (quern_outs){p->all_results, quern_result_count(p->op)});
}

static double number_at(quern_view view, size_t n)
{
    return view.dtype == QUERN_F32   ? (double)((float *)view.data)[n]
           : view.dtype == QUERN_I64 ? (double)((int64_t *)view.data)[n]
                                     : ((double *)view.data)[n];
}

/* The own rows beside those of one process; indices are equal. */
static bool near(const problem *p)
{
    for (size_t r = 0; r < quern_result_count(p->op); r++) {
        quern_value value = quern_result(p->op, r);
        quern_view own = p->own_results[r], one = own_part(p, p->all_results[r], value.axis);
        double largest = 1, tolerance = value.integer ? 0 : p->dtype == QUERN_F32 ? 1e-5 : 1e-12;
        size_t count = (size_t)(own.rows * own.columns);
        for (size_t n = 0; n < count; n++)
            if (isfinite(number_at(one, n))) largest = fmax(largest, fabs(number_at(one, n)));
        for (size_t n = 0; n < count; n++) {
            double a = number_at(own, n), b = number_at(one, n);
            if (a == b || fabs(a - b) <= tolerance * largest || (isnan(a) && isnan(b))) continue;
            fprintf(stderr, "# rank %d: result %zu, number %zu of %zu: %.9g, one process %.9g\n", rank, r, n, count, a,
                    b);
            return false;
        }
    }
    return true;
}

// ---- beside one process ----

#define SETTINGS "rows=2 lanes32=4 lanes64=2"

static quern_operator *compile(const char *text)
{
    quern_operator *op = NULL;
    quern_compile_options options = {.size = sizeof options, .profile = SETTINGS};
    if (quern_compile(&op, context, text, &options)) fprintf(stderr, "# %s: %s\n", text, quern_last_error_text());
    return op;
}

static const char *const formulas[] = {
    "x=Vi(3); y=Vj(3); b=Vj(2); p=Pm(1); Sum_j(Exp(-p*SqDist(x,y))*b), ArgMin_j(SqDist(x,y)), LogSumExp_j(x|y), "
    "KMin_j(SqDist(x,y),3), Sum_i(x|x)",
    "x=Vi(1); y=Vj(1); p=Pm(2); Grad(Sum_i(Square(Sum_j(Elem(p,0)*Exp(-Elem(p,1)*SqDist(x,y))))),p,1)",
    "x=Vi(1); y=Vj(1); Grad(Sum_i(Square(Sum_j(Exp(-SqDist(x,y))))),y,1), Max_i(x), 2*x",
};
static const int64_t sizes[][2] = {{700, 900}, {2, 3000}, {7, 0}, {0, 3}};

static void compare_formulas(bool all)
{
    for (size_t f = 0; f < (all ? sizeof formulas / sizeof *formulas : 1); f++) {
        quern_operator *op = compile(formulas[f]);
        for (size_t s = 0; s < (all ? sizeof sizes / sizeof *sizes : 1); s++) {
            char name[160];
            quern_dtype dtype = f == 1 ? QUERN_F64 : QUERN_F32;
            problem p = make_problem(op, dtype, sizes[s][0], sizes[s][1], s == 1);
            snprintf(name, sizeof name, "formula %zu, %lld x %lld on %d ranks", f, (long long)sizes[s][0],
                     (long long)sizes[s][1], size);
            check(name, !run_all(&p) && !run_one(&p) && near(&p));
            free_problem(&p);
        }
        quern_operator_destroy(&op);
    }
}

/* The same pieces in one process. */
static quern_status run_pieces(problem *p)
{
    quern_parts *parts;
    quern_status bad = quern_parts_create(&parts, p->op, NULL, args_of(p, p->own_args, true),
                                          (quern_outs){p->own_results, quern_result_count(p->op)});
    if (!bad) bad = quern_parts_place(parts, (size_t)size, (size_t)rank, p->cuts_i, p->cuts_j);
    if (!bad) bad = quern_parts_begin(parts);
    for (int k = 0; k < size && !bad; k++)
        bad = quern_parts_take(parts, (size_t)k, (float *)p->data[1] + 2 * p->cuts_j[k]);
    if (!bad) bad = quern_parts_end(parts);
    quern_parts_destroy(&parts);
    return bad;
}

static void compare_bits(void)
{
    quern_operator *op = compile("x=Vi(2); y=Vj(2); Sum_j(Exp(-SqDist(x,y)))");
    problem p = make_problem(op, QUERN_F32, 500, 1000, false);
    bool good = !run_all(&p);
    memcpy(p.whole[0], p.part[0], 500 * sizeof(float));
    good = good && !run_pieces(&p) && !memcmp(p.whole[0], p.part[0], 500 * sizeof(float));
    check("the bits are those of one process with the same pieces", good);
    free_problem(&p);
    quern_operator_destroy(&op);
}

// ---- failures ----

static bool fails(quern_status got, quern_status status, const char *part)
{
    bool good = got == status && strstr(quern_last_error()->message, part);
    if (!good) fprintf(stderr, "# rank %d: %s and '%s' were expected\n", rank, quern_status_name(status), part);
    return good;
}

static bool stop(void *user, double done)
{
    return done >= 0 && *(int *)user == size - 1;
}

static void fail_on_one_rank(void)
{
    char who[32];
    quern_operator *op = compile(formulas[0]);
    problem p = make_problem(op, QUERN_F32, 100, 200, true);
    snprintf(who, sizeof who, "rank %d of %d", size - 1, size);
    const char *last = size > 1 ? who : "";
    quern_arg kept = p.own_args[1];
    if (rank == size - 1) p.own_args[1].view.columns = 2;
    check("one rank has another array", fails(run_all(&p), QUERN_SHAPE, last));
    p.own_args[1] = kept;
    quern_args args = args_of(&p, p.own_args, true);
    quern_outs results = {p.own_results, quern_result_count(op)};
    check("one rank has no operator",
          fails(quern_mpi_run(rank == size - 1 ? NULL : op, NULL, MPI_COMM_WORLD, args, results), QUERN_USAGE, last));
    quern_context *own = NULL;
    bool good = !quern_context_create(
        &own,
        &(quern_context_options){.size = sizeof(quern_context_options), .progress = stop, .progress_user = &rank});
    good = good && fails(quern_mpi_run(op, own, MPI_COMM_WORLD, args, results), QUERN_CANCELLED, last);
    check("one rank stops", good);
    quern_context_destroy(&own);
    if (size > 1) {
        double mine = rank, both;
        quern_operator *g = compile("p=Pm(1); p*p");
        good = fails(quern_mpi_run(g, NULL, MPI_COMM_WORLD, QUERN_ARGS({"p", quern_f64(&mine, 1, 1)}),
                                   QUERN_OUTS(quern_f64(&both, 1, 1))),
                     QUERN_USAGE, "parameters");
        check("parameters differ", good);
        quern_operator_destroy(&g);
    }
    check("it goes on afterwards", !run_all(&p) && !run_one(&p) && near(&p));
    free_problem(&p);
    quern_operator_destroy(&op);
}

static void nonsense(void)
{
    check("no communicator",
          fails(quern_mpi_run(NULL, NULL, MPI_COMM_NULL, QUERN_ARGS(), QUERN_OUTS()), QUERN_USAGE, "MPI_COMM_NULL"));
    check("no operator",
          fails(quern_mpi_run(NULL, NULL, MPI_COMM_WORLD, QUERN_ARGS(), QUERN_OUTS()), QUERN_USAGE, "null"));
    check("no place", fails(quern_mpi_context_create(NULL, MPI_COMM_WORLD, NULL), QUERN_USAGE, "out is null"));
}

int main(int argc, char **argv)
{
    quern_context *early;
    bool refused = fails(quern_mpi_context_create(&early, MPI_COMM_WORLD, NULL), QUERN_USAGE, "MPI is not running");
    MPI_Init(&argc, &argv);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &size);
    check("before MPI_Init", refused);
    check("a device for each rank", !quern_mpi_context_create(&context, MPI_COMM_WORLD, NULL));
    if (context) {
        compare_formulas(argc < 2 || !strcmp(argv[1], "all"));
        compare_bits();
        fail_on_one_rank();
        nonsense();
    }
    quern_context_destroy(&context);
    MPI_Finalize();
    if (!rank) printf("%d passed, %d failed, 0 skipped\n", passed, failed);
    return failed > 0;
}
