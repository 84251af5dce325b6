/*
 * kernel.c: a kernel's parameters and what is computed with them: entries, derivatives, operators. Parameters are the variables of
 * its formula but the points x and y, in the order of the formula, and noise after them where that is wanted.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "apps/kernel/kernel.h"
#include "apps/views/views.h"

// ---- arrays ----

quern_status q_floats_check(const char *name, const quern_view *view, int64_t rows, int64_t columns)
{
    if (view->dtype != QUERN_F32 && view->dtype != QUERN_F64) {
        q_fail(QUERN_DTYPE, "%s: %s", name, view->dtype == QUERN_NUMBER ? "no array" : q_dtype_name(view->dtype));
        q_fail_next_step("give an array of float32 or float64");
        return QUERN_DTYPE;
    }
    Q_TRY(q_shape_check(name, view, -1, -1));
    if ((rows >= 0 && view->rows != rows) || (columns >= 0 && view->columns != columns))
        return q_fail(QUERN_SHAPE, "%s: %lld x %lld numbers, where %lld x %lld are needed", name, (long long)view->rows,
                      (long long)view->columns, (long long)(rows >= 0 ? rows : view->rows),
                      (long long)(columns >= 0 ? columns : view->columns));
    return view->data || view->array || !view->rows ? QUERN_OK : q_fail(QUERN_USAGE, "%s: no data", name);
}

static quern_status fail_number(const char *name, double number, int64_t row, int64_t column)
{
    q_fail(QUERN_USAGE, "%s: %g in row %lld, column %lld", name, number, (long long)row, (long long)column);
    q_fail_next_step("leave out rows with values that are not known");
    return QUERN_USAGE;
}

quern_status q_floats_read(double **out, quern_context *context, const char *name, const quern_view *view)
{
    size_t count = (size_t)view->rows * (size_t)view->columns;
    double *to = *out = malloc(count * sizeof *to + 1);
    if (!to) return q_fail_memory(count * sizeof *to);
    if (count) Q_TRY(q_view_write(context, quern_f64(to, view->rows, view->columns), *view));
    for (size_t k = 0; k < count; k++)
        if (!isfinite(to[k])) return fail_number(name, to[k], (int64_t)k / view->columns, (int64_t)k % view->columns);
    return QUERN_OK;
}

quern_status q_kernel_view(const q_kernel *kernel, quern_view *out, void **room, const double *numbers, int64_t rows,
                           int64_t columns)
{
    *room = NULL;
    *out = quern_f64(numbers, rows, columns);
    if (kernel->dtype == QUERN_F64) return QUERN_OK;
    size_t count = (size_t)rows * (size_t)columns;
    float *singles = *room = malloc(count * sizeof *singles + 1);
    if (!singles) return q_fail_memory(count * sizeof *singles);
    for (size_t k = 0; numbers && k < count; k++) singles[k] = (float)numbers[k];
    *out = quern_f32(singles, rows, columns);
    return QUERN_OK;
}

// ---- parameters ----

/* Noise and variances are from 0 on, all else of a kernel that has a name is above 0; of a formula any number. */
static quern_status check_numbers(const q_kernel *kernel, const char *name, const double *values, int64_t length)
{
    bool noise = !strcmp(name, "noise"), variance = noise || (kernel->named && !strncmp(name, "variance", 8));
    for (int64_t k = 0; k < length; k++) {
        double number = values[k];
        if (isfinite(number) && (number > 0 || !(variance || kernel->named) || (variance && number == 0))) continue;
        if (variance) q_fail(QUERN_USAGE, "%s is %g; a variance is a number from 0 on", name, number);
        else q_fail(QUERN_USAGE, "%s is %g; it must be a number%s", name, number, kernel->named ? " above 0" : "");
        q_fail_next_step(noise           ? "give the variance of the noise, 0 for none"
                         : kernel->named ? "give a positive number"
                                         : "give a finite number");
        return QUERN_USAGE;
    }
    return QUERN_OK;
}

q_kernel_parameter *q_kernel_find(q_kernel *kernel, const char *name)
{
    for (size_t k = 0; k < kernel->count; k++)
        if (!strcmp(kernel->parameters[k].name, name)) return &kernel->parameters[k];
    return NULL;
}

