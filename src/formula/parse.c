/*
 * parse.c: formula text to graph. The user's text, the bodies of sugar, the derivatives and the rules of the tables are all
 * read by this one parser.
 *
 * It is an operator-precedence parser (Dijkstra's shunting yard) with explicit stacks, so hostile text cannot exhaust the C
 * stack; text, nesting, names and nodes are bounded. Values are built by the constructors as they are read; there is no
 * syntax tree. Errors point at the byte of the name or operator concerned.
 */
#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "formula/formula.h"

typedef enum token_kind { T_END, T_NUMBER, T_NAME, T_OPERATOR } token_kind;

typedef struct token {
    token_kind kind;
    size_t at, size;
    double number;
} token;

typedef struct value {
    q_id id;
    size_t at;
} value;

/* An operator, or an open bracket (precedence 0), that waits for its last operand. */
typedef struct pending {
    const char *symbol; /* "(" for brackets */
    int precedence;
    size_t at;
    size_t name_size; /* brackets of calls: length of the name at `at`; 0 for plain brackets */
    size_t base;      /* brackets: number of values before them */
} pending;

typedef struct parser {
    q_graph *graph;
    const char *text;
    const q_scope *scope; /* null for the user's text */
    size_t at;
    token now;
    bool wants_operand;
    value *values;
    size_t value_count, value_capacity;
    pending *stack;
    size_t stack_count, stack_capacity;
    size_t nesting;
    q_binding *names;
    size_t name_count, name_capacity;
    size_t bind_at, bind_size; /* the name that this statement binds; size 0 for none */
} parser;

static bool ok(const parser *p)
{
    return !p->graph->status;
}

static void fail_at(parser *p, quern_status status, size_t at, const char *fmt, ...) Q_PRINTF(4, 5);

static void fail_at(parser *p, quern_status status, size_t at, const char *fmt, ...)
{
    if (p->graph->status) return;
    char message[512];
    va_list args;
    va_start(args, fmt);
    vsnprintf(message, sizeof message, fmt, args);
    va_end(args);
    if (p->scope && !p->graph->text) p->graph->status = q_fail(QUERN_INTERNAL, "%s in the table formula %s", message, p->text);
    else if (p->scope) p->graph->status = q_fail_at(status, p->graph->text, p->graph->at, "%s", message);
    else p->graph->status = q_fail_at(status, p->text, at, "%s", message);
}

/* Tells the constructors where in the user's text they are. */
static void locate(parser *p, size_t at)
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
    static const char *const two[] = {"**", "==", "!=", "<=", ">="};
    for (size_t s = 0; s < Q_COUNT(two); s++)
        if (strncmp(text, two[s], 2) == 0) return 2;
    return *text && strchr("+-*/|<>=(),;[]", *text) ? 1 : 0;
}

static void next(parser *p)
{
    while (isspace((unsigned char)p->text[p->at])) p->at++;
    const char *from = p->text + p->at;
    token t = {.kind = T_END, .at = p->at};
    if (isdigit((unsigned char)*from) || (*from == '.' && isdigit((unsigned char)from[1]))) {
        char *end;
        t.kind = T_NUMBER;
        t.number = strtod(from, &end);
        t.size = (size_t)(end - from);
        if (!isfinite(t.number)) fail_at(p, QUERN_LIMIT, t.at, "the number is too large");
        if (is_name_char(*end) || *end == '.') fail_at(p, QUERN_SYNTAX, t.at, "this is not a number");
    } else if (is_name_start(*from)) {
        t.kind = T_NAME;
        while (is_name_char(from[t.size])) t.size++;
    } else if (*from) {
        t.kind = T_OPERATOR;
        t.size = operator_size(from);
        if (!t.size) fail_at(p, QUERN_SYNTAX, t.at, "the character '%c' has no meaning here", isprint((unsigned char)*from) ? *from : '?');
    }
    p->at += t.size;
    p->now = t;
}

