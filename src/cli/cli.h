/*
 * cli.h: the tool `quern`, which uses only the public headers of the library.
 *
 * A command is a function of its words that returns a quern_status, which becomes the exit code (quern/status.def).
 * Data goes to stdout, everything else to stderr; whoever returns a status other than QUERN_OK has said why on stderr.
 * The banners follow the files of src/cli.
 */
#ifndef QUERN_CLI_H
#define QUERN_CLI_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "quern.h"
#include "quern/npy.h"
#include "quern/solve.h"

#define CLI_COUNT(array) (sizeof(array) / sizeof((array)[0]))
/* What makes a word the plural that so many need. */
#define CLI_S(count) ((count) == 1 ? "" : "s")
#define CLI_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))

// main.c: dispatch, help

int main(int argc, char **argv);

// options.c: what all commands share: errors, words and options, opening a device, gradients

/* How many letters must be changed, added or left out to make one word of the other, whatever their case; words of more
   than 31 letters are cut. */
size_t cli_distance(const char *a, const char *b);
/* Whether a word that far from what was typed may be what was meant. */
bool cli_is_near(size_t distance, const char *typed);
/* Prints "quern: " and the text to stderr; returns `status`. */
quern_status cli_fail(quern_status status, const char *fmt, ...) CLI_PRINTF(2, 3);
/* Prints quern's record of its last error to stderr; returns `status`. `about` (a file, a variable) may be null. */
quern_status cli_fail_quern(quern_status status, const char *about);
/* Prints "quern: " and a note to stderr, unless --quiet was given, which cli_parse has seen. */
void cli_note(const char *fmt, ...) CLI_PRINTF(1, 2);
bool cli_is_quiet(void);
/* Whether --json was given, likewise. */
bool cli_prints_json(void);
/* The name of the command, likewise. */
const char *cli_command_name(void);
/* MEMORY, for a host allocation. */
quern_status cli_fail_memory(void);
/* Whether something was not written to stdout because its reader has gone: `quern ops | head -1`. */
bool cli_reader_left(void);
/* Prints a value, which it releases, to stdout, indented by so many blanks. MEMORY; also for null. */
quern_status cli_print_json(json_t *root, size_t indent);
/* A number; null for one that is not finite, which JSON has none for. */
json_t *cli_json_number(double number);
/* A text of the system's or a driver's, whatever its encoding. */
json_t *cli_json_text(const char *text);
/* Flushes stdout; IO, unless `status` is a failure already, when something was not written; without a word if the reader
   has left. */
quern_status cli_finish(quern_status status);

/* Words in the order given; `items` are borrowed from argv, the list itself is for free(). */
typedef struct cli_list {
    const char **items;
    size_t count;
} cli_list;

/* An option: one row, from which parsing, help, manual page and completions are made. */
typedef enum cli_kind { CLI_FLAG, CLI_TEXT, CLI_LIST } cli_kind; /* no value; one, given at most once; any number */

typedef struct cli_option {
    const char *name; /* "--stage", "-o" */
    cli_kind kind;
    size_t at;           /* offset in the command's request of its bool, const char * or cli_list */
    const char *value;   /* how its value is called; "FILE" first: a file; "a|b": one of these words; "" for a flag */
    const char *meaning; /* lines */
} cli_option;

/* What all commands that open a device have in common; it is the member `open` of their requests. */
typedef struct cli_opening {
    const char *device;
    bool verbose, quiet, progress; /* progress: cli_progress_begin and _end are around all runs */
} cli_opening;

#define CLI_DEVICE(request)                                                                 \
    {                                                                                       \
        "--device", CLI_TEXT, offsetof(request, open.device), "D",                          \
            "gpu, cpu, a selector such as 0:1, or part of a name: see `quern help devices`" \
    }
#define CLI_VERBOSE(request)                                                                     \
    {                                                                                            \
        "--verbose", CLI_FLAG, offsetof(request, open.verbose), "", "log what happens to stderr" \
    }

