/*
 * test_zero_adjoint.c: what has no part in a result contributes 0 to its derivatives, even where its own derivative is
 * infinite or NaN: branches that were not chosen, terms of weight 0, masks, distances of 0. Forward and reverse, first to
 * third order, on host and device, in both types. The expected numbers are worked out by hand, as each row says.
 */
#include <stdlib.h>

#include "run_helpers.h"

/* f is 0 at x = 0 and a power or logarithm at x = 2. */
static void branches(void **state)
{
    (void)state;
    static const value_row rows[] = {
        {"x=Vi(1); f=Where(x==0,0,Log(x)); a=Grad(f,x,1); b=Grad(a,x,1); f, a, b, Grad(b,x,1)", "x=0,2",
         "0 0.69314718055994531 0 0.5 0 -0.25 0 0.25"},
        {"x=Vi(1); f=Where(x==0,0,Log(x)); a=Diff(f,x,1); b=Diff(a,x,1); a, b, Diff(b,x,1)", "x=0,2",
         "0 0.5 0 -0.25 0 0.25"},
        {"x=Vi(1); f=IfElse(x-1,Inv(x),3); a=Grad(f,x,1); b=Grad(a,x,1); f, a, b", "x=0,2", "3 0.5 0 -0.25 0 0.25"},
        {"x=Vi(1); f=IfElse(-x,x,1/x**2); Grad(f,x,1), Grad(Grad(f,x,1),x,1)", "x=0,2", "1 -0.25 0 0.375"},
        {"x=Vi(1); f=Where(x<=0,x,Sqrt(x)+Powf(x,1.5)); Grad(f,x,1), Diff(f,x,1)", "x=-1,1", "1 2 1 2"},
        {"x=Vi(1); f=Where(x<50,Exp(x),0); Grad(f,x,1), Grad(Grad(f,x,1),x,1)", "x=0,1000", "1 0 1 0"},
        {"x=Vi(1); f=Where(Abs(x)<1,Asin(x)+Acos(x)+Asin(x),0); Grad(f,x,1)", "x=0,2", "1 0"},
        {"x=Vi(1); Grad(Clamp(Log(x),-1,5),x,1)", "x=0,1", "0 1"},
        {"x=Vi(1); Grad(ReLU(-Inv(x)),x,1), Grad(ReLU(Log(x)),x,1)", "x=0,2", "0 0 0 0.5"},
        {"x=Vi(2); Grad(Max(Log(x)),x,1), Diff(Max(Log(x)),x,1)", "x=0,2", "0 0.5 0.5"},
        {"x=Vi(2); Grad(Elem(Log(x),1),x,1), GradMatrix(Log(x),x)", "x=0,2", "0 0.5 inf 0 0 0.5"},
        {"x=Vi(1); y=Vj(1); Grad(Sum_i(Sum_j(Where(I==J,0,Log(Abs(x-y))))),x,1)", "x=0,2 y=0,2", "-0.5 0.5"},
        {"x=Vi(1); Grad(Sum_i(Where(x==0,0,XLogX(x))),x,1), Grad(Sum_i(Where(x<0,0,Lgamma(x))),x,1)", "x=0,1",
         "0 1 -inf "
         "-0.57721566490153286"},
    };
    check_value_rows(rows, Q_COUNT(rows));
}

/* A comparison as factor is a mask for derivatives too. Its value must not be: 0 * Log(0) is what IEEE 754 says. */
static void factors(void **state)
{
    (void)state;
    static const value_row rows[] = {
        {"x=Vi(1); f=(x!=0)*XLogX(x); f, Grad(f,x,1), Diff(f,x,1)", "x=0,1", "0 0 0 1 0 1"},
        {"x=Vi(1); y=Vj(1); Grad(Sum_j((I!=J)*Sqrt(Abs(x-y))),x,1)", "x=0,1 y=0,1", "-0.5 0.5"},
        {"x=Vi(1); b=Vj(1); y=Vj(1); Grad(Sum_j(b*Log(y+0*x)),y,1)", "x=1 b=0,1 y=0,2", "0 0.5"},
        {"y=Vj(1); b=Vj(1); Grad(Sum_j(b*XLogX(y)),y,1)", "b=0,1 y=0,1", "0 1"},
        {"x=Vi(1); e=Vi(1); Grad(Sum_i(Log(x)),x,1), Grad(Log(x),x,e), Grad(Sum_i(e*Powf(x,0.3)),x,1)", "x=0,2 e=0,1",
         "inf 0.5 0 0.5 0 0.18467166200173744"},
        {"x=Vi(2); u=Vi(2); Diff(Log(x),x,u), Diff(Inv(x),x,u)", "x=0,2 u=0,1", "0 0.5 0 -0.25"},
        {"A=Vi(4); x=Vi(2); u=Vi(2); Diff(MatVecMult(A,Log(x)),x,u)", "A=1,2,3,4 x=0,2 u=0,1", "1 2"},
    };
    check_value_rows(rows, Q_COUNT(rows));
}

