/*
 * launch.c: one run of an operator: uploads the arrays, launches its stages in order, downloads the results. Every run
 * has its own buffers, so runs do not disturb each other; kernels are built on first use and kept in the operator.
 *
 * Long launches are cut into slices of rows that aim for the time in the device's profile. That one mechanism keeps
 * watchdogs quiet, reports progress and lets a run be stopped.
 *
 * The states of a split walk take what device memory is left: where that is too little, fewer rows are done at a time,
 * then, with other last bits, in fewer parts, and at last in one, which needs no states.
 */
#include <stdlib.h>
#include <string.h>

#include "run/run.h"

enum { MAX_ARGS = Q_MAX_ARRAYS + Q_MAX_STAGE_OUTPUTS + 8 };

struct q_kernel {
    struct q_kernel *next;
    size_t stage;
    bool merge;
    q_plan plan; /* only what shapes the source counts */
    q_program *program;
};

/* A buffer for each array that a run touches. */
typedef struct slot {
    q_array array;
    q_buffer buffer;
    float number; /* of a parameter that is given as a number: uploads read it while they are under way */
} slot;

typedef struct launcher {
    const q_run *run;
    quern_context *context;
    q_queue *queue;
    slot *slots;
    size_t slot_count;
    double done, total; /* pairs */
    double told;        /* share of them that progress was told; what is done again is not told again */
} launcher;

// ---- kernels ----

void q_kernels_destroy(q_kernel *kernels)
{
    while (kernels) {
        q_kernel *next = kernels->next;
        q_program_destroy(&kernels->program);
        free(kernels);
        kernels = next;
    }
}

static bool same_shape(const q_plan *a, const q_plan *b)
{
    return a->dtype == b->dtype && a->lanes == b->lanes && a->rows == b->rows && a->local == b->local &&
           a->tile == b->tile && a->block == b->block && a->kahan == b->kahan && a->split == b->split;
}

/* Statements and states from which on a compiler takes seconds. */
enum { LARGE_PROGRAM = 4096 };

/* Numbers of state that the program names; those of a wide sum are one in a loop. */
static size_t states_of(const q_program_ir *p)
{
    size_t states = 0;
    for (size_t r = 0; r < p->reduction_count; r++)
        if (p->reductions[r].state == r)
            states += (size_t)q_ops[p->reductions[r].op].words(p->reductions[r].K) * q_term_count(p, r);
    return states;
}

static void warn_of_size(const q_kernel *kernel, const quern_operator *op)
{
    const q_program_ir *p = op->programs[kernel->stage];
    size_t size = p->statements[Q_PAIR] * (size_t)kernel->plan.rows + states_of(p);
    if (size > LARGE_PROGRAM)
        q_context_log(op->context, "stage %zu has about %zu statements: the device's compiler may take a while",
                      kernel->stage, size);
}

static quern_status build(q_kernel *kernel, quern_operator *op)
{
    q_text source = {0};
    warn_of_size(kernel, op);
    q_locale locale = q_locale_enter();
    quern_status status = q_source(&source, op->programs[kernel->stage], &kernel->plan, kernel->merge);
    q_locale_leave(locale);
    if (!status) status = q_program_create(&kernel->program, op->context->queue, source.data, "-cl-std=CL1.2");
    q_text_free(&source);
    if (status) return status;
    const q_program *program = kernel->program;
    if (*q_program_note(program)) q_context_log(op->context, "cache: %s", q_program_note(program));
    q_context_log(op->context, "%s stage %zu%s of %s in %.3f s", q_program_is_loaded(program) ? "loaded" : "built",
                  kernel->stage, kernel->merge ? " (merge)" : "", op->text, q_program_build_seconds(program));
    return status;
}

/* The kernel of a stage for a plan, built if it is not there yet; threads that ask meanwhile wait. */
static quern_status find_kernel(q_kernel **out, quern_operator *op, size_t stage, const q_plan *plan, bool merge)
{
    quern_status status = QUERN_OK;
    pthread_mutex_lock(&op->lock);
    q_kernel *kernel = op->kernels;
    while (kernel && !(kernel->stage == stage && kernel->merge == merge && same_shape(&kernel->plan, plan)))
        kernel = kernel->next;
    if (!kernel) {
        kernel = calloc(1, sizeof *kernel);
        status = kernel ? QUERN_OK : q_fail_memory(sizeof *kernel);
        if (!status) {
            *kernel = (q_kernel){.next = op->kernels, .stage = stage, .merge = merge, .plan = *plan};
            status = build(kernel, op);
        }
        if (!status) op->kernels = kernel;
        else free(kernel);
    }
    pthread_mutex_unlock(&op->lock);
    *out = kernel;
    return status;
}

