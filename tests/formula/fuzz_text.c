/*
 * fuzz_text.c: a formula's text through everything that needs no device: parse, print, parse again, differentiate,
 * stages, lower, plan, source. What must hold for any bytes: no crash, no hang, a status with a message or a sound
 * graph, printed text that means the same. The first byte chooses the variable to differentiate by, the element type
 * and the profile.
 *
 * With clang: tools/fuzz.sh, libFuzzer under AddressSanitizer and UndefinedBehaviorSanitizer. With any compiler (and
 * QUERN_FUZZ_MAIN): a driver that damages the formulas of tests/conformance and tests/formulas.txt at random:
 *
 *     fuzz_text [--count N] [--seed S] [FILE...]      files: inputs to run as they are
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "formula/formula.h"
#include "plan/plan.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition, const char *what)
{
    if (condition) return;
    fprintf(stderr, "fuzz_text: %s; last error: %s\n", what, quern_last_error_text());
    abort();
}

static void plan_stage(const q_ir *program, uint8_t choice)
{
    static const char *const profiles[] = {"cpu", "nvidia", "amd", "default"};
    q_profile profile;
    q_plan plan;
    q_text source = {0};
    char name[Q_KERNEL_NAME];
    quern_compile_options options = {.size = sizeof options};
    quern_dtype dtype = choice & 1 ? QUERN_F64 : QUERN_F32;
    q_profile_find(&profile, profiles[choice >> 1 & 3]);
    if (q_plan_make(&plan, program, &(q_plan_request){&profile, dtype, 1000, 1000, 8, &options, NULL})) return;
    if (!q_source(&source, name, program, &plan, false)) require(source.data && !source.failed, "no source");
    q_text_free(&source);
}

static void plan_results(const q_graph *graph, const q_id *results, size_t count, uint8_t choice)
{
    q_stages *stages = calloc(1, sizeof *stages);
    if (stages && !q_stages_make(stages, graph, results, count))
        for (size_t s = 0; s < stages->count; s++) {
            q_ir *program = NULL;
            q_tiling tiling = {choice & 8 ? 4 : 0, choice & 16 ? 4 : 0, choice & 1,
                               choice >> 1 & 3}; /* apart but for cpu */
            if (!q_lower(&program, graph, stages, s, &tiling)) plan_stage(program, choice);
            q_ir_destroy(&program);
        }
    free(stages);
}

/* Printed and parsed in the same graph, values are the same nodes. */
static void reparse(q_graph *graph, const q_id *results, size_t count)
{
    q_text text = {0};
    q_id again[Q_MAX_RESULTS];
    size_t given;
    q_print(graph, results, count, &text);
    require(!text.failed, "printing failed");
    quern_status status = strlen(text.data) > Q_MAX_TEXT ? QUERN_LIMIT : q_parse(graph, text.data, again, &given);
    if (status != QUERN_LIMIT) {
        if (status) fprintf(stderr, "printed as %s\n", text.data);
        require(!status && given == count, "printed text does not parse");
        for (size_t r = 0; r < count; r++) {
            if (again[r] != results[r]) fprintf(stderr, "printed as %s\n", text.data);
            require(again[r] == results[r], "printed text means something else");
        }
    }
    q_text_free(&text);
}

static void work(q_graph *graph, const char *text, uint8_t choice)
{
    q_id results[Q_MAX_RESULTS];
    size_t count;
    quern_status status = q_parse(graph, text, results, &count);
    require(status != QUERN_INTERNAL, "an internal error");
    require(!status == (count > 0), "a status that does not fit the results");
    require(!status || quern_last_error()->message[0], "no message");
    if (status) return;
    require(!q_graph_verify(graph), "a bad graph");
    plan_results(graph, results, count, choice);
    if (graph->variable_count && graph->count < 20000) {
        q_id variable = graph->variables[choice % graph->variable_count].id;
        q_id gradient = q_grad_total(graph, results[0], variable, q_constant(graph, 1, 1));
        require(graph->status != QUERN_INTERNAL, "an internal error in a derivative");
        if (gradient && graph->count < 50000) plan_results(graph, &gradient, 1, choice);
        if (gradient) reparse(graph, &gradient, 1);
    }
    if (!graph->status) reparse(graph, results, count);
    require(graph->status || !q_graph_verify(graph), "a bad graph");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    q_graph *graph;
    if (!size || q_graph_create(&graph)) return 0;
    char *text = malloc(size);
    if (text) {
        memcpy(text, data + 1, size - 1);
        text[size - 1] = 0;
        work(graph, text, data[0]);
    }
    free(text);
    q_graph_destroy(&graph);
    return 0;
}

