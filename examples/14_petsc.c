/*
 * 14_petsc: a formula as a matrix of PETSc's, a shell of which PETSc sees nothing but products, so that all of its Krylov methods work
 * with it (-ksp_type, -ksp_monitor, ...). Rows are shared by the processes of MPI: each has a formula of its rows and all columns, for
 * which the vector is gathered.
 *
 *     mpirun -n 2 14_petsc -ksp_type minres
 */
#include <math.h>
#include <petscksp.h>
#include <quern/solve.h>
#include <stdlib.h>

enum { N = 2000 };
#define KERNEL "x=Vi(3); y=Vj(3); Sum_j(Exp(-10*SqDist(x,y))*b)"

/* What a process has of the matrix: its rows, and what gathers vectors. */
typedef struct part {
    quern_context *context;
    quern_linear *rows;
    VecScatter gather;
    Vec all;
    double shift;
} part;

static double points[3 * N];

static PetscErrorCode multiply(Mat A, Vec x, Vec y)
{
    part *p;
    const double *all, *own;
    double *out;
    PetscInt count;

    PetscFunctionBeginUser;
    PetscCall(MatShellGetContext(A, &p));
    PetscCall(VecScatterBegin(p->gather, x, p->all, INSERT_VALUES, SCATTER_FORWARD));
    PetscCall(VecScatterEnd(p->gather, x, p->all, INSERT_VALUES, SCATTER_FORWARD));
    PetscCall(VecGetLocalSize(y, &count));
    PetscCall(VecGetArrayRead(p->all, &all));
    PetscCall(VecGetArrayRead(x, &own));
    PetscCall(VecGetArrayWrite(y, &out));
    PetscCheck(!quern_linear_apply(p->rows, quern_f64(all, N, 1), quern_f64(out, count, 1)), PETSC_COMM_SELF,
               PETSC_ERR_LIB, "%s", quern_last_error_text());
    for (PetscInt i = 0; i < count; i++) out[i] += p->shift * own[i];
    PetscCall(VecRestoreArrayWrite(y, &out));
    PetscCall(VecRestoreArrayRead(x, &own));
    PetscCall(VecRestoreArrayRead(p->all, &all));
    PetscFunctionReturn(0);
}

/* The rows that PETSc gives this process of a vector. */
static PetscErrorCode make_part(part *p, Vec x)
{
    PetscInt first, end;

    PetscFunctionBeginUser;
    PetscCall(VecGetOwnershipRange(x, &first, &end));
    PetscCall(VecScatterCreateToAll(x, &p->gather, &p->all));
    const quern_view own = quern_f64(points + 3 * first, end - first, 3), all = quern_f64(points, N, 3);
    quern_status bad = quern_context_create(&p->context, NULL);
    if (!bad) bad = quern_linear_create(&p->rows, p->context, KERNEL, QUERN_ARGS({"x", own}, {"y", all}), NULL);
    PetscCheck(!bad, PETSC_COMM_SELF, PETSC_ERR_LIB, "%s", quern_last_error_text());
    p->shift = 0.1;
    PetscFunctionReturn(0);
}

static PetscErrorCode solve(Mat A, Vec b, Vec c)
{
    KSP method;
    PC none;
    PetscInt steps;

    PetscFunctionBeginUser;
    PetscCall(KSPCreate(PETSC_COMM_WORLD, &method));
    PetscCall(KSPSetOperators(method, A, A));
    PetscCall(KSPSetType(method, KSPCG));
    PetscCall(KSPGetPC(method, &none));
    PetscCall(PCSetType(none, PCNONE));
    PetscCall(KSPSetTolerances(method, 1e-8, PETSC_DEFAULT, PETSC_DEFAULT, 2000));
    PetscCall(KSPSetFromOptions(method));
    PetscCall(KSPSolve(method, b, c));
    PetscCall(KSPGetIterationNumber(method, &steps));
    PetscCall(PetscPrintf(PETSC_COMM_WORLD, "%d products\n", (int)steps));
    PetscCall(KSPDestroy(&method));
    PetscFunctionReturn(0);
}

int main(int argc, char **argv)
{
    part p = {0};
    Mat A;
    Vec b, c, r;
    double left, whole;
    PetscInt count;

    PetscCall(PetscInitialize(&argc, &argv, NULL, NULL));
    srand(1);
    for (int e = 0; e < 3 * N; e++) points[e] = rand() / (double)RAND_MAX;
    PetscCall(VecCreateMPI(PETSC_COMM_WORLD, PETSC_DECIDE, N, &b));
    PetscCall(VecDuplicate(b, &c));
    PetscCall(VecDuplicate(b, &r));
    PetscCall(VecSetRandom(b, NULL));
    PetscCall(VecGetLocalSize(b, &count));
    PetscCall(make_part(&p, b));
    PetscCall(MatCreateShell(PETSC_COMM_WORLD, count, count, N, N, &p, &A));
    PetscCall(MatShellSetOperation(A, MATOP_MULT, (void (*)(void))multiply));
    PetscCall(MatSetOption(A, MAT_SYMMETRIC, PETSC_TRUE));
    PetscCall(solve(A, b, c));
    PetscCall(MatMult(A, c, r));
    PetscCall(VecAXPY(r, -1, b));
    PetscCall(VecNorm(r, NORM_2, &left));
    PetscCall(VecNorm(b, NORM_2, &whole));
    PetscCall(PetscPrintf(PETSC_COMM_WORLD, "%s\n", left < 2e-8 * whole ? "solved" : "not solved")); // prints: solved
    PetscCall(MatDestroy(&A));
    Vec *const vectors[] = {&b, &c, &r, &p.all};
    for (int k = 0; k < 4; k++) PetscCall(VecDestroy(vectors[k]));
    PetscCall(VecScatterDestroy(&p.gather));
    quern_linear_destroy(&p.rows);
    quern_context_destroy(&p.context);
    PetscCall(PetscFinalize());
    return 0;
}
