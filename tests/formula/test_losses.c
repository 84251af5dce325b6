/*
 * test_losses.c: whole losses of statistics and geometry as one formula each, against plain C: the value, and the
 * gradients with respect to all variables at once (Grad with a list) against differences of the C function. The kernel
 * norm also has its Hamiltonian gradients written out.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "helpers.h"

enum { M = 5, N = 5, D = 3 };

static double sq_dist(const double *x, const double *y)
{
    double sum = 0;
    for (int d = 0; d < D; d++) sum += (x[d] - y[d]) * (x[d] - y[d]);
    return sum;
}

static double dot(const double *x, const double *y)
{
    double sum = 0;
    for (int d = 0; d < D; d++) sum += x[d] * y[d];
    return sum;
}

static double log_sum_exp(const double *t, int count)
{
    double top = -INFINITY, sum = 0;
    for (int k = 0; k < count; k++) top = fmax(top, t[k]);
    for (int k = 0; k < count; k++) sum += exp(t[k] - top);
    return top + log(sum);
}

// ---- the losses: v[k] is the data of the k-th variable ----

/* <p, K p>/2 (large deformation diffeomorphic metric mapping) */
static double kernel_norm(double *const *v)
{
    double sum = 0;
    for (int i = 0; i < M; i++)
        for (int j = 0; j < N; j++)
            sum += exp(-*v[4] * sq_dist(v[0] + D * i, v[1] + D * j)) * dot(v[2] + D * i, v[3] + D * j);
    return sum / 2;
}

/* Negative log-likelihood: weights exp(w) normalised, precisions exp(s). */
static double mixture(double *const *v)
{
    double sum = 0, t[N];
    for (int i = 0; i < M; i++) {
        for (int j = 0; j < N; j++)
            t[j] = v[2][j] + D * 0.5 * v[3][j] - 0.5 * exp(v[3][j]) * sq_dist(v[0] + D * i, v[1] + D * j);
        sum -= log_sum_exp(t, N) - log_sum_exp(v[2], N);
    }
    return sum;
}

/* 2 E|X - Y| - E|X - X'| - E|Y - Y'|; v: x, x again over j, y over i, y */
static double energy_distance(double *const *v)
{
    double sum = 0;
    for (int i = 0; i < M; i++)
        for (int j = 0; j < N; j++)
            sum += 2 * sqrt(sq_dist(v[0] + D * i, v[3] + D * j)) - sqrt(sq_dist(v[0] + D * i, v[1] + D * j)) -
                   sqrt(sq_dist(v[2] + D * i, v[3] + D * j));
    return sum / (M * N);
}

/* |softmax(Q K') V - target|^2 */
static double attention(double *const *v)
{
    double loss = 0;
    for (int i = 0; i < M; i++) {
        double total = 0, mean[D] = {0};
        for (int j = 0; j < N; j++) {
            double weight = exp(dot(v[0] + D * i, v[1] + D * j) / sqrt(D));
            total += weight;
            for (int d = 0; d < D; d++) mean[d] += weight * v[2][D * j + d];
        }
        for (int d = 0; d < D; d++) mean[d] /= total;
        loss += sq_dist(mean, v[3] + D * i);
    }
    return loss;
}

/* One step in the logarithmic domain: f from g, then g from f; the dual value. v: x y a b g epsilon */
static double sinkhorn(double *const *v)
{
    double f[M], t[M > N ? M : N], epsilon = *v[5], value = 0;
    for (int i = 0; i < M; i++) {
        for (int j = 0; j < N; j++) t[j] = v[3][j] + (v[4][j] - sq_dist(v[0] + D * i, v[1] + D * j)) / epsilon;
        f[i] = -epsilon * log_sum_exp(t, N);
        value += exp(v[2][i]) * f[i];
    }
    for (int j = 0; j < N; j++) {
        for (int i = 0; i < M; i++) t[i] = v[2][i] + (f[i] - sq_dist(v[0] + D * i, v[1] + D * j)) / epsilon;
        value -= exp(v[3][j]) * epsilon * log_sum_exp(t, M);
    }
    return value;
}

static const struct loss {
    const char *name, *declarations, *variables, *formula;
    double (*value)(double *const *v);
} losses[] = {
    {"kernel norm", "x=Vi(3); y=Vj(3); p=Vi(3); q=Vj(3); g=Pm(1); ", "x,y,p,q,g",
     "Sum_i(p|Sum_j(Exp(-g*SqDist(x,y))*q))/2", kernel_norm},
    {"Gaussian mixture", "x=Vi(3); m=Vj(3); w=Vj(1); s=Vj(1); ", "x,m,w,s",
     "-Sum_i(LogSumExp_j(w-LogSumExp_j(w)+1.5*s-0.5*Exp(s)*SqDist(x,m)))", mixture},
    {"energy distance", "x=Vi(3); z=Vj(3); u=Vi(3); y=Vj(3); ", "x,z,u,y",
     "Sum_i(Sum_j(2*Norm2(x-y)-Norm2(x-z)-Norm2(u-y)))/(Sum_i(1)*Sum_j(1))", energy_distance},
    {"attention", "q=Vi(3); k=Vj(3); v=Vj(3); t=Vi(3); ", "q,k,v,t",
     "Sum_i(SqDist(SumSoftMaxWeight_j((q|k)/Sqrt(3),v),t))", attention},
    {"Sinkhorn", "x=Vi(3); y=Vj(3); a=Vi(1); b=Vj(1); g=Vj(1); e=Pm(1); ", "x,y,a,b,g,e",
     "C=SqDist(x,y); f=-e*LogSumExp_j(b+(g-C)/e); Sum_i(Exp(a)*f)+Sum_j(Exp(b)*(-e*LogSumExp_i(a+(f-C)/e)))", sinkhorn},
};

