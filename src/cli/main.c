/*
 * main.c: the tool `quern`: dispatch to the commands.
 *
 * SIGPIPE is ignored until the command is over, so that a reader that has left (`quern ops | head -1`) is noticed like
 * any other write error and no file is left half done. Then the process ends by that signal, as if it had not been
 * ignored, or with IO if it was before.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"

const cli_command *const cli_commands[] = {
    // formulas
    &cli_eval, &cli_block, &cli_explain, &cli_ops,
    // applications
    // clang-format off
    &cli_barycentre,
    &cli_dbscan,
    &cli_eigs,
    &cli_gmm,
    &cli_gp,
    &cli_kde,
    &cli_kmeans,
    &cli_knn,
    &cli_meanshift,
    &cli_ridge,
    &cli_solve,
    &cli_transport,
    &cli_tsne,
    &cli_umap,
    // clang-format on
    // the machine
    &cli_devices, &cli_cache, &cli_doctor, &cli_tune,
    // quern itself
    &cli_help, &cli_version, NULL};

const cli_command *cli_find_command(const char *name)
{
    static const char *const spellings[][2] = {
        {"--help", "help"}, {"-h", "help"}, {"--version", "version"}, {"-V", "version"}};

    for (size_t k = 0; k < CLI_COUNT(spellings); k++)
        if (!strcmp(name, spellings[k][0])) name = spellings[k][1];
    for (const cli_command *const *c = cli_commands; *c; c++)
        if (!strcmp(name, (*c)->name)) return *c;
    return NULL;
}

quern_status cli_unknown_command(const char *name)
{
    const char *guess = NULL;
    size_t least = SIZE_MAX;

    for (const cli_command *const *c = cli_commands; *c; c++) {
        size_t distance = cli_distance(name, (*c)->name);
        if (distance < least && cli_is_near(distance, name)) least = distance, guess = (*c)->name;
    }
    return cli_fail(QUERN_USAGE, "there is no command %s%s%s; `quern help` lists the commands", name,
                    guess ? "; did you mean " : "", guess ? guess : "");
}

/* Whether the command's own text is asked for: --help among its options. */
static bool wants_help(int argc, char **argv)
{
    for (int k = 1; k < argc && strcmp(argv[k], "--"); k++)
        if (!strcmp(argv[k], "--help") || !strcmp(argv[k], "-h")) return true;
    return false;
}

static quern_status run_command(int argc, char **argv)
{
    const cli_command *found = cli_find_command(argv[0]);

    if (!found) return cli_unknown_command(argv[0]);
    if (!wants_help(argc, argv)) return found->run(argc, argv);
    cli_print_help(found);
    return QUERN_OK;
}

int main(int argc, char **argv)
{
    struct sigaction ignore = {.sa_handler = SIG_IGN}, before;
    quern_status status;

    sigaction(SIGPIPE, &ignore, &before);
    if (fcntl(STDOUT_FILENO, F_GETFD) < 0) return (int)cli_fail(QUERN_IO, "stdout is closed; redirect it to a file");
    if (argc < 2) {
        cli_fail(QUERN_USAGE, "which command? For example: quern doctor, quern devices, quern help eval");
        return QUERN_USAGE;
    }
    status = cli_finish(run_command(argc - 1, argv + 1));
    sigaction(SIGPIPE, &before, NULL);
    if (cli_reader_left()) raise(SIGPIPE);
    return (int)status;
}
