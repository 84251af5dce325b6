/*
 * formulas.c: every formula of quern/transport.h, one row for each, and the operators that are made of them.
 *
 * In a formula with pairs C is the cost or kernel of x and y, rows are x (direction Q_X) or y, and s*C is C / eps with the
 * factor 1/2 of the squared distance. n is 1 / eps, k is 1 / rho (0: balanced, or total variation), e is eps or, damped, eps / (1 + eps / rho).
 * h and H are log(weight) + potential / eps of the columns and of the rows. A weight of 0 makes h -inf, which LogSumExp takes
 * for nothing.
 */
#include <stdlib.h>
#include <string.h>

#include "apps/transport/transport.h"

enum { PAIRS = 1, ROWS = 2 }; /* x, y, s and C are there; the rows' points alone, as x */

typedef struct row {
    int points;
    const char *text; /* @: the points of the rows; ~: of the columns; #, $: of how many components they are */
} row;

// clang-format off
static const row formulas[Q_FORMULA_COUNT] = {
    /* A step is two launches: with the update in the same kernel PoCL's loop over pairs takes 1.6 times as long. */
    [Q_SOFTMIN] = {PAIRS, "h=Vj(1); LogSumExp_j(h-s*C)"},
    [Q_UPDATE] = {0, "r=Vi(1); f=Vi(1); l=Vi(1); e=Pm(1); w=Pm(1); n=Pm(1); b=Pm(1); "
                "t=Clamp(-e*r,-b,b); u=Clamp(f+w*(t-f),-b,b); u, l+n*u"},
    /* u is f after a step with relaxation 1/v: what the rows' marginal of the plan before is off by; the dual's part, and
       the mass of the plan, after a step without; c is v / (damping eps) */
    [Q_TALLY] = {0, "u=Vi(1); f=Vi(1); a=Vi(1); k=Pm(1); c=Pm(1); v=Pm(1); r=Vi(1); n=Pm(1); b=Pm(1); "
                "t=Where(n==0,f+v*(u-f),Clamp(-r/n,-b,b)); d=Where(n==0,(f-u)*c,(f-t)*n); "
                "Sum_i(a*Exp(-k*f)*Abs(Expm1(d))), Sum_i(a*Where(k==0,t,-Expm1(-k*t)/k)), "
                "Sum_i(a*Exp(Where(n==0,-k*t,n*t+r))), "
                "Max_i(Where(a==0,0,Abs(t)))"},
    [Q_SCALE] = {0, "g=Vi(1); l=Vi(1); n=Pm(1); l+n*g"},
    [Q_CLIP] = {0, "g=Vi(1); r=Vi(1); l=Vi(1); n=Pm(1); m=IfElse(r-g,g,r); l+n*m, m"},
    /* certify.c */
    [Q_MARGINAL] = {0, "u=Vi(1); v=Vi(1); a=Vi(1); p=Pm(1); q=Pm(1); z=p*u+q*v; d=ReLU(-Expm1(z)); "
                "Sum_i(a*Exp(z)), Sum_i(a*Exp(z)*u), Sum_i(a*d), Sum_i(a*XLogX(d))"},
    [Q_MOMENTS] = {ROWS, "u=Vi(1); v=Vi(1); a=Vi(1); p=Pm(1); m=Pm(#); d=a*ReLU(-Expm1((u-v)*p)); "
                "Sum_i(d*SqDist(x,m)), Sum_i(d*(x-m))"},
    [Q_SPREAD] = {PAIRS, "f=Vi(1); t=Vi(1); a=Vi(1); g=Vj(1); r=Vj(1); b=Vj(1); n=Pm(1); "
                "p=a*ReLU(-Expm1((f-t)*n)); o=b*ReLU(-Expm1((g-r)*n)); 0*s+Sum_i(p*Sum_j(o*C))"},
    [Q_COST] = {PAIRS, "H=Vi(1); h=Vj(1); Sum_i(Sum_j(Exp(H+h-s*C)*C))"},
    [Q_TOTAL] = {0, "u=Vi(1); v=Vi(1); Sum_i(Exp(u+v))"},
    [Q_EXP] = {0, "u=Vi(1); v=Vi(1); k=Pm(1); Exp(u+k*v)"},
    [Q_KL] = {0, "u=Vi(1); v=Vi(1); a=Vi(1); p=Pm(1); q=Pm(1); z=p*u+q*v; Sum_i(a*(Exp(z)*z-Expm1(z)))"},
    [Q_TV] = {0, "u=Vi(1); v=Vi(1); a=Vi(1); p=Pm(1); q=Pm(1); Sum_i(a*Abs(Expm1(p*u+q*v)))"},
    /* a row of the plan has the mass a exp(-k f), or a exp(n f + r) by the sums r of the step */
    [Q_GRADIENT] = {PAIRS, "f=Vi(1); a=Vi(1); r=Vi(1); h=Vj(1); e=Pm(1); k=Pm(1); n=Pm(1); "
                "Grad(-e*LogSumExp_j(h-s*C),@,a*Exp(Where(n==0,-k*f,n*f+r)))"},
    [Q_APPLY] = {PAIRS, "H=Vi(1); h=Vj(1); v=Vj(%lld); Sum_j(Exp(H+h-s*C)*v)"},
    [Q_MAP] = {PAIRS, "h=Vj(1); SumSoftMaxWeight_j(h-s*C,~)"},
    [Q_ASSIGN] = {PAIRS, "h=Vj(1); ArgMax_j(h-s*C)"},
    [Q_ROW] = {PAIRS, "H=Pm(1); h=Vj(1); Exp(H+h-s*C)"},
    [Q_BOX] = {ROWS, "Min_i(x), Max_i(x), Sum_i(Sum(Abs(x)))"},
    [Q_WEIGHTS] = {0, "a=Vi(1); Sum_i(a), Sum_i(Abs(a)), Sum_i(a<0)"},
    [Q_LOGS] = {0, "a=Vi(1); Log(a)"},
    [Q_LARGEST] = {PAIRS, "Max_i(Max_j(Abs(C)))"},
    [Q_DIFFERENCE] = {0, "u=Vi(1); v=Vi(1); k=Pm(1); u-k*v"},
    /* of OT with respect to the rows' weights; m is the mass of the columns of each row */
    [Q_WEIGHT_GRADIENT] = {0, "f=Vi(1); k=Pm(1); e=Pm(1); m=Vi(1); r=Vi(1); n=Pm(1); "
                "Where(k==0,f,-Expm1(-k*f)/k)-e*(Exp(Where(n==0,-k*f,n*f+r))-m)"},
    [Q_PRODUCT] = {PAIRS, "b=Vj(1); Sum_j(C*b)"},
    [Q_KERNEL_GRADIENT] = {PAIRS, "a=Vi(1); b=Vj(1); Grad(Sum_j(C*b),@,a)"},
    [Q_SOFT_POSITIONS] = {PAIRS, "a=Vi(1); l=Vi(1); b=Vj(1); h=Vj(1); e=Pm(1); "
                "Grad(-0.5*e*(Sum_i(a*LogSumExp_j(h-s*C))+Sum_j(b*LogSumExp_i(l-s*C))),@,1)"},
    [Q_SOFT_WEIGHTS] = {PAIRS, "l=Vi(1); b=Vj(1); h=Vj(1); e=Pm(1); "
                "-0.5*e*(LogSumExp_j(h-s*C)+Sum_j(b*Exp(-s*C-LogSumExp_i(l-s*C))))"},
    /* hessian.c: u and w are what the points of rows and columns move by */
    [Q_SLOPE] = {PAIRS, "H=Vi(1); h=Vj(1); u=Vi(#); w=Vj($); "
                "Sum_j(Exp(H+h-s*C)*((Grad(C,@,1)|u)+(Grad(C,~,1)|w)))"},
    [Q_HESSIAN] = {PAIRS, "H=Vi(1); h=Vj(1); u=Vi(#); w=Vj($); p=Vi(1); q=Vj(1); c=Pm(1); "
                "Grad(Sum_j(Exp(H+h-s*C)*(c*((Grad(C,@,1)|u)+(Grad(C,~,1)|w))-p-q)),@,1)"},
    [Q_KERNEL_HESSIAN] = {PAIRS, "a=Vi(1); b=Vj(1); u=Vi(#); w=Vj($); "
                "Grad(Sum_j(b*((Grad(C,@,1)|u)+(Grad(C,~,1)|w))),@,a)"},
    [Q_SOFT_HESSIAN] = {PAIRS, "a=Vi(1); l=Vi(1); b=Vj(1); h=Vj(1); e=Pm(1); u=Vi(#); w=Vj($); "
                "F=Sum_i(a*LogSumExp_j(h-s*C))+Sum_j(b*LogSumExp_i(l-s*C)); "
                "Grad(-0.5*e*(Sum_i((Grad(F,@,1)|u))+Sum_j((Grad(F,~,1)|w))),@,1)"},
    /* Of a block of columns, seen from the centre of a block of rows; c is 1 / e. */
    [Q_BLOCK] = {PAIRS, "h=Vj(1); f=Vj(1); c=Pm(1); LogSumExp_j(h-s*C), Max_j(c*f-s*C)"},
    /* and by itself */
    [Q_BLOCK_ALONE] = {0, "h=Vj(1); f=Vj(1); c=Pm(1); LogSumExp_j(h), Max_j(c*f)"},
    [Q_NEAREST] = {PAIRS, "a=Vi(1); b=Vj(1); Max_i(Where(a==0,-1e30,Min_j(Where(b==0,1e30,C))))"},
};
// clang-format on

