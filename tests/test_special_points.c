/*
 * test_special_points.c: values and derivatives to the third order where a row's formula meets a convention, a zero or
 * saturation, against limits: forward and reverse, host and device, both types. Numbers are by hand or from mpmath with
 * 30 digits.
 */
#include "run_helpers.h"

/* 1 - nu/(nu - 1) r^2/(2 l^2) + ... with l = 2: Laplacians -9/l^2 and -5/l^2; mixed blocks 3/l^2 and 5/(3 l^2). */
static void matern(void **state)
{
    (void)state;
#define AT_0 "x=0,0,0 y=0,0,0 l=2"
#define KERNEL(nu) "x=Vi(3); y=Vj(3); l=Pm(1); k=Matern" nu "(SqDist(x,y),l); "
    static const value_row rows[] = {
        {KERNEL("32") "Sum_j(k), Grad(Sum_j(k),x,1), Sum_j(Laplacian(k,x)), Sum_j(Diff(Grad(k,x,1),y,1))", AT_0,
         "1 0 0 0 -2.25 0.75 0.75 0.75"},
        {KERNEL("52") "Sum_j(k), Grad(Sum_j(k),x,1), Sum_j(Laplacian(k,x)), Sum_j(Diff(Grad(k,x,1),y,1))", AT_0,
         "1 0 0 0 -1.25 0.41666666666666667 0.41666666666666667 0.41666666666666667"},
        {KERNEL("52") "Sum_j(Grad(Laplacian(k,x),x,1)), Sum_j(Grad(Laplacian(k,x),l,1))", AT_0, "0 0 0 1.25"},
    };
    check_value_rows(rows, Q_COUNT(rows));
#undef AT_0
#undef KERNEL
}

/* Of y0 y1 y2 (y3): the Hessian times u, and the third derivative applied to u twice; then by forward mode. */
static void products(void **state)
{
    (void)state;
#define HESSIAN                                                                                             \
    "y=Vj(1); u=Vj(1); p=Prod_j(y); a=Grad(p,y,1); b=Grad(Sum_j(a*u),y,1); p, a, b, Grad(Sum_j(b*u),y,1), " \
    "Diff(Diff(p,y,u),y,u), Diff(a,y,u)"
    static const value_row rows[] = {
        {HESSIAN, "y=0,2,3 u=1,1,1", "0 6 0 0 5 3 2 2 2 2 10 5 3 2"},
        {HESSIAN, "y=0,0,3 u=1,1,1", "0 0 0 0 3 3 0 2 2 2 6 3 3 0"},
        {HESSIAN, "y=0,0,0 u=1,1,1", "0 0 0 0 0 0 0 2 2 2 0 0 0 0"},
        {"y=Vj(1); Grad(Prod_j(y),y,1), ProdNonzero_j(y)", "y=0", "1 1"},
    };
    check_value_rows(rows, Q_COUNT(rows));
#undef HESSIAN
}

/* The square of a norm has no kink at 0. */
static void squares_of_norms(void **state)
{
    (void)state;
    static const value_row rows[] = {
        {"x=Vi(2); Grad(Grad(Norm2(x)**2,x,1),x,1), Laplacian(Norm2(x)*Norm2(x),x)", "x=0,0", "2 2 4"},
        {"x=Vi(2); Laplacian(Exp(-Norm2(x)**2),x), Laplacian(Powf(Norm2(x),2),x)", "x=0,0", "-4 4"},
        {"x=Vi(2); a=Sqrt(SqNorm2(x))**2; Laplacian(a,x), Grad(Laplacian(a*a,x),x,1)", "x=0,0", "4 0 0"},
        {"x=Vi(2); Laplacian(Norm2(x)**4,x), Laplacian(Norm2(x)**3,x)", "x=0,0", "0 0"},
        {"x=Vi(1); Sqrt(x)**2", "x=-1,4", "nan 4"},
    };
    check_value_rows(rows, Q_COUNT(rows));
}

/* Derivatives at large |x|, where the value has reached its limit in the type. */
static void saturation(void **state)
{
    (void)state;
#define THREE(f) "x=Vi(1); a=Grad(" f ",x,1); b=Grad(a,x,1); a, b, Diff(b,x,1)"
    static const value_row rows[] = {
        {THREE("Sigmoid(x)"), "x=40,-40",
         "4.24835425529158899e-18 4.24835425529158899e-18 -4.24835425529158899e-18 4.24835425529158899e-18 "
         "4.24835425529158899e-18 4.24835425529158899e-18"},
        {"x=Vi(1); a=Grad(Softplus(x),x,1); b=Grad(a,x,1); b, Diff(b,x,1)", "x=40,-40",
         "4.24835425529158899e-18 4.24835425529158899e-18 -4.24835425529158899e-18 4.24835425529158899e-18"},
        {THREE("Tanh(x)"), "x=20,-20",
         "1.69934170211663560e-17 1.69934170211663560e-17 -3.39868340423327119e-17 3.39868340423327119e-17 "
         "6.79736680846654238e-17 6.79736680846654238e-17"},
    };
    check_value_rows(rows, Q_COUNT(rows));
#undef THREE
}

/* A term of +inf, and none but -inf: the derivatives of LogSumExp are the weights 0, 1, 0, and of these 0. */
static void infinite_scales(void **state)
{
    (void)state;
#define TWO "y=Vj(1); a=Grad(LogSumExp_j(y),y,1); a, Grad(Sum_j(a*(J+1)),y,1)"
    static const value_row rows[] = {
        {TWO, "y=1,inf,2", "0 1 0 0 0 0"},
        {TWO, "y=-inf,-inf,-inf", "0 0 0 0 0 0"},
        {TWO, "y=1,-inf,2", "0.268941421369995121 0 0.731058578630004879 -0.393223866482963706 0 0.393223866482963706"},
        {"y=Vj(1); Diff(LogSumExp_j(y),y,1), Sum_j(Grad(LogSumExp_j(y),y,1)*Exp(-y))", "y=1,inf,2", "1 0"},
        {"y=Vj(1); SumSoftMaxWeight_j(y,J), LogSumExpWeight_j(y,2), Max_SumShiftExp_j(y)", "y=1,inf,2", "1 inf inf 1"},
        {"y=Vj(1); SumSoftMaxWeight_j(y,J), LogSumExpWeight_j(y,2), Max_SumShiftExp_j(y)", "y=-inf,-inf",
         "0 -inf -inf 0"},
        {"y=Vj(1); b=Vj(1); Grad(LogSumExpWeight_j(y,b),b,1), Grad(SumSoftMaxWeight_j(y,b),y,1)", "y=1,inf,2 b=4,2,4",
         "0 0.5 0 0 0 0"},
        {"y=Vj(1); LogSumExp_j(y), SumSoftMaxWeight_j(y,J)", "y=inf", "inf 0"},
    };
    check_value_rows(rows, Q_COUNT(rows));
#undef TWO
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(matern),     cmocka_unit_test(products),        cmocka_unit_test(squares_of_norms),
        cmocka_unit_test(saturation), cmocka_unit_test(infinite_scales),
    };
    return cmocka_run_group_tests(tests, open_context, close_context);
}
