/*
 * test_apply.c: each function of the language is in the reach of quern_apply, and quern_language lists them all.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "quern/build.h"
#include "run_helpers.h"

/* ---- every function of the language ---- */

enum { MOST = 8 };

/* A call that is tried: the same arguments as values and as text. */
typedef struct trial_call {
    quern_graph *graph;
    char axis; /* of its variables */
    char text[400], declarations[200];
    quern_expr operands[MOST];
    int32_t integers[MOST], numbers[MOST];
    quern_integers lists[MOST];
    size_t operand_count, integer_count, list_count;
} trial_call;

static void add_text(trial_call *call, const char *argument)
{
    size_t size = strlen(call->text);
    snprintf(call->text + size, sizeof call->text - size, "%s%s", call->text[size - 1] == '(' ? "" : ",", argument);
}

/* `free`: it does not depend on the axis. */
static void add_operand(trial_call *call, int dim, bool same, bool free)
{
    char name[8];
    size_t n = call->operand_count++, size = strlen(call->declarations);
    snprintf(name, sizeof name, "x%zu", same ? 0 : n);
    add_text(call, name);
    call->operands[n] = call->operands[0];
    if (same && n) return;
    snprintf(call->declarations + size, sizeof call->declarations - size, "%s=%s(%d); ", name,
             free                ? "Pm"
             : call->axis == 'i' ? "Vi"
                                 : "Vj",
             dim);
    call->operands[n] = (free ? quern_pm : call->axis == 'i' ? quern_vi : quern_vj)(call->graph, name, dim);
}

static void add_integer(trial_call *call, int value)
{
    char text[16];
    snprintf(text, sizeof text, "%d", value);
    add_text(call, text);
    call->integers[call->integer_count++] = value;
}

/* Lists of one axis that fit operands of length dim. */
static void add_list(trial_call *call, const char *argument, int dim)
{
    size_t n = call->list_count;
    bool empty = strstr(argument, "result") || strstr(argument, "permutation");
    bool length = strstr(argument, "dims") || strstr(argument, "sizes");
    char text[16] = "[]";
    call->numbers[n] = length ? dim : 0;
    if (!empty) snprintf(text, sizeof text, "[%d]", call->numbers[n]);
    add_text(call, text);
    call->lists[call->list_count++] = (quern_integers){&call->numbers[n], !empty};
}

/* One call with operands whose lengths are the digits of `lengths`; whether it is accepted, both ways alike. */
static bool reaches(const quern_function_info *info, const char *written, char axis, const char *lengths, int k, int l)
{
    trial_call call = {.graph = new_graph(), .axis = axis};
    char arguments[200], whole[700];
    snprintf(call.text, sizeof call.text, "%s(", written);
    snprintf(arguments, sizeof arguments, "%s", info->arguments);
    for (char *rest = arguments, *item; (item = strtok_r(rest, ",", &rest));) {
        if (*item == '[') add_list(&call, item, lengths[0] - '0');
        else if (!item[1] && strchr("kl", *item)) add_integer(&call, *item == 'k' ? k : l);
        else
            add_operand(&call, lengths[call.operand_count] - '0', strcmp(info->kind, "derivative") == 0,
                        info->over_axis && call.operand_count); /* the number of a row */
    }
    quern_exprs operands = {call.operands, call.operand_count};
    quern_lists lists = {call.lists, call.list_count};
    quern_integers integers = {call.integers, call.integer_count};
    quern_expr made = call.list_count ? quern_apply_lists(call.graph, written, operands, lists)
                                      : quern_apply(call.graph, written, operands, integers);
    snprintf(whole, sizeof whole, "%s%s)", call.declarations, call.text);
    quern_operator *op = NULL;
    if (made) op = check_text(call.graph, made, whole);
    quern_operator_destroy(&op);
    quern_graph_destroy(&call.graph);
    return made != 0;
}

/* Whether some lengths and integers suit the function. */
static bool is_reached(const quern_function_info *info, const char *written, char axis)
{
    static const char *const lengths[] = {"222", "111", "122", "411", "422"};
    static const int integers[][2] = {{1, 1}, {2, 1}, {1, 2}, {0, 2}};
    for (size_t n = 0; n < Q_COUNT(lengths); n++)
        for (size_t k = 0; k < Q_COUNT(integers); k++)
            if (reaches(info, written, axis, lengths[n], integers[k][0], integers[k][1])) return true;
    return false;
}