/* The text of a formula; `columns` are those of what a plan is applied to, %lld. */
static char *write(const q_transport *t, q_formula formula, int direction, int64_t columns)
{
    q_text text = {0};
    const char *row_axis = formula == Q_ROW ? "Pm" : "Vi";
    if (formulas[formula].points == PAIRS)
        q_text_add(&text, "x=%s(%lld); y=%s(%lld); s=Pm(1); C=%s; ", direction == Q_X ? row_axis : "Vj",
                   (long long)t->cloud[Q_X].dim, direction == Q_Y ? row_axis : "Vj", (long long)t->cloud[Q_Y].dim,
                   t->cost);
    if (formulas[formula].points == ROWS) q_text_add(&text, "x=Vi(%lld); ", (long long)t->cloud[direction].dim);
    for (const char *at = formulas[formula].text; *at; at++) {
        if (*at == '@') q_text_add(&text, direction == Q_X ? "x" : "y");
        else if (*at == '~') q_text_add(&text, direction == Q_X ? "y" : "x");
        else if (*at == '#') q_text_add(&text, "%lld", (long long)t->cloud[direction].dim);
        else if (*at == '$') q_text_add(&text, "%lld", (long long)t->cloud[1 - direction].dim);
        else if (!strncmp(at, "%lld", 4)) q_text_add(&text, "%lld", (long long)columns), at += 3;
        else q_text_append(&text, at, 1);
    }
    return q_text_take(&text);
}

