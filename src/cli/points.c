/*
 * points.c: the arrays of commands for points: words with and without names, files that options give, parameters.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"

/* The place of a word's name, NAME=..., among the names; -1: it is not there. */
static int find_name(const cli_points *known, const char *word, size_t size)
{
    for (int n = 0; known->names[n]; n++)
        if (strlen(known->names[n]) == size && !strncmp(known->names[n], word, size)) return n;
    return -1;
}

/* NAME=WORD, for free(); null without memory. */
static char *name_word(const char *name, const char *word)
{
    size_t size = strlen(name) + strlen(word) + 2;
    char *made = malloc(size);

    if (made) snprintf(made, size, "%s=%s", name, word);
    else cli_fail_memory();
    return made;
}

/* Gives words names, and sorts them: arrays, and parameters. What is in `made`, by name, is for free(). */
static quern_status sort_words(const cli_list *words, const cli_points *known, cli_list sorted[2], char **made)
{
    size_t plain = 0;

    for (size_t k = 0; k < words->count; k++) {
        const char *word = words->items[k], *equals = strchr(word, '=');
        bool parameter = equals && known->parameters && find_name(known, word, (size_t)(equals - word)) < 0;
        if (!equals && plain < known->plain) {
            if (!(made[plain] = name_word(known->names[plain], word))) return QUERN_MEMORY;
            word = made[plain++];
        }
        sorted[parameter].items[sorted[parameter].count++] = word;
    }
    return QUERN_OK;
}

quern_status cli_points_read(cli_inputs *inputs, const cli_list *words, const cli_points *known, quern_dtype dtype)
{
    size_t names = 0;
    while (known->names[names]) names++;
    const char **room = calloc(2 * words->count + names + 1, sizeof *room);
    cli_list sorted[2] = {{room, 0}, {room + words->count + names, 0}};
    char **made = calloc(names + 1, sizeof *made);
    quern_status status = room && made ? sort_words(words, known, sorted, made) : cli_fail_memory();

    for (size_t n = 0; n < names && known->files && !status; n++) {
        if (!known->files[n]) continue;
        if (!(made[n] = name_word(known->names[n], known->files[n]))) status = QUERN_MEMORY;
        room[sorted[0].count++] = made[n];
    }
    inputs->whole = known->whole;
    if (!status) status = cli_inputs_read(inputs, room, sorted[0].count, dtype);
    if (!status && known->parameters)
        status = cli_inputs_read(known->parameters, sorted[1].items, sorted[1].count, QUERN_F64);
    for (size_t k = 0; k < inputs->count && !status; k++) {
        quern_view *view = &inputs->args[k].view;
        const char *name = inputs->args[k].name;
        if (inputs->sources[k].typed && find_name(known, name, strlen(name)) >= 0)
            view->rows = view->columns, view->columns = 1;
    }
    for (size_t n = 0; made && n < names; n++) free(made[n]);
    free(made), free(room);
    return status;
}