static quern_status fail_name(const q_kernel *kernel, const char *name)
{
    q_text list = {0};
    for (size_t k = 0; k < kernel->count; k++) q_text_add(&list, "%s%s", k ? ", " : "", kernel->parameters[k].name);
    q_fail(QUERN_NAME, "the kernel has no parameter '%s'", name);
    q_fail_next_step("its parameters are %s", list.data ? list.data : "none");
    q_text_free(&list);
    return QUERN_NAME;
}

static quern_status set_parameter(q_kernel *kernel, q_kernel_parameter *parameter, const quern_view *view)
{
    double *values = NULL;
    if (view->dtype == QUERN_NUMBER) {
        if (parameter->length != 1)
            return q_fail(QUERN_SHAPE, "%s has %lld numbers; one is given", parameter->name,
                          (long long)parameter->length);
        values = malloc(sizeof *values);
        if (!values) return q_fail_memory(sizeof *values);
        *values = view->number;
    } else {
        Q_TRY(q_floats_check(parameter->name, view, 1, parameter->length));
        quern_status status = q_floats_read(&values, kernel->context, parameter->name, view);
        if (status) {
            free(values);
            return status;
        }
    }
    quern_status status = check_numbers(kernel, parameter->name, values, parameter->length);
    for (int64_t k = 0; k < parameter->length && !status; k++)
        parameter->singles[k] = (float)(parameter->values[k] = values[k]);
    free(values);
    return status;
}

quern_status q_kernel_set(q_kernel *kernel, const quern_arg *arg)
{
    if (!arg->name) return q_fail_null("parameters", "the name of a parameter");
    q_kernel_parameter *parameter = q_kernel_find(kernel, arg->name);
    return parameter ? set_parameter(kernel, parameter, &arg->view) : fail_name(kernel, arg->name);
}

void q_kernel_assign(q_kernel *kernel, const double *numbers)
{
    for (size_t k = 0; k < kernel->count; k++)
        for (int64_t d = 0; d < kernel->parameters[k].length; d++, numbers++)
            kernel->parameters[k].singles[d] = (float)(kernel->parameters[k].values[d] = *numbers);
}

static quern_status add_parameter(q_kernel *kernel, const char *name, int64_t length)
{
    if (kernel->count == Q_PARAMETERS)
        return q_fail(QUERN_LIMIT, "the kernel has more than %d parameters", Q_PARAMETERS - 1);
    q_kernel_parameter *parameter = &kernel->parameters[kernel->count];
    *parameter = (q_kernel_parameter){strdup(name), length, malloc((size_t)length * sizeof(double)),
                                      malloc((size_t)length * sizeof(float))};
    kernel->count++;
    kernel->numbers += (size_t)length;
    bool made = parameter->name && parameter->values && parameter->singles;
    return made ? QUERN_OK : q_fail_memory((size_t)length * sizeof(double));
}

static bool is_given(const quern_args *args, const char *name)
{
    for (size_t k = 0; k < args->count; k++)
        if (args->data[k].name && !strcmp(args->data[k].name, name)) return true;
    return false;
}

/* The standard deviation of the points in a dimension, or of all of them together (-1); 1 where they do not differ. */
static double spread(const double *points, int64_t N, int64_t D, int64_t dimension)
{
    double sum = 0;
    int64_t from = dimension < 0 ? 0 : dimension, to = dimension < 0 ? D : dimension + 1;
    for (int64_t d = from; d < to; d++) {
        double mean = 0;
        for (int64_t i = 0; i < N; i++) mean += points[i * D + d] / (double)N;
        for (int64_t i = 0; i < N; i++) sum += pow(points[i * D + d] - mean, 2) / (double)N;
    }
    return sum > 0 && isfinite(sum) ? sqrt(sum) : 1;
}