// ---- arrays ----

static quern_status bytes_of(const launcher *l, const q_array *array, size_t *out)
{
    int64_t rows = q_axis_size(array->axis, l->run->M, l->run->N);
    size_t elements;
    if (q_mul_size((size_t)rows, array->dim, &elements) && q_mul_size(elements, q_element_size(l->run->dtype), out))
        return QUERN_OK;
    return q_fail(QUERN_MEMORY, "an array of %lld x %u elements is too large for this machine", (long long)rows,
                  array->dim);
}

static slot *find_slot(launcher *l, const q_array *array)
{
    for (size_t s = 0; s < l->slot_count; s++) {
        const q_array *old = &l->slots[s].array;
        if (old->variable == array->variable && old->temporary == array->temporary && old->result == array->result)
            return &l->slots[s];
    }
    return NULL;
}

static const quern_view *view_of(const launcher *l, int variable)
{
    const quern_operator *op = l->run->op;
    size_t v = 0;
    while (op->variables[v] != variable) v++;
    return &l->run->variables[v];
}

/* A buffer with the numbers of a variable. */
static quern_status upload(launcher *l, slot *s, size_t bytes)
{
    const quern_view *view = view_of(l, s->array.variable);
    s->number = (float)view->number;
    const void *number = l->run->dtype == QUERN_F64 ? (const void *)&view->number : (const void *)&s->number;
    return q_buffer_create_from(&s->buffer, l->queue, view->dtype == QUERN_NUMBER ? number : view->data, bytes);
}

static quern_status add_slot(launcher *l, const q_array *array)
{
    size_t bytes;
    if (find_slot(l, array)) return QUERN_OK;
    slot *s = &l->slots[l->slot_count];
    s->array = *array;
    Q_TRY(bytes_of(l, array, &bytes));
    Q_TRY(array->variable >= 0 ? upload(l, s, bytes) : q_buffer_create(&s->buffer, l->queue, bytes));
    l->slot_count++;
    return QUERN_OK;
}

static quern_status make_slots(launcher *l)
{
    const quern_operator *op = l->run->op;
    size_t most = 1;
    for (size_t s = 0; s < op->stages.count; s++) most += op->programs[s]->input_count + op->programs[s]->output_count;
    l->slots = calloc(most, sizeof *l->slots);
    if (!l->slots) return q_fail_memory(most * sizeof *l->slots);
    for (size_t s = 0; s < op->stages.count; s++) {
        for (size_t a = 0; a < op->programs[s]->input_count; a++) Q_TRY(add_slot(l, &op->programs[s]->inputs[a]));
        for (size_t o = 0; o < op->programs[s]->output_count; o++) Q_TRY(add_slot(l, &op->programs[s]->outputs[o]));
    }
    return QUERN_OK;
}

static void free_slots(launcher *l)
{
    for (size_t s = 0; s < l->slot_count; s++) q_buffer_destroy(&l->slots[s].buffer, l->queue);
    free(l->slots);
}

// ---- launches ----

typedef struct arguments {
    q_kernel_arg arg[MAX_ARGS];
    size_t count;
    size_t sizes;       /* position of M and N */
    int64_t first;      /* row of the launches */
    cl_long numbers[6]; /* M, N, and what the kernel's last arguments are */
} arguments;

static void add_buffer(arguments *args, const q_buffer *buffer)
{
    args->arg[args->count++] = (q_kernel_arg){sizeof(cl_mem), &buffer->mem};
}

static void add_number(arguments *args, int index, int64_t value)
{
    args->numbers[index] = value;
    args->arg[args->count++] = (q_kernel_arg){sizeof(cl_long), &args->numbers[index]};
}