#define CLI_QUIET(request)                                                                                            \
    {                                                                                                                 \
        "--quiet", CLI_FLAG, offsetof(request, open.quiet), "", "no notes and no progress on stderr; errors are told" \
    }

/* A command and all that is told about it. Texts are lines; in options, text and examples none is wider than a terminal. */
typedef struct cli_command {
    const char *name;
    quern_status (*run)(int argc, char **argv); /* argv[0] is the command's name */
    const char *sentence;
    const char *examples;
    const char *synopsis; /* what follows the name */
    const char *text;     /* what it does, and what its words are */
    const char *notes;    /* what is to be said after the options; may be null */
    const char *words;    /* "a|b": words that it takes, for completions; null: files */
    const cli_option *options;
    size_t option_count;
} cli_command;

/* Sorts the arguments after the command into `request`, by the table of its options ("--stage=plan" and "--stage plan"
   alike), and `words`; what follows "--" are words. Request and lists must be zeroed; lists are for free() also after a
   failure. USAGE, MEMORY. */
quern_status cli_parse(int argc, char **argv, const cli_option *options, size_t count, void *request, cli_list *words);
/* The formula that a command is given: with -f FILE, or as the first word, @FILE, the text of a file, - being stdin; else
   that word itself. *text is for free(), *words the number of words that it took. */
quern_status cli_formula_read(char **text, size_t *taken, const cli_list *words, const char *file);
#define CLI_FORMULA(request, member)                                               \
    {                                                                              \
        "-f", CLI_TEXT, offsetof(request, member), "FILE",                         \
            "read the formula from a file, as @FILE in its place does; - is stdin" \
    }

/* "f32", "f64" or null, which leaves QUERN_NUMBER. USAGE. */
quern_status cli_parse_dtype(const char *text, quern_dtype *dtype);
/* A number, or null, which leaves it as it is. `option` is for the message. USAGE. */
quern_status cli_parse_number(const char *text, const char *option, double *number);
/* The same for one above 0, where 0 stands for what is usual. */
quern_status cli_parse_positive(const char *text, const char *option, double *number);
/* Which of the words in its row's value, "a|b|c", an option is given: their number; 0, the first, for null. USAGE. */
quern_status cli_parse_choice(const char *text, const char *option, const cli_option *options, size_t count,
                              int *choice);
/* A decimal count of at least 1, or null, which leaves 0. `option` is for the message. USAGE. */
quern_status cli_parse_count(const char *text, const char *option, int64_t *count);
/* The number from 0 on of --seed, or null, which leaves 0. USAGE. */
quern_status cli_parse_seed(const char *text, uint64_t *seed);
/* Opens the device that is named, or the default; tells on stderr when the name fits others that are not alike. */
quern_status cli_open(quern_context **context, const cli_opening *open);

// contexts.c

typedef struct cli_contexts {
    quern_context **items;
    size_t count;
} cli_contexts;

/* Opens what open->device names: one device, several with commas, or "all". To be closed even if it fails. */
quern_status cli_contexts_open(cli_contexts *c, const cli_opening *open);
void cli_contexts_close(cli_contexts *c);
#define CLI_DEVICES(request)                                                                           \
    {                                                                                                  \
        "--device", CLI_TEXT, offsetof(request, open.device), "D[,D...]",                              \
            "gpu, cpu, a selector such as 0:1, or part of a name: see `quern help devices`; several\n" \
            "with commas, or all: they share the rows"                                                 \
    }

/* Replaces *op by its gradient, in order for each member of the list: "x", or "x,e" with the weights e. */
quern_status cli_differentiate(quern_operator **op, const cli_list *grad);
#define CLI_GRAD(request)                                                                                \
    {                                                                                                    \
        "--grad", CLI_LIST, offsetof(request, grad), "X[,E]",                                            \
            "the gradient with respect to the variable X instead, with the weights E, a variable like\n" \
            "the result, else all ones; given again, the gradient of that"                               \
    }

// the commands, a file each; manual.c: help and version

