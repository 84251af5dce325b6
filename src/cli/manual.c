/*
 * manual.c: `quern help` and `quern version`: the help of all commands, of one, and the manual page.
 *
 * Everything is printed from the tables: of commands (cli_commands), of their options, of the environment and of exit
 * codes (quern/status.def). Completions are in complete.c.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"

typedef struct request {
    bool man;
    const char *completion;
} request;

static const char sentence[] = "reduces matrices that are given by a formula and never stored, on any OpenCL device";

// clang-format off
static const char examples[] =
    "quern doctor\n"
    "quern eval 'x=Vi(3); y=Vj(3); b=Vj(1); Sum_j(Exp(-SqDist(x,y))*b)' x=x.npy y=y.npy b=b.npy -o a.npy\n"
    "quern eval 'x=Vi(3); y=Vj(3); g=Pm(1); LogSumExp_j(-g*SqDist(x,y))' x=x.npy y=y.npy g=0.5 --json\n"
    "quern explain 'x=Vi(3); y=Vj(3); Sum_j(Exp(-SqDist(x,y)))' --grad x --stage source\n";

static const struct {
    const char *name, *meaning;
} environment[] = {
    {"QUERN_DEVICE", "the device to take when --device is not given, named in the same ways: `quern devices` lists them"},
    {"QUERN_PROFILES", "what `quern tune` has learned, \"none\" to ignore it; else XDG_CONFIG_HOME/quern/profiles, else\n"
                       "~/.config/quern/profiles"},
    {"QUERN_CACHE_DIR", "where compiled programs are kept; else XDG_CACHE_HOME/quern, else ~/.cache/quern"},
    {"QUERN_CACHE", "on or off: whether they are, whatever the driver keeps; auto: where it keeps none"},
    {"QUERN_HOST", "off: runs on the smallest arrays are launched on the device too; on: no run is"},
};

static const struct {
    int value;
    const char *meaning;
} codes[] = {
#define QUERN_STATUS(name, value, text) {value, text},
#include "quern/status.def"
#undef QUERN_STATUS
};
// clang-format on

static const cli_option help_row = {"--help", CLI_FLAG, 0, "", "this text"};

/* ---- text ------------------------------------------------------------------------------------------------------- */

/* Prints `text` line by line, each behind `indent` blanks. */
static void print_lines(const char *text, int indent)
{
    while (*text) {
        int size = (int)strcspn(text, "\n");
        printf("%*s%.*s\n", size ? indent : 0, "", size, text);
        text += size + (text[size] == '\n');
    }
}

/* A name, and its meaning in a column of its own, below the name where that is too long. */
static void print_row(const char *name, const char *meaning, int column)
{
    int width = (int)strlen(name);
    const char *rest = strchr(meaning, '\n');
    int first = (int)strcspn(meaning, "\n");

    if (width < column - 2) printf("  %-*s%.*s\n", column - 2, name, first, meaning);
    else printf("  %s\n%*s%.*s\n", name, column, "", first, meaning);
    if (rest) print_lines(rest + 1, column);
}

static void print_option(const cli_option *option)
{
    char name[64];

    snprintf(name, sizeof name, "%s%s%s", option->name, *option->value ? " " : "", option->value);
    print_row(name, option->meaning, 19);
}

void cli_print_help(const cli_command *c)
{
    if (*c->examples) {
        puts("Examples");
        print_lines(c->examples, 2);
        putchar('\n');
    }
    printf("quern %s%s%s\n", c->name, *c->synopsis ? " " : "", c->synopsis);
    print_lines(c->text, 2);
    puts("\nOptions");
    for (size_t k = 0; k < c->option_count; k++) print_option(&c->options[k]);
    print_option(&help_row);
    if (c->notes) print_lines(c->notes, 0);
}

static void print_overview(void)
{
    char number[16];

    printf("quern: %s.\n\nExamples\n", sentence);
    print_lines(examples, 2);
    puts("\nCommands");
    for (const cli_command *const *c = cli_commands; *c; c++) print_row((*c)->name, (*c)->sentence, 13);
    puts("\nEnvironment");
    for (size_t k = 0; k < CLI_COUNT(environment); k++) print_row(environment[k].name, environment[k].meaning, 19);
    puts("\nExit codes");
    for (size_t k = 0; k < CLI_COUNT(codes); k++) {
        snprintf(number, sizeof number, "%2d", codes[k].value);
        print_row(number, codes[k].meaning, 6);
    }
}

/* ---- the manual page -------------------------------------------------------------------------------------------- */

