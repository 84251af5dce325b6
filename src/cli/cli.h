/*
 * cli.h: the tool `quern`, which uses only the public headers of the library.
 *
 * A command is a function of its words that returns a quern_status, which becomes the exit code (quern/status.def).
 * Data goes to stdout, everything else to stderr; whoever returns a status other than QUERN_OK has said why on stderr.
 * The banners follow the files of src/cli.
 */
#ifndef QUERN_CLI_H
#define QUERN_CLI_H

#include <stdbool.h>
#include <stddef.h>

#include "quern.h"

#define CLI_COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define CLI_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))

// main.c: dispatch, help

int main(int argc, char **argv);

// options.c: what all commands share: errors, words and options, opening a device, gradients

/* Prints "quern: " and the text to stderr; returns `status`. */
quern_status cli_fail(quern_status status, const char *fmt, ...) CLI_PRINTF(2, 3);
/* Prints quern's record of its last error to stderr; returns `status`. `about` (a file, a variable) may be null. */
quern_status cli_fail_quern(quern_status status, const char *about);
/* MEMORY, for a host allocation. */
quern_status cli_fail_memory(void);
/* Flushes stdout; IO, unless `status` is a failure already, when something was not written. */
quern_status cli_finish(quern_status status);

/* Words in the order given; `items` are borrowed from argv, the list itself is for free(). */
typedef struct cli_list {
    const char **items;
    size_t count;
} cli_list;

/* An option: exactly one of the targets is set. */
typedef struct cli_option {
    const char *name;  /* "--stage", "-o" */
    const char **text; /* takes a value, which is stored here; at most once */
    cli_list *list;    /* takes a value, which is appended; any number of times */
    bool *flag;        /* takes no value */
} cli_option;

/* Sorts the arguments after the command into options ("--stage=plan" and "--stage plan" alike) and `words`; what
   follows
   "--" are words. Lists must be zeroed and are for free() also after a failure. USAGE, MEMORY. */
quern_status cli_parse(int argc, char **argv, const cli_option *options, size_t count, cli_list *words);
/* "f32", "f64" or null, which leaves QUERN_NUMBER. USAGE. */
quern_status cli_parse_dtype(const char *text, quern_dtype *dtype);
/* A decimal count of at least 1, or null, which leaves 0. `option` is for the message. USAGE. */
quern_status cli_parse_count(const char *text, const char *option, int64_t *count);
/* Opens the device that `device` names (null: the default); `verbose` prints the library's log lines to stderr. */
quern_status cli_open(quern_context **context, const char *device, bool verbose);

/* Replaces *op by its gradient with respect to `var`. */
quern_status cli_differentiate(quern_operator **op, const char *var);

// cache.c, devices.c, doctor.c, eval.c, explain.c, ops.c, tune.c: the commands; argv[0] is the command's name

quern_status cli_cache(int argc, char **argv);
quern_status cli_devices(int argc, char **argv);
quern_status cli_doctor(int argc, char **argv);
quern_status cli_eval(int argc, char **argv);
quern_status cli_explain(int argc, char **argv);
quern_status cli_ops(int argc, char **argv);
quern_status cli_tune(int argc, char **argv);

// input.c: the arguments NAME=... of eval

/* Where the data of an argument comes from. */
typedef struct cli_source {
    bool typed; /* numbers of the command line, not a file */
    bool ours;  /* for free(), not for quern_free */
} cli_source;

typedef struct cli_inputs {
    quern_arg *args; /* names and data are owned */
    cli_source *sources;
    size_t count;
    int64_t M, N; /* --M and --N: rows where no array tells them; 0 if not given */
    bool stdin_taken;
} cli_inputs;

/* Reads every word as NAME=FILE.npy, NAME=NUMBER or NAME=1,2,3. With `dtype` other than QUERN_NUMBER all arrays are
   converted to it; otherwise typed numbers take the element type of the first file, float32 if there is none.
   `inputs` is for cli_inputs_free also after a failure. USAGE, MEMORY, and those of quern_npy_read. */
quern_status cli_inputs_read(cli_inputs *inputs, const char **words, size_t count, quern_dtype dtype);
/* Gives typed numbers, and one-axis files that stand for a parameter, the shape of the operator's variable. */
void cli_inputs_fit(cli_inputs *inputs, const quern_operator *op);
/* Bytes of an element of an array. */
size_t cli_element_size(quern_dtype dtype);
/* The float type of results: `wanted`, else that of the first array with one, else float32. */
quern_dtype cli_inputs_dtype(const cli_inputs *inputs, quern_dtype wanted);
/* The rows of a value with this axis: 1 for 'p', else those of the first input for such a variable, else --M or --N;
   -1 when nothing tells. */
int64_t cli_inputs_rows(const cli_inputs *inputs, const quern_operator *op, char axis);
void cli_inputs_free(cli_inputs *inputs);

// output.c: the results of eval

/* The results of an operator, with arrays that cli_results_free releases. */
typedef struct cli_results {
    quern_view *views;
    quern_value *values;
    size_t count;
} cli_results;

quern_status cli_results_create(cli_results *results, const quern_operator *op, const cli_inputs *inputs,
                                quern_dtype dtype);
void cli_results_free(cli_results *results);
/* Fails before any work is done if a path cannot become a file: directory missing or not writable, named twice. */
quern_status cli_outputs_check(const cli_list *paths);
/* Writes result k to path k ("-": stdout); either all files appear or, as far as the system lets us, none. */
quern_status cli_outputs_write(const cli_list *paths, const cli_results *results);
quern_status cli_results_print(const cli_results *results);      /* rows of text to stdout */
quern_status cli_results_print_json(const cli_results *results); /* {"results": [...]} to stdout */

#endif
