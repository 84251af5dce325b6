/*
 * operator.c: from formula text to an operator, a pass a line. After compiling, an operator does not change but for the
 * list of its builds (builds.c), so it may run from several threads and in several contexts.
 */
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "run/run.h"

// ---- compile ----

q_locale q_locale_enter(void)
{
    q_locale locale = {.c = newlocale(LC_ALL_MASK, "C", (locale_t)0)};
    if (locale.c) locale.old = uselocale((locale_t)locale.c);
    return locale;
}

void q_locale_leave(q_locale locale)
{
    if (!locale.c) return;
    uselocale((locale_t)locale.old);
    freelocale((locale_t)locale.c);
}

void quern_operator_destroy(quern_operator **given)
{
    if (!given || !*given) return;
    quern_operator *op = *given;
    q_pruner_destroy(op->pruner);
    q_builds_destroy(op);
    free(op->text);
    free((char *)op->options.profile);
    q_graph_destroy(&op->graph);
    pthread_mutex_destroy(&op->lock);
    if (op->context) q_context_release(op->context);
    free(op);
    *given = NULL;
}

/* Makes the settings the operator's own, once they are known to be readable. */
static quern_status keep_settings(quern_compile_options *options, const char *settings)
{
    q_profile ignored;
    options->profile = NULL;
    if (!settings) return QUERN_OK;
    q_profile_find(&ignored, "default");
    Q_TRY(q_profile_set(&ignored, settings, "quern_compile_options.profile"));
    options->profile = strdup(settings);
    return options->profile ? QUERN_OK : q_fail_memory(strlen(settings));
}

static quern_status create(quern_operator **out, quern_context *context, const quern_compile_options *options)
{
    quern_operator *op = *out = calloc(1, sizeof *op);
    if (!op) return q_fail_memory(sizeof *op);
    pthread_mutex_init(&op->lock, NULL);
    if (context) q_context_retain(op->context = context);
    Q_TRY(q_options_copy(&op->options, sizeof op->options, options, "quern_compile_options"));
    Q_TRY(keep_settings(&op->options, op->options.profile));
    return q_plan_check(&op->options);
}

static quern_status find_variables(quern_operator *op)
{
    uint8_t *marks = malloc(op->graph->count);
    if (!marks) return q_fail_memory(op->graph->count);
    q_mark(op->graph, op->results, op->result_count, false, marks);
    for (size_t v = 0; v < op->graph->variable_count; v++)
        if (marks[op->graph->variables[v].id]) op->variables[op->variable_count++] = (int)v;
    op->declared_count = op->variable_count;
    for (size_t v = 0; v < op->graph->variable_count; v++)
        if (!marks[op->graph->variables[v].id]) op->variables[op->declared_count++] = (int)v;
    free(marks);
    return QUERN_OK;
}

static quern_status write_text(quern_operator *op)
{
    q_text text = {0};
    q_print(op->graph, op->results, op->result_count, &text);
    op->text = q_text_take(&text);
    return op->text ? QUERN_OK : q_fail_memory(64);
}

/* The passes between a graph with results and an operator that can run. */
static quern_status finish(quern_operator *op)
{
#ifndef NDEBUG
    Q_TRY(q_graph_verify(op->graph));
#endif
    Q_TRY(find_variables(op));
    Q_TRY(write_text(op));
    Q_TRY(q_host_count(op));
    Q_TRY(q_stages_make(&op->stages, op->graph, op->results, op->result_count));
    return q_build_own(op);
}

static quern_status compile(quern_operator *op, const char *formula)
{
    Q_TRY(q_graph_create(&op->graph));
    op->graph->keeps_pairs = op->options.ranges == QUERN_ON;
    Q_TRY(q_parse(op->graph, formula, op->results, &op->result_count));
    return finish(op);
}

quern_status quern_compile(quern_operator **out, quern_context *context, const char *formula,
                           const quern_compile_options *options)
{
    if (!out) return q_fail_null("quern_compile", "out");
    q_locale locale = q_locale_enter();
    quern_status status = create(out, context, options);
    if (!status && !formula) status = q_fail_null("quern_compile", "the formula");
    if (!status) status = compile(*out, formula);
    if (status) quern_operator_destroy(out);
    q_locale_leave(locale);
    return status;
}

static quern_status copy_graph(quern_operator *op, const q_graph *graph, const q_id *results, size_t count)
{
    Q_TRY(q_graph_copy(&op->graph, graph));
    for (size_t r = 0; r < count; r++) op->results[r] = results[r];
    op->result_count = count;
    return finish(op);
}

