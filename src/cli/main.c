/*
 * main.c: the tool `quern`: dispatch to the commands, and the help that leads with examples.
 *
 * The list of commands is one table, the list of exit codes is printed from quern/status.def. SIGPIPE is ignored so
 * that a reader that went away is noticed like any other write error (cli_finish) and no file is left half done.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"

typedef struct command {
    const char *name;
    quern_status (*run)(int argc, char **argv);
    const char *sentence;
    const char *help;
} command;

static quern_status help(int argc, char **argv);
static quern_status version(int argc, char **argv);

// clang-format off
static const char eval_help[] =
    "Examples\n"
    "  quern eval 'x=Vi(3); y=Vj(3); b=Vj(1); Sum_j(Exp(-SqDist(x,y))*b)' x=x.npy y=y.npy b=b.npy -o a.npy\n"
    "  quern eval 'x=Vi(3); y=Vj(3); g=Pm(1); LogSumExp_j(-g*SqDist(x,y))' x=x.npy y=y.npy g=0.5\n"
    "  quern eval 'x=Vi(2); y=Vj(2); d=SqDist(x,y); Min_j(d), ArgMin_j(d)' x=x.npy y=y.npy -o d.npy -o k.npy\n"
    "  quern eval 'x=Vi(1); y=Vj(1); Sum_j(Exp(-SqDist(x,y)))' x=0,1 y=0,1,3 --json\n"
    "\n"
    "quern eval FORMULA NAME=VALUE... [options]\n"
    "  NAME=FILE.npy   an array of float32 or float64, one row per i or j (a parameter: one row); - is stdin\n"
    "  NAME=0.5        a number\n"
    "  NAME=1,2,3      numbers: a parameter of length 3, or as many rows as they fill (./1,2 is a file of that name)\n"
    "  Variables without a name, as in Vi(0,3), are called by their number: 0=x.npy.\n"
    "\n"
    "Options\n"
    "  -o FILE.npy     write the result there; with several results, one -o for each, in order; - is stdout\n"
    "  --json          print {\"results\": [{axis, rows, columns, integer, data}]}; data has a list per row;\n"
    "                  NaN and infinities are the strings \"nan\", \"inf\", \"-inf\"\n"
    "  --dtype f32|f64 convert all arrays to this type first; without it they must have one type, as the result has\n"
    "  --M N, --N N    the numbers of rows i and j, where no array tells them, as in Sum_j(1)\n"
    "  --device D      gpu, cpu, a selector such as 0:1, or part of a name (`quern devices`)\n"
    "  --verbose       log what happens to stderr\n"
    "Without -o and --json the results are printed as rows of text, with an empty line between two results.\n"
    "Files appear complete or not at all.\n";

static const char explain_help[] =
    "Examples\n"
    "  quern explain 'x=Vi(3); y=Vj(3); b=Vj(1); Sum_j(Exp(-SqDist(x,y))*b)'\n"
    "  quern explain 'x=Vi(3); y=Vj(3); Sum_j(Exp(-SqDist(x,y)))' --grad x --stage graph\n"
    "  quern explain 'x=Vi(3); y=Vj(3); Sum_j(Exp(-SqDist(x,y)))' --stage source --profile nvidia --dtype f64\n"
    "\n"
    "quern explain FORMULA [options]\n"
    "  --stage S       only graph, stages, plan, program or source; without it, all of them\n"
    "  --dot           only the graph, as a picture for Graphviz: quern explain ... --dot | dot -Tsvg >graph.svg\n"
    "  --grad VAR      explain the gradient with respect to VAR (weights: all ones) instead; given again, the\n"
    "                  gradient of that: --grad x --grad x is the second derivative\n"
    "  --dtype f32|f64 the element type of the arrays; f32 without it\n"
    "  --M N, --N N    the numbers of rows i and j; 1000 without them\n"
    "  --profile P     plan for a row of cl/profiles.txt, such as cpu, nvidia, amd, intel; no device is needed\n"
    "  --device D      plan for this device; without --profile and --device: profile cpu\n"
    "  --verbose       log what happens to stderr\n";

static const char ops_help[] =
    "Examples\n"
    "  quern ops\n"
    "  quern ops SqDist KMin_j\n"
    "  quern ops --json\n"
    "\n"
    "quern ops [NAME...] [--json | --markdown]\n"
    "  Lists the functions and reductions of the formula language by family, or tells all about those that are named:\n"
    "  arguments, length of the result, meaning, derivative, and the formula that it stands for if it is short for one.\n"
    "  --markdown prints docs/ops.md.\n";

static const char devices_help[] =
    "Examples\n"
    "  quern devices\n"
    "  QUERN_DEVICE=0:0 quern devices --json\n"
    "\n"
    "quern devices [--json]\n"
    "  Lists all OpenCL devices; * marks the one that quern takes when none is named. The selector (0:0), the kind\n"
    "  and any part of the name are accepted by --device and by the environment variable QUERN_DEVICE.\n";

static const char doctor_help[] =
    "Example\n"
    "  quern doctor\n"
    "\n"
    "quern doctor [--device D]\n"
    "  Checks what quern needs, from the OpenCL loader to a first program that is built, run and compared with a\n"
    "  result computed by hand. Each line begins with ok, warn or FAIL; the latter two say how to fix it.\n"
    "  The exit code is 0 if nothing failed, else the status of the first line that did.\n";

static const char tune_help[] =
    "Examples\n"
    "  quern tune\n"
    "  quern tune --seconds 30 --dry-run\n"
    "\n"
    "quern tune [--device D] [--seconds S] [options]\n"
    "  Learns which parameters of cl/profiles.txt are best on this device, from a set of formulas whose results are\n"
    "  compared with a reference each time, and writes what it chose to QUERN_PROFILES, else to\n"
    "  XDG_CONFIG_HOME/quern/profiles, else to ~/.config/quern/profiles. From then on the device is used so, until its\n"
    "  driver changes. Let the machine do nothing else meanwhile.\n"
    "  In the table, ns/pair is the mean over the formulas, ratio the time beside that of the best row before, over the\n"
    "  formulas that the parameter concerns.\n"
    "\n"
    "Options\n"
    "  --seconds S     try nothing more after so long; 120 without it\n"
    "  --points N      M and N of the formulas; without it as many as can be timed well\n"
    "  --dry-run       write nothing\n"
    "  --json          print {device, profile, trials, ratio, row, path}\n"
    "  --device D      gpu, cpu, a selector such as 0:1, or part of a name (`quern devices`)\n"
    "  --verbose       log what happens to stderr\n";

static const char cache_help[] =
    "Examples\n"
    "  quern cache\n"
    "  quern cache clear\n"
    "  quern cache warm formulas.txt\n"
    "  echo '--M 10000 x=Vi(3); y=Vj(3); Sum_j(Exp(-SqDist(x,y)))' | quern cache warm -\n"
    "\n"
    "quern cache\n"
    "  Says where quern keeps compiled programs for later processes, how many there are and how large they are, and\n"
    "  for which devices it does so; many drivers keep them in a directory of their own.\n"
    "quern cache clear\n"
    "  Removes them. Caches of drivers are not touched.\n"
    "quern cache warm FILE [--device D] [--verbose]\n"
    "  Builds the formulas of a file (- is stdin), one per line, so that later processes start at once, and prints the\n"
    "  seconds that each took. A formula stands behind its options, which are those of `quern explain`: --dtype f32|f64,\n"
    "  --M N, --N N, --grad VAR. Lines that begin with # are comments.\n";

static const command commands[] = {
    {"eval", cli_eval, "compute a formula on .npy files and numbers", eval_help},
    {"explain", cli_explain, "show the graph, the plan and the OpenCL source of a formula", explain_help},
    {"ops", cli_ops, "list the functions of the formula language", ops_help},
    {"devices", cli_devices, "list the OpenCL devices", devices_help},
    {"cache", cli_cache, "show, clear or fill the cache of compiled programs", cache_help},
    {"doctor", cli_doctor, "check the installation, with a fix for what is wrong", doctor_help},
    {"tune", cli_tune, "learn the best parameters for a device", tune_help},
    {"help", help, "this text, or that of a command: quern help eval", NULL},
    {"version", version, "print the version", NULL},
};

static const char examples[] =
    "quern: reduces matrices that are given by a formula and never stored, on any OpenCL device.\n"
    "\n"
    "Examples\n"
    "  quern doctor\n"
    "  quern eval 'x=Vi(3); y=Vj(3); b=Vj(1); Sum_j(Exp(-SqDist(x,y))*b)' x=x.npy y=y.npy b=b.npy -o a.npy\n"
    "  quern eval 'x=Vi(3); y=Vj(3); g=Pm(1); LogSumExp_j(-g*SqDist(x,y))' x=x.npy y=y.npy g=0.5 --json\n"
    "  quern explain 'x=Vi(3); y=Vj(3); Sum_j(Exp(-SqDist(x,y)))' --grad x --stage source\n"
    "\n"
    "Commands\n";
// clang-format on

static void print_exit_codes(void)
{
    puts("\nExit codes");
#define QUERN_STATUS(name, value, text) printf("  %2d  %s\n", (value), (text));
#include "quern/status.def"
#undef QUERN_STATUS
}

static void print_help(void)
{
    fputs(examples, stdout);
    for (size_t k = 0; k < CLI_COUNT(commands); k++) printf("  %-9s %s\n", commands[k].name, commands[k].sentence);
    puts("\nEnvironment\n"
         "  QUERN_DEVICE     the device to take when --device is not given\n"
         "  QUERN_PROFILES   what `quern tune` has learned, \"none\" to ignore it; else XDG_CONFIG_HOME/quern/profiles, else\n"
         "                   ~/.config/quern/profiles\n"
         "  QUERN_CACHE_DIR  where compiled programs are kept; else XDG_CACHE_HOME/quern, else ~/.cache/quern\n"
         "  QUERN_CACHE      on or off: whether they are, whatever the driver keeps; auto: where it keeps none\n"
         "  QUERN_HOST       off: runs on the smallest arrays are launched on the device too; on: no run is");
    print_exit_codes();
}

static const command *find_command(const char *name)
{
    static const char *const spellings[][2] = {
        {"--help", "help"}, {"-h", "help"}, {"--version", "version"}, {"-V", "version"}};

    for (size_t k = 0; k < CLI_COUNT(spellings); k++)
        if (!strcmp(name, spellings[k][0])) name = spellings[k][1];
    for (size_t k = 0; k < CLI_COUNT(commands); k++)
        if (!strcmp(name, commands[k].name)) return &commands[k];
    return NULL;
}

static quern_status unknown_command(const char *name)
{
    return cli_fail(QUERN_USAGE, "there is no command %s; `quern help` lists the commands", name);
}

static quern_status help(int argc, char **argv)
{
    const command *about = argc > 1 ? find_command(argv[1]) : NULL;

    if (argc > 1 && !about) return unknown_command(argv[1]);
    if (about && about->help)
        fputs(about->help, stdout);
    else
        print_help();
    return QUERN_OK;
}

static quern_status version(int argc, char **argv)
{
    if (argc > 1) return cli_fail(QUERN_USAGE, "%s takes no arguments", argv[0]);
    printf("quern %s\n", quern_version());
    return QUERN_OK;
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
    const command *found = find_command(argv[0]);

    if (!found) return unknown_command(argv[0]);
    if (found->help && wants_help(argc, argv)) {
        fputs(found->help, stdout);
        return QUERN_OK;
    }
    return found->run(argc, argv);
}

int main(int argc, char **argv)
{
    struct sigaction ignore = {.sa_handler = SIG_IGN};

    sigaction(SIGPIPE, &ignore, NULL);
    if (fcntl(STDOUT_FILENO, F_GETFD) < 0) return (int)cli_fail(QUERN_IO, "stdout is closed; redirect it to a file");
    if (argc < 2) {
        cli_fail(QUERN_USAGE, "which command? For example: quern doctor, quern devices, quern help eval");
        return QUERN_USAGE;
    }
    return (int)cli_finish(run_command(argc - 1, argv + 1));
}