/* Inputs, M and N, as Q_SIGNATURE has them. */
static void add_inputs(launcher *l, arguments *args, const q_program_ir *p)
{
    for (size_t a = 0; a < p->input_count; a++) add_buffer(args, &find_slot(l, &p->inputs[a])->buffer);
    args->sizes = args->count;
    add_number(args, 0, l->run->M);
    add_number(args, 1, l->run->N);
}

static void add_outputs(launcher *l, arguments *args, const q_program_ir *p)
{
    for (size_t o = 0; o < p->output_count; o++) add_buffer(args, &find_slot(l, &p->outputs[o])->buffer);
}

static quern_status report(launcher *l, double pairs)
{
    l->done += pairs;
    const quern_context_options *options = &l->context->options;
    if (!options->progress) return QUERN_OK;
    Q_TRY(q_queue_finish(l->queue));
    double share = l->total > 0 ? l->done / l->total : 1;
    if (share > l->told) l->told = share;
    if (!options->progress(options->progress_user, l->told)) return QUERN_OK;
    return q_fail(QUERN_CANCELLED, "the run was stopped by the progress callback after %.0f %%",
                  100 * l->done / (l->total > 0 ? l->total : 1));
}

static double pairs_of(const launcher *l, const q_program_ir *p)
{
    int64_t columns = p->walk ? q_axis_size(p->walk, l->run->M, l->run->N) : 1;
    return (double)q_axis_size(p->rows, l->run->M, l->run->N) * (double)(columns ? columns : 1);
}

/* How a stage is cut: along its groups of rows, or, where the walk is split, along its parts. */
static int64_t slices_of(const q_plan *plan)
{
    return plan->split ? plan->parts : plan->groups;
}

static quern_status launch_slice(launcher *l, q_kernel *kernel, const q_plan *plan, arguments args, int64_t at,
                                 int64_t count)
{
    size_t local[3] = {(size_t)plan->local, 1, 1}, spans = (size_t)plan->spans;
    size_t rows[3] = {(size_t)count * local[0], 1, spans},
           parts[3] = {(size_t)plan->groups * local[0], (size_t)count, spans};
    for (size_t n = 0; n < 2; n++) args.arg[args.sizes + n].value = &args.numbers[n]; /* the copy's own */
    add_number(&args, 2, args.first + (plan->split ? 0 : at * q_plan_group_rows(plan)));
    add_number(&args, 3, plan->part);
    if (plan->split) add_number(&args, 4, at);
    if (plan->split) add_number(&args, 5, plan->parts);
    return q_program_launch(kernel->program, l->queue, args.arg, args.count, plan->split ? parts : rows, local);
}

/* Slices, each measured to size the next; one launch if it looks short. */
static quern_status launch_slices(launcher *l, q_kernel *kernel, const q_program_ir *p, const q_plan *plan,
                                  const arguments *args, double pairs)
{
    int64_t total = slices_of(plan), size = total;
    double aim = plan->profile.launch_ms * 1e-3, guess = q_plan_seconds(plan, p, pairs);
    bool slice = guess > 2 * aim || l->context->options.progress;
    if (slice) size = 1 + (int64_t)((double)total * aim / (guess > aim ? guess : aim));
    for (int64_t at = 0, count; at < total; at += count) {
        count = size < total - at ? size : total - at;
        double start = q_seconds();
        Q_TRY(launch_slice(l, kernel, plan, *args, at, count));
        if (slice) {
            Q_TRY(q_queue_finish(l->queue));
            double factor = aim / (q_seconds() - start + 1e-6);
            size = 1 + (int64_t)((double)count * (factor > 4 ? 4 : factor < 0.25 ? 0.25 : factor));
        }
        Q_TRY(report(l, pairs * (double)count / (double)total));
    }
    return QUERN_OK;
}

static quern_status launch_rows(launcher *l, size_t stage, const q_plan *plan)
{
    const q_program_ir *p = l->run->op->programs[stage];
    arguments args = {.count = 0};
    q_kernel *kernel;
    Q_TRY(find_kernel(&kernel, l->run->op, stage, plan, false));
    add_inputs(l, &args, p);
    add_outputs(l, &args, p);
    return launch_slices(l, kernel, p, plan, &args, pairs_of(l, p));
}

// ---- split walks ----

/* Some groups of rows from one on: their states in each part, then the merge. */
typedef struct row_pass {
    q_plan plan;   /* of these groups alone */
    int64_t first; /* row of them */
    bool all;      /* groups are in this pass */
    double pairs;
    q_kernel *kernel, *merge;
} row_pass;