/* What a parameter begins with that is not given. */
static quern_status start_parameter(q_kernel_parameter *parameter, const char *text, const double *points, int64_t N,
                                    int64_t D)
{
    q_kernel_start start;
    bool noise = !strcmp(parameter->name, "noise");
    if (!q_kernel_start_of(text, parameter->name, &start) && !noise) {
        q_fail(QUERN_MISSING, "the parameter '%s' of the kernel is not given", parameter->name);
        q_fail_next_step("give {\"%s\", quern_number(...)} among the parameters", parameter->name);
        return QUERN_MISSING;
    }
    for (int64_t d = 0; d < parameter->length; d++) {
        double value = noise                           ? 0.1
                       : start == Q_KERNEL_FROM_SPREAD ? spread(points, N, D, parameter->length > 1 ? d : -1)
                                                       : 1;
        parameter->singles[d] = (float)(parameter->values[d] = value);
    }
    return QUERN_OK;
}

// ---- the formula ----

/* The parameters that the formula has. */
static size_t own_count(const q_kernel *kernel)
{
    return kernel->count - (kernel->noisy ? 1 : 0);
}

/* Parameters are the formula's variables but x and y. */
static quern_status learn_variables(q_kernel *kernel, const quern_operator *op)
{
    bool found[2] = {false, false};
    for (size_t k = 0; k < quern_variable_count(op); k++) {
        quern_value v = quern_variable(op, k);
        int point = !strcmp(v.name, "x") ? 0 : !strcmp(v.name, "y") ? 1 : -1;
        if (point >= 0 && v.axis == "ij"[point]) {
            found[point] = true;
            if (v.dim != kernel->D)
                return q_fail(QUERN_SHAPE, "%s has %lld components in the kernel, and points have %lld", v.name,
                              (long long)v.dim, (long long)kernel->D);
        } else if (v.axis != 'p' || !strcmp(v.name, "noise")) {
            q_fail(QUERN_USAGE, "the kernel's formula cannot have a variable %s over %c", v.name, v.axis);
            q_fail_next_step(
                "declare the points as x=Vi(%lld) and y=Vj(%lld), all else as Pm(...); noise is added by quern",
                (long long)kernel->D, (long long)kernel->D);
            return QUERN_USAGE;
        } else Q_TRY(add_parameter(kernel, v.name, v.dim));
    }
    if (!found[0] || !found[1]) {
        q_fail(QUERN_USAGE, "the kernel's formula has no variable %s", found[0] ? "y" : "x");
        q_fail_next_step("declare the points as x=Vi(%lld) and y=Vj(%lld)", (long long)kernel->D, (long long)kernel->D);
        return QUERN_USAGE;
    }
    return kernel->noisy ? add_parameter(kernel, "noise", 1) : QUERN_OK;
}

/* Compiles the kernel's formula as part of others: as a sum it may have reductions in it, as an entry it may not. */
static quern_status learn_kernel(q_kernel *kernel)
{
    q_text text = {0};
    quern_operator *op = NULL;
    q_text_add(&text, "%s Sum_j(%s)", kernel->declarations, kernel->entry);
    quern_status status = text.failed ? q_fail_memory(text.size) : quern_compile(&op, NULL, text.data, NULL);
    if (!status && quern_result(op, 0).dim != 1)
        status = q_fail(QUERN_USAGE, "an entry of the kernel has %lld numbers; one is needed",
                        (long long)quern_result(op, 0).dim);
    if (!status) status = learn_variables(kernel, op);
    quern_operator_destroy(&op);
    q_text_free(&text);
    return status ? status : quern_pairs_create(&kernel->entries, kernel->context, kernel->formula, NULL);
}

quern_status q_kernel_slopes(q_kernel *kernel)
{
    if (kernel->slopes || !own_count(kernel)) return QUERN_OK;
    q_text text = {0};
    q_text_add(&text, "%s quern_entry=%s; ", kernel->declarations, kernel->entry);
    for (size_t k = 1; k < own_count(kernel); k++) q_text_add(&text, "Concat(");
    for (size_t k = 0; k < own_count(kernel); k++)
        q_text_add(&text, "%sGrad(quern_entry,%s,1)%s", k ? "," : "", kernel->parameters[k].name, k ? ")" : "");
    quern_status status =
        text.failed ? q_fail_memory(text.size) : quern_pairs_create(&kernel->slopes, kernel->context, text.data, NULL);
    q_text_free(&text);
    return status;
}

