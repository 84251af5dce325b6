/*
 * devices.c: `quern devices`: all OpenCL devices as a table or as JSON.
 *
 * The device that quern takes by default is marked; it is found by opening it, so that the mark obeys QUERN_DEVICE and
 * the library's own rule. A machine without a device prints an empty list and exits with NO_DEVICE.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"

static double gibibytes(uint64_t bytes)
{
    return (double)bytes / (1024.0 * 1024.0 * 1024.0);
}

/* The default device and the row that it is used with; empty if it cannot be opened. */
typedef struct preference {
    char selector[32], profile[64];
} preference;

static preference find_preferred(void)
{
    quern_context *context = NULL;
    preference found = {"", ""};

    if (quern_context_create(&context, NULL)) return found;
    snprintf(found.selector, sizeof found.selector, "%s", quern_context_device(context)->selector);
    snprintf(found.profile, sizeof found.profile, "%s", quern_context_profile(context));
    quern_context_destroy(&context);
    return found;
}

static bool is_preferred(const quern_device *device, const preference *preferred)
{
    return !strcmp(device->selector, preferred->selector);
}

/* The row that plans are made with, as far as it is known without opening all devices. */
static const char *profile_of(const quern_device *device, const preference *preferred)
{
    return is_preferred(device, preferred) ? preferred->profile : device->profile;
}

static void print_empty_platforms(void)
{
    quern_platform *platforms;
    size_t count;

    if (quern_platforms(&platforms, &count)) return;
    for (size_t k = 0; k < count; k++)
        if (!platforms[k].devices) printf("  %zu:-   no device   %s\n", k, platforms[k].name);
    quern_free(platforms);
}

static void print_table(const quern_device *devices, size_t count, const preference *preferred)
{
    for (size_t k = 0; k < count; k++) {
        const quern_device *d = &devices[k];
        printf("%c %-5s %-11s %s\n", is_preferred(d, preferred) ? '*' : ' ', d->selector, d->kind, d->name);
        printf("        %s (%s), %s, driver %s\n", d->platform, d->platform_vendor, d->version, d->driver);
        printf("        %d compute unit%s, %.1f GiB, %" PRIu64 " KiB local memory, %s float64\n", d->compute_units,
               CLI_S(d->compute_units), gibibytes(d->memory), d->local_memory / 1024, d->f64 ? "with" : "without");
        printf("        profile %s, score %g: %s\n", profile_of(d, preferred), d->score, d->reason);
    }
    if (count) print_empty_platforms(); /* else the error tells */
}

static json_t *json_device(const quern_device *d, const preference *preferred)
{
    json_t *object = json_object();

    json_object_set_new(object, "selector", cli_json_text(d->selector));
    json_object_set_new(object, "default", json_boolean(is_preferred(d, preferred)));
    json_object_set_new(object, "name", cli_json_text(d->name));
    json_object_set_new(object, "vendor", cli_json_text(d->vendor));
    json_object_set_new(object, "platform", cli_json_text(d->platform));
    json_object_set_new(object, "platform_vendor", cli_json_text(d->platform_vendor));
    json_object_set_new(object, "version", cli_json_text(d->version));
    json_object_set_new(object, "driver", cli_json_text(d->driver));
    json_object_set_new(object, "kind", cli_json_text(d->kind));
    json_object_set_new(object, "profile", cli_json_text(profile_of(d, preferred)));
    json_object_set_new(object, "reason", cli_json_text(d->reason));
    json_object_set_new(object, "compute_units", json_integer(d->compute_units));
    json_object_set_new(object, "memory", json_integer((json_int_t)d->memory));
    json_object_set_new(object, "local_memory", json_integer((json_int_t)d->local_memory));
    json_object_set_new(object, "f64", json_boolean(d->f64));
    json_object_set_new(object, "driver_caches", json_boolean(d->driver_caches));
    json_object_set_new(object, "score", json_real(d->score));
    return object;
}

/* The platforms: those without a device are not seen in the list of devices. */
static json_t *json_platforms(void)
{
    json_t *list = json_array();
    quern_platform *platforms;
    size_t count;

    if (quern_platforms(&platforms, &count)) return list;
    for (size_t k = 0; k < count; k++) {
        json_t *object = json_object();
        json_object_set_new(object, "name", cli_json_text(platforms[k].name));
        json_object_set_new(object, "devices", json_integer(platforms[k].devices));
        json_object_set_new(object, "next_step", cli_json_text(platforms[k].next_step));
        json_array_append_new(list, object);
    }
    quern_free(platforms);
    return list;
}

static quern_status print_json(const quern_device *devices, size_t count, const preference *preferred)
{
    json_t *list = json_array();

    for (size_t k = 0; k < count; k++) json_array_append_new(list, json_device(&devices[k], preferred));
    return cli_print_json(json_pack("{s:o, s:o}", "devices", list, "platforms", json_platforms()), 2);
}

typedef struct request {
    bool json;
} request;

static const cli_option options[] = {
    {"--json", CLI_FLAG, offsetof(request, json), "",
     "print {devices: [{selector, default, name, vendor, platform, platform_vendor, version, driver,\n"
     "kind, profile, reason, compute_units, memory, local_memory, f64, driver_caches, score}],\n"
     "platforms: [{name, devices, next_step}]}; memory is in bytes"},
};

static quern_status run(int argc, char **argv)
{
    request r = {0};
    cli_list words = {NULL, 0};
    quern_status status = cli_parse(argc, argv, options, CLI_COUNT(options), &r, &words);
    quern_device *devices = NULL;
    size_t count = 0;
    preference preferred = {"", ""};

    if (!status && words.count)
        status = cli_fail(QUERN_USAGE, "devices takes no arguments, but got %s", words.items[0]);
    free(words.items);
    if (status) return status;
    if ((status = quern_devices(&devices, &count))) return cli_fail_quern(status, NULL);
    if (count) preferred = find_preferred();
    if (r.json) status = print_json(devices, count, &preferred);
    else print_table(devices, count, &preferred);
    quern_free(devices);
    if (!status && !count)
        return cli_fail_quern(quern_context_create(&(quern_context *){NULL}, NULL), NULL); /* which tells why */
    return status;
}

const cli_command cli_devices = {
    .name = "devices",
    .run = run,
    .sentence = "list the OpenCL devices",
    .examples = "quern devices\n"
                "QUERN_DEVICE=0:0 quern devices --json\n",
    .synopsis = "[options]",
    .text =
        "Lists all OpenCL devices; * marks the one that quern takes when none is named. --device and the environment\n"
        "variable QUERN_DEVICE take the kind (gpu, cpu), the selector (0:0), or any part of the name or vendor of a\n"
        "device or of its platform, such as nvidia or pocl, in any case. Of several that fit, the highest score wins.\n",
    .words = "",
    .options = options,
    .option_count = CLI_COUNT(options),
};
