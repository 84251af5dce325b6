/*
 * 04_on_the_device: a solver whose arrays never leave the device.
 *
 * Kernel ridge regression: values v_i are known at 2000 points x_i of the unit square, and u solves (K + 0.1) u = v with
 * K_ij = exp(-8 |x_i - x_j|^2). Then f(z) = sum_j exp(-8 |z - x_j|^2) u_j is a smooth function through them, nearly. K has
 * four million entries and is not stored. Conjugate gradients need its product with a vector, sums of products, and
 * vectors plus multiples of others: four operators. Numbers such as <r, r> are arrays of one row, so that the loop reads
 * nothing back: it enqueues 60 steps and goes on, and only the last lines wait.
 */
#include <math.h>
#include <quern/array.h>
#include <stdio.h>

enum { COUNT = 2000, STEPS = 60 };

static float x[COUNT][2], v[COUNT];

/* The operators of a step. */
static quern_operator *multiply, *dot, *forward, *back;

/* Vectors u, r, p and q = (K + 0.1) p, numbers <r, r>, <p, q> and the next <r, r>. */
static quern_array *at, *u, *r, *p, *q, *rr, *pq, *next;

static double wave(double s, double t)
{
    return sin(6 * s) * cos(4 * t);
}

static quern_status make(quern_context *ctx)
{
    static const char step[] = "u=Vi(1); p=Vi(1); n=Pm(1); d=Pm(1); u%cn/d*p";
    char plus[sizeof step], minus[sizeof step];
    quern_status bad = quern_compile(
        &multiply, ctx, "x=Vi(2); y=Vj(2); p=Vj(1); own=Vi(1); Sum_j(Exp(-8*SqDist(x,y))*p) + 0.1*own", NULL);
    snprintf(plus, sizeof plus, step, '+');
    snprintf(minus, sizeof minus, step, '-');
    if (!bad) bad = quern_compile(&dot, ctx, "a=Vi(1); b=Vi(1); Sum_i(a*b)", NULL);
    if (!bad) bad = quern_compile(&forward, ctx, plus, NULL);
    if (!bad) bad = quern_compile(&back, ctx, minus, NULL);
    if (!bad) bad = quern_array_from(&at, ctx, quern_f32(x[0], COUNT, 2));
    if (!bad) bad = quern_array_from(&r, ctx, quern_f32(v, COUNT, 1)); /* u = 0: what is left is v */
    if (!bad) bad = quern_array_from(&p, ctx, quern_f32(v, COUNT, 1));
    if (!bad) bad = quern_array_create(&u, ctx, QUERN_F32, COUNT, 1);
    if (!bad) bad = quern_array_create(&q, ctx, QUERN_F32, COUNT, 1);
    if (!bad) bad = quern_array_create(&rr, ctx, QUERN_F32, 1, 1);
    if (!bad) bad = quern_array_create(&pq, ctx, QUERN_F32, 1, 1);
    if (!bad) bad = quern_array_create(&next, ctx, QUERN_F32, 1, 1);
    return bad;
}

static quern_status product(quern_array *a, quern_array *b, quern_array *out)
{
    return quern_run(dot, QUERN_ARGS({"a", quern_array_view(a)}, {"b", quern_array_view(b)}), quern_array_view(out));
}

/* to = from +- n / d * along */
static quern_status add(quern_operator *op, quern_array *from, quern_array *n, quern_array *d, quern_array *along,
                        quern_array *to)
{
    return quern_run(op,
                     QUERN_ARGS({"u", quern_array_view(from)}, {"p", quern_array_view(along)},
                                {"n", quern_array_view(n)}, {"d", quern_array_view(d)}),
                     quern_array_view(to));
}

static quern_status take_step(void)
{
    quern_view points = quern_array_view(at), along = quern_array_view(p);
    quern_status bad = quern_run(multiply, QUERN_ARGS({"x", points}, {"y", points}, {"p", along}, {"own", along}),
                                 quern_array_view(q));
    if (!bad) bad = product(p, q, pq);
    if (!bad) bad = add(forward, u, rr, pq, p, u);
    if (!bad) bad = add(back, r, rr, pq, q, r);
    if (!bad) bad = product(r, r, next);
    if (!bad) bad = add(forward, r, next, rr, p, p);
    quern_array *old = rr;
    rr = next, next = old;
    return bad;
}

int main(void)
{
    float left, z[] = {0.3f, 0.6f}, zero[] = {0}, f;
    quern_context *ctx = NULL;
    quern_status bad = quern_context_create(&ctx, NULL);

    for (int k = 0; k < COUNT; k++) { /* points that fill the square evenly */
        x[k][0] = (float)fmod(0.5 + 0.7548776662 * k, 1);
        x[k][1] = (float)fmod(0.5 + 0.5698402910 * k, 1);
        v[k] = (float)wave((double)x[k][0], (double)x[k][1]);
    }
    if (!bad) bad = make(ctx);
    if (!bad) bad = product(r, r, rr);
    for (int step = 0; step < STEPS && !bad; step++) bad = take_step();
    if (!bad) bad = quern_array_read(rr, quern_f32(&left, 1, 1));
    if (!bad)
        bad = quern_run(multiply,
                        QUERN_ARGS({"x", quern_f32(z, 1, 2)}, {"y", quern_array_view(at)}, {"p", quern_array_view(u)},
                                   {"own", quern_f32(zero, 1, 1)}),
                        quern_f32(&f, 1, 1));
    if (bad) fprintf(stderr, "%s\n", quern_last_error_text());
    else {
        printf("residual %s\n", left < 1e-2f ? "small" : "large"); // prints: residual small
        printf("f %.2f, wave %.2f\n", (double)f, wave(0.3, 0.6));  // prints: f -0.72, wave -0.72
    }
    quern_operator_destroy(&multiply), quern_operator_destroy(&dot);
    quern_operator_destroy(&forward), quern_operator_destroy(&back);
    quern_array_destroy(&at), quern_array_destroy(&u), quern_array_destroy(&r), quern_array_destroy(&p);
    quern_array_destroy(&q), quern_array_destroy(&rr), quern_array_destroy(&pq), quern_array_destroy(&next);
    quern_context_destroy(&ctx);
    return (int)bad;
}