static bool is(const parser *p, const char *symbol)
{
    return p->now.kind == T_OPERATOR && strlen(symbol) == p->now.size && strncmp(p->text + p->now.at, symbol, p->now.size) == 0;
}

static char peek(const parser *p)
{
    size_t at = p->at;
    while (isspace((unsigned char)p->text[at])) at++;
    return p->text[at];
}

static bool same(const char *name, const char *text, size_t size)
{
    return strlen(name) == size && memcmp(name, text, size) == 0;
}

// ---- stacks ----

static void push_value(parser *p, q_id id, size_t at)
{
    if (!ok(p)) return;
    if (!q_grow(&p->values, &p->value_capacity, p->value_count + 1, sizeof(value))) p->graph->status = q_fail_memory(sizeof(value));
    else p->values[p->value_count++] = (value){id, at};
}

static void push_pending(parser *p, pending entry)
{
    if (!ok(p)) return;
    entry.base = p->value_count;
    if (!q_grow(&p->stack, &p->stack_capacity, p->stack_count + 1, sizeof(pending))) p->graph->status = q_fail_memory(sizeof(pending));
    else p->stack[p->stack_count++] = entry;
}

// ---- operators ----

typedef struct infix_row {
    const char *symbol;
    int precedence;
    q_op op;
    bool swap, right;
} infix_row;

enum { UNARY_PRECEDENCE = 6 };

static const infix_row infixes[] = {
    {"==", 1, Q_OP_Equal, false, false},       {"!=", 1, Q_OP_NotEqual, false, false},
    {"<", 2, Q_OP_LessThan, false, false},     {"<=", 2, Q_OP_LessOrEqual, false, false},
    {">", 2, Q_OP_LessThan, true, false},      {">=", 2, Q_OP_LessOrEqual, true, false},
    {"|", 3, Q_OP_NONE, false, false},         {"+", 4, Q_OP_Add, false, false},
    {"-", 4, Q_OP_Subtract, false, false},     {"*", 5, Q_OP_Mult, false, false},
    {"/", 5, Q_OP_Divide, false, false},       {"**", 7, Q_OP_Powf, false, true},
};

static const infix_row *find_infix(const parser *p)
{
    for (size_t s = 0; s < Q_COUNT(infixes); s++)
        if (is(p, infixes[s].symbol)) return &infixes[s];
    return NULL;
}

static bool as_integer(const q_graph *graph, q_id id, int32_t *out)
{
    const q_node *node = q_node_of(graph, id);
    if (!id || node->op != Q_OP_CONSTANT || node->dim != 1) return false;
    if (node->value != floor(node->value) || fabs(node->value) > INT32_MAX) return false;
    *out = (int32_t)node->value;
    return true;
}

static q_id apply_infix(parser *p, const infix_row *infix, q_id a, q_id b)
{
    int32_t k;
    if (infix->op == Q_OP_NONE) return q_apply1(p->graph, Q_OP_SUM, q_apply2(p->graph, Q_OP_Mult, a, b));
    if (infix->op == Q_OP_Powf && as_integer(p->graph, b, &k)) return q_apply(p->graph, Q_OP_Pow, &a, 1, &k, 1);
    return infix->swap ? q_apply2(p->graph, infix->op, b, a) : q_apply2(p->graph, infix->op, a, b);
}

/* Applies the operator on top of the stack to the values on top of theirs. */
static void reduce_top(parser *p)
{
    pending top = p->stack[--p->stack_count];
    locate(p, top.at);
    value *last = &p->values[p->value_count - 1];
    if (top.precedence == UNARY_PRECEDENCE) {
        const q_node *node = q_node_of(p->graph, last->id);
        last->id = node->op == Q_OP_CONSTANT ? q_constant(p->graph, -node->value, node->dim)
                                             : q_apply1(p->graph, Q_OP_Minus, last->id);
        last->at = top.at;
        return;
    }
    const infix_row *infix = infixes;
    while (strcmp(infix->symbol, top.symbol) != 0) infix++;
    p->value_count--;
    last[-1].id = apply_infix(p, infix, last[-1].id, last->id);
}

