/*
 * 14_arpack: an eigensolver that asks for products. ARPACK works by reverse communication: it returns whenever it wants the matrix
 * times a vector, and leaves to the program how that is made. Here a formula makes it, and the eigenvalues are compared with those
 * that quern_eigenpairs finds by itself.
 */
#include <arpack/arpack.h>
#include <math.h>
#include <quern/spectra.h>
#include <stdio.h>
#include <stdlib.h>

enum { N = 3000, COUNT = 5, BASIS = 20, WORK = BASIS * (BASIS + 8) };
#define KERNEL "x=Vi(3); y=Vj(3); Sum_j(Exp(-4*SqDist(x,y))*b)"

static double points[3 * N], start[N], basis[BASIS * N], work[3 * N], small[WORK], vectors[COUNT * N];

/* The largest eigenvalues, ascending, as ARPACK has them; the number of products, or -1. */
static int ask_arpack(const quern_linear *A, double *values)
{
    a_int ido = 0, info = 0, place[11] = {0}, parameters[11] = {1, 0, 300, 1, 0, 0, 1}, wanted[BASIS] = {0};
    int products = 0;

    for (;;) {
        dsaupd_c(&ido, "I", N, "LA", COUNT, 0, start, BASIS, basis, N, parameters, place, work, small, WORK, &info);
        if (ido != 1 && ido != -1) break;
        const quern_view from = quern_f64(work + place[0] - 1, N, 1), to = quern_f64(work + place[1] - 1, N, 1);
        if (quern_linear_apply(A, from, to)) return fprintf(stderr, "%s\n", quern_last_error_text()), -1;
        products++;
    }
    if (info < 0) return fprintf(stderr, "dsaupd: %d\n", (int)info), -1;
    dseupd_c(1, "A", wanted, values, vectors, N, 0, "I", N, "LA", COUNT, 0, start, BASIS, basis, N, parameters, place,
             work, small, WORK, &info);
    return info ? -1 : products;
}

int main(void)
{
    double theirs[COUNT], ours[COUNT], most = 0;
    quern_context *ctx = NULL;
    quern_linear *A = NULL;
    quern_eigen_report report = QUERN_DEFAULTS(quern_eigen_report);
    const quern_view x = quern_f64(points, N, 3);

    srand(1);
    for (int e = 0; e < 3 * N; e++) points[e] = rand() / (double)RAND_MAX;
    quern_status bad = quern_context_create(&ctx, NULL);
    if (!bad) bad = quern_linear_create(&A, ctx, KERNEL, QUERN_ARGS({"x", x}, {"y", x}), NULL);
    if (!bad) bad = quern_eigenpairs(A, quern_f64(ours, COUNT, 1), (quern_view){0}, NULL, &report);
    if (bad) fprintf(stderr, "%s\n", quern_last_error_text());
    const int products = bad ? -1 : ask_arpack(A, theirs);
    quern_linear_destroy(&A);
    quern_context_destroy(&ctx);
    if (products < 0) return 1;
    for (int k = 0; k < COUNT; k++) most = fmax(most, fabs(ours[k] - theirs[COUNT - 1 - k]) / ours[0]);
    printf("%d products with a vector by ARPACK, %lld with 8 vectors by quern\n", products,
           (long long)report.iterations);
    printf("eigenvalues agree to %s\n", most < 1e-10 ? "1e-10" : "less"); // prints: eigenvalues agree to 1e-10
    return 0;
}
