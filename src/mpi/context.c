/*
 * context.c: quern_mpi_context_create: which device a rank has.
 */
#define _GNU_SOURCE /* sched_getaffinity */
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mpi/mpi.h"

/* The rank among those of its machine. */
static quern_status place_on_machine(const q_ranks *ranks, int *out)
{
    MPI_Comm machine;
    Q_TRY(q_mpi_check(MPI_Comm_split_type(ranks->comm, MPI_COMM_TYPE_SHARED, ranks->rank, MPI_INFO_NULL, &machine),
                      "MPI_Comm_split_type"));
    MPI_Comm_rank(machine, out);
    MPI_Comm_free(&machine);
    return QUERN_OK;
}

/* Of the devices that fit, those like the best one, each in turn; null if none fits. */
static const quern_device *choose(const quern_device *list, size_t count, const char *wanted, int place)
{
    const quern_device *best = NULL;
    size_t alike = 0, at = 0;
    for (size_t k = 0; k < count; k++)
        if ((!wanted || quern_device_fits(&list[k], wanted)) && (!best || list[k].score > best->score)) best = &list[k];
    for (size_t k = 0; k < count && best; k++) alike += !strcmp(list[k].name, best->name);
    for (size_t k = 0; k < count && best; k++)
        if (!strcmp(list[k].name, best->name) && at++ == (size_t)place % alike) return &list[k];
    return best;
}

static quern_status create(quern_context **out, const quern_context_options *given, int place)
{
    quern_context_options options = QUERN_DEFAULTS(quern_context_options);
    quern_device *list;
    size_t count;
    if (given && given->size && given->size <= sizeof options) memcpy(&options, given, given->size);
    const char *wanted = options.device ? options.device : getenv("QUERN_DEVICE");
    if (options.opencl_context || options.opencl_queue || (given && given->size != sizeof options))
        return quern_context_create(out, given);
    Q_TRY(quern_devices(&list, &count));
    const quern_device *device = choose(list, count, wanted && *wanted ? wanted : NULL, place);
    if (device) options.device = device->selector;
    quern_status status = quern_context_create(out, &options);
    quern_free(list);
    return status;
}

static void tell_binding(const quern_context *context, const quern_context_options *options, const q_ranks *ranks)
{
#ifdef CPU_COUNT
    cpu_set_t cores;
    const quern_device *device = quern_context_device(context);
    char line[256];
    if (!options || !options->log || strcmp(device->kind, "cpu") || sched_getaffinity(0, sizeof cores, &cores)) return;
    if (CPU_COUNT(&cores) >= device->compute_units) return;
    snprintf(
        line, sizeof line,
        "rank %d of %d may use %d of %d cores of %s; of Open MPI it has more by --bind-to none or --map-by slot:PE=N",
        ranks->rank, ranks->size, CPU_COUNT(&cores), device->compute_units, device->name);
    options->log(options->log_user, line);
#else
    (void)context, (void)options, (void)ranks;
#endif
}

quern_status quern_mpi_context_create(quern_context **out, MPI_Comm comm, const quern_context_options *options)
{
    q_ranks ranks;
    int place = 0;
    if (out) *out = NULL;
    Q_TRY(q_ranks_open(&ranks, comm, "quern_mpi_context_create"));
    quern_status status = place_on_machine(&ranks, &place);
    if (!status)
        status = q_agree(&ranks, out ? create(out, options, place)
                                     : q_fail_with(QUERN_USAGE, "quern_mpi_context_create: out is null"));
    if (!status) tell_binding(*out, options, &ranks);
    else if (out) quern_context_destroy(out);
    q_ranks_close(&ranks);
    return status;
}