/* Applies waiting operators down to the innermost bracket that bind at least as strongly as `precedence`. */
static void reduce(parser *p, int precedence, bool right)
{
    while (ok(p) && p->stack_count) {
        int top = p->stack[p->stack_count - 1].precedence;
        if (top == 0 || top < precedence || (right && top == precedence)) return;
        reduce_top(p);
    }
}

// ---- names ----

static uint8_t axis_suffix(const parser *p, const char *name, size_t *size)
{
    if (*size < 3 || name[*size - 2] != '_') return 0;
    char letter = name[*size - 1];
    uint8_t axis = letter == 'i' ? Q_I : letter == 'j' ? Q_J : letter == 'k' && p->scope ? p->scope->reduced : 0;
    if (axis) *size -= 2;
    return axis;
}

static bool is_declaration(const char *name, size_t size)
{
    return same("Vi", name, size) || same("Vj", name, size) || same("Pm", name, size) || same("Var", name, size);
}

typedef q_id special(parser *p, const q_id *args);

static q_id special_grad(parser *p, const q_id *args)
{
    return q_grad(p->graph, args[0], args[1], args[2]);
}

static const struct {
    const char *name;
    size_t operands;
    special *apply;
} specials[] = {
    {"Grad", 3, special_grad},
};

static size_t find_special(const char *name, size_t size)
{
    size_t s = 0;
    while (s < Q_COUNT(specials) && !same(specials[s].name, name, size)) s++;
    return s;
}

/* Whether a function, or a letter with a meaning of its own, has this name. */
static bool is_reserved(const parser *p, const char *name, size_t size)
{
    size_t bare = size;
    if (axis_suffix(p, name, &bare) && (q_reduction_find(name, bare) || same("Repeat", name, bare))) return true;
    return is_declaration(name, size) || q_op_find(name, size) || q_sugar_find(name, size) ||
           find_special(name, size) < Q_COUNT(specials) || same("I", name, size) || same("J", name, size);
}

typedef struct guess {
    char name[64];
    int distance;
} guess;

static void consider(guess *best, const char *wrong, const char *known, const char *suffix)
{
    char name[64];
    snprintf(name, sizeof name, "%s%s", known, suffix);
    int distance = q_edit_distance(wrong, name);
    if (distance < best->distance) {
        best->distance = distance;
        memcpy(best->name, name, sizeof name);
    }
}

/* Completes the error record with the known name that is nearest to a wrong one. */
static void suggest(const parser *p, const char *text, size_t size, bool function)
{
    char wrong[64];
    snprintf(wrong, sizeof wrong, "%.*s", (int)(size < 63 ? size : 63), text);
    guess best = {.distance = size < 2 ? 1 : size < 6 ? 2 : 3};
    for (int op = Q_OP_SUM; function && op < Q_OP_REDUCTION; op++) consider(&best, wrong, q_ops[op].name, "");
    for (int op = Q_OP_REDUCTION + 1; function && op < Q_OP_END; op++) {
        consider(&best, wrong, q_ops[op].name, "_j");
        consider(&best, wrong, q_ops[op].name, "_i");
    }
    for (size_t s = 0; function && s < q_sugar_count; s++) consider(&best, wrong, q_sugar[s].name, "");
    for (size_t n = 0; !function && n < p->name_count; n++) consider(&best, wrong, p->names[n].name, "");
    if (best.name[0]) q_fail_next_step("did you mean %s?", best.name);
    else if (function) q_fail_next_step("docs/formulas.md lists what there is");
    else q_fail_next_step("bind it first: %s=Vi(3); for an i-variable of length 3, or %s=...; for a formula", wrong, wrong);
}

static void bind(parser *p, const char *text, size_t size, q_id id)
{
    if (!ok(p)) return;
    char *name = q_arena_strdup(&p->graph->arena, text, size);
    if (!name || !q_grow(&p->names, &p->name_capacity, p->name_count + 1, sizeof(q_binding))) {
        p->graph->status = q_fail_memory(size);
        return;
    }
    p->names[p->name_count++] = (q_binding){name, id};
}

