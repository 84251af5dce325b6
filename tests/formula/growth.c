/*
 * growth.c: how much larger derivatives are than the random formulas (random_formula.h) that they are derived from:
 *
 *     growth [--count N] [--seed S]
 *
 * Gradients of <F, e> by a variable, of <that, e'> and of <that, e''>, with all that they need, are counted in nodes of
 * the graph and in statements of the lowered program: those of each pair, and all. No device is needed.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plan/plan.h"
#include "random_formula.h"

enum { ORDERS = 3, SIZES = 3 };

static const char *const size_names[SIZES] = {"nodes", "statements of a pair", "statements"};
static const char *const order_names[ORDERS] = {"first", "second", "third"};
/* Derivatives of most formulas, and of all: to see at once when a rule or a derivative no longer helps. */
static const double most_allowed[ORDERS] = {6, 20, 80};

typedef struct list {
    double *data;
    size_t count, capacity;
} list;

static list ratios[ORDERS][SIZES];
static size_t count = 10000, too_large[ORDERS], zeros[ORDERS], formulas;
static uint64_t seed = 1;
static char *worst[ORDERS];

static void add(list *l, double value)
{
    assert_true(q_grow(&l->data, &l->capacity, l->count + 1, sizeof *l->data));
    l->data[l->count++] = value;
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

// ---- sizes ----

static size_t nodes_of(const q_graph *graph, q_id id)
{
    uint8_t *marks = malloc(graph->count);
    size_t nodes = 0;
    assert_non_null(marks);
    q_mark(graph, &id, 1, false, marks);
    for (size_t n = 0; n < graph->count; n++) nodes += marks[n] != 0;
    free(marks);
    return nodes;
}

/* False if the program would be too large. */
static bool measure(const q_graph *graph, q_id id, double size[SIZES])
{
    static q_stages stages;
    size[0] = (double)nodes_of(graph, id), size[1] = size[2] = 0;
    if (q_stages_make(&stages, graph, &id, 1)) return false;
    for (size_t s = 0; s < stages.count; s++) {
        q_ir *program;
        if (q_lower(&program, graph, &stages, s, &(q_tiling){0})) return false;
        size[1] += (double)program->statements[Q_ROW | Q_COLUMN];
        for (size_t scope = 0; scope < Q_COUNT(program->statements); scope++)
            size[2] += (double)program->statements[scope];
        q_ir_destroy(&program);
    }
    return true;
}

// ---- formulas ----

static q_id parse(sample *s, const char *formula)
{
    q_text text = {0};
    q_text_add(&text, "%s%s", random_declarations, formula);
    q_id value = sample_parse(s, text.data);
    q_text_free(&text);
    return value;
}

/* Some variable that the value is made of; 0 if there is none. */
static q_id used_variable(const sample *s, q_id value, random_source *source)
{
    uint8_t *marks = malloc(s->graph->count);
    assert_non_null(marks);
    q_mark(s->graph, &value, 1, false, marks);
    size_t all = s->graph->variable_count, first = random_below(source, all);
    q_id found = 0;
    for (size_t n = 0; n < all && !found; n++) {
        q_id id = s->graph->variables[(first + n) % all].id;
        if (marks[id]) found = id;
    }
    free(marks);
    return found;
}

static void keep_worst(size_t order, const char *formula, double ratio)
{
    const list *known = &ratios[order][0];
    for (size_t n = 0; n < known->count; n++)
        if (known->data[n] >= ratio) return;
    free(worst[order]);
    worst[order] = strdup(formula);
}

static void derive(const char *formula, random_source *source)
{
    static const char *const weights[ORDERS] = {"e", "f", "g"};
    sample s = sample_create(1, 1, 0);
    q_id value = parse(&s, formula), variable = used_variable(&s, value, source);
    double own[SIZES], size[SIZES];
    if (variable && measure(s.graph, value, own)) {
        formulas++;
        for (size_t order = 0; order < ORDERS; order++) {
            value = q_grad_total(s.graph, value, variable, sample_weights(&s, value, weights[order]));
            if (!value || !measure(s.graph, value, size)) {
                too_large[order]++;
                printf("%s derivative of %s is beyond a limit: %s\n", order_names[order], formula,
                       quern_last_error()->message);
                break;
            }
            if (q_is_constant(s.graph, value, 0)) {
                zeros[order]++;
                break;
            }
            keep_worst(order, formula, size[0] / own[0]);
            for (size_t k = 0; k < SIZES; k++)
                if (own[k] > 0) add(&ratios[order][k], size[k] / own[k]);
        }
    }
    sample_destroy(&s);
}

static void growth(void **state)
{
    (void)state;
    for (size_t n = 0; n < count; n++) {
        random_source source = {seed + 7919 * n};
        char *formula = random_formula(&source);
        derive(formula, &source);
        free(formula);
    }
    printf("%zu formulas; size of a derivative over that of its formula\n", formulas);
    for (size_t order = 0; order < ORDERS; order++) {
        for (size_t k = 0; k < SIZES; k++) {
            list *l = &ratios[order][k];
            qsort(l->data, l->count, sizeof *l->data, by_size);
            printf("%-6s %-20s of %5zu: median %6.2f, 90 %% %6.2f, 99 %% %6.2f, most %6.2f\n", order_names[order],
                   size_names[k], l->count, l->data[l->count / 2], l->data[l->count * 9 / 10],
                   l->data[l->count * 99 / 100], l->data[l->count - 1]);
        }
        printf("       0: %zu, beyond a limit: %zu; most nodes: %s\n", zeros[order], too_large[order], worst[order]);
        assert_int_equal(too_large[order], 0);
        assert_true(ratios[order][0].data[ratios[order][0].count - 1] <= most_allowed[order]);
    }
}

int main(int argc, char **argv)
{
    if (!random_options(argc, argv, &count, &seed)) return 2;
    const struct CMUnitTest tests[] = {cmocka_unit_test(growth)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
