/* random_formula.c: see random_formula.h. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "random_formula.h"

enum { DEPTH = 5 };

const char random_declarations[] = "x=Vi(3); y=Vj(3); s=Vi(1); t=Vj(1); p=Pm(3); q=Pm(1); ";

static size_t below(random_source *random, size_t n)
{
    return random_below(random, n);
}

/* Text of a value of length dim (1 or 3) that depends on the axes `where` at most. */
static void add_value(random_source *random, q_text *out, unsigned axes, int dim, int depth);

static void add_leaf(random_source *random, q_text *out, unsigned axes, int dim)
{
    static const char *const names[2][4] = {{"q", "s", "t", "0.37"}, {"p", "x", "y", "p"}};
    size_t n = (below(random, 8) + 2) / 3 % 4; /* 0 and 3 are taken by one in eight, 1 and 2 by three */
    if ((n == 1 && !(axes & Q_I)) || (n == 2 && !(axes & Q_J))) n = 0;
    q_text_add(out, "%s", names[dim == 3][n]);
}

/* The template, in which @a stands for a value of dim components, @A for one of length 3, @e for one of length 1, and
   @U, @B, @u, @w for the same between 0.1 and 0.9. */
static void add_template(random_source *random, q_text *out, const char *text, unsigned axes, int dim, int depth)
{
    for (; *text; text++) {
        if (*text != '@' || !text[1]) {
            q_text_append(out, text, 1);
            continue;
        }
        text++;
        int length = strchr("AB", *text) ? 3 : strchr("uwe", *text) ? 1 : dim;
        bool tame = strchr("UuwB", *text) != NULL;
        q_text_add(out, tame ? "(0.5+0.4*Sin(" : "(");
        add_value(random, out, axes, length, depth - 1);
        q_text_add(out, tame ? "))" : ")");
    }
}

static bool keeps_in_range(q_op op)
{
    static const q_op plain[] = {Q_OP_Add,   Q_OP_Subtract, Q_OP_Mult, Q_OP_Minus,    Q_OP_Abs,   Q_OP_ReLU,
                                 Q_OP_Sin,   Q_OP_Cos,      Q_OP_Tanh, Q_OP_Sigmoid,  Q_OP_Atan,  Q_OP_IfElse,
                                 Q_OP_Where, Q_OP_LessThan, Q_OP_Erf,  Q_OP_Softplus, Q_OP_Finite};
    for (size_t n = 0; n < Q_COUNT(plain); n++)
        if (plain[n] == op) return true;
    return false;
}

static void add_elementwise(random_source *random, q_text *out, unsigned axes, int dim, int depth)
{
    q_op op;
    do op = (q_op)(Q_OP_REPEAT + 1 + below(random, Q_OP_REDUCTION - Q_OP_REPEAT - 1));
    while (q_ops[op].kind != Q_KIND_ELEMENTWISE || op == Q_OP_UnitCosine || /* whose operands are not free */
           (q_ops[op].derivative[0] == '0' && !strchr(q_ops[op].derivative, 'g') && below(random, 8)));
    q_text text = {0};
    q_text_add(&text, "%s(", q_ops[op].name);
    for (int a = 0; a < q_ops[op].operands; a++)
        q_text_add(&text, "%s@%c", a ? "," : "", keeps_in_range(op) ? 'a' : 'U');
    if (q_ops[op].integers) q_text_add(&text, ",%zu", op == Q_OP_Round ? 1 : below(random, 3));
    q_text_add(&text, ")");
    add_template(random, out, text.data, axes, dim, depth);
    q_text_free(&text);
}

static void add_of_vectors(random_source *random, q_text *out, unsigned axes, int dim, int depth)
{
    static const char *const scalars[] = {
        "Sum(@A)",
        "Max(@A)",
        "Min(@A)",
        "(@A|@A)",
        "SqDist(@A,@A)",
        "Norm2(@B)",
        "Gather(p,Floor(4*Elem(@B,1)),1)",
        "Manhattan(@A,@A)",
        "Cosine(@B,@B)",
        "WeightedSqNorm(@B,@A)",
        "Elem(ComplexMult(Concat(@A,@e),Concat(@A,@e)),2)",
        "SoftDTW_SqDist(@A,@A,@u)",
        "Matern32(@u,@w)",
        "Hyperbolic(@B/3,@B/3)",
        "Chebyshev(@A,@A)",
        "Elem(BSpline(Concat(Concat(-0.4,-0.1),Concat(Concat(0.2,0.6),Concat(1,1.4))),@u,2),1)",
    };
    static const char *const vectors[] = {
        "SumT(@e,3)",
        "ExtractT(@e,1,3)",
        "Extract(Concat(@A,@A),2,3)",
        "Normalize(@B)",
        "MatVecMult(TensorProd(@A,@A),@A)",
        "VecMatMult(@A,TensorProd(@A,@A))",
        "OneHot(ArgMax(@A),3)*Gather_i(s,Floor(4*q))",
        "TensorDot(TensorProd(@A,@A),@A,[3,3],[3],[0],[0])",
        "SumBlocks(Kron(@A,@A,[3],[3]),3)",
        "Extract(ComplexExp1j(@A),1,3)",
        "Extract(Tile(@A,2),1,3)",
        "Clamp(@A,@u-0.5,@w)",
        "GradMatrix(Sin(x*p)|@B,p)",
    };
    add_template(random, out,
                 dim == 3 ? vectors[below(random, Q_COUNT(vectors))] : scalars[below(random, Q_COUNT(scalars))], axes,
                 dim, depth);
}