static q_id bound(const parser *p, const char *text, size_t size)
{
    for (size_t n = p->name_count; n-- > 0;)
        if (same(p->names[n].name, text, size)) return p->names[n].id;
    for (size_t n = 0; p->scope && n < p->scope->count; n++)
        if (same(p->scope->names[n].name, text, size)) return p->scope->names[n].id;
    return 0;
}

static q_id wildcard(parser *p, char letter)
{
    q_node node = {.op = Q_OP_WILD, .dim = 1, .k = {letter}};
    return q_intern(p->graph, &node);
}

static q_id look_up(parser *p, const char *text, size_t size, size_t at)
{
    q_id id = bound(p, text, size);
    if (id) return id;
    if (same("I", text, size)) return q_index(p->graph, Q_I);
    if (same("J", text, size)) return q_index(p->graph, Q_J);
    if (same("K", text, size) && p->scope && p->scope->reduced) return q_index(p->graph, p->scope->reduced);
    if (size == 1 && p->scope && p->scope->wild) return wildcard(p, *text);
    if (is_reserved(p, text, size)) {
        fail_at(p, QUERN_SYNTAX, at, "%.*s is a function: it needs its operands in brackets", (int)size, text);
        return 0;
    }
    fail_at(p, QUERN_NAME, at, "the name %.*s is not bound to anything", (int)(size < 80 ? size : 80), text);
    suggest(p, text, size, false);
    return 0;
}

// ---- calls ----

/* Vi(3) as the whole of a statement that binds a name; Vi(0,3) and Var(0,3,cat) anywhere. */
static q_id declare(parser *p, const char *name, size_t size, size_t at, const q_id *args, size_t count)
{
    int32_t k[3] = {0};
    bool full = same("Var", name, size);
    if (count != (full ? 3u : 2u) && (full || count != 1)) {
        fail_at(p, QUERN_SYNTAX, at, full ? "Var takes number, length and category: Var(0,3,1)" : "%.*s takes a length, or a number and a length",
                (int)size, name);
        return 0;
    }
    for (size_t a = 0; a < count; a++)
        if (!as_integer(p->graph, args[a], &k[a]) || k[a] < 0) {
            fail_at(p, QUERN_SYNTAX, at, "the arguments of %.*s must be whole numbers", (int)size, name);
            return 0;
        }
    uint8_t axis = full ? (uint8_t)(k[2] == 0 ? Q_I : k[2] == 1 ? Q_J : Q_P) : (uint8_t)(name[0] == 'P' ? Q_P : name[1] == 'i' ? Q_I : Q_J);
    if (full && k[2] > 2) {
        fail_at(p, QUERN_SYNTAX, at, "the category of Var is 0 (i), 1 (j) or 2 (parameter), not %d", k[2]);
        return 0;
    }
    char own[80];
    if (count > 1) {
        snprintf(own, sizeof own, "%d", k[0]);
        return q_variable_make(p->graph, own, axis, k[1]);
    }
    size_t start = p->bind_at + p->bind_size;
    while (isspace((unsigned char)p->text[start]) || p->text[start] == '=') start++;
    if (!p->bind_size || start != at || (peek(p) && peek(p) != ';')) {
        fail_at(p, QUERN_SYNTAX, at, "%.*s(%d) declares a variable and must be a statement of its own", (int)size, name, k[0]);
        q_fail_next_step("write x=%.*s(%d); before the formula, or give a number: %.*s(0,%d)", (int)size, name, k[0], (int)size, name, k[0]);
        return 0;
    }
    snprintf(own, sizeof own, "%.*s", (int)(p->bind_size < 79 ? p->bind_size : 79), p->text + p->bind_at);
    return q_variable_make(p->graph, own, axis, k[0]);
}

