/*
 * parse.c: formula text to graph. The user's text, the bodies of sugar, the derivatives and the rules of the tables are
 * all read by this one parser.
 *
 * It is an operator-precedence parser (Dijkstra's shunting yard) with explicit stacks, so hostile text cannot exhaust
 * the C stack; text, nesting, names and nodes are bounded. Values are built by the constructors as they are read; there
 * is no syntax tree. Errors point at the byte of the name or operator concerned.
 */
#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "formula/parser.h"

void q_parse_fail(q_parser *p, quern_status status, size_t at, const char *fmt, ...)
{
    if (p->graph->status) return;
    char message[512];
    va_list args;
    va_start(args, fmt);
    vsnprintf(message, sizeof message, fmt, args);
    va_end(args);
    if (p->scope && !p->graph->text)
        p->graph->status = q_fail(QUERN_INTERNAL, "%s in the table formula %s", message, p->text);
    else if (p->scope) p->graph->status = q_fail_at(status, p->graph->text, p->graph->at, "%s", message);
    else p->graph->status = q_fail_at(status, p->text, at, "%s", message);
}

/* Tells the constructors where in the user's text they are. */
static void locate(q_parser *p, size_t at)
{
    if (!p->scope) p->graph->at = at;
}

// ---- tokens ----

static bool is_name_start(char c)
{
    return isalpha((unsigned char)c) || c == '_';
}

static bool is_name_char(char c)
{
    return isalnum((unsigned char)c) || c == '_';
}

static size_t operator_size(const char *text)
{
    size_t longest = *text && strchr("=(),;[]", *text) ? 1 : 0;
    for (size_t s = 0; s < q_infix_count; s++) {
        size_t size = strlen(q_infixes[s].symbol);
        if (size > longest && strncmp(text, q_infixes[s].symbol, size) == 0) longest = size;
    }
    return longest;
}

/* Where the next word begins: behind blanks, and comments from # to the end of their line. */
static size_t skip_blanks(const char *text, size_t at)
{
    while (isspace((unsigned char)text[at]) || text[at] == '#') at += text[at] == '#' ? strcspn(text + at, "\n") : 1;
    return at;
}

static void next(q_parser *p)
{
    p->at = skip_blanks(p->text, p->at);
    const char *from = p->text + p->at;
    q_token t = {.kind = Q_T_END, .at = p->at};
    if (isdigit((unsigned char)*from) || (*from == '.' && isdigit((unsigned char)from[1]))) {
        char *end;
        t.kind = Q_T_NUMBER;
        t.number = strtod(from, &end);
        t.size = (size_t)(end - from);
        if (!isfinite(t.number)) q_parse_fail(p, QUERN_LIMIT, t.at, "the number is too large");
        if (is_name_char(*end) || *end == '.') q_parse_fail(p, QUERN_SYNTAX, t.at, "this is not a number");
    } else if (is_name_start(*from)) {
        t.kind = Q_T_NAME;
        while (is_name_char(from[t.size])) t.size++;
    } else if (*from) {
        t.kind = Q_T_OPERATOR;
        t.size = operator_size(from);
        if (!t.size)
            q_parse_fail(p, QUERN_SYNTAX, t.at, "the character '%c' has no meaning here",
                         isprint((unsigned char)*from) ? *from : '?');
    }
    p->at += t.size;
    p->now = t;
}

static bool is(const q_parser *p, const char *symbol)
{
    return p->now.kind == Q_T_OPERATOR && strlen(symbol) == p->now.size &&
           strncmp(p->text + p->now.at, symbol, p->now.size) == 0;
}

char q_parse_peek(const q_parser *p)
{
    return p->text[skip_blanks(p->text, p->at)];
}

// ---- stacks ----

static void push_value(q_parser *p, q_id id, size_t at)
{
    if (!q_parse_ok(p)) return;
    if (!q_grow(&p->values, &p->value_capacity, p->value_count + 1, sizeof(q_parsed)))
        p->graph->status = q_fail_memory(sizeof(q_parsed));
    else p->values[p->value_count++] = (q_parsed){.id = id, .at = at};
}

q_parsed q_parse_list(q_parser *p, const q_id *ids, size_t count, size_t at)
{
    q_parsed list = {.at = at, .first = p->item_count, .count = count};
    if (!q_parse_ok(p)) return list;
    if (!q_grow(&p->items, &p->item_capacity, p->item_count + count + 1, sizeof(q_id))) {
        p->graph->status = q_fail_memory(count * sizeof(q_id));
        return list;
    }
    for (size_t k = 0; k < count; k++) p->items[p->item_count++] = ids[k];
    return list;
}