static void add_reduction(random_source *random, q_text *out, unsigned axes, int dim, int depth)
{
    static const char *const kinds[] = {
        "Sum_*(@a)",
        "0.1*Sum_*(@a)",
        "Max_*(@a)",
        "Min_*(@a)",
        "LogSumExp_*(@a)",
        "Prod_*(0.98+0.04*@U)", /* of 300 it neither overflows nor underflows */
        "Variance_*(@a)",
        "Mean_*(@a)",
        "SumSoftMaxWeight_*(@e,@a)",
        "LogSumExpWeight_*(@e,@U)",
        "0.1*ArgMin_*(@a)",
        "Extract(KMin_*(@a,3),#,#)",
        "Extract(KMax_*(@a,2),#,#)",
        "Extract(Min_ArgMin_*(@a),0,#)",
        "Count_*((@a)<(@a))*(@a)",
        "Any_*((@a)<(@a))",
    };
    const char *kind = kinds[below(random, Q_COUNT(kinds))];
    bool over_i = below(random, 2);
    q_text text = {0};
    for (; *kind; kind++) {
        if (*kind == '*') q_text_append(&text, kind[-1] != '_' ? "*" : over_i ? "i" : "j", 1);
        else if (*kind == '#') q_text_add(&text, "%d", dim);
        else q_text_append(&text, kind, 1);
    }
    /* the weights beside a reduction may not bring its axis back */
    bool outside = strstr(text.data, ")*(@a)") != NULL;
    if (outside) text.data[strlen(text.data) - 5] = 0;
    add_template(random, out, text.data, axes | (over_i ? Q_I : Q_J), dim, depth - 1);
    q_text_free(&text);
}

static void add_value(random_source *random, q_text *out, unsigned axes, int dim, int depth)
{
    size_t choice = below(random, 16);
    if (depth <= 0 || choice == 0) add_leaf(random, out, axes, dim);
    else if (choice < 7) add_elementwise(random, out, axes, dim, depth);
    else if (choice < 12) add_of_vectors(random, out, axes, dim, depth);
    else add_reduction(random, out, axes, dim, depth);
}

char *random_value(random_source *random, unsigned axes, int dim, int depth)
{
    q_text text = {0};
    add_value(random, &text, axes, dim, depth);
    return q_text_take(&text);
}

static bool is_in_name(char c)
{
    return isalnum((unsigned char)c) || c == '_';
}

/* Whether the variable, a letter, stands in the text. */
static bool uses(const char *text, char variable)
{
    for (const char *at = text; (at = strchr(at, variable)); at++)
        if (!is_in_name(at[1]) && (at == text || !is_in_name(at[-1]))) return true;
    return false;
}

/* A result: a value, or the product of two, summed over one axis; every third is a gradient. */
char *random_formula(random_source *random)
{
    static const char variables[] = "xystpq";
    q_text text = {0};
    int depth = 2 + (int)below(random, DEPTH - 1);
    bool over_i = below(random, 2);
    q_text_add(&text, "Sum_%c(", over_i ? 'i' : 'j');
    int dim = below(random, 2) ? 3 : 1;
    if (below(random, 2)) add_template(random, &text, "@a*@a", Q_I | Q_J, dim, depth);
    else add_value(random, &text, Q_I | Q_J, dim, depth);
    q_text_add(&text, ")");
    if (below(random, 3)) return q_text_take(&text);
    q_text gradient = {0};
    size_t v = below(random, 6);
    for (size_t n = 0; n < 6 && !uses(text.data, variables[v]); n++) v = (v + 1) % 6;
    q_text_add(&gradient, "Grad(%s,%c,1)", text.data, variables[v]);
    q_text_free(&text);
    return q_text_take(&gradient);
}

bool random_options(int argc, char **argv, size_t *count, uint64_t *seed)
{
    for (int a = 1; a < argc; a += 2) {
        if (a + 1 < argc && strcmp(argv[a], "--count") == 0) *count = (size_t)atoll(argv[a + 1]);
        else if (a + 1 < argc && strcmp(argv[a], "--seed") == 0) *seed = (uint64_t)atoll(argv[a + 1]);
        else return fprintf(stderr, "usage: %s [--count N] [--seed S]\n", argv[0]), false;
    }
    return true;
}
