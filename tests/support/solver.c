/* solver.c: see solver.h. */
#include <math.h>
#include <stdlib.h>

#include "solver.h"

static quern_array *zeros(int64_t rows)
{
    quern_array *array;
    succeed(quern_array_create(&array, context, QUERN_F32, rows, 1));
    return array;
}

static quern_array *array_of(quern_view view)
{
    quern_array *array;
    succeed(quern_array_from(&array, context, view));
    return array;
}

solver solver_create(int64_t count)
{
    solver s = {.count = count,
                .points = calloc((size_t)count * 3, sizeof(float)),
                .b = calloc((size_t)count, sizeof(float)),
                .multiply = compile("x=Vi(3); y=Vj(3); p=Vj(1); d=Vi(1); Sum_j(Exp(-SqDist(x,y))*p)+d", NULL),
                /* without residual a step of length 0 */
                .forward = compile("u=Vi(1); p=Vi(1); n=Pm(1); m=Pm(1); u+n/(m+1e-30)*p", NULL),
                .back = compile("u=Vi(1); p=Vi(1); n=Pm(1); m=Pm(1); u-n/(m+1e-30)*p", NULL),
                .dot = compile("a=Vi(1); b=Vi(1); Sum_i(a*b)", NULL)};
    assert_true(s.points && s.b);
    for (int64_t k = 0; k < count * 3; k++) s.points[k] = (float)((k * 7 + k / 3) % 17 - 8) / 8;
    for (int64_t k = 0; k < count; k++) s.b[k] = (float)(k % 5 - 2) / 2;
    s.x = array_of(quern_f32(s.points, count, 3));
    s.r = array_of(quern_f32(s.b, count, 1)), s.p = array_of(quern_f32(s.b, count, 1));
    s.u = zeros(count), s.q = zeros(count);
    s.rr = zeros(1), s.pq = zeros(1), s.next = zeros(1);
    succeed(quern_run(s.dot, QUERN_ARGS({"a", quern_array_view(s.r)}, {"b", quern_array_view(s.r)}),
                      quern_array_view(s.rr)));
    return s;
}

void solver_step(solver *s)
{
    quern_view x = quern_array_view(s->x), u = quern_array_view(s->u), r = quern_array_view(s->r),
               p = quern_array_view(s->p), q = quern_array_view(s->q), rr = quern_array_view(s->rr),
               pq = quern_array_view(s->pq), next = quern_array_view(s->next);
    succeed(quern_run(s->multiply, QUERN_ARGS({"x", x}, {"y", x}, {"p", p}, {"d", p}), q));
    succeed(quern_run(s->dot, QUERN_ARGS({"a", p}, {"b", q}), pq));
    succeed(quern_run(s->forward, QUERN_ARGS({"u", u}, {"p", p}, {"n", rr}, {"m", pq}), u));
    succeed(quern_run(s->back, QUERN_ARGS({"u", r}, {"p", q}, {"n", rr}, {"m", pq}), r));
    succeed(quern_run(s->dot, QUERN_ARGS({"a", r}, {"b", r}), next));
    succeed(quern_run(s->forward, QUERN_ARGS({"u", r}, {"p", p}, {"n", next}, {"m", rr}), p));
    succeed(quern_copy(context, rr, next));
}

double solver_error(solver *s)
{
    double most = 0;
    float *u = calloc((size_t)s->count, sizeof *u), *product = calloc((size_t)s->count, sizeof *product);
    assert_true(u && product);
    quern_view points = quern_f32(s->points, s->count, 3), column = quern_f32(u, s->count, 1);
    succeed(quern_array_read(s->u, column));
    succeed(quern_run(s->multiply, QUERN_ARGS({"x", points}, {"y", points}, {"p", column}, {"d", column}),
                      quern_f32(product, s->count, 1)));
    for (int64_t i = 0; i < s->count; i++) most = fmax(most, fabs((double)product[i] - (double)s->b[i]));
    free(u);
    free(product);
    return most;
}

void solver_destroy(solver *s)
{
    quern_operator_destroy(&s->multiply), quern_operator_destroy(&s->forward), quern_operator_destroy(&s->back);
    quern_operator_destroy(&s->dot);
    quern_array **arrays[] = {&s->x, &s->u, &s->r, &s->p, &s->q, &s->rr, &s->pq, &s->next};
    for (size_t a = 0; a < Q_COUNT(arrays); a++) quern_array_destroy(arrays[a]);
    free(s->points);
    free(s->b);
}