static quern_status launch_parts(launcher *l, size_t stage, const row_pass *pass, const q_buffer *partial)
{
    const q_program_ir *p = l->run->op->programs[stage];
    const q_plan *plan = &pass->plan;
    arguments args = {.first = pass->first};
    size_t local[3] = {(size_t)plan->local, 1, 1};
    int64_t padded = plan->groups * q_plan_group_rows(plan);
    add_inputs(l, &args, p);
    add_buffer(&args, partial);
    Q_TRY(launch_slices(l, pass->kernel, p, plan, &args, pass->pairs));
    args.count = 0;
    add_inputs(l, &args, p);
    add_outputs(l, &args, p);
    add_buffer(&args, partial);
    add_number(&args, 2, pass->first);
    add_number(&args, 3, plan->parts);
    add_number(&args, 4, padded);
    size_t items = (size_t)(padded / plan->lanes), slices = plan->kept ? (size_t)(plan->spans * plan->side) : 1;
    return q_program_launch(pass->merge->program, l->queue, args.arg, args.count, (size_t[]){items, 1, slices}, local);
}

/* The states of a pass are gone from the device before those of the next, or of the same with less, are made. */
static quern_status launch_pass(launcher *l, size_t stage, const row_pass *pass)
{
    q_buffer partial = {0};
    double done = l->done;
    Q_TRY(q_buffer_create(&partial, l->queue, q_plan_partial_bytes(&pass->plan, l->run->op->programs[stage])));
    quern_status status = launch_parts(l, stage, pass, &partial);
    if (status) (void)clFinish(l->queue->commands);
    else if (!pass->all) status = q_queue_finish(l->queue);
    q_buffer_destroy(&partial, l->queue);
    if (status) l->done = done;
    return status;
}

/* Half as much memory for states: half the groups at a time, or else half the parts, unless the device walks no
   further. False if there is nothing left to halve. */
static bool shrink(q_plan *plan, int64_t *at_once)
{
    if (*at_once > 1) {
        *at_once = (*at_once + 1) / 2;
        return true;
    }
    if (plan->profile.walk && 2 * plan->part > plan->profile.walk) return false;
    plan->part *= 2;
    plan->parts = (plan->parts + 1) / 2;
    plan->split = plan->parts > 1;
    return true;
}

/* The failure of a pass that cannot shrink. */
static quern_status fail_pass(const q_plan *plan)
{
    q_fail(QUERN_MEMORY,
           "%s; tried down to %lld rows at a time in %d parts, and the device walks no more than %d columns",
           quern_last_error()->message, (long long)q_plan_group_rows(plan), plan->parts, plan->profile.walk);
    q_fail_next_step("wait for other runs in this context, use smaller arrays, or raise quern_context_options.memory");
    return QUERN_MEMORY;
}

static quern_status launch_split(launcher *l, size_t stage, q_plan *plan)
{
    double pairs = pairs_of(l, l->run->op->programs[stage]), done = l->done;
    int64_t at_once = plan->groups;
    row_pass pass = {.plan = *plan};
    Q_TRY(find_kernel(&pass.kernel, l->run->op, stage, plan, false));
    Q_TRY(find_kernel(&pass.merge, l->run->op, stage, plan, true));
    for (int64_t at = 0; plan->split && at < plan->groups;) {
        pass.plan = *plan;
        pass.first = at * q_plan_group_rows(plan);
        pass.plan.groups = at_once < plan->groups - at ? at_once : plan->groups - at;
        pass.all = pass.plan.groups == plan->groups;
        pass.pairs = pairs * (double)pass.plan.groups / (double)plan->groups;
        quern_status status = launch_pass(l, stage, &pass);
        if (!status) at += pass.plan.groups;
        else if (status != QUERN_MEMORY) return status;
        else if (!shrink(plan, &at_once)) return fail_pass(plan);
        else
            q_context_log(l->context, "stage %zu goes on with %lld of %lld groups of rows at a time, in %d part%s: %s",
                          stage, (long long)at_once, (long long)plan->groups, plan->parts, plan->parts == 1 ? "" : "s",
                          quern_last_error()->message);
    }
    if (plan->split) return QUERN_OK;
    l->done = done;
    return launch_rows(l, stage, plan);
}

