/*
 * ops.c: `quern ops`: the functions of the formula language by family, as text, JSON or Markdown. What there is comes
 * from quern_language; here it is only laid out.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "cli.h"
#include "quern/build.h"

enum { MOST = 512, CALL = 160 };

typedef struct listing {
    quern_function_info rows[MOST];
    size_t count;
} listing;

static const char introduction[] =
    "# Functions and reductions\n"
    "\n"
    "Printed by `quern ops --markdown`; a test compares. [formulas.md](formulas.md) tells how formulas are written,\n"
    "with examples.\n"
    "\n"
    "Operands are vectors of fixed length. `a b c` stand for them, `k l` for whole numbers, `n m` for the lengths of\n"
    "`a` and `b`. The operands of an elementwise function have equal length, or length 1, which is repeated; its\n"
    "result has that length. A derivative is the adjoint that flows to each operand, separated by semicolons, where\n"
    "`r` is the result and `g` its adjoint; 0 stands for no dependence. A definition is the formula that the name is\n"
    "short for. Names with `_j` exist with `_i` too and reduce over that index; `K` in their derivatives is its\n"
    "number, `_k` stands for the same suffix, and KeOps's `Sum_Reduction(a,0)` for `Sum_j(a)`.\n";

static void collect(listing *all)
{
    all->count = 0;
    while (all->count < MOST && quern_language(all->count, &all->rows[all->count])) all->count++;
}

/* "Extract(a,k,l)", "Sum_j(a)", "I" */
static void write_call(char out[CALL], const quern_function_info *row)
{
    const char *suffix = row->over_axis ? "_j" : "";

    if (*row->arguments) snprintf(out, CALL, "%s%s(%s)", row->name, suffix, row->arguments);
    else snprintf(out, CALL, "%s%s", row->name, suffix);
}

/* Whether no earlier row has this family. */
static bool opens_family(const listing *all, size_t at)
{
    for (size_t k = 0; k < at; k++)
        if (!strcmp(all->rows[k].family, all->rows[at].family)) return false;
    return true;
}

/* Calls `print` for each family's title with a null row, then for its rows. */
static void each_family(const listing *all, void (*print)(const char *family, const quern_function_info *row))
{
    for (size_t first = 0; first < all->count; first++) {
        const char *family = all->rows[first].family;
        if (!opens_family(all, first)) continue;
        print(family, NULL);
        for (size_t k = first; k < all->count; k++)
            if (!strcmp(all->rows[k].family, family)) print(family, &all->rows[k]);
    }
}

/* ---- text ------------------------------------------------------------------------------------------------------- */

static void print_text(const char *family, const quern_function_info *row)
{
    char call[CALL];

    if (!row) {
        printf("\n%s\n", family);
        return;
    }
    write_call(call, row);
    printf("  %-26s %s\n", call, row->meaning);
}

static void print_detail(const quern_function_info *row)
{
    char call[CALL];

    write_call(call, row);
    printf("%s\n  %s\n  kind        %s\n  family      %s\n", call, row->meaning, row->kind, row->family);
    if (*row->length) printf("  length      %s\n", row->length);
    if (*row->derivative) printf("  derivative  %s\n", row->derivative);
    if (*row->definition) printf("  definition  %s\n", row->definition);
}

/* ---- which are meant -------------------------------------------------------------------------------------------- */

/* How a row is meant by a word: by its name, with its axis or without; by a part of that; by a word of its meaning. */
typedef enum fit { BY_NAME, BY_PART, BY_MEANING, FITS } fit;

enum { FEW = 4 }; /* rows of which all is told */

static bool contains(const char *text, const char *part)
{
    size_t size = strlen(part);

    for (; *text; text++)
        if (!strncasecmp(text, part, size)) return true;
    return false;
}

/* Whether the word is the row's name, whatever the case. */
static bool is_name(const quern_function_info *row, const char *word)
{
    static const char *const suffixes[] = {"", "_i", "_j", "_Reduction"};
    size_t size = strlen(row->name);

    if (strncasecmp(word, row->name, size)) return false;
    for (size_t k = 0; k < (row->over_axis ? CLI_COUNT(suffixes) : 1); k++)
        if (!strcasecmp(word + size, suffixes[k])) return true;
    return false;
}

static bool fits(const quern_function_info *row, const char *word, fit how)
{
    char call[CALL];

    if (how == BY_NAME) return is_name(row, word);
    if (how == BY_MEANING) return contains(row->meaning, word) || contains(row->family, word);
    snprintf(call, sizeof call, "%s%s", row->name, row->over_axis ? "_j" : "");
    return contains(call, word);
}

static bool has_row(const listing *list, const quern_function_info *row)
{
    for (size_t k = 0; k < list->count; k++)
        if (list->rows[k].name == row->name && list->rows[k].kind == row->kind) return true;
    return false;
}

/* Adds to `chosen` the rows that the word means in the first way in which there are any, those of other ways to `others`;
   whether there are any. */
static bool add_rows(listing *chosen, listing *others, const listing *all, const char *word)
{
    bool found = false;

    for (int how = *word ? BY_NAME : FITS; how < FITS; how++) {
        listing *list = found ? others : chosen;
        size_t before = list->count;
        for (size_t k = 0; k < all->count && list->count < MOST; k++)
            if (fits(&all->rows[k], word, (fit)how) && !has_row(chosen, &all->rows[k]) &&
                !has_row(others, &all->rows[k]))
                list->rows[list->count++] = all->rows[k];
        found = found || list->count > before;
    }
    return found;
}

