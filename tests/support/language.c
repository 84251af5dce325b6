/* language.c: see language.h. */
#include <stdlib.h>
#include <string.h>

#include "language.h"

const char language_declarations[] = "x=Vi(4); y=Vj(4); s=Vi(1); t=Vj(1); p=Pm(4); q=Pm(1); ";

/* Functions whose operands are not just any numbers. A function may have several. */
static const char *const examples[][2] = {
    /* elementwise */
    {"IfElse", "IfElse(x-y,x*y,p)"},
    {"Where", "Where(x<y,x*y,p)"},
    {"Equal", "Equal(Floor(3*x),Floor(3*y))"},
    {"NotEqual", "NotEqual(Floor(3*x),Floor(3*y))*x"},
    {"Acosh", "Acosh(1.5+x*y)"},
    {"Floor", "Floor(3*x*y)"},
    {"Ceil", "Ceil(3*x*y)"},
    {"Trunc", "Trunc(3*x*y)"},
    {"Round", "Round(x*y,1)"},
    {"Step", "Step(x-y)"},
    {"Sign", "Sign(x-y)"},
    {"ReLU", "ReLU(x-y)"},
    {"Abs", "Abs(x-y)"},
    {"Sinh", "Sinh(x-y)"},
    {"Polygamma", "Polygamma(x+y-0.3,0)"},
    {"Polygamma", "Polygamma(x,2)*y"},
    {"SinXDivXD", "SinXDivXD(3*x*y,0)"},
    {"SinXDivXD", "SinXDivXD(x*y,3)"},
    {"BesselJ", "BesselJ(x*y,0)"},
    {"BesselJ", "BesselJ(20*x,3)"},
    {"BesselJ", "BesselJ(5*x,-2)"},
    /* pieces of vectors */
    {"SumT", "SumT(s*t,3)"},
    {"Extract", "Extract(x*y,1,2)"},
    {"ExtractT", "ExtractT(x*y,1,6)"},
    {"Concat", "Concat(x*y,p)"},
    {"ComplexReal", "ComplexReal(x*y)"},
    {"ComplexImag", "ComplexImag(x*y)"},
    {"Real2Complex", "Real2Complex(x*y)"},
    {"Imag2Complex", "Imag2Complex(x*y)"},
    /* over the components */
    {"Sum", "Sum(x*y)"},
    {"Max", "Max(x*y)"},
    {"Min", "Min(x*y)"},
    {"ArgMax", "ArgMax(x*y)"},
    {"ArgMin", "ArgMin(x*y)"},
    {"OneHot", "OneHot(ArgMax(x*y),4)*x"},
    /* sugar */
    {"ElemT", "ElemT(s*t,3,1)"},
    {"ClampInt", "ClampInt(4*x*y,1,2)"},
    {"DiffClampInt", "DiffClampInt(4*x*y,1,2)*x"},
    {"ComplexRealScal", "ComplexRealScal(Extract(x,0,2),y)"},
    {"ComplexSumT", "ComplexSumT(Extract(x*y,0,2),3)"},
    {"Hyperbolic", "Hyperbolic(x/3,y/3)"},
    {"HyperbolicBall", "HyperbolicBall(x/3,y/3)"},
    {"Sinc", "Sinc(x*y)"},
    {"Digamma", "Digamma(x*y)"},
    /* special forms */
    {"Gather", "Gather(p,Floor(4*s*t),1)*x"},
    {"Gather", "Gather_j(y,Floor(4*s))*q"},
    {"Grad", "Grad(Sin(x*y),x,p)"},
    {"Diff", "Diff(Sin(x*y),y,p)"},
    {"GradMatrix", "GradMatrix(Exp(x)*Sum(x*y),x)"},
    {"Divergence", "Divergence(Sin(x*y)*Sum(x),x)"},
    {"Laplacian", "Laplacian(Exp(-q*SqDist(x,y)),x)"},
    {"TraceOperator", "TraceOperator(x*y+Sum(x),x)"},
    {"AdjointOperator", "AdjointOperator(x*y+Sum(x),x,p)"},
    {"TensorDot", "TensorDot(x,y,[2,2],[2,2],[1],[0])"},
    {"TensorDot", "TensorDot(x*t,y,[4],[4],[0],[0])"},
    {"TensorDot", "TensorDot(Concat(x,Square(x)),y,[2,2,2],[2,2],[2],[0],[2,0,1])"},
    {"TensorDot", "TensorDot(x,TensorProd(y,Sin(x)),[2,2],[4,2,2],[0],[2])"},
    {"Kron", "Kron(x,y,[2,2],[2,2])"},
    {"Kron", "Kron(Exp(x),x*y,[4,1],[2,2])"},
    {"Contract", "Contract(x,y,[0,1],[1,2],[2,0],[2,2,2])"},
    {"Contract", "Contract(x,Square(x)*y,[0,1],[1,0],[],[2,2])"},
    {"ContractNoNan", "ContractNoNan(x,Square(x)*y,[0,1],[1,2],[2,0],[2,2,2])"},
    {"MatVecMult", "MatVecMult(x,Extract(y,0,2))"},
    {"MatVecMult", "MatVecMult(TensorProd(x,x),Square(y))"},
    {"VecMatMult", "VecMatMult(Extract(x,0,2),y)"},
    {"TensorProd", "TensorProd(x,y)"},
    {"Tile", "Tile(x*y,3)"},
    {"PairBlocks", "PairBlocks(x,y,2)"},
    {"SumBlocks", "SumBlocks(x*y,2)"},
    {"WeightedSqNorm", "WeightedSqNorm(q,x-y)"},
    {"WeightedSqNorm", "WeightedSqNorm(TensorProd(x,p),y)"},
    {"WeightedSqDist", "WeightedSqDist(p,x,y)"},
    {"SqNormIso", "SqNormIso(s,y)"},
    {"SqNormDiag", "SqNormDiag(x,y)"},
    {"SymSqNorm", "SymSqNorm(TensorProd(x,x),y)"},
    {"BSpline",
     "BSpline(Concat(Concat(Concat(-0.3,-0.1),Concat(0.1,0.3)),Concat(Concat(0.5,0.7),Concat(0.9,1.1)))*q,s,3)"},
    {"BSpline", "BSpline(Concat(Concat(0,0),Concat(Concat(0,0.5),Concat(Concat(1,1),1))),s*t,2)"},
    {"SoftDTW_SqDist", "SoftDTW_SqDist(x,Extract(y,0,3),q)"},
};