quern_args q_kernel_args(const q_kernel *kernel, quern_arg *room, quern_view x, quern_view y)
{
    size_t count = 0;
    room[count++] = (quern_arg){"x", x};
    room[count++] = (quern_arg){"y", y};
    for (size_t k = 0; k < own_count(kernel); k++) {
        const q_kernel_parameter *p = &kernel->parameters[k];
        quern_view view = p->length == 1               ? quern_number(*p->values)
                          : kernel->dtype == QUERN_F64 ? quern_f64(p->values, 1, p->length)
                                                       : quern_f32(p->singles, 1, p->length);
        room[count++] = (quern_arg){p->name, view};
    }
    return (quern_args){room, count, 0, 0};
}

quern_status q_kernel_operator(const q_kernel *kernel, quern_linear **out, quern_view x, quern_view y, double shift)
{
    quern_arg room[Q_KERNEL_ARGS];
    q_text text = {0};
    quern_linear_options options = {.size = sizeof options, .vector = "quern_weights", .shift = shift};
    q_text_add(&text, "%s Sum_j((%s)*quern_weights)", kernel->declarations, kernel->entry);
    quern_status status =
        text.failed ? q_fail_memory(text.size)
                    : quern_linear_create(out, kernel->context, text.data, q_kernel_args(kernel, room, x, y), &options);
    q_text_free(&text);
    return status;
}

quern_status q_kernel_block(const q_kernel *kernel, const quern_pairs *pairs, quern_args args, quern_span rows,
                            quern_span columns, double *out)
{
    int64_t count = rows.to - rows.from, width = (columns.to - columns.from) * quern_pairs_length(pairs);
    void *room;
    quern_view to;
    Q_TRY(q_kernel_view(kernel, &to, &room, out, count, width));
    quern_status status = quern_pairs_block(pairs, args, rows, columns, to);
    for (int64_t k = 0; k < count * width && room && !status; k++) out[k] = (double)((float *)room)[k];
    free(room);
    return status;
}

quern_status q_kernel_check_symmetry(const double *block, int64_t rows, int64_t stride)
{
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j < i; j++) {
            double a = block[i * stride + j], b = block[j * stride + i];
            if (!isfinite(a) || !isfinite(b)) {
                q_fail(QUERN_NUMERIC, "the kernel is %g for points %lld and %lld", isfinite(a) ? b : a, (long long)i,
                       (long long)j);
                q_fail_next_step("check its parameters, or scale the points");
                return QUERN_NUMERIC;
            }
            if (fabs(a - b) <= 1e-5 * (fabs(a) + fabs(b))) continue;
            q_fail(QUERN_USAGE, "the kernel is not symmetric: %g for points %lld and %lld, %g the other way round", a,
                   (long long)i, (long long)j, b);
            q_fail_next_step("use x and y alike in the formula");
            return QUERN_USAGE;
        }
    return QUERN_OK;
}

// ---- make and free ----

quern_status q_kernel_make(q_kernel *kernel, quern_context *context, const char *text, const double *points, int64_t N,
                           int64_t D, quern_dtype dtype, bool noisy, const quern_args *args)
{
    kernel->context = context, kernel->D = D, kernel->dtype = dtype, kernel->noisy = noisy;
    q_kernel_start unused;
    kernel->named = q_kernel_start_of(text, "", &unused);
    Q_TRY(q_kernel_formula(&kernel->formula, text, D, args));
    Q_TRY(q_kernel_split(kernel->formula, &kernel->declarations, &kernel->entry));
    Q_TRY(learn_kernel(kernel));
    for (size_t k = 0; k < args->count; k++) Q_TRY(q_kernel_set(kernel, &args->data[k]));
    for (size_t k = 0; k < kernel->count; k++)
        if (!is_given(args, kernel->parameters[k].name))
            Q_TRY(start_parameter(&kernel->parameters[k], text, points, N, D));
    return QUERN_OK;
}

void q_kernel_free(q_kernel *kernel)
{
    quern_pairs_destroy(&kernel->entries);
    quern_pairs_destroy(&kernel->slopes);
    for (size_t k = 0; k < kernel->count; k++) {
        q_kernel_parameter *parameter = &kernel->parameters[k];
        free(parameter->name), free(parameter->values), free(parameter->singles);
    }
    free(kernel->formula), free(kernel->declarations), free(kernel->entry);
    *kernel = (q_kernel){0};
}
