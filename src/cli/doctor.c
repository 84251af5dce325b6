/*
 * doctor.c: `quern doctor`: one line per thing that quern needs, each with ok, warn or FAIL and, if need be, its fix.
 *
 * Checks are rows of a table and run in order; they share a `visit`. Where a check cannot be made because an earlier
 * one failed it stays silent. The report goes to stdout; the exit code is the status of the first FAIL.
 */
#include <dirent.h>
#include <dlfcn.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli.h"
#include "quern/cache.h"

/* What the checks hand on to each other. */
typedef struct visit {
    cli_opening open;
    bool json;
    json_t *lines; /* with --json */
    quern_device *devices;
    size_t device_count;
    quern_context *context;
    int warnings, failures;
    quern_status status; /* of the first failure */
} visit;

/* ---- report ----------------------------------------------------------------------------------------------------- */

static void tell(visit *v, const char *verdict, const char *name, const char *text, const char *fix)
{
    if (v->json) {
        json_array_append_new(v->lines, json_pack("{s:s, s:s, s:o, s:o}", "verdict", verdict, "check", name, "text",
                                                  cli_json_text(text), "fix", fix ? cli_json_text(fix) : json_null()));
        return;
    }
    printf("%-4s  %-15s %s\n", verdict, name, text);
    if (fix) printf("      %-15s fix: %s\n", "", fix);
}

static void ok(visit *v, const char *name, const char *text)
{
    tell(v, "ok", name, text, NULL);
}

static void warn(visit *v, const char *name, const char *text, const char *fix)
{
    v->warnings++;
    tell(v, "warn", name, text, fix);
}

static void fail(visit *v, quern_status status, const char *name, const char *text, const char *fix)
{
    v->failures++;
    if (!v->status) v->status = status;
    tell(v, "FAIL", name, text, fix);
}

static void fail_quern(visit *v, const char *name)
{
    const quern_error *error = quern_last_error();
    char text[1024];

    snprintf(text, sizeof text, "%s%s%s", error->message, *error->build ? "; compiler: " : "", error->build);
    fail(v, error->status, name, text, *error->next_step ? error->next_step : quern_status_text(error->status));
}

/* ---- library, drivers, devices ---------------------------------------------------------------------------------- */

static void check_library(visit *v)
{
    char text[128];

    snprintf(text, sizeof text, "quern %s (%zu-bit)", quern_version(), sizeof(void *) * 8);
    if (strcmp(quern_version(), QUERN_VERSION))
        warn(v, "library", text,
             "the tool was built with headers of version " QUERN_VERSION "; install both from one build");
    else ok(v, "library", text);
}

/* Loads a driver's library as the loader would, and tells if that cannot be done. Stays loaded: it will be used. */
static void check_driver(visit *v, const char *origin, const char *library)
{
    char text[1024];

    if (*library && dlopen(library, RTLD_LAZY | RTLD_LOCAL)) return;
    snprintf(text, sizeof text, "%.300s: %.600s", origin, *library ? dlerror() : "it names no library");
    warn(v, "driver", text, "install that driver, or remove the .icd file if it is a rest of one that was removed");
}

static void check_icd_file(visit *v, const char *path)
{
    char library[512] = "";
    FILE *file = fopen(path, "r");

    if (file && fgets(library, sizeof library, file)) library[strcspn(library, "\r\n")] = 0;
    if (file) fclose(file);
    check_driver(v, path, library);
}

static bool is_icd_name(const char *name)
{
    size_t size = strlen(name);

    return size > 4 && !strcmp(name + size - 4, ".icd");
}

/* Looks at the drivers that are registered in `path`, and counts them; -1 if it is no directory. */
static int check_icd_files(visit *v, const char *path)
{
    DIR *directory = opendir(path);
    char file[1024];
    int count = 0;

    if (!directory) return -1;
    for (struct dirent *entry; (entry = readdir(directory));) {
        if (!is_icd_name(entry->d_name)) continue;
        snprintf(file, sizeof file, "%.500s/%.500s", path, entry->d_name);
        check_icd_file(v, file);
        count++;
    }
    closedir(directory);
    return count;
}