static bool check_count(parser *p, const char *name, size_t size, size_t at, size_t given, size_t wanted)
{
    if (given == wanted) return true;
    fail_at(p, QUERN_SYNTAX, at, "%.*s takes %zu argument%s, not %zu", (int)size, name, wanted, wanted == 1 ? "" : "s", given);
    return false;
}

/* The last of the arguments as an integer parameter. */
static bool integer_argument(parser *p, const char *name, size_t size, q_id arg, size_t at, int32_t *out)
{
    if (as_integer(p->graph, arg, out)) return true;
    /* in patterns of rules.def an integer may be a wildcard: its letter stands for it, below zero */
    if (p->scope && p->scope->wild && q_node_of(p->graph, arg)->op == Q_OP_WILD) {
        *out = INT32_MIN + q_node_of(p->graph, arg)->k[0];
        return true;
    }
    fail_at(p, QUERN_SYNTAX, at, "%.*s needs a whole number here", (int)size, name);
    return false;
}

static q_id call_op(parser *p, q_op op, const value *args, size_t count, size_t at)
{
    const q_op_row *row = &q_ops[op];
    size_t operands = (size_t)row->operands, integers = (size_t)row->integers, size = strlen(row->name);
    if (!check_count(p, row->name, size, at, count, operands + integers)) return 0;
    q_id ids[3];
    int32_t k[2] = {0};
    for (size_t a = 0; a < operands; a++) ids[a] = args[a].id;
    for (size_t i = 0; i < integers; i++)
        if (!integer_argument(p, row->name, size, args[operands + i].id, args[operands + i].at, &k[i])) return 0;
    return q_apply(p->graph, op, ids, operands, k, integers);
}

static q_id call_sugar(parser *p, const q_sugar_row *row, const value *args, size_t count, size_t at)
{
    q_scope scope = {0};
    for (const char *letter = row->parameters; *letter; letter += letter[1] ? 2 : 1) {
        static const char *const letters[] = {"a", "b", "c", "k", "l"};
        for (size_t l = 0; l < Q_COUNT(letters); l++)
            if (*letter == *letters[l]) scope.names[scope.count].name = letters[l];
        if (scope.count < count) scope.names[scope.count].id = args[scope.count].id;
        scope.count++;
    }
    if (!check_count(p, row->name, strlen(row->name), at, count, scope.count)) return 0;
    for (size_t a = 0; a < count; a++) {
        int32_t k;
        bool integer = *scope.names[a].name >= 'k';
        if (integer && !integer_argument(p, row->name, strlen(row->name), args[a].id, args[a].at, &k)) return 0;
    }
    return q_parse_row(p->graph, row->body, 0, &scope);
}

/* Sum_j(F) and KeOps's Sum_Reduction(F,0), whose last integer is 0 for one output per i, be they all equal. */
static q_id call_reduction(parser *p, q_op op, uint8_t axis, const value *args, size_t count, size_t at, size_t size)
{
    const char *name = q_ops[op].name;
    int32_t along = 0;
    if (!check_count(p, p->text + at, size, at, count, axis ? 1 : 2)) return 0;
    if (!axis && (!integer_argument(p, name, strlen(name), args[1].id, args[1].at, &along) || along < 0 || along > 1)) {
        fail_at(p, QUERN_SYNTAX, args[1].at, "the last argument of %s_Reduction is 0 (reduce over j) or 1 (over i)", name);
        return 0;
    }
    if (axis) return q_reduce(p->graph, op, axis, args[0].id);
    return q_repeat(p->graph, q_reduce(p->graph, op, along == 0 ? Q_J : Q_I, args[0].id), along == 0 ? Q_I : Q_J);
}