/* NaN and infinities in data that a loss leaves out. */
static void left_out(void **state)
{
    (void)state;
    static const value_row rows[] = {
        {"x=Vi(1); y=Vi(1); Grad(Sum_i(Where(y==y,Square(x-y),0)),x,1)", "x=1,5 y=3,nan", "-4 0"},
        {"x=Vi(1); y=Vj(1); f=Where(y==y,Exp(-Square(x-y)),0); Grad(Sum_j(f),x,1), Grad(Sum_j(f),y,1)", "x=1 y=1,nan",
         "0 0 0"},
        {"x=Vi(1); y=Vi(1); f=Where(y==y,(x-y)**2,0); Grad(Grad(f,x,1),x,1), Diff(Diff(f,x,1),x,1)", "x=1,5 y=3,nan",
         "2 0 2 0"},
        {"x=Vi(1); y=Vj(1); Grad(Min_j(Square(x-y)),x,1), Grad(Max_j(x*y),x,1)", "x=1 y=nan,3,7", "-4 7"},
        {"A=Vi(4); x=Vi(2); Grad(Where(Elem(A,0)==Elem(A,0),Sum(MatVecMult(A,x)),0),x,1)",
         "A=1,2,3,4,nan,2,3,4 "
         "x=1,1,1,1",
         "4 6 0 0"},
        {"x=Vi(2); y=Vi(2); Grad(SqNorm2(Where(y==y,x-y,0)),x,1)", "x=1,2 y=nan,5", "0 -6"},
        {"y=Vj(1); Grad(Sum(KMin_j(Square(y),3)),y,1), Grad(Sum_j(Elem(KMin_j(y**2,3),0)),y,1)", "y=3,1",
         "6 2 0 4"}, /* a place that is left over holds +inf; the second sums over j twice */
    };
    check_value_rows(rows, Q_COUNT(rows));
}

/* d/dx at x = y is 0, and so are higher derivatives of what has none there. The other pair is at distance 1 along e1. */
static void coincident_points(void **state)
{
    (void)state;
    static const value_row rows[] = {
#define PAIRS "x=0,0 y=0,0,-1,0"
#define OF(f) "x=Vi(2); y=Vj(2); d=SqDist(x,y); Grad(Sum_j(" f "),x,1)"
#define ALL(f) \
    "x=Vi(2); y=Vj(2); d=SqDist(x,y); f=" f "; Grad(Sum_j(f),x,1), Sum_j(Laplacian(f,x)), Sum_j(Diff(Grad(f,x,1),y,1))"
        /* of r: 1, 1/r; mixed: minus the Hessian (0,0;0,1) times (1,1) */
        {ALL("Sqrt(d)"), PAIRS, "1 0 1 0 -1"},
        {ALL("d**0.5"), PAIRS, "1 0 1 0 -1"},
        {ALL("Powf(d,0.5)"), PAIRS, "1 0 1 0 -1"},
        {ALL("Sum(Abs(x-y)**2.0)**(1/2)"), PAIRS, "1 0 1 0 -1"},
        {ALL("Hypot(Elem(x-y,0),Elem(x-y,1))"), PAIRS, "1 0 1 0 -1"},
        {ALL("ComplexAbs(x-y)"), PAIRS, "1 0 1 0 -1"},
        /* of r^(2/3): 2/3 r^(-1/3), 4/9 r^(-4/3); Hessian (-2/9,0;0,2/3) */
        {ALL("Cbrt(d)"), PAIRS, "0.66666666666666667 0 0.44444444444444444 0.22222222222222222 -0.66666666666666667"},
        /* of r^(3/5) */
        {OF("d**0.3"), PAIRS, "0.6 0"},
        {OF("Powf(d,0.3)"), PAIRS, "0.6 0"},
        {OF("Sum(Abs(x-y)**3.5)**(1/3.5)"), PAIRS, "1 0"},
        {OF("Log(Norm2(x-y))"), PAIRS, "1 0"},
        {OF("Log(d)"), PAIRS, "2 0"},
        {OF("Inv(Norm2(x-y))"), PAIRS, "-1 0"},
        {OF("Inv(d)"), PAIRS, "-2 0"},
        {OF("d**(-1.5)"), PAIRS, "-3 0"},
        {OF("XLogX(d)"), PAIRS, "2 0"},
        {OF("Exp(-Norm2(x-y))"), PAIRS, "-0.36787944117144233 0"},
        {OF("Normalize(x-y)"), PAIRS, "0 1"},
        {OF("Acos(Cosine(x,y))"), "x=1,0 y=1,0,0,1", "0 -1"},
        /* acosh(1 + d/2) at height 1: 2 asinh(1/2) at distance 1, whose derivative is 2/sqrt(5); in height it is that
           times -1/2 */
        {OF("HyperbolicHalfSpace(x,y)"), "x=1,1 y=1,1,0,1", "0.89442719099991588 -0.44721359549995794"},
        {"x=Vi(2); y=Vj(2); Sum_j(Laplacian(Acosh1p(SqDist(x,y)),x))", "x=0,0 y=0,0", "0"},
        {"x=Vi(2); y=Vj(2); Grad(Log(Min_j(Norm2(x-y))),x,1)", "x=0,0 y=0,0,1,1", "0 0"},
        {"x=Vi(2); y=Vj(2); Grad(Sum_i(Sum_j(Norm2(x-y)**0.5)),x,1)", "x=0,0,1,0 y=0,0", "0 0 0.5 0"},
#undef OF
#undef ALL
#undef PAIRS
    };
    check_value_rows(rows, Q_COUNT(rows));
}

