/*
 * rewrite.c: the rules of rules.def. Patterns and replacements are read by the user's parser into a graph of their own,
 * in which the constructor does not rewrite; matching walks a pattern and the candidate side by side.
 *
 * Since the constructor asks for every new node, whose operands are already in normal form, one step of rewriting at
 * the root is enough; the replacement is built by the constructor again, so rules chain by themselves.
 */
#include <stdlib.h>
#include <string.h>

#include "formula/formula.h"

typedef struct rule {
    const char *name, *pattern, *replacement;
    q_rule_effect effect;
} rule;

static const rule rules[] = {
#define RULE(name, pattern, replacement, effect) {#name, pattern, replacement, Q_RULE_##effect},
#include "formula/rules.def"
};

struct q_rules {
    q_graph *graph;
    q_id pattern[Q_COUNT(rules)], replacement[Q_COUNT(rules)];
};

/* What the letters of a pattern stand for; ids for a b c, integers for k l. */
typedef struct match {
    q_id value[128];
    int32_t integer[128];
    bool known[128];
} match;

quern_status q_rules_create(q_rules **out)
{
    q_rules *made = *out = calloc(1, sizeof *made);
    if (!made) return q_fail_memory(sizeof *made);
    q_graph *graph = made->graph = calloc(1, sizeof *graph);
    quern_status status = QUERN_OK;
    if (!graph || !q_grow(&graph->nodes, &graph->capacity, 64, sizeof(q_node))) status = q_fail_memory(sizeof *graph);
    if (!status) {
        memset(graph->nodes, 0, sizeof(q_node));
        graph->count = 1;
        q_scope scope = {.wild = true};
        for (size_t r = 0; r < Q_COUNT(rules); r++) {
            made->pattern[r] = q_parse_row(graph, rules[r].pattern, 0, &scope);
            made->replacement[r] = q_parse_row(graph, rules[r].replacement, 0, &scope);
        }
        status = graph->status;
    }
    if (status) q_rules_destroy(out);
    return status;
}

void q_rules_destroy(q_rules **given)
{
    if (!*given) return;
    q_graph_destroy(&(*given)->graph);
    free(*given);
    *given = NULL;
}

bool q_rule_info(size_t index, const char **name, const char **pattern, const char **replacement, q_rule_effect *effect)
{
    if (index >= Q_COUNT(rules)) return false;
    *name = rules[index].name;
    *pattern = rules[index].pattern;
    *replacement = rules[index].replacement;
    *effect = rules[index].effect;
    return true;
}

static bool match_integers(match *found, const q_node *pattern, const q_node *node)
{
    for (int i = 0; i < q_ops[node->op].integers; i++) {
        int64_t letter = (int64_t)pattern->k[i] - INT32_MIN; /* below 128: a wildcard */
        if (letter >= 128) {
            if (pattern->k[i] != node->k[i]) return false;
        } else if (found->known[letter]) {
            if (found->integer[letter] != node->k[i]) return false;
        } else {
            found->known[letter] = true;
            found->integer[letter] = node->k[i];
        }
    }
    return true;
}

/* Operand a of a node, as a pattern sees it: rules of elementwise operations hold for each component, so -a also stands
   for a vector that repeats the scalar -a. */
static q_id seen_operand(const q_graph *graph, const q_node *node, int a, const q_node *pattern)
{
    const q_node *operand = q_node_of(graph, node->arg[a]);
    bool inside = q_ops[node->op].kind == Q_KIND_ELEMENTWISE && q_ops[pattern->op].kind == Q_KIND_ELEMENTWISE;
    return inside && operand->op == Q_OP_SumT ? operand->arg[0] : node->arg[a];
}

/* Patterns are a few nodes deep, so recursion is bounded by rules.def. */
static bool match_node(const q_graph *graph, const q_graph *patterns, q_id pattern_id, const q_node *node, q_id id,
                       match *found)
{
    const q_node *pattern = q_node_of(patterns, pattern_id);
    if (pattern->op == Q_OP_WILD) {
        q_id *value = &found->value[pattern->k[0]];
        if (!*value) *value = id;
        return *value == id;
    }
    if (pattern->op != node->op) return false;
    if (pattern->op == Q_OP_CONSTANT) return pattern->value == node->value;
    if (!match_integers(found, pattern, node)) return false;
    for (int a = 0; a < q_ops[node->op].operands; a++) {
        q_id operand = seen_operand(graph, node, a, q_node_of(patterns, pattern->arg[a]));
        if (!match_node(graph, patterns, pattern->arg[a], q_node_of(graph, operand), operand, found)) return false;
    }
    return true;
}

static q_id build(q_graph *graph, const q_graph *patterns, q_id id, const match *found)
{
    const q_node *node = q_node_of(patterns, id);
    if (node->op == Q_OP_WILD) return found->value[node->k[0]];
    if (node->op == Q_OP_CONSTANT) return q_constant(graph, node->value, 1);
    const q_op_row *row = &q_ops[node->op];
    q_id args[3];
    int32_t k[2];
    for (int a = 0; a < row->operands; a++) args[a] = build(graph, patterns, node->arg[a], found);
    for (int i = 0; i < row->integers; i++)
        k[i] = node->k[i] < INT32_MIN + 128 ? found->integer[node->k[i] - INT32_MIN] : node->k[i];
    return q_apply(graph, (q_op)node->op, args, (size_t)row->operands, k, (size_t)row->integers);
}

void q_rewrite(q_graph *graph, const q_node *node, q_id *out)
{
    const q_graph *patterns = graph->rules->graph;
    *out = 0;
    for (size_t r = 0; r < Q_COUNT(rules); r++) {
        match found = {0};
        if (q_node_of(patterns, graph->rules->pattern[r])->op != node->op) continue;
        if (!match_node(graph, patterns, graph->rules->pattern[r], node, 0, &found)) continue;
        if (rules[r].effect == Q_RULE_POSITIVE && !(q_bounds(graph, found.value['a']).low >= 0)) continue;
        *out = q_broadcast(graph, build(graph, patterns, graph->rules->replacement[r], &found), node->dim);
        return;
    }
}