/* The derivative of the C function by one number: central differences of two steps, extrapolated. */
static double slope(const struct loss *loss, double *const *v, double *number)
{
    static const double h = 1e-3;
    double kept = *number, slopes[2];
    for (int n = 0; n < 2; n++) {
        double step = h * (n + 1);
        *number = kept + step;
        double above = loss->value(v);
        *number = kept - step;
        slopes[n] = (above - loss->value(v)) / (2 * step);
    }
    *number = kept;
    return slopes[0] + (slopes[0] - slopes[1]) / 3;
}

/* The sample with its results: the loss, then its gradients. */
static size_t make_sample(sample *s, const struct loss *loss, q_id *results)
{
    size_t count;
    q_text text = {0};
    const char *last = strrchr(loss->formula, ';'); /* bindings, then the loss */
    size_t head = last ? (size_t)(last - loss->formula) + 1 : 0;
    q_text_add(&text, "%s%.*s L=%s; L, Grad(L,[%s],1)", loss->declarations, (int)head, loss->formula,
               loss->formula + head, loss->variables);
    *s = sample_create(M, N, 11);
    if (q_parse(s->graph, text.data, results, &count)) fail_msg("%s: %s", loss->name, quern_last_error_text());
    assert_int_equal(count, s->graph->variable_count + 1);
    assert_int_equal(q_graph_verify(s->graph), QUERN_OK);
    sample_fill(s, 0.2, 1.1);
    q_text_free(&text);
    return count;
}

static void values_and_gradients(void **state)
{
    (void)state;
    for (size_t n = 0; n < Q_COUNT(losses); n++) {
        sample s;
        q_id results[Q_MAX_RESULTS];
        size_t count = make_sample(&s, &losses[n], results);
        double *value = sample_evaluate(&s, results[0]), expected = losses[n].value(s.data);
        if (!(fabs(*value - expected) <= 1e-13 * (1 + fabs(expected))))
            fail_msg("%s: %.15g, not %.15g", losses[n].name, *value, expected);
        for (size_t v = 0; v + 1 < count; v++) {
            double *got = sample_evaluate(&s, results[v + 1]);
            size_t numbers = sample_numbers(&s, s.graph->variables[v].id);
            assert_int_equal(sample_numbers(&s, results[v + 1]), numbers);
            for (size_t k = 0; k < numbers; k++) {
                double by_differences = slope(&losses[n], s.data, &s.data[v][k]);
                if (!(fabs(got[k] - by_differences) <= 1e-9 * (1 + fabs(by_differences))))
                    fail_msg("%s by %s[%zu]: %.12g, by differences %.12g", losses[n].name, s.graph->variables[v].name,
                             k, got[k], by_differences);
            }
            free(got);
        }
        free(value);
        sample_destroy(&s);
    }
}

/* dp/dt = -dH/dx and dx/dt = dH/dp, with the momenta and positions on both sides of the norm. */
static void hamiltonian_gradients(void **state)
{
    (void)state;
    sample s;
    q_id results[Q_MAX_RESULTS];
    make_sample(&s, &losses[0], results);
    double *x = sample_data(&s, "x"), *p = sample_data(&s, "p"), g = *sample_data(&s, "g"), *got[4];
    memcpy(sample_data(&s, "y"), x, M * D * sizeof *x);
    memcpy(sample_data(&s, "q"), p, M * D * sizeof *p);
    for (int v = 0; v < 4; v++) got[v] = sample_evaluate(&s, results[1 + v]);
    for (int i = 0; i < M; i++)
        for (int d = 0; d < D; d++) {
            double by_x = 0, by_p = 0;
            for (int j = 0; j < N; j++) {
                double k = exp(-g * sq_dist(x + D * i, x + D * j));
                by_p += k * p[D * j + d];
                by_x -= 2 * g * (x[D * i + d] - x[D * j + d]) * k * dot(p + D * i, p + D * j);
            }
            int n = D * i + d;
            assert_true(fabs(got[0][n] + got[1][n] - by_x) <= 1e-13 * (1 + fabs(by_x)));
            assert_true(fabs(got[2][n] + got[3][n] - by_p) <= 1e-13 * (1 + fabs(by_p)));
        }
    for (int v = 0; v < 4; v++) free(got[v]);
    sample_destroy(&s);
}

/* x_i = x_j on the diagonal of the distances: the derivative of the norm at 0 is 0, so the gradient stays finite. */
static void energy_distance_of_a_cloud_with_itself(void **state)
{
    (void)state;
    sample s;
    q_id results[Q_MAX_RESULTS];
    size_t count = make_sample(&s, &losses[2], results);
    const double *x = sample_data(&s, "x");
    for (const char *name = "zuy"; *name; name++) memcpy(sample_data(&s, (char[]){*name, 0}), x, M * D * sizeof *x);
    double *value = sample_evaluate(&s, results[0]);
    assert_true(fabs(*value) <= 1e-14);
    free(value);
    for (size_t v = 1; v < count; v++) {
        double *got = sample_evaluate(&s, results[v]);
        for (size_t n = 0; n < M * D; n++) assert_true(isfinite(got[n]));
        free(got);
    }
    sample_destroy(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_and_gradients),
        cmocka_unit_test(hamiltonian_gradients),
        cmocka_unit_test(energy_distance_of_a_cloud_with_itself),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