static void push_pending(q_parser *p, q_pending entry)
{
    if (!q_parse_ok(p)) return;
    entry.base = p->value_count;
    if (!q_grow(&p->stack, &p->stack_capacity, p->stack_count + 1, sizeof(q_pending)))
        p->graph->status = q_fail_memory(sizeof(q_pending));
    else p->stack[p->stack_count++] = entry;
}

// ---- operators ----

static const q_infix_row *find_infix(const q_parser *p)
{
    for (size_t s = 0; s < q_infix_count; s++)
        if (is(p, q_infixes[s].symbol)) return &q_infixes[s];
    return NULL;
}

bool q_parse_integer(const q_graph *graph, q_id id, int32_t *out)
{
    const q_node *node = q_node_of(graph, id);
    if (!id || node->op != Q_OP_CONSTANT || node->dim != 1) return false;
    if (node->value != floor(node->value) || fabs(node->value) > INT32_MAX) return false;
    *out = (int32_t)node->value;
    return true;
}

static q_id apply_infix(const q_parser *p, const q_infix_row *infix, q_id a, q_id b)
{
    int32_t k;
    if (infix->op == Q_OP_NONE) return q_apply1(p->graph, Q_OP_Sum, q_apply2(p->graph, Q_OP_Mult, a, b));
    if (infix->op == Q_OP_Powf && q_parse_integer(p->graph, b, &k)) return q_apply(p->graph, Q_OP_Pow, &a, 1, &k, 1);
    return infix->swap ? q_apply2(p->graph, infix->op, b, a) : q_apply2(p->graph, infix->op, a, b);
}

/* Applies the operator on top of the stack to the values on top of theirs. */
static void reduce_top(q_parser *p)
{
    q_pending top = p->stack[--p->stack_count];
    locate(p, top.at);
    q_parsed *last = &p->values[p->value_count - 1];
    if (!last->id || (top.precedence != Q_UNARY_PRECEDENCE && !last[-1].id)) {
        q_parse_fail(p, QUERN_SYNTAX, top.at, "a list is not a value");
        return;
    }
    if (top.precedence == Q_UNARY_PRECEDENCE) {
        const q_node *node = q_node_of(p->graph, last->id);
        last->id = node->op == Q_OP_CONSTANT ? q_constant(p->graph, -node->value, node->dim)
                                             : q_apply1(p->graph, Q_OP_Minus, last->id);
        last->at = top.at;
        return;
    }
    const q_infix_row *infix = q_infixes;
    while (strcmp(infix->symbol, top.symbol) != 0) infix++;
    p->value_count--;
    unsigned axes = q_node_of(p->graph, last[-1].id)->axes | q_node_of(p->graph, last->id)->axes;
    last[-1].id = apply_infix(p, infix, last[-1].id, last->id);
    if (!p->scope) last[-1].id = q_repeat_over(p->graph, last[-1].id, axes);
}

/* Applies waiting operators down to the innermost bracket that bind at least as strongly as `precedence`. */
static void reduce(q_parser *p, int precedence, bool right)
{
    while (q_parse_ok(p) && p->stack_count) {
        int top = p->stack[p->stack_count - 1].precedence;
        if (top == 0 || top < precedence || (right && top == precedence)) return;
        reduce_top(p);
    }
}

// ---- the loop ----

static void open_bracket(q_parser *p, const char *symbol, size_t at, size_t name_size)
{
    if (++p->nesting > Q_MAX_NESTING) {
        q_parse_fail(p, QUERN_LIMIT, at, "brackets are nested deeper than %d", Q_MAX_NESTING);
        q_fail_next_step("bind inner parts to names: k=...; then use k");
    }
    push_pending(p, (q_pending){.symbol = symbol, .at = at, .name_size = name_size});
}

static void push_made(q_parser *p, q_parsed made)
{
    push_value(p, made.id, made.at);
    if (q_parse_ok(p)) p->values[p->value_count - 1] = made;
}

/* Turns the values since the bracket into one list. */
static q_parsed close_list(q_parser *p, const q_pending *open)
{
    q_id ids[Q_MAX_LIST];
    size_t count = p->value_count - open->base;
    if (count > Q_MAX_LIST)
        q_parse_fail(p, QUERN_LIMIT, open->at, "a list has at most %d members, not %zu", Q_MAX_LIST, count);
    for (size_t k = 0; k < count && q_parse_ok(p); k++) {
        ids[k] = p->values[open->base + k].id;
        if (!ids[k]) q_parse_fail(p, QUERN_SYNTAX, open->at, "a list cannot hold lists");
    }
    return q_parse_list(p, ids, q_parse_ok(p) ? count : 0, open->at);
}