static quern_status compile(quern_operator **out, const q_transport *t, q_formula formula, int direction,
                            int64_t columns)
{
    char *text = write(t, formula, direction, columns);
    /* what is summed once over points costs nothing, and values hang on it */
    const quern_compile_options options = {
        .size = sizeof options, .sum = formulas[formula].points == PAIRS ? QUERN_SUM_BLOCKED : QUERN_SUM_KAHAN};
    quern_status status = text ? quern_compile(out, t->context, text, &options) : q_fail_memory(1024);
    free(text);
    return status;
}

quern_status q_transport_operator(quern_operator **out, q_transport *t, q_formula formula, int direction)
{
    quern_operator **kept = &t->operators[formula][direction];
    if (!*kept) Q_TRY(compile(kept, t, formula, direction, 1));
    *out = *kept;
    return QUERN_OK;
}

quern_status q_transport_applying(quern_operator **out, q_transport *t, int direction, int64_t columns)
{
    if (columns == 1) return q_transport_operator(out, t, Q_APPLY, direction);
    if (t->applying_columns != columns || t->applying_direction != direction) quern_operator_destroy(&t->applying);
    if (!t->applying) Q_TRY(compile(&t->applying, t, Q_APPLY, direction, columns));
    t->applying_columns = columns, t->applying_direction = direction;
    *out = t->applying;
    return QUERN_OK;
}