quern_status q_operator_from_graph(quern_operator **out, quern_context *context, const q_graph *graph,
                                   const q_id *results, size_t count, const quern_compile_options *options)
{
    quern_status status = create(out, context, options);
    if (!status) status = copy_graph(*out, graph, results, count);
    if (status) quern_operator_destroy(out);
    return status;
}

// ---- gradient ----

static bool all_of(const char *text, bool (*fits)(char))
{
    while (*text && fits(*text)) text++;
    return !*text;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_word_char(char c)
{
    return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

/* Declares the weights in text, so that the language decides which names there are: e=Vi(3), or Vi(0,3) for number 0.
   */
static quern_status declare_weights(q_graph *graph, const char *e, uint8_t axis, uint32_t dim, q_id *out)
{
    const char *leaf = q_axes[axis].leaf;
    char text[160];
    q_id results[Q_MAX_RESULTS];
    size_t count, size = strlen(e);
    if (!size || size > 80 || !all_of(e, is_word_char) || (is_digit(*e) && !all_of(e, is_digit)))
        return q_fail(QUERN_NAME,
                      "quern_gradient: the name of the weights is a word of letters, digits and _, not '%.80s'", e);
    if (is_digit(*e)) snprintf(text, sizeof text, "%s(%s,%u)", leaf, e, dim);
    else snprintf(text, sizeof text, "%s=%s(%u)", e, leaf, dim);
    Q_TRY(q_parse(graph, text, results, &count));
    *out = results[0];
    return QUERN_OK;
}

static quern_status weights_of(quern_operator *op, const char *e, q_id *out)
{
    q_node result = *q_node_of(op->graph, op->results[0]);
    if (!e) {
        *out = q_constant(op->graph, 1, 1);
        return op->graph->status;
    }
    const q_variable *known = q_variable_find(op->graph, e);
    if (!known) return declare_weights(op->graph, e, result.axes, result.dim, out);
    *out = known->id;
    return QUERN_OK;
}

static quern_status differentiate(quern_operator *op, const quern_operator *from, const char *var, const char *e)
{
    if (from->result_count != 1)
        return q_fail(QUERN_USAGE, "quern_gradient: the operator has %zu results; it must have one",
                      from->result_count);
    Q_TRY(q_graph_copy(&op->graph, from->graph));
    op->results[0] = from->results[0];
    op->result_count = 1;
    const q_variable *variable = q_variable_find(op->graph, var);
    if (!variable) {
        quern_status status = q_fail(QUERN_NAME, "quern_gradient: the operator has no variable %s", var);
        q_fail_next_step("its formula is: %s", from->text);
        return status;
    }
    q_id weights = 0, gradient;
    q_id variable_id = variable->id;
    Q_TRY(weights_of(op, e, &weights));
    gradient = q_grad_total(op->graph, op->results[0], variable_id, weights);
    if (!gradient) return op->graph->status;
    op->results[0] = gradient;
    return finish(op);
}

quern_status quern_gradient(quern_operator **out, const quern_operator *op, const char *var, const char *e)
{
    if (!out) return q_fail_null("quern_gradient", "out");
    *out = NULL;
    if (!op) return q_fail_null("quern_gradient", "the operator");
    q_locale locale = q_locale_enter();
    quern_compile_options options = op->options;
    options.size = sizeof options;
    quern_status status = create(out, op->context, &options);
    if (!status && !var) status = q_fail_null("quern_gradient", "the variable's name");
    if (!status) status = differentiate(*out, op, var, e);
    if (status) quern_operator_destroy(out);
    q_locale_leave(locale);
    return status;
}

// ---- what an operator is ----

size_t quern_variable_count(const quern_operator *op)
{
    return op ? op->declared_count : 0;
}

size_t quern_result_count(const quern_operator *op)
{
    return op ? op->result_count : 0;
}

quern_value q_value_of(const q_variable *variable)
{
    return (quern_value){variable->name, q_axes[variable->axis].letter, variable->dim, false, false};
}

quern_value quern_variable(const quern_operator *op, size_t index)
{
    if (!op || index >= op->declared_count) return (quern_value){0};
    quern_value value = q_value_of(&op->graph->variables[op->variables[index]]);
    value.unused = index >= op->variable_count;
    return value;
}

quern_value quern_result(const quern_operator *op, size_t index)
{
    if (!op || index >= op->result_count) return (quern_value){0};
    const q_node *node = q_node_of(op->graph, op->results[index]);
    return (quern_value){"", q_axes[node->axes].letter, node->dim, node->integer, false};
}

const char *quern_operator_text(const quern_operator *op)
{
    return op ? op->text : "";
}
