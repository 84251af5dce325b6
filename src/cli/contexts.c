/*
 * contexts.c: the devices of a run: one, or several that are named with commas between them, or all there are.
 */
#include <stdlib.h>
#include <string.h>

#include "cli.h"

static quern_status add(cli_contexts *c, const cli_opening *open, const char *device)
{
    cli_opening one = *open;
    quern_context **grown = realloc(c->items, (c->count + 1) * sizeof *grown);

    if (!grown) return cli_fail_memory();
    c->items = grown;
    one.device = device;
    quern_status status = cli_open(&c->items[c->count], &one);
    c->count += !status;
    return status;
}

static quern_status add_all(cli_contexts *c, const cli_opening *open)
{
    quern_device *devices = NULL;
    size_t count = 0;
    quern_status status = quern_devices(&devices, &count);

    if (status) return cli_fail_quern(status, NULL);
    for (size_t k = 0; k < count && !status; k++) status = add(c, open, devices[k].selector);
    quern_free(devices);
    return status || count ? status : add(c, open, NULL); /* which tells what is missing */
}

static quern_status add_named(cli_contexts *c, const cli_opening *open)
{
    char *names = strdup(open->device), *rest = names;
    quern_status status = names ? QUERN_OK : cli_fail_memory();

    while (rest && !status) {
        char *name = rest;
        rest = strchr(name, ',');
        if (rest) *rest++ = '\0';
        status = *name ? add(c, open, name)
                       : cli_fail(QUERN_USAGE, "--device %s: a device between the commas has no name", open->device);
    }
    free(names);
    return status;
}

quern_status cli_contexts_open(cli_contexts *c, const cli_opening *open)
{
    if (!open->device) return add(c, open, NULL);
    return strcmp(open->device, "all") ? add_named(c, open) : add_all(c, open);
}

void cli_contexts_close(cli_contexts *c)
{
    for (size_t k = 0; k < c->count; k++) quern_context_destroy(&c->items[k]);
    free(c->items);
    *c = (cli_contexts){0};
}