extern const cli_command cli_barycentre, cli_block, cli_cache, cli_dbscan, cli_devices, cli_doctor, cli_eigs, cli_eval,
    cli_explain, cli_gmm, cli_gp, cli_kde, cli_kmeans, cli_knn, cli_meanshift, cli_ops, cli_ridge, cli_solve,
    cli_transport, cli_tsne, cli_tune, cli_umap;
extern const cli_command cli_help, cli_version;
/* All of them, in the order of the help; the end has no name. */
extern const cli_command *const cli_commands[];
/* The command of this name, or null; --help and --version are names too. */
const cli_command *cli_find_command(const char *name);
/* Fails with USAGE. */
quern_status cli_unknown_command(const char *name);

// manual.c: help and manual page; complete.c: completions of shells; all made from the tables

/* The help of a command: examples, synopsis, options. */
void cli_print_help(const cli_command *command);
/* Completions for "bash", "zsh" or "fish". USAGE. */
quern_status cli_print_completion(const char *shell);

// loader.c

/* The file of the OpenCL loader; the linker's own text. */
const char *cli_loader_path(void);

// progress.c: what a terminal is told of long runs

/* Whether stderr is a terminal, and --quiet was not given. */
bool cli_progress_wanted(void);
/* Wipes a line of progress there. */
void cli_progress_clear(void);
/* Around a run, on one thread. After a second without a slice done, a line says that a program is being built. */
void cli_progress_begin(void);
void cli_progress_end(void);
/* For quern_context_options.progress: after a second the share done and the time left. */
bool cli_progress(void *unused, double done);

// input.c: the arguments NAME=... of eval

/* Where the data of an argument comes from. */
typedef struct cli_source {
    bool typed;           /* numbers of the command line, not a file */
    bool ours;            /* for free(), not for quern_free */
    bool mapped;          /* for quern_npy_unmap */
    bool picture;         /* a PNG file */
    const char *path;     /* of the file, for messages; borrowed */
    long line;            /* of a table: that of its first row or header */
    quern_npy_source npy; /* of a .npy file */
    uint64_t lost;        /* numbers that the conversion has changed */
} cli_source;

typedef struct cli_inputs {
    quern_arg *args; /* names and data are owned */
    cli_source *sources;
    size_t count;
    int64_t M, N;        /* --M and --N: rows where no array tells them; 0 if not given */
    size_t members;      /* of a ragged batch, or 0 */
    int64_t *offsets[2]; /* its rows i and rows j, or null */
    bool stdin_taken;
    const char *const *whole; /* names of labels, which are read as int64; the end is null; null: none */
} cli_inputs;

/* Reads every word as NAME=FILE, NAME=NUMBER or NAME=1,2,3. With `dtype` other than QUERN_NUMBER all arrays are
   converted to it; otherwise numbers that are not float32 or float64 in a .npy file take the type of the first that are,
   float32 if there are none. Tells on stderr what is converted.
   `inputs` is for cli_inputs_free also after a failure. USAGE, MEMORY, and those of quern_npy_read. */
quern_status cli_inputs_read(cli_inputs *inputs, const char **words, size_t count, quern_dtype dtype);
/* Gives typed numbers, and files that are a parameter's numbers row after row, the shape of the operator's variable. SHAPE. */
quern_status cli_inputs_fit(cli_inputs *inputs, const quern_operator *op);
/* A view of all members of a batch as rows. */
quern_view cli_flat(const quern_view *view);
/* The sizes of the batch that the arrays have in common; where they do not agree, the run says so. */
void cli_inputs_batch(const cli_inputs *inputs, int64_t batch[4]);
/* Bytes of an element of an array. */
size_t cli_element_size(quern_dtype dtype);
/* The float type of results: `wanted`, else that of the first array with one, else float32. */
quern_dtype cli_inputs_dtype(const cli_inputs *inputs, quern_dtype wanted);
/* The rows of a value with this axis: 1 for 'p', else those of the first input for such a variable, else --M or --N;
   -1 when nothing tells. */