/* Names the functions that are spelled most like the word. */
static quern_status unknown_name(const listing *all, const char *word)
{
    char names[256] = "";
    size_t least = SIZE_MAX, size = 0;

    for (size_t k = 0; k < all->count; k++) {
        size_t distance = cli_distance(word, all->rows[k].name);
        if (distance < least) least = distance;
    }
    for (size_t k = 0; k < all->count && *word && cli_is_near(least, word) && size < sizeof names - 64; k++) {
        if (cli_distance(word, all->rows[k].name) != least || contains(names, all->rows[k].name)) continue;
        size += (size_t)snprintf(names + size, sizeof names - size, "%s%s", size ? ", " : "", all->rows[k].name);
    }
    return cli_fail(QUERN_NAME, "there is no function %s%s%s; `quern ops` lists them", word,
                    *names ? "; did you mean " : "", names);
}

/* Keeps the rows that the words mean, in the order of the words, and puts others that they may mean into `others`. */
static quern_status select_rows(listing *all, listing *others, const cli_list *words)
{
    listing *chosen = calloc(1, sizeof *chosen);
    quern_status status = chosen ? QUERN_OK : cli_fail_memory();

    for (size_t w = 0; w < words->count && !status; w++)
        if (!add_rows(chosen, others, all, words->items[w])) status = unknown_name(all, words->items[w]);
    if (!status) *all = *chosen;
    free(chosen);
    return status;
}

/* ---- JSON ------------------------------------------------------------------------------------------------------- */

static quern_status print_json(const listing *all)
{
    json_t *list = json_array();

    for (size_t k = 0; k < all->count; k++) {
        const quern_function_info *row = &all->rows[k];
        json_array_append_new(list,
                              json_pack("{s:s, s:s, s:s, s:b, s:s, s:s, s:s, s:s, s:s}", "name", row->name, "family",
                                        row->family, "kind", row->kind, "over_axis", row->over_axis, "arguments",
                                        row->arguments, "length", row->length, "meaning", row->meaning, "derivative",
                                        row->derivative, "definition", row->definition));
    }
    return cli_print_json(list, 1);
}

/* ---- Markdown --------------------------------------------------------------------------------------------------- */

/* A cell of a table, in which a bar must be escaped, and, outside code, an asterisk. */
static void print_cell(const char *text, bool code)
{
    printf(" ");
    if (code && *text) putchar('`');
    for (; *text; text++) {
        if (*text == '|' || (*text == '*' && !code)) putchar('\\');
        putchar(*text);
        if (!text[1] && code) putchar('`');
    }
    printf(" |");
}

static void print_markdown(const char *family, const quern_function_info *row)
{
    char call[CALL];

    if (!row) {
        printf("\n## %c%s\n\n", family[0] - 'a' + 'A', family + 1);
        printf("| text | length | meaning | derivative or definition |\n|---|---|---|---|\n");
        return;
    }
    write_call(call, row);
    printf("|");
    print_cell(call, true);
    print_cell(row->length, true);
    print_cell(row->meaning, false);
    print_cell(*row->definition ? row->definition : row->derivative, true);
    putchar('\n');
}

/* ---- the command ------------------------------------------------------------------------------------------------ */

static void print_chosen(const listing *all, const listing *others, size_t words)
{
    bool few = all->count <= FEW * words;

    for (size_t k = 0; k < all->count; k++)
        if (few) print_detail(&all->rows[k]);
        else print_text(NULL, &all->rows[k]);
    if (others->count) printf("\nSee also\n");
    for (size_t k = 0; k < others->count; k++) print_text(NULL, &others->rows[k]);
}

typedef struct request {
    bool json, markdown;
} request;

static quern_status print(listing lists[2], const cli_list *words, const request *r)
{
    listing *all = &lists[0], *others = &lists[1];
    quern_status status = words->count ? select_rows(all, others, words) : QUERN_OK;

    if (status) return status;
    if (r->json) return print_json(all);
    if (r->markdown) {
        fputs(introduction, stdout);
        each_family(all, print_markdown);
    } else if (words->count) {
        print_chosen(all, others, words->count);
    } else {
        printf("Functions by family; `quern ops NAME` tells more. Names with _j exist with _i too.\n");
        each_family(all, print_text);
    }
    return QUERN_OK;
}

static const cli_option options[] = {
    {"--json", CLI_FLAG, offsetof(request, json), "",
     "print [{name, family, kind, over_axis, arguments, length, meaning, derivative, definition}]"},
    {"--markdown", CLI_FLAG, offsetof(request, markdown), "", "print a document with all of them"},
};

static quern_status run(int argc, char **argv)
{
    request r = {0};
    cli_list words = {NULL, 0};
    listing *lists = calloc(2, sizeof *lists);
    quern_status status = lists ? cli_parse(argc, argv, options, CLI_COUNT(options), &r, &words) : cli_fail_memory();

    if (!status && r.json && r.markdown) status = cli_fail(QUERN_USAGE, "--json and --markdown exclude each other");
    if (!status) {
        collect(lists);
        status = print(lists, &words, &r);
    }
    free(words.items);
    free(lists);
    return status;
}

const cli_command cli_ops = {
    .name = "ops",
    .run = run,
    .sentence = "list the functions of the formula language",
    .examples = "quern ops\n"
                "quern ops SqDist KMin_j\n"
                "quern ops max\n"
                "quern ops --json\n",
    .synopsis = "[NAME...] [options]",
    .text =
        "Lists the functions and reductions of the formula language by family, or tells all about those that are\n"
        "named: arguments, length of the result, meaning, derivative, and the formula that it stands for if it is\n"
        "short for one. Case does not matter. Where no function has that name, those are meant that have it as a part\n"
        "of theirs, or else in their meaning; many are listed, a few told all about.\n",
    .words = "",
    .options = options,
    .option_count = CLI_COUNT(options),
};