#ifdef QUERN_FUZZ_MAIN
#include <time.h>

#include "helpers.h"

/* Pieces that a damaged text may get. */
static const char *const pieces[] = {"(",       ")",       ",",     "[",           "]",       "*",
                                     "**",      "-",       ";",     "x=",          "Vi(0,3)", "Vj(1,3)",
                                     "Pm(2,1)", "Grad(",   "Diff(", "Sum_j(",      "Sum_i(",  "1e300",
                                     "0",       "65536",   "-1",    "1024",        "Exp(",    "KMin_j(",
                                     ",2)",     "Concat(", "Sum(",  "GradMatrix(", "Tile(",   "=="};

static char *damage(random_source *random, const char *a, const char *b)
{
    size_t size = strlen(a), other = strlen(b);
    q_text text = {0};
    q_text_append(&text, a, size);
    for (size_t n = random_below(random, 4); n-- > 0;) {
        char *old = q_text_take(&text);
        size = strlen(old);
        size_t at = random_below(random, size + 1), length = random_below(random, 12),
               from = random_below(random, other + 1);
        if (length > size - at) length = size - at;
        q_text_append(&text, old, at);
        switch (random_below(random, 4)) {
        case 0: break;
        case 1: q_text_add(&text, "%s", pieces[random_below(random, Q_COUNT(pieces))]); break;
        case 2: q_text_append(&text, b + from, random_below(random, other - from + 1)); break;
        default: q_text_add(&text, "%c", (char)(32 + random_below(random, 95))); break;
        }
        q_text_append(&text, old + at + length, size - at - length);
        free(old);
    }
    return q_text_take(&text);
}

static void run_text(const char *text, uint8_t choice)
{
    size_t size = strlen(text);
    uint8_t *data = malloc(size + 1);
    if (!data) abort();
    data[0] = choice;
    memcpy(data + 1, text, size);
    clock_t start = clock();
    LLVMFuzzerTestOneInput(data, size + 1);
    double seconds = (double)(clock() - start) / CLOCKS_PER_SEC;
    if (seconds > 5) fprintf(stderr, "fuzz_text: %.1f s: %s\n", seconds, text);
    require(seconds < 60, "a text that takes too long");
    free(data);
}

static void run_file(const char *path)
{
    char *data;
    size_t size;
    require(!q_read_file(path, &data, &size), "a file cannot be read");
    LLVMFuzzerTestOneInput((const uint8_t *)data, size);
    free(data);
}

int main(int argc, char **argv)
{
    size_t count = 20000, files = 0;
    random_source random = {1};
    for (int a = 1; a < argc; a++) {
        if (a + 1 < argc && strcmp(argv[a], "--count") == 0) count = (size_t)atoll(argv[++a]);
        else if (a + 1 < argc && strcmp(argv[a], "--seed") == 0) random.state = (uint64_t)atoll(argv[++a]);
        else run_file(argv[a]), files++;
    }
    char **formulas;
    size_t known = files ? 0 : conformance_formulas(&formulas);
    for (size_t n = 0; n < count && known; n++) {
        const char *a = formulas[n < known ? n : random_below(&random, known)],
                   *b = formulas[random_below(&random, known)];
        char *text = n < known ? strdup(a) : damage(&random, a, b);
        run_text(text, (uint8_t)random_below(&random, 256));
        free(text);
    }
    if (known) free_names(formulas, known);
    printf("%zu texts, none did harm\n1 passed, 0 failed\n", files ? files : count);
    return 0;
}
#endif