static q_id call(parser *p, size_t at, size_t size, const value *args, size_t count)
{
    const char *name = p->text + at;
    size_t bare = size;
    uint8_t axis = axis_suffix(p, name, &bare);
    static const char reduction_suffix[] = "_Reduction";
    size_t suffix = sizeof reduction_suffix - 1;
    bool keops = size > suffix && memcmp(name + size - suffix, reduction_suffix, suffix) == 0;
    q_op reduction = axis ? q_reduction_find(name, bare) : keops ? q_reduction_find(name, size - suffix) : Q_OP_NONE;
    q_id ids[3] = {0};
    for (size_t a = 0; a < count && a < 3; a++) ids[a] = args[a].id;
    locate(p, at);
    if (reduction) return call_reduction(p, reduction, axis, args, count, at, size);
    if (axis && same("Repeat", name, bare)) return check_count(p, name, size, at, count, 1) ? q_repeat(p->graph, ids[0], axis) : 0;
    if (is_declaration(name, size)) return declare(p, name, size, at, ids, count);
    size_t s = find_special(name, size);
    if (s < Q_COUNT(specials)) return check_count(p, name, size, at, count, specials[s].operands) ? specials[s].apply(p, ids) : 0;
    q_op op = q_op_find(name, size);
    if (op && op != Q_OP_REPEAT) return call_op(p, op, args, count, at);
    const q_sugar_row *sugar = q_sugar_find(name, size);
    if (sugar) return call_sugar(p, sugar, args, count, at);
    fail_at(p, QUERN_NAME, at, "there is no function %.*s", (int)(size < 80 ? size : 80), name);
    suggest(p, name, size, true);
    return 0;
}

// ---- the loop ----

static void open_bracket(parser *p, size_t at, size_t name_size)
{
    if (++p->nesting > Q_MAX_NESTING) {
        fail_at(p, QUERN_LIMIT, at, "brackets are nested deeper than %d", Q_MAX_NESTING);
        q_fail_next_step("bind inner parts to names: k=...; then use k");
    }
    push_pending(p, (pending){.symbol = "(", .at = at, .name_size = name_size});
}

static void close_bracket(parser *p)
{
    reduce(p, 1, false);
    if (!ok(p)) return;
    if (!p->stack_count) {
        fail_at(p, QUERN_SYNTAX, p->now.at, "this ) closes nothing");
        return;
    }
    pending open = p->stack[--p->stack_count];
    p->nesting--;
    if (!open.name_size) return;
    const value *args = p->values ? p->values + open.base : NULL;
    q_id id = call(p, open.at, open.name_size, args, p->value_count - open.base);
    p->value_count = open.base;
    push_value(p, id, open.at);
}

static void read_operand(parser *p)
{
    token t = p->now;
    const char *text = p->text + t.at;
    p->wants_operand = false;
    if (t.kind == T_NUMBER) {
        push_value(p, q_constant(p->graph, t.number, 1), t.at);
    } else if (t.kind == T_NAME && peek(p) == '(') {
        next(p);
        open_bracket(p, t.at, t.size);
        p->wants_operand = peek(p) != ')';
    } else if (t.kind == T_NAME) {
        push_value(p, look_up(p, text, t.size, t.at), t.at);
    } else if (is(p, "(")) {
        open_bracket(p, t.at, 0);
        p->wants_operand = true;
    } else if (is(p, "-") || is(p, "+")) {
        if (*text == '-') push_pending(p, (pending){.symbol = "-", .precedence = UNARY_PRECEDENCE, .at = t.at});
        p->wants_operand = true;
    } else if (t.kind == T_END) {
        fail_at(p, QUERN_SYNTAX, t.at, "the formula ends where a value is expected");
    } else {
        fail_at(p, QUERN_SYNTAX, t.at, "a value is expected here, not '%.*s'", (int)t.size, text);
    }
}

static void read_comma(parser *p)
{
    reduce(p, 1, false);
    if (ok(p) && p->stack_count && !p->stack[p->stack_count - 1].name_size)
        fail_at(p, QUERN_SYNTAX, p->now.at, "a comma stands between arguments or results, not in plain brackets");
    if (!p->stack_count && p->bind_size) fail_at(p, QUERN_SYNTAX, p->now.at, "a name is bound to one value, not to several");
    if (!p->stack_count && p->value_count >= Q_MAX_RESULTS)
        fail_at(p, QUERN_LIMIT, p->now.at, "a formula has at most %d results", Q_MAX_RESULTS);
    p->wants_operand = true;
}