static void check_drivers(visit *v)
{
    const char *vendors = getenv("OCL_ICD_VENDORS");
    const char *path = vendors && *vendors ? vendors : "/etc/OpenCL/vendors";
    int count = check_icd_files(v, path);
    char text[512];

    snprintf(text, sizeof text, "%d OpenCL driver%s registered in %.400s", count, CLI_S(count), path);
    if (count > 0) {
        ok(v, "drivers", text);
    } else if (count < 0 && (!access(path, F_OK) || strstr(path, ".so"))) {
        ok(v, "drivers", "OCL_ICD_VENDORS names a single driver");
        if (is_icd_name(path)) check_icd_file(v, path);
        else check_driver(v, "OCL_ICD_VENDORS", path);
    } else {
        warn(v, "drivers", count < 0 ? "the directory of OpenCL drivers is missing" : text,
             vendors ? "unset OCL_ICD_VENDORS or let it name a directory with .icd files"
                     : "install a driver, for any CPU: apt install pocl-opencl-icd (dnf, pacman, brew: pocl)");
    }
}

static void check_loader(visit *v)
{
    if (quern_devices(&v->devices, &v->device_count)) fail_quern(v, "loader");
    else ok(v, "loader", cli_loader_path());
}

/* One without a device is a fault where none has any, or where it should have the processor. */
static void check_platform(visit *v, const quern_platform *p)
{
    char text[512];

    if (p->devices) snprintf(text, sizeof text, "%s: %d device%s", p->name, p->devices, CLI_S(p->devices));
    else snprintf(text, sizeof text, "%s: the driver is there, but gives no device", p->name);
    if (p->devices || (v->device_count && !p->serves_cpu)) ok(v, "platform", text);
    else if (v->device_count) warn(v, "platform", text, p->next_step);
    else fail(v, QUERN_NO_DEVICE, "platform", text, p->next_step);
}

static void check_platforms(visit *v)
{
    quern_platform *list = NULL;
    size_t count = 0;

    if (v->failures || quern_platforms(&list, &count)) return;
    for (size_t k = 0; k < count; k++) check_platform(v, &list[k]);
    quern_free(list);
    if (!count && quern_context_create(&v->context, NULL)) fail_quern(v, "platform"); /* which tells what to install */
}

/* A graphics card whose device file is closed to this user explains a missing GPU. */
static void check_graphics(visit *v)
{
    static const char path[] = "/dev/dri/renderD128";

    for (size_t k = 0; k < v->device_count; k++)
        if (!strcmp(v->devices[k].kind, "gpu")) return;
    if (!access(path, F_OK) && access(path, R_OK | W_OK))
        warn(v, "graphics", "a graphics card is present, but its device file is closed to this user",
             "sudo usermod -aG render,video \"$USER\", then log in again");
}

static void check_default(visit *v)
{
    quern_context_options options = {.size = sizeof options, .device = v->open.device, .host = QUERN_OFF};
    const quern_device *d;
    char text[512];

    if (!v->device_count) return;
    if (quern_context_create(&v->context, &options)) {
        fail_quern(v, "default device");
        return;
    }
    d = quern_context_device(v->context);
    snprintf(text, sizeof text, "%s %.200s (%s, profile %s)", d->selector, d->name, d->kind,
             quern_context_profile(v->context));
    ok(v, "default device", text);
}

static void check_float64(visit *v)
{
    if (!v->context) return;
    if (quern_context_device(v->context)->f64) ok(v, "float64", "the device has it");
    else
        warn(v, "float64", "the device has no float64 arithmetic",
             "use float32 arrays (--dtype f32), or another device of `quern devices` for float64");
}

/* ---- a first program -------------------------------------------------------------------------------------------- */

static double seconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* Sum_j b_j exp(-|x_i - y_j|^2) for x = 0, 1 and y = 0, 1, 3, b = 1, 2, 3; got[] are the results, exact ones
 * subtracted. */
static quern_status run_first(quern_operator *op, quern_dtype dtype, double got[2])
{
    static const float x[] = {0, 1}, y[] = {0, 1, 3}, b[] = {1, 2, 3};
    static const double x2[] = {0, 1}, y2[] = {0, 1, 3}, b2[] = {1, 2, 3};
    const double exact[] = {1 + 2 * exp(-1) + 3 * exp(-9), exp(-1) + 2 + 3 * exp(-4)};
    float a[2] = {0, 0};
    quern_status status;

    if (dtype == QUERN_F32)
        status =
            quern_run(op, QUERN_ARGS({"x", quern_f32(x, 2, 1)}, {"y", quern_f32(y, 3, 1)}, {"b", quern_f32(b, 3, 1)}),
                      quern_f32(a, 2, 1));
    else
        status = quern_run(
            op, QUERN_ARGS({"x", quern_f64(x2, 2, 1)}, {"y", quern_f64(y2, 3, 1)}, {"b", quern_f64(b2, 3, 1)}),
            quern_f64(got, 2, 1));
    for (int k = 0; k < 2; k++) got[k] = (dtype == QUERN_F32 ? (double)a[k] : got[k]) - exact[k];
    return status;
}