int64_t cli_inputs_rows(const cli_inputs *inputs, const quern_operator *op, char axis);
/* An array that is the value of an option: numbers, a .npy file or a table. To be freed even if it fails. */
typedef struct cli_array {
    quern_view view;
    cli_source source;
} cli_array;
quern_status cli_array_read(cli_array *out, const char *text, const char *option);
void cli_array_free(cli_array *array);
double cli_element(const quern_view *view, int64_t k);
/* The same of whole numbers; *out is for free() also after a failure, `shape` is without data. USAGE. */
quern_status cli_integers_read(int64_t **out, quern_view *shape, const char *text, const char *option);
/* The offsets of rows i (which: 0) or j (1), numbers or a .npy file; null: not given. `options` are for messages. USAGE, and those of
   quern_npy_read. */
quern_status cli_offsets_read(cli_inputs *inputs, const char *const options[2], const char *text, int which);
void cli_inputs_free(cli_inputs *inputs);
/* Whether the inputs that were read last have files that are mapped; lets go of what was read of them: in between slices. */
bool cli_inputs_mapped(void);
void cli_inputs_drop(void);

// ranges.c: which rows meet which columns

struct quern_ranges; /* quern/space.h */

typedef struct cli_ranges {
    struct quern_ranges *all; /* null: all rows meet all columns */
    bool ours;                /* its arrays are for free(), else all of it for quern_ranges_destroy */
    int64_t labels[2];        /* rows i and j that have a label; -1: there are no labels */
} cli_ranges;

/* --ranges, --labels and --keep, any of which may be null; to be freed even if it fails. USAGE, SHAPE, MEMORY and those of
   quern_npy_read. */
quern_status cli_ranges_read(cli_ranges *out, const char *ranges, const char *labels, const char *keep);
/* Whether there are as many labels as rows, of all members of a batch. SHAPE. */
quern_status cli_ranges_fit(const cli_ranges *ranges, const cli_inputs *inputs, const quern_operator *op);
void cli_ranges_free(cli_ranges *ranges);

// points.c

/* What a command knows of its arrays of points. */
typedef struct cli_points {
    const char *const *names; /* of them; the end is null */
    size_t plain;             /* of these, the names of words without one, in order */
    const char *const *files; /* of those that options give, or null: by place among the names */
    const char *const *whole; /* the names of labels, as in cli_inputs, or null */
    cli_inputs *parameters;   /* where words of other names go, which are read as float64; null: to the arrays */
} cli_points;

/* cli_inputs_read for clouds of points: numbers that are typed are points on a line, unless they are parameters. */
quern_status cli_points_read(cli_inputs *inputs, const cli_list *words, const cli_points *known, quern_dtype dtype);

// known.c: values at points that commands learn from

typedef struct cli_known {
    cli_inputs arrays, parameters;
    quern_view points, values, at, truth; /* the last two without data where there is none */
} cli_known;

/* Reads points, values, at, truth, and parameters in float64, and makes sure that predictions can be written; `known` is for
   cli_known_free also after a failure. */
quern_status cli_known_read(cli_known *known, const char *command, const cli_list *words, const cli_list *outputs,
                            quern_dtype dtype);
void cli_known_free(cli_known *known);
/* For the `progress` of what learns. */
bool cli_known_progress(void *unused, const char *what, int64_t step, double number);
/* A number of the truth; and the root of the mean square error of predictions, NaN without truth. */
double cli_known_truth(const cli_known *known, int64_t row, int64_t column);
double cli_known_rmse(const cli_known *known, const double *predicted, int64_t stride);

// task.c: what commands of a formula and its arrays have in common

/* The member `task` of their requests. */
typedef struct cli_task {
    const char *file, *dtype_text; /* options */
    cli_list words, outputs;
    char *formula;
    quern_dtype dtype;
    cli_inputs inputs;
} cli_task;

/* Reads the formula and the arrays, and makes sure that results can be written, to `most` files at most; `results` tells what
   there is: "is one solution". The task is for cli_task_free also after a failure. */
quern_status cli_task_read(cli_task *task, const char *command, size_t most, const char *results);
void cli_task_free(cli_task *task);

