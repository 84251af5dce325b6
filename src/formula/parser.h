/*
 * parser.h: the state of the parser, which only parse.c (the shunting yard) and call.c (names and functions) look at.
 */
#ifndef QUERN_PARSER_H
#define QUERN_PARSER_H

#include "formula/formula.h"

typedef enum q_token_kind { Q_T_END, Q_T_NUMBER, Q_T_NAME, Q_T_OPERATOR } q_token_kind;

typedef struct q_token {
    q_token_kind kind;
    size_t at, size;
    double number;
} q_token;

/* A value, or a list of them: [1,2]. */
typedef struct q_parsed {
    q_id id; /* 0 for lists */
    size_t at;
    size_t first, count; /* lists: items[first .. first + count) of the parser */
} q_parsed;

/* An operator, or an open bracket (precedence 0), that waits for its last operand. */
typedef struct q_pending {
    const char *symbol; /* "(" for brackets */
    int precedence;
    size_t at;
    size_t name_size; /* brackets of calls: length of the name at `at`; 0 for plain brackets */
    size_t base;      /* brackets: number of values before them */
} q_pending;

typedef struct q_parser {
    q_graph *graph;
    const char *text;
    const q_scope *scope; /* null for the user's text */
    size_t at;
    q_token now;
    bool wants_operand;
    q_parsed *values;
    size_t value_count, value_capacity;
    q_pending *stack;
    size_t stack_count, stack_capacity;
    size_t nesting;
    q_id *items; /* of lists */
    size_t item_count, item_capacity;
    q_names names;
    size_t bind_at, bind_size; /* the name that this statement binds; size 0 for none */
} q_parser;

// parse.c

static inline bool q_parse_ok(const q_parser *p)
{
    return !p->graph->status;
}

/* Fails at a byte of the user's text; in a table's formula, where the user's text uses it. */
void q_parse_fail(q_parser *p, quern_status status, size_t at, const char *fmt, ...) Q_PRINTF(4, 5);
/* The next character that is not white space. */
char q_parse_peek(const q_parser *p);
/* A list of `count` values. */
q_parsed q_parse_list(q_parser *p, const q_id *ids, size_t count, size_t at);

// call.c

/* What a name without brackets stands for; 0 on failure. */
q_id q_parse_name(q_parser *p, const char *name, size_t size, size_t at);
/* Applies the function at byte `at` of the text to its arguments. */
q_parsed q_parse_call(q_parser *p, size_t at, size_t size, const q_parsed *args, size_t count);
/* The value that a statement or a table's scope has bound to the name; 0 for none. */
q_id q_parse_bound(const q_parser *p, const char *name, size_t size);
/* Whether a function, or a letter with a meaning of its own, has this name. */
bool q_parse_reserved(const q_parser *p, const char *name, size_t size);
/* A constant of length 1 that is a whole number. */
bool q_parse_integer(const q_graph *graph, q_id id, int32_t *out);

static inline bool q_parse_same(const char *name, const char *text, size_t size)
{
    size_t k = 0;
    while (k < size && name[k] == text[k] && name[k]) k++;
    return k == size && !name[k];
}

#endif