static quern_status check_local(const launcher *l, const q_plan *plan, const q_program_ir *p)
{
    const q_device *device = q_queue_device(l->queue);
    size_t bytes = q_plan_local_bytes(plan, p);
    if (bytes > device->info.local_memory) {
        quern_status status = q_fail(QUERN_UNSUPPORTED, "a group needs %zu bytes of local memory; %s has %zu", bytes,
                                     device->info.name, (size_t)device->info.local_memory);
        q_fail_next_step("set quern_compile_options.profile to \"tile=0\", or .local to something smaller");
        return status;
    }
    if ((size_t)plan->local <= device->max_group) return QUERN_OK;
    quern_status status = q_fail(QUERN_USAGE, "a local size of %d is asked for; %s takes %zu at most", plan->local,
                                 device->info.name, device->max_group);
    q_fail_next_step("set quern_compile_options.local to 0 or to something smaller");
    return status;
}

static quern_status launch_stage(launcher *l, size_t stage)
{
    quern_operator *op = l->run->op;
    const q_program_ir *p = op->programs[stage];
    q_plan plan;
    const q_run *run = l->run;
    Q_TRY(q_plan_make(&plan, p, &op->profile, run->dtype, run->plan_M, run->plan_N,
                      q_queue_device(l->queue)->info.compute_units, &op->options));
    if (!plan.groups) return QUERN_OK;
    if (run->plan_M != run->M || run->plan_N != run->N) q_plan_resize(&plan, p, run->M, run->N);
    Q_TRY(check_local(l, &plan, p));
    return plan.split ? launch_split(l, stage, &plan) : launch_rows(l, stage, &plan);
}

// ---- results ----

/* Indices are int on the device for float32 and long for float64; outside they are int64. The narrow ones are read into
   the upper half of the result and widened in place. */
static quern_status download(launcher *l, slot *s, const quern_view *view)
{
    size_t bytes;
    Q_TRY(bytes_of(l, &s->array, &bytes));
    if (!s->array.integer || l->run->dtype == QUERN_F64) return q_buffer_read(&s->buffer, l->queue, view->data, bytes);
    size_t count = bytes / 4;
    char *narrow = (char *)view->data + bytes;
    Q_TRY(q_buffer_read(&s->buffer, l->queue, narrow, bytes));
    for (size_t e = 0; e < count; e++) {
        int32_t index;
        memcpy(&index, narrow + 4 * e, 4);
        memcpy((char *)view->data + 8 * e, &(int64_t){index}, 8); /* at any alignment */
    }
    return QUERN_OK;
}

/* Reads wait for all that was enqueued before them; one more wait would be a change of threads more in PoCL. */
static quern_status download_results(launcher *l)
{
    uint64_t bytes = 0;
    for (size_t s = 0; s < l->slot_count; s++) {
        const q_array *array = &l->slots[s].array;
        if (array->result < 0) continue;
        Q_TRY(download(l, &l->slots[s], &l->run->results[array->result]));
        bytes += l->slots[s].buffer.size;
    }
    return bytes ? QUERN_OK : q_queue_finish(l->queue); /* results without rows were not waited for */
}

static quern_status run_stages(launcher *l)
{
    const quern_operator *op = l->run->op;
    Q_TRY(make_slots(l));
    for (size_t s = 0; s < op->stages.count; s++) l->total += pairs_of(l, op->programs[s]);
    for (size_t s = 0; s < op->stages.count; s++) Q_TRY(launch_stage(l, s));
    return download_results(l);
}

quern_status q_launch(const q_run *run)
{
    quern_context *context = run->op->context;
    launcher l = {.run = run, .context = context, .queue = context->queue};
    if (run->dtype == QUERN_F64 && !quern_context_device(context)->f64) {
        quern_status status =
            q_fail(QUERN_UNSUPPORTED, "device %s has no float64", quern_context_device(context)->name);
        q_fail_next_step("give float32 arrays, or choose another device");
        return status;
    }
    quern_status status = run_stages(&l);
    if (status)
        (void)clFinish(l.queue->commands); /* nothing may still use the buffers; the first failure is the one to tell */
    free_slots(&l);
    return status;
}
