/*
 * complete.c: completions for bash, zsh and fish, from the tables of commands and options.
 *
 * What follows an option is one of its words, a file, or nothing that a shell could know; what is no option is one of
 * the command's words, or a file.
 */
#include <stdio.h>
#include <string.h>

#include "cli.h"

typedef enum wish { NOTHING, FILES, WORDS } wish;

/* What completes the value of an option. */
static wish wish_of(const cli_option *option)
{
    if (strchr(option->value, '|')) return WORDS;
    return strncmp(option->value, "FILE", 4) ? NOTHING : FILES;
}

/* "a|b" as "a b". */
static void print_words(const char *words)
{
    for (; *words; words++) putchar(*words == '|' ? ' ' : *words);
}

static void print_names(const cli_command *c)
{
    for (size_t k = 0; k < c->option_count; k++) printf("%s ", c->options[k].name);
    fputs("--help", stdout);
}

static void print_commands(void)
{
    for (const cli_command *const *c = cli_commands; *c; c++) printf("%s%s", c == cli_commands ? "" : " ", (*c)->name);
}

/* What stands for the words of a command: of help, the commands. */
static void print_arguments(const cli_command *c)
{
    if (c == &cli_help) print_commands();
    else print_words(c->words);
}

static bool has_words(const cli_command *c)
{
    return c == &cli_help || c->words;
}

/* ---- bash ------------------------------------------------------------------------------------------------------- */

static void bash_values(const cli_command *c)
{
    for (size_t k = 0; k < c->option_count; k++) {
        const cli_option *option = &c->options[k];
        if (option->kind == CLI_FLAG || wish_of(option) == FILES) continue;
        printf("        %s/%s) words=\"", c->name, option->name);
        if (wish_of(option) == WORDS) print_words(option->value);
        puts("\" ;;");
    }
}

static void bash_command(const cli_command *c)
{
    printf("        %s/-*) words=\"", c->name);
    print_names(c);
    puts("\" ;;");
    if (!has_words(c)) return;
    printf("        %s/*) words=\"", c->name);
    print_arguments(c);
    puts("\" ;;");
}

/* Three questions, the first that has an answer counts: the command, the value of the option before, the rest. */
static void print_bash(void)
{
    fputs(
        "# made by `quern help --completion bash`\n"
        "_quern() {\n"
        "    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]} command=${COMP_WORDS[1]} words=-\n"
        "    if [ \"$COMP_CWORD\" -eq 1 ]; then\n"
        "        words=\"",
        stdout);
    print_commands();
    fputs("\"\n    else\n        case $command/$before in\n", stdout);
    for (const cli_command *const *c = cli_commands; *c; c++) bash_values(*c);
    fputs("        *) case $command/$word in\n", stdout);
    for (const cli_command *const *c = cli_commands; *c; c++) bash_command(*c);
    puts("        esac ;;\n"
         "        esac\n"
         "    fi\n"
         "    if [ \"$words\" = - ]; then\n"
         "        compopt -o filenames 2>/dev/null\n"
         "        mapfile -t COMPREPLY < <(compgen -f -- \"$word\")\n"
         "    else\n"
         "        mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$word\")\n"
         "    fi\n"
         "}\n"
         "complete -F _quern quern");
}

/* ---- zsh -------------------------------------------------------------------------------------------------------- */

/* The first line of a text within single quotes and brackets. */
static void zsh_text(const char *text)
{
    for (; *text && *text != '\n'; text++) {
        if (*text == '\'') fputs("'\\''", stdout);
        else if (strchr("[]:\\", *text)) printf("\\%c", *text);
        else putchar(*text);
    }
}

static void zsh_option(const cli_option *option)
{
    printf("            '%s%s[", option->kind == CLI_LIST ? "*" : "", option->name);
    zsh_text(option->meaning);
    putchar(']');
    if (option->kind != CLI_FLAG) {
        printf(":%s:", option->value);
        if (wish_of(option) == FILES) fputs("_files", stdout);
        if (wish_of(option) == WORDS) putchar('('), print_words(option->value), putchar(')');
    }
    puts("' \\");
}

static void zsh_command(const cli_command *c)
{
    printf("    %s)\n        _arguments \\\n", c->name);
    for (size_t k = 0; k < c->option_count; k++) zsh_option(&c->options[k]);
    fputs("            '--help[print help]' \\\n            '*: :", stdout);
    if (has_words(c)) putchar('('), print_arguments(c), putchar(')');
    else fputs("_files", stdout);
    puts("' ;;");
}

static void print_zsh(void)
{
    puts("#compdef quern\n"
         "# made by `quern help --completion zsh`\n"
         "_quern() {\n"
         "    if (( CURRENT == 2 )); then\n"
         "        local -a commands=(");
    for (const cli_command *const *c = cli_commands; *c; c++) {
        printf("            '%s:", (*c)->name);
        zsh_text((*c)->sentence);
        puts("'");
    }
    puts("        )\n"
         "        _describe command commands\n"
         "        return\n"
         "    fi\n"
         "    local command=$words[2]\n"
         "    shift words\n"
         "    (( CURRENT-- ))\n"
         "    case $command in");
    for (const cli_command *const *c = cli_commands; *c; c++) zsh_command(*c);
    puts("    esac\n"
         "}\n"
         "_quern \"$@\"");
}

/* ---- fish ------------------------------------------------------------------------------------------------------- */

/* The first line of a text in single quotes. */
static void fish_text(const char *text)
{
    putchar('\'');
    for (; *text && *text != '\n'; text++) {
        if (*text == '\'' || *text == '\\') putchar('\\');
        putchar(*text);
    }
    putchar('\'');
}

static void fish_option(const cli_command *c, const cli_option *option)
{
    bool is_long = option->name[1] == '-';

    printf("complete -c quern -n '__fish_seen_subcommand_from %s' -%c %s", c->name, is_long ? 'l' : 's',
           option->name + (is_long ? 2 : 1));
    if (option->kind != CLI_FLAG) fputs(wish_of(option) == FILES ? " -r -F" : " -x", stdout);
    if (wish_of(option) == WORDS) fputs(" -a '", stdout), print_words(option->value), putchar('\'');
    fputs(" -d ", stdout);
    fish_text(option->meaning);
    putchar('\n');
}

static void fish_command(const cli_command *c)
{
    printf("complete -c quern -f -n __fish_use_subcommand -a %s -d ", c->name);
    fish_text(c->sentence);
    putchar('\n');
    for (size_t k = 0; k < c->option_count; k++) fish_option(c, &c->options[k]);
    printf("complete -c quern -n '__fish_seen_subcommand_from %s' -l help -d 'print help'\n", c->name);
    if (!has_words(c)) return;
    printf("complete -c quern -f -n '__fish_seen_subcommand_from %s' -a '", c->name);
    print_arguments(c);
    puts("'");
}

static void print_fish(void)
{
    puts("# made by `quern help --completion fish`");
    for (const cli_command *const *c = cli_commands; *c; c++) fish_command(*c);
}

/* ---- the choice ------------------------------------------------------------------------------------------------- */

quern_status cli_print_completion(const char *shell)
{
    static const struct {
        const char *shell;
        void (*print)(void);
    } writers[] = {{"bash", print_bash}, {"zsh", print_zsh}, {"fish", print_fish}};

    for (size_t k = 0; k < CLI_COUNT(writers); k++)
        if (!strcmp(shell, writers[k].shell)) {
            writers[k].print();
            return QUERN_OK;
        }
    return cli_fail(QUERN_USAGE, "--completion is bash, zsh or fish, not \"%s\"", shell);
}