/* Text as roff shows it unchanged: no escapes, no minus sign that becomes a hyphen, no request at the start of a line. */
static void roff(const char *text)
{
    for (const char *c = text; *c; c++) {
        if ((c == text || c[-1] == '\n') && (*c == '.' || *c == '\'')) fputs("\\&", stdout);
        if (*c == '\\') fputs("\\e", stdout);
        else if (*c == '-') fputs("\\-", stdout);
        else if (*c == '\'') fputs("\\(aq", stdout);
        else if (*c == '`') fputs("\\(ga", stdout);
        else if (*c == '^') fputs("\\(ha", stdout);
        else if (*c == '~') fputs("\\(ti", stdout);
        else putchar(*c);
    }
}

static void roff_block(const char *text)
{
    if (!*text) return;
    puts(".PP\n.nf");
    roff(text);
    puts(".fi");
}

static void roff_row(const char *name, const char *value, const char *meaning)
{
    fputs(".TP\n\\fB", stdout);
    roff(name);
    fputs("\\fR", stdout);
    if (*value) fputs(" \\fI", stdout), roff(value), fputs("\\fR", stdout);
    putchar('\n');
    roff(meaning);
    putchar('\n');
}

static void roff_command(const cli_command *c)
{
    fputs(".SS \"quern ", stdout);
    roff(c->name);
    if (*c->synopsis) putchar(' '), roff(c->synopsis);
    puts("\"");
    roff(c->sentence);
    puts(".");
    roff_block(c->text);
    for (size_t k = 0; k < c->option_count; k++)
        roff_row(c->options[k].name, c->options[k].value, c->options[k].meaning);
    if (c->notes) roff_block(c->notes);
    if (*c->examples) {
        puts(".PP\nExamples:");
        roff_block(c->examples);
    }
}

static void print_man(void)
{
    char number[16];

    printf(".\\\" made by `quern help --man`\n.TH QUERN 1 \"\" \"quern %s\" \"User Commands\"\n", quern_version());
    printf(".SH NAME\nquern \\- %s\n", sentence);
    puts(".SH SYNOPSIS\n\\fBquern\\fR \\fICOMMAND\\fR [\\fIARGUMENT\\fR...] [\\fIOPTION\\fR...]");
    puts(".SH EXAMPLES\n.nf");
    roff(examples);
    puts(".fi\n.SH COMMANDS");
    for (const cli_command *const *c = cli_commands; *c; c++) roff_command(*c);
    puts(".SH ENVIRONMENT");
    for (size_t k = 0; k < CLI_COUNT(environment); k++) roff_row(environment[k].name, "", environment[k].meaning);
    puts(".SH \"EXIT STATUS\"");
    for (size_t k = 0; k < CLI_COUNT(codes); k++) {
        snprintf(number, sizeof number, "%d", codes[k].value);
        roff_row(number, "", codes[k].meaning);
    }
}

/* ---- the commands ----------------------------------------------------------------------------------------------- */

static quern_status run_help(int argc, char **argv)
{
    request r = {0};
    cli_list words = {NULL, 0};
    quern_status status = cli_parse(argc, argv, cli_help.options, cli_help.option_count, &r, &words);
    const cli_command *about = !status && words.count ? cli_find_command(words.items[0]) : NULL;

    if (!status && words.count + r.man + (r.completion != NULL) > 1)
        status = cli_fail(QUERN_USAGE, "help takes one command, or --man, or --completion SHELL");
    if (!status && words.count && !about) status = cli_unknown_command(words.items[0]);
    if (!status && r.completion) status = cli_print_completion(r.completion);
    else if (!status && r.man) print_man();
    else if (!status && about) cli_print_help(about);
    else if (!status) print_overview();
    free(words.items);
    return status;
}

static const cli_option help_options[] = {
    {"--man", CLI_FLAG, offsetof(request, man), "", "print the manual page, quern.1"},
    {"--completion", CLI_TEXT, offsetof(request, completion), "bash|zsh|fish", "print completions for this shell"},
};

const cli_command cli_help = {
    .name = "help",
    .run = run_help,
    .sentence = "this text, or that of a command: quern help eval",
    .examples = "quern help eval\n"
                "quern help --completion bash >~/.local/share/bash-completion/completions/quern\n",
    .synopsis = "[COMMAND]",
    .text = "Prints what a command does, or lists the commands.\n",
    .options = help_options,
    .option_count = CLI_COUNT(help_options),
};

static quern_status run_version(int argc, char **argv)
{
    if (argc > 1) return cli_fail(QUERN_USAGE, "%s takes no arguments", argv[0]);
    printf("quern %s\nOpenCL loader %s\n", quern_version(), cli_loader_path());
    return QUERN_OK;
}

const cli_command cli_version = {
    .name = "version",
    .run = run_version,
    .sentence = "print the version, and which OpenCL loader is used",
    .examples = "",
    .synopsis = "",
    .text = "Prints the version of the library that the tool uses, and the file of the OpenCL loader.\n",
};