static void every_function_is_reached_by_name(void **state)
{
    (void)state;
    quern_function_info info;
    size_t reached = 0;
    for (size_t n = 0; quern_language(n, &info); n++) {
        if (strcmp(info.kind, "leaf") == 0) continue;
        for (int axis = 0; axis < (info.over_axis ? 2 : 1); axis++, reached++) {
            char written[80];
            snprintf(written, sizeof written, info.over_axis ? "%s_%c" : "%s", info.name, "ij"[axis]);
            if (!is_reached(&info, written, "ij"[axis])) fail_msg("%s: %s", written, quern_last_error_text());
        }
    }
    assert_true(reached > 150);
}

static void leaves_are_reached_by_name(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        int32_t integers[3];
        size_t count;
        const char *text;
    } leaves[] = {
        {"Vi", {4, 2}, 2, "Vi(4,2)"}, {"Vj", {5, 2}, 2, "Vj(5,2)"},        {"Pm", {6, 2}, 2, "Pm(6,2)"},
        {"I", {0}, 0, "I"},           {"Var", {7, 2, 1}, 3, "Var(7,2,1)"}, {"J", {0}, 0, "J"},
    };
    quern_graph *graph = new_graph();
    quern_function_info info;
    size_t listed = 0;
    for (size_t n = 0; n < Q_COUNT(leaves); n++) {
        quern_integers integers = {leaves[n].integers, leaves[n].count};
        quern_expr made = quern_apply(graph, leaves[n].name, QUERN_NO_EXPRS, integers);
        quern_operator *op = check_text(graph, made, leaves[n].text);
        quern_operator_destroy(&op);
    }
    for (size_t n = 0; quern_language(n, &info); n++) listed += strcmp(info.kind, "leaf") == 0;
    assert_int_equal(listed, Q_COUNT(leaves));
    quern_graph_destroy(&graph);
}

/* ---- the list of the language ---- */

/* How often a name stands in the list, with or without an axis. */
static size_t listed(const char *name, bool over_axis)
{
    quern_function_info info;
    size_t count = 0;
    for (size_t n = 0; quern_language(n, &info); n++) count += info.over_axis == over_axis && !strcmp(info.name, name);
    return count;
}

static void the_list_has_every_row_of_the_tables(void **state)
{
    (void)state;
    for (q_op op = Q_OP_REPEAT + 1; op < Q_OP_REDUCTION; op++) assert_int_equal(listed(q_ops[op].name, false), 1);
    for (q_op op = Q_OP_REDUCTION + 1; op < Q_OP_END; op++) assert_int_equal(listed(q_ops[op].name, true), 1);
    for (size_t s = 0; s < q_sugar_count; s++) assert_int_equal(listed(q_sugar[s].name, false), 1);
    for (size_t s = 0; s < q_reduction_sugar_count; s++) assert_int_equal(listed(q_reduction_sugar[s].name, true), 1);
    assert_int_equal(listed("Repeat", true), 1);
    assert_int_equal(listed("Grad", false), 1);
}

static void the_list_leaves_nothing_open(void **state)
{
    (void)state;
    quern_function_info info;
    size_t n = 0;
    for (; quern_language(n, &info); n++) {
        assert_true(*info.name && *info.family && *info.kind && *info.meaning);
        assert_non_null(info.arguments);
        /* what has no length has a definition; what is elementwise or a vector operation has a derivative */
        assert_true(*info.length || *info.definition);
        if (!strcmp(info.kind, "elementwise") || !strcmp(info.kind, "vector")) assert_true(*info.derivative);
    }
    assert_false(quern_language(n + 1000, &info));
    assert_null(info.name);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_function_is_reached_by_name),
        cmocka_unit_test(leaves_are_reached_by_name),
        cmocka_unit_test(the_list_has_every_row_of_the_tables),
        cmocka_unit_test(the_list_leaves_nothing_open),
    };
    return cmocka_run_group_tests(tests, open_context, close_context);
}