static const char *const forms[] = {
#define FORM(name, ...) #name,
#define DERIVATIVE FORM
#include "formula/forms.def"
};

typedef struct collection {
    char **formulas;
    size_t count, capacity;
} collection;

static void add(collection *c, q_text *formula)
{
    assert_true(q_grow(&c->formulas, &c->capacity, c->count + 1, sizeof *c->formulas));
    c->formulas[c->count++] = q_text_take(formula);
}

static bool add_examples(collection *c, const char *name)
{
    size_t count = c->count;
    for (size_t e = 0; e < Q_COUNT(examples); e++)
        if (strcmp(examples[e][0], name) == 0) {
            q_text text = {0};
            q_text_add(&text, "%s", examples[e][1]);
            add(c, &text);
        }
    return c->count > count;
}

/* The function of x, y and p and of integers 3. */
static void add_elementwise(collection *c, const q_op_row *row)
{
    static const char *const operands[] = {"x*q", "y", "p"};
    q_text text = {0};
    q_text_add(&text, "%s(", row->name);
    for (int a = 0; a < row->operands; a++) q_text_add(&text, "%s%s", a ? "," : "", operands[a]);
    for (int k = 0; k < row->integers; k++) q_text_add(&text, ",3");
    q_text_add(&text, ")");
    add(c, &text);
}

static void add_sugar(collection *c, const char *name, const char *suffix, const char *parameters,
                      const char *const *operands)
{
    q_text text = {0};
    q_text_add(&text, "%s%s(", name, suffix);
    for (const char *letter = parameters; *letter; letter++) {
        if (*letter == ',') q_text_add(&text, ",");
        else if (*letter < 'k') q_text_add(&text, "%s", operands[*letter - 'a']);
        else q_text_add(&text, "%d", *letter == 'k' ? 2 : 3);
    }
    q_text_add(&text, ")");
    add(c, &text);
}

static void add_maps(collection *c)
{
    static const char *const operands[] = {"x*q", "y", "p"};
    for (int op = Q_OP_REPEAT + 1; op < Q_OP_REDUCTION; op++) {
        if (add_examples(c, q_ops[op].name)) continue;
        if (q_ops[op].kind != Q_KIND_ELEMENTWISE)
            fail_msg("%s needs an example in tests/support/language.c", q_ops[op].name);
        add_elementwise(c, &q_ops[op]);
    }
    for (size_t n = 0; n < q_sugar_count; n++)
        if (!add_examples(c, q_sugar[n].name)) add_sugar(c, q_sugar[n].name, "", q_sugar[n].parameters, operands);
    for (size_t n = 0; n < Q_COUNT(forms); n++)
        if (!add_examples(c, forms[n])) fail_msg("%s needs an example in tests/support/language.c", forms[n]);
}

static void add_reductions(collection *c)
{
    static const char *const suffixes[] = {"_i", "_j"}, *const scalars[] = {"q*SqDist(x,y)", "x-y"};
    static const char *const terms[] = {"x*y*q", "x*s", "Concat(t,y)*q"};
    for (int op = Q_OP_REDUCTION + 1; op < Q_OP_END; op++)
        for (size_t t = 0; t < 2 * Q_COUNT(terms); t++) {
            q_text text = {0};
            q_text_add(&text, "%s%s(%s%s)", q_ops[op].name, suffixes[t % 2], terms[t / 2],
                       q_ops[op].integers ? ",2" : "");
            add(c, &text);
        }
    for (size_t n = 0; n < 2 * q_reduction_sugar_count; n++) {
        const q_sugar_row *row = &q_reduction_sugar[n / 2];
        bool weighted = strlen(row->parameters) > 1 && row->parameters[2] == 'b';
        static const char *const logical[] = {"x<y"}, *const positive[] = {"q*SqDist(x,y)", "x*y"};
        bool counts = strcmp(row->name, "Any") == 0 || strcmp(row->name, "All") == 0 || strcmp(row->name, "Count") == 0;
        bool logarithm = strcmp(row->name, "LogSumExpWeight") == 0;
        static const char *const vectors[] = {"x*y*q"};
        add_sugar(c, row->name, suffixes[n % 2], row->parameters,
                  counts      ? logical
                  : logarithm ? positive
                  : weighted  ? scalars
                              : vectors);
    }
}

size_t language_formulas(language_part part, char ***formulas)
{
    collection c = {0};
    if (part == LANGUAGE_MAPS) add_maps(&c);
    else add_reductions(&c);
    *formulas = c.formulas;
    return c.count;
}