/* A formula that is linear in a vector, as an operator: the member `linear` of requests. */
typedef struct cli_linear {
    const char *vector, *shift;
    quern_context *context;
    quern_linear *linear;
} cli_linear;

#define CLI_LINEAR(request)                                                                               \
    {"--vector", CLI_TEXT, offsetof(request, linear.vector), "NAME",                                      \
     "what the formula calls the vector that it is linear in; b without it"},                             \
    {                                                                                                     \
        "--shift", CLI_TEXT, offsetof(request, linear.shift), "X", "add X times the vector: noise, ridge" \
    }

/* Opens the device and makes the operator; with `right`, arrays for the vector are among the inputs, of which they become the
   last. To be closed also after a failure. */
quern_status cli_linear_open(cli_linear *l, cli_task *task, const cli_opening *open, bool right);
void cli_linear_close(cli_linear *l);
/* For the `progress` of what is done with it. */
bool cli_linear_progress(void *unused, int64_t iteration, double residual);

// table.c: tables of numbers as text (CSV)

/* Reads all rows as float64; the data is for free(). `name` and `path` are for messages; *line is that of the first row
   or header. IO, LIMIT, MEMORY. */
quern_status cli_table_read(quern_view *view, FILE *file, const char *name, const char *path, long *line);
/* Writes rows of numbers that read back as the same. */
void cli_table_write(FILE *file, const quern_view *view, char delimiter);
/* What separates columns in a file of this name: ',' for .csv, a tab for .tsv; 0 for others, which are no tables. */
char cli_table_delimiter(const char *path);

// picture.c: pictures (PNG) as arrays, if the tool was built with libpng

/* Brightness from 0 to 1, a row for each row of pixels from the top, in float64; the data is for free(). UNSUPPORTED without libpng. */
quern_status cli_picture_read(quern_view *view, FILE *file, const char *name, const char *path);
bool cli_is_picture(const char *path);
/* The largest number is white, and black is 0 and what is below it. `given` is for messages. */
quern_status cli_picture_write(const char *given, const char *path, const quern_view *view);

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
/* Fails before any work is done if a path cannot become a file: directory missing or not writable, named twice; or stdout, where
   JSON goes already. */
quern_status cli_outputs_check(const cli_list *paths);
/* The same where `-o` is for the only result, which is `what`. */
quern_status cli_output_check(const cli_list *paths, const char *what);
/* The file of -o, and another one, as far as they are given: a list in `paths`. */
cli_list cli_paths_of(const char *paths[2], const cli_list *outputs, const char *other);
/* Whether two paths lead to one place, be there a file or not yet. */
bool cli_is_same_file(const char *a, const char *b);
/* A file of text that is complete or not there: begun beside its path, and renamed in the end, or removed after a failure. Both
   print what went wrong; after a failed begin there is nothing to end. */
typedef struct cli_file {
    FILE *stream;
    const char *given;
    char *part, *target;
} cli_file;

quern_status cli_file_begin(cli_file *file, const char *path);
quern_status cli_file_end(cli_file *file, quern_status status);
/* Writes result k to path k ("-": stdout); either all files appear or, as far as the system lets us, none. */
quern_status cli_outputs_write(const cli_list *paths, const cli_results *results);
quern_status cli_results_print(const cli_results *results);      /* rows of text to stdout */
quern_status cli_results_print_json(const cli_results *results); /* {"results": [...]} to stdout */

// resume.c: runs that go on where they were

typedef struct cli_resume {
    const char *path; /* of the file; null: none */
    int64_t pairs;    /* of a slice; 0: 2^35 */
} cli_resume;

/* Fails if the file, or none, is a result's too. USAGE. */
quern_status cli_resume_check(const cli_resume *how, const cli_list *outputs);
/* Does a run of one pass in slices, and goes on from the file if it is there. UNSUPPORTED, USAGE, IO. */
quern_status cli_resume_run(const cli_resume *how, quern_operator *op, quern_context *context, const cli_inputs *inputs,
                            const cli_results *results);
/* Removes the file, once the results are written. */
void cli_resume_end(const cli_resume *how);

#endif