/* Closes the innermost bracket, which must be of this kind: "(" or "[". */
static void close_bracket(q_parser *p, const char *symbol)
{
    reduce(p, 1, false);
    if (!q_parse_ok(p)) return;
    if (!p->stack_count || strcmp(p->stack[p->stack_count - 1].symbol, symbol) != 0) {
        q_parse_fail(p, QUERN_SYNTAX, p->now.at, "this %c closes nothing", p->text[p->now.at]);
        return;
    }
    q_pending open = p->stack[--p->stack_count];
    p->nesting--;
    if (!open.name_size && *symbol == '(') return;
    const q_parsed *args = p->values ? p->values + open.base : NULL;
    q_parsed made = *symbol == '[' ? close_list(p, &open)
                                   : q_parse_call(p, open.at, open.name_size, args, p->value_count - open.base);
    p->value_count = open.base;
    push_made(p, made);
}

static void read_name(q_parser *p, q_token t)
{
    if (q_parse_peek(p) != '(') {
        push_value(p, q_parse_name(p, p->text + t.at, t.size, t.at), t.at);
        return;
    }
    next(p);
    open_bracket(p, "(", t.at, t.size);
    p->wants_operand = q_parse_peek(p) != ')';
}

static void read_operand(q_parser *p)
{
    q_token t = p->now;
    const char *text = p->text + t.at;
    p->wants_operand = false;
    if (t.kind == Q_T_NUMBER) {
        push_value(p, q_constant(p->graph, t.number, 1), t.at);
    } else if (t.kind == Q_T_NAME) {
        read_name(p, t);
    } else if (is(p, "(")) {
        open_bracket(p, "(", t.at, 0);
        p->wants_operand = true;
    } else if (is(p, "[")) {
        open_bracket(p, "[", t.at, 0);
        p->wants_operand = q_parse_peek(p) != ']';
    } else if (is(p, "-") || is(p, "+")) {
        if (*text == '-') push_pending(p, (q_pending){.symbol = "-", .precedence = Q_UNARY_PRECEDENCE, .at = t.at});
        p->wants_operand = true;
    } else if (t.kind == Q_T_END) {
        q_parse_fail(p, QUERN_SYNTAX, t.at, "the formula ends where a value is expected");
    } else {
        q_parse_fail(p, QUERN_SYNTAX, t.at, "a value is expected here, not '%.*s'", (int)t.size, text);
    }
}

static void read_comma(q_parser *p)
{
    reduce(p, 1, false);
    const q_pending *open = p->stack_count ? &p->stack[p->stack_count - 1] : NULL;
    if (q_parse_ok(p) && open && !open->name_size && *open->symbol == '(')
        q_parse_fail(p, QUERN_SYNTAX, p->now.at, "a comma stands between arguments or results, not in plain brackets");
    if (!p->stack_count && p->bind_size)
        q_parse_fail(p, QUERN_SYNTAX, p->now.at, "a name is bound to one value, not to several");
    if (!p->stack_count && p->value_count >= Q_MAX_RESULTS)
        q_parse_fail(p, QUERN_LIMIT, p->now.at, "a formula has at most %d results", Q_MAX_RESULTS);
    p->wants_operand = true;
}

static void read_operator(q_parser *p)
{
    const q_infix_row *infix = find_infix(p);
    if (infix) {
        reduce(p, infix->precedence, infix->right);
        push_pending(p, (q_pending){.symbol = infix->symbol, .precedence = infix->precedence, .at = p->now.at});
        p->wants_operand = true;
    } else if (is(p, ",")) {
        read_comma(p);
    } else if (is(p, ")")) {
        close_bracket(p, "(");
    } else if (is(p, "]")) {
        close_bracket(p, "[");
    } else {
        q_parse_fail(p, QUERN_SYNTAX, p->now.at, "an operator is expected here, not '%.*s'", (int)p->now.size,
                     p->text + p->now.at);
    }
}

static void bind(q_parser *p, const char *text, size_t size, q_id id)
{
    char *name = q_arena_strdup(&p->graph->arena, text, size);
    if (name && q_grow(&p->names.data, &p->names.capacity, p->names.count + 1, sizeof(q_binding)))
        p->names.data[p->names.count++] = (q_binding){name, id};
    else p->graph->status = q_fail_memory(size);
}

/* NAME = at the start of a statement. */
static bool is_binding(const q_parser *p)
{
    size_t after = p->at;
    after = skip_blanks(p->text, after);
    return p->now.kind == Q_T_NAME && p->text[after] == '=' && p->text[after + 1] != '=';
}