static void check_run(visit *v, quern_operator *op, const char *name, quern_dtype dtype)
{
    double error[2] = {0, 0}, bound = dtype == QUERN_F32 ? 1e-5 : 1e-12, start = seconds(), first, second;
    char text[256];

    if (run_first(op, dtype, error)) {
        fail_quern(v, name);
        return;
    }
    first = seconds() - start;
    start = seconds();
    run_first(op, dtype, error);
    second = seconds() - start;
    if (fabs(error[0]) <= bound && fabs(error[1]) <= bound) {
        snprintf(text, sizeof text, "built, run, right to %.1g; first call %.3f s, second %.4f s",
                 fmax(fabs(error[0]), fabs(error[1])), first, second);
        ok(v, name, text);
        return;
    }
    snprintf(text, sizeof text, "a first program gives wrong numbers: off by %g and %g", error[0], error[1]);
    fail(v, QUERN_DEVICE, name, text,
         "update the device's driver, or take another device with --device or QUERN_DEVICE");
}

static void check_program(visit *v)
{
    quern_operator *op = NULL;

    if (!v->context) return;
    if (quern_compile(&op, v->context, "x=Vi(1); y=Vj(1); b=Vj(1); Sum_j(Exp(-SqDist(x,y))*b)", NULL)) {
        fail_quern(v, "formula");
        return;
    }
    check_run(v, op, "program f32", QUERN_F32);
    if (quern_context_device(v->context)->f64) check_run(v, op, "program f64", QUERN_F64);
    quern_operator_destroy(&op);
}

/* ---- the cache -------------------------------------------------------------------------------------------------- */

static void check_cache(visit *v)
{
    quern_cache cache;
    char text[5000];

    if (quern_cache_look(&cache)) {
        fail_quern(v, "cache");
        return;
    }
    snprintf(text, sizeof text, "%s%s%s", *cache.path ? cache.path : "no directory", cache.fault ? ": " : "",
             cache.fault ? cache.fault : "");
    if (cache.fault) warn(v, "cache", text, "set QUERN_CACHE_DIR to a directory of your own (chmod 700)");
    else ok(v, "cache", text);
}

/* ---- the visit -------------------------------------------------------------------------------------------------- */

static void (*const checks[])(visit *) = {check_library, check_drivers, check_loader,  check_platforms, check_graphics,
                                          check_default, check_float64, check_program, check_cache};

static const cli_option options[] = {
    {"--json", CLI_FLAG, offsetof(visit, json), "",
     "print {checks: [{verdict, check, text, fix}], failed, warnings}; fix is null where nothing is wrong"},
    CLI_DEVICE(visit),
};

static quern_status run(int argc, char **argv)
{
    visit v = {0};
    cli_list words = {NULL, 0};
    quern_status status = cli_parse(argc, argv, options, CLI_COUNT(options), &v, &words);

    if (!status && words.count) status = cli_fail(QUERN_USAGE, "doctor takes no arguments, but got %s", words.items[0]);
    free(words.items);
    if (status) return status;
    if (v.json) v.lines = json_array();
    for (size_t k = 0; k < CLI_COUNT(checks); k++) checks[k](&v);
    if (v.json)
        status = cli_print_json(
            json_pack("{s:o, s:i, s:i}", "checks", v.lines, "failed", v.failures, "warnings", v.warnings), 2);
    else printf("%d failed, %d warning%s\n", v.failures, v.warnings, CLI_S(v.warnings));
    quern_context_destroy(&v.context);
    quern_free(v.devices);
    if (!v.status) return status;
    return cli_fail(v.status, "the doctor found %d problem%s; see the fixes above", v.failures, CLI_S(v.failures));
}

const cli_command cli_doctor = {
    .name = "doctor",
    .run = run,
    .sentence = "check the installation, with a fix for what is wrong",
    .examples = "quern doctor\n",
    .synopsis = "[options]",
    .text =
        "Checks what quern needs, from the OpenCL loader to a first program that is built, run and compared with a\n"
        "result computed by hand. Each line begins with ok, warn or FAIL; the latter two say how to fix it.\n"
        "The exit code is 0 if nothing failed, else the status of the first line that did.\n",
    .words = "",
    .options = options,
    .option_count = CLI_COUNT(options),
};