quern_status q_transport_pairs(quern_pairs **out, q_transport *t)
{
    q_text text = {0};
    quern_status status = QUERN_OK;
    q_text_add(&text, "x=Vi(%lld); y=Vj(%lld); %s", (long long)t->cloud[Q_X].dim, (long long)t->cloud[Q_Y].dim,
               t->cost);
    if (!t->pairs)
        status =
            text.failed ? q_fail_memory(strlen(t->cost)) : quern_pairs_create(&t->pairs, t->context, text.data, NULL);
    q_text_free(&text);
    *out = t->pairs;
    return status;
}

int q_transport_direction(const q_transport *t, const q_problem *p, int k)
{
    return p->self || t->symmetric ? Q_X : k;
}

quern_view q_array(const quern_array *array)
{
    return quern_array_view(array);
}

quern_status q_transport_array(quern_array **out, const q_transport *t, int64_t rows, int64_t columns)
{
    return quern_array_create(out, t->context, t->dtype, rows, columns);
}

q_pairs q_problem_pairs(const q_problem *p, int k)
{
    return (q_pairs){p->side[k].cloud, p->side[1 - k].cloud, p->side[k].ranges};
}

quern_status q_transport_run(q_transport *t, q_formula formula, int direction, const q_pairs *pairs,
                             const quern_arg *args, quern_outs results)
{
    quern_run_options options = {.size = sizeof options, .ranges = pairs ? pairs->ranges : NULL};
    quern_operator *op;
    quern_arg all[16];
    size_t count = 0;
    Q_TRY(q_transport_operator(&op, t, formula, direction));
    if (pairs && t->members > 1) {
        options.members = t->members;
        options.offsets_i = pairs->rows->offsets;
        options.offsets_j = pairs->columns ? pairs->columns->offsets : NULL;
    }
    if (pairs && pairs->columns) {
        all[count++] = (quern_arg){direction == Q_X ? "x" : "y", q_array(pairs->rows->points)};
        all[count++] = (quern_arg){direction == Q_X ? "y" : "x", q_array(pairs->columns->points)};
    }
    while (args->name) all[count++] = *args++;
    return quern_run_with(op, (quern_args){all, count, 0, 0}, results, &options);
}

quern_status q_transport_sums(q_transport *t, q_formula formula, int direction, const q_pairs *pairs,
                              const quern_arg *args, double *sums, size_t count)
{
    quern_view views[8];
    size_t members = pairs ? t->members : 1, size = members * q_element_size(t->dtype);
    char *memory = malloc(count * size + 1);
    if (!memory) return q_fail_memory(count * size);
    for (size_t k = 0; k < count; k++) views[k] = quern_view_of(memory + k * size, t->dtype, (int64_t)members, 1);
    quern_status status = q_transport_run(t, formula, direction, pairs, args, (quern_outs){views, count});
    for (size_t k = 0; k < count * members && !status; k++)
        sums[k] = q_element_read(t->dtype, memory + k * q_element_size(t->dtype));
    free(memory);
    return status;
}

/* All numbers of an array as a column. */
static quern_view as_column(const quern_array *array)
{
    quern_view view = q_array(array);
    view.rows *= view.columns, view.columns = 1, view.stride = 0;
    return view;
}

quern_status q_transport_subtract(q_transport *t, quern_array *u, double factor, const quern_array *v)
{
    const quern_arg args[] = {{"u", as_column(u)}, {"v", as_column(v)}, {"k", quern_number(factor)}, {NULL, {0}}};
    return q_transport_run(t, Q_DIFFERENCE, 0, NULL, args, QUERN_OUTS(as_column(u)));
}