static void read_binding(q_parser *p)
{
    p->bind_size = 0;
    if (!is_binding(p)) return;
    const char *name = p->text + p->now.at;
    size_t size = p->now.size;
    if (size > 63) q_parse_fail(p, QUERN_LIMIT, p->now.at, "a name has at most 63 letters, this one has %zu", size);
    if (q_parse_reserved(p, name, size))
        q_parse_fail(p, QUERN_NAME, p->now.at, "%.*s is the name of a function", (int)size, name);
    if (q_parse_bound(p, name, size)) q_parse_fail(p, QUERN_NAME, p->now.at, "%.*s is bound twice", (int)size, name);
    p->bind_at = p->now.at;
    p->bind_size = size;
    next(p);
    next(p);
}

static void read_statement(q_parser *p)
{
    p->value_count = 0;
    p->wants_operand = true;
    read_binding(p);
    while (q_parse_ok(p)) {
        bool ends = p->now.kind == Q_T_END || is(p, ";");
        if (ends && !p->wants_operand) break;
        if (p->wants_operand) read_operand(p);
        else read_operator(p);
        if (q_parse_ok(p)) next(p);
    }
    reduce(p, 1, false);
    if (q_parse_ok(p) && p->stack_count)
        q_parse_fail(p, QUERN_SYNTAX, p->stack[p->stack_count - 1].at, "this bracket is not closed");
    if (q_parse_ok(p) && p->bind_size && !p->values[0].id)
        q_parse_fail(p, QUERN_SYNTAX, p->bind_at, "a name is bound to one value, not to a list");
    if (q_parse_ok(p) && p->bind_size) bind(p, p->text + p->bind_at, p->bind_size, p->values[0].id);
}

static void release(q_parser *p)
{
    free(p->values);
    free(p->stack);
    free(p->items);
}

/* Several statements; the last one's values are the result. An empty statement after the last ';' is allowed. */
static void read_statements(q_parser *p)
{
    next(p);
    while (q_parse_ok(p)) {
        read_statement(p);
        if (!q_parse_ok(p) || p->now.kind == Q_T_END) return;
        next(p);
        if (p->now.kind == Q_T_END) return;
    }
}

/* A list as the last statement, from Grad(F,[x,y],e), is several results. */
static void add_results(q_parser *p, const q_parsed *from, q_id *results, size_t *count)
{
    size_t members = from->id ? 1 : from->count;
    if (!members) q_parse_fail(p, QUERN_SYNTAX, from->at, "an empty list is no result");
    if (*count + members > Q_MAX_RESULTS) {
        q_parse_fail(p, QUERN_LIMIT, from->at, "a formula has at most %d results", Q_MAX_RESULTS);
        return;
    }
    for (size_t k = 0; k < members; k++) results[(*count)++] = from->id ? from->id : p->items[from->first + k];
}

quern_status q_parse_known(q_graph *graph, const char *text, q_names *names, q_id *results, size_t *count)
{
    *count = 0;
    if (graph->status) return graph->status;
    if (strlen(text) > Q_MAX_TEXT)
        return graph->status =
                   q_fail(QUERN_LIMIT, "the formula text has %zu bytes; the limit is %d", strlen(text), Q_MAX_TEXT);
    q_parser p = {.graph = graph, .text = text, .names = *names};
    graph->text = text;
    read_statements(&p);
    graph->text = NULL;
    for (size_t v = 0; q_parse_ok(&p) && v < p.value_count; v++) add_results(&p, &p.values[v], results, count);
    if (graph->status) *count = 0;
    *names = p.names;
    release(&p);
    return graph->status;
}

quern_status q_parse(q_graph *graph, const char *text, q_id *results, size_t *count)
{
    q_names names = {0};
    quern_status status = q_parse_known(graph, text, &names, results, count);
    free(names.data);
    return status;
}

q_id q_parse_row(q_graph *graph, const char *text, size_t part, const q_scope *scope)
{
    if (graph->status) return 0;
    q_parser p = {.graph = graph, .text = text, .scope = scope};
    next(&p);
    for (size_t s = 0; q_parse_ok(&p); s++) {
        /* other parts are not built: they may not fit this use of the row */
        if (s == part || is_binding(&p)) read_statement(&p);
        else
            while (q_parse_ok(&p) && p.now.kind != Q_T_END && !is(&p, ";")) next(&p);
        if (s == part || p.now.kind == Q_T_END) break;
        next(&p);
    }
    q_id id = q_parse_ok(&p) && p.value_count == 1 ? p.values[0].id : 0;
    free(p.names.data);
    release(&p);
    return id;
}