/* a^b log(a)^n is 0 at a = 0 for b > 0; the second derivative in a of a^2 is 2, whatever that in b is. */
static void exponents(void **state)
{
    (void)state;
    static const value_row rows[] = {
        {"x=Vi(1); p=Pm(1); s=Sum_i(Powf(x,p)); a=Grad(s,p,1); a, Grad(a,p,1), Grad(a,x,1)", "x=0,2 p=2",
         "2.7725887222397811 1.9218120556728057 0 4.7725887222397812"},
        {"x=Vi(1); p=Vi(1); Grad(Powf(x,p),p,1), Diff(Powf(x,p),p,1)", "x=0,0,0,0 p=0,0.5,1,3", "0 0 0 0 0 0 0 0"},
        {"x=Vi(1); p=Vi(1); a=Grad(Powf(x,p),x,1); b=Grad(a,x,1); a, b, Grad(b,x,1)", "x=0,0,0,0 p=0,1,2,3",
         "0 1 0 0 0 0 2 0 0 0 0 6"},
        {"x=Vi(1); p=Vi(1); Grad(Grad(Powf(x,p),x,1),p,1), Grad(Grad(Powf(x,p),p,1),x,1)", "x=0,0 p=2,3", "0 0 0 0"},
    };
    check_value_rows(rows, Q_COUNT(rows));
}

/* 0 rows, 0 columns, one of each. */
static void sizes(void **state)
{
    (void)state;
    static const value_row rows[] = {
        {"x=Vi(1); y=Vj(1); Grad(Sum_j(Where(x==y,0,Log(Abs(x-y)))),x,1)", "x=0 y=", "0"},
        {"x=Vi(1); y=Vj(1); Grad(Sum_j(Where(x==y,0,Log(Abs(x-y)))),x,1)", "x= y=1", ""},
        {"x=Vi(1); y=Vj(1); Grad(Sum_j(Where(x==y,0,Log(Abs(x-y)))),x,1)", "x=1 y=1", "0"},
        {"x=Vi(1); Grad(MultNoNan(x,Log(x)),x,1), MultNoNan(x,Log(x)), DivNoNan(x,x)", "x=0,1", "-inf 1 0 0 0 1"},
    };
    check_value_rows(rows, Q_COUNT(rows));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(branches),          cmocka_unit_test(factors),   cmocka_unit_test(left_out),
        cmocka_unit_test(coincident_points), cmocka_unit_test(exponents), cmocka_unit_test(sizes),
    };
    return cmocka_run_group_tests(tests, open_context, close_context);
}
