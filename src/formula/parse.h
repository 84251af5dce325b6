/*
 * parse.h: what parse.c (text to tokens, operators, statements) and call.c (names and functions) share.
 */
#ifndef QUERN_PARSE_H
#define QUERN_PARSE_H

#include "formula/formula.h"

typedef enum token_kind { T_END, T_NUMBER, T_NAME, T_OPERATOR } token_kind;

typedef struct token {
    token_kind kind;
    size_t at, size;
    double number;
} token;

/* A value, or a list of them: [1,2]. */
typedef struct value {
    q_id id; /* 0 for lists */
    size_t at;
    size_t first, count; /* lists: items[first .. first + count) of the parser */
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
    q_id *items; /* of lists */
    size_t item_count, item_capacity;
    q_names names;
    size_t bind_at, bind_size; /* the name that this statement binds; size 0 for none */
} parser;

// parse.c

static inline bool parse_ok(const parser *p)
{
    return !p->graph->status;
}

/* Fails at a byte of the user's text; in a table's formula, where the user's text uses it. */
void q_parse_fail(parser *p, quern_status status, size_t at, const char *fmt, ...) Q_PRINTF(4, 5);
/* The next character that is not white space. */
char q_parse_peek(const parser *p);
/* A list of `count` values. */
value q_parse_list(parser *p, const q_id *ids, size_t count, size_t at);

// call.c

/* What a name without brackets stands for; 0 on failure. */
q_id q_parse_name(parser *p, const char *name, size_t size, size_t at);
/* Applies the function at byte `at` of the text to its arguments. */
value q_parse_call(parser *p, size_t at, size_t size, const value *args, size_t count);
/* The value that a statement or a table's scope has bound to the name; 0 for none. */
q_id q_parse_bound(const parser *p, const char *name, size_t size);
/* Whether a function, or a letter with a meaning of its own, has this name. */
bool q_parse_reserved(const parser *p, const char *name, size_t size);
/* A constant of length 1 that is a whole number. */
bool q_parse_integer(const q_graph *graph, q_id id, int32_t *out);

static inline bool parse_same(const char *name, const char *text, size_t size)
{
    size_t k = 0;
    while (k < size && name[k] == text[k] && name[k]) k++;
    return k == size && !name[k];
}

#endif