static void read_operator(parser *p)
{
    const infix_row *infix = find_infix(p);
    if (infix) {
        reduce(p, infix->precedence, infix->right);
        push_pending(p, (pending){.symbol = infix->symbol, .precedence = infix->precedence, .at = p->now.at});
        p->wants_operand = true;
    } else if (is(p, ",")) {
        read_comma(p);
    } else if (is(p, ")")) {
        close_bracket(p);
    } else {
        fail_at(p, QUERN_SYNTAX, p->now.at, "an operator is expected here, not '%.*s'", (int)p->now.size, p->text + p->now.at);
    }
}

/* NAME = at the start of a statement. */
static void read_binding(parser *p)
{
    p->bind_size = 0;
    size_t after = p->at;
    while (isspace((unsigned char)p->text[after])) after++;
    if (p->now.kind != T_NAME || p->text[after] != '=' || p->text[after + 1] == '=') return;
    const char *name = p->text + p->now.at;
    size_t size = p->now.size;
    if (size > 63) fail_at(p, QUERN_LIMIT, p->now.at, "a name has at most 63 letters, this one has %zu", size);
    if (is_reserved(p, name, size)) fail_at(p, QUERN_NAME, p->now.at, "%.*s is the name of a function", (int)size, name);
    if (bound(p, name, size)) fail_at(p, QUERN_NAME, p->now.at, "%.*s is bound twice", (int)size, name);
    p->bind_at = p->now.at;
    p->bind_size = size;
    next(p);
    next(p);
}

static void read_statement(parser *p)
{
    p->value_count = 0;
    p->wants_operand = true;
    read_binding(p);
    while (ok(p)) {
        bool ends = p->now.kind == T_END || is(p, ";");
        if (ends && !p->wants_operand) break;
        if (p->wants_operand) read_operand(p);
        else read_operator(p);
        if (ok(p)) next(p);
    }
    reduce(p, 1, false);
    if (ok(p) && p->stack_count) fail_at(p, QUERN_SYNTAX, p->stack[p->stack_count - 1].at, "this bracket is not closed");
    if (ok(p) && p->bind_size) bind(p, p->text + p->bind_at, p->bind_size, p->values[0].id);
}

static void release(parser *p)
{
    free(p->values);
    free(p->stack);
    free(p->names);
}

/* Several statements; the last one's values are the result. An empty statement after the last ';' is allowed. */
static void read_statements(parser *p)
{
    next(p);
    while (ok(p)) {
        read_statement(p);
        if (!ok(p) || p->now.kind == T_END) return;
        next(p);
        if (p->now.kind == T_END) return;
    }
}

quern_status q_parse(q_graph *graph, const char *text, q_id *results, size_t *count)
{
    *count = 0;
    if (graph->status) return graph->status;
    if (strlen(text) > Q_MAX_TEXT)
        return graph->status = q_fail(QUERN_LIMIT, "the formula text has %zu bytes; the limit is %d", strlen(text), Q_MAX_TEXT);
    parser p = {.graph = graph, .text = text};
    graph->text = text;
    read_statements(&p);
    graph->text = NULL;
    for (size_t v = 0; ok(&p) && v < p.value_count; v++) results[(*count)++] = p.values[v].id;
    release(&p);
    return graph->status;
}

q_id q_parse_row(q_graph *graph, const char *text, size_t part, const q_scope *scope)
{
    if (graph->status) return 0;
    parser p = {.graph = graph, .text = text, .scope = scope};
    next(&p);
    for (size_t s = 0; ok(&p); s++) {
        read_statement(&p);
        if (s == part || p.now.kind == T_END) break;
        next(&p);
    }
    q_id id = ok(&p) && p.value_count == 1 ? p.values[0].id : 0;
    release(&p);
    return id;
}
