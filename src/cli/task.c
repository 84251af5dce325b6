/*
 * task.c: what commands of a formula and its arrays have in common: the formula, the arrays, the files for results.
 */
#include <stdlib.h>

#include "cli.h"

static quern_status read_words(cli_task *t, const char *command)
{
    size_t taken;
    quern_status status =
        t->words.count || t->file
            ? cli_formula_read(&t->formula, &taken, &t->words, t->file)
            : cli_fail(QUERN_USAGE, "%s needs a formula, in quotes; see `quern help %s`", command, command);

    return status ? status : cli_inputs_read(&t->inputs, t->words.items + taken, t->words.count - taken, t->dtype);
}

quern_status cli_task_read(cli_task *t, const char *command, size_t most, const char *results)
{
    quern_status status = cli_parse_dtype(t->dtype_text, &t->dtype);

    if (!status && t->outputs.count > most)
        status = cli_fail(QUERN_USAGE, "there %s, and -o is given %zu times", results, t->outputs.count);
    if (!status) status = read_words(t, command);
    return status ? status : cli_outputs_check(&t->outputs);
}

void cli_task_free(cli_task *t)
{
    cli_inputs_free(&t->inputs);
    free(t->formula);
    free(t->words.items);
    free(t->outputs.items);
}
