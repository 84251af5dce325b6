/*
 * launch.c: one run of an operator: its stages in order, each a launch or several.
 *
 * Long launches are cut into slices of rows that aim for the time in the device's profile. That one mechanism keeps
 * watchdogs quiet, reports progress and lets a run be stopped. On GPUs slices are whole waves of groups. Each is timed by
 * the host's clock, from an empty queue to an empty queue: that is good to some 20 us of 100 ms, costs no more than that,
 * and unlike events' profiling works with any queue of the user's.
 */
#include "run/launcher.h"

/* The buffer of an array. */
static const cl_mem *memory_of(q_launcher *l, const q_array *array)
{
    return &q_slot_find(l, array)->buffer.mem;
}

static q_kernel_arg input_of(q_launcher *l, const q_plan *plan, const q_array *array)
{
    if (!q_plan_by_value(plan, array)) return (q_kernel_arg){sizeof(cl_mem), memory_of(l, array)};
    return (q_kernel_arg){q_element_size(plan->dtype), q_slot_find(l, array)->value};
}

quern_status q_launch_kernel(q_launcher *l, q_program *program, const q_kernel *kernel, const q_values *values,
                             const size_t global[3])
{
    const q_ir *p = kernel->program;
    q_parameter parameters[Q_MAX_PARAMETERS];
    q_kernel_arg args[Q_MAX_PARAMETERS];
    size_t count = q_parameters(parameters, p, kernel->plan, kernel->role);
    for (size_t k = 0; k < count; k++) {
        q_parameter at = parameters[k];
        if (at.kind == Q_PARAM_INPUT) args[k] = input_of(l, kernel->plan, &p->inputs[at.index]);
        else if (at.kind == Q_PARAM_OUTPUT)
            args[k] = (q_kernel_arg){sizeof(cl_mem), memory_of(l, &p->outputs[at.index])};
        else if (values->buffer[at.kind]) args[k] = (q_kernel_arg){sizeof(cl_mem), &values->buffer[at.kind]->mem};
        else args[k] = (q_kernel_arg){sizeof(cl_long), &values->number[at.kind]};
    }
    return q_program_launch(program, l->session, args, count, global, (size_t[]){(size_t)kernel->plan->local, 1, 1});
}

static quern_status report(q_launcher *l, double pairs)
{
    l->done += pairs;
    if (l->report) return l->report(l, pairs);
    const quern_context_options *options = &l->context->options;
    if (!options->progress) return QUERN_OK;
    Q_TRY(q_session_finish(l->session));
    double share = l->total > 0 ? l->done / l->total : 1;
    if (share > l->notified) l->notified = share;
    if (!options->progress(options->progress_user, l->notified)) return QUERN_OK;
    return q_fail(QUERN_CANCELLED, "the run was stopped by the progress callback after %.0f %%",
                  100 * l->done / (l->total > 0 ? l->total : 1));
}

double q_pairs_of(const q_launcher *l, size_t stage)
{
    const q_space *space = q_run_space(l->run, stage);
    const q_ir *p = l->run->build->programs[stage];
    if (space) return q_space_pairs(space);
    return q_stage_pairs(p, l->run->M, l->run->N);
}

/* How a stage is cut: along its groups of rows, or, where the columns are split, along its parts. */
static int64_t slices_of(const q_plan *plan)
{
    return plan->split ? plan->split_count : plan->groups;
}

static quern_status launch_slice(q_launcher *l, q_program *program, const q_kernel *kernel, const q_values *all,
                                 int64_t at, int64_t count)
{
    const q_plan *plan = kernel->plan;
    q_values values = *all;
    size_t groups = (size_t)(plan->split ? plan->groups : count), splits = (size_t)(plan->split ? count : 1);
    if (plan->split) values.number[Q_PARAM_FIRST_SPLIT] += at;
    else values.number[Q_PARAM_FIRST] += q_first_of(plan, at);
    return q_launch_kernel(l, program, kernel, &values,
                           (size_t[]){groups * (size_t)plan->local, splits, (size_t)plan->rhs_groups});
}

/* Whole waves, for in one that is not full some compute units have nothing to do; but where one takes much longer than a
   slice should, less. */
static int64_t whole_waves(const q_pace *pace, double size)
{
    if (size >= (double)pace->wave) return (int64_t)size / pace->wave * pace->wave;
    return 4 * size > (double)pace->wave ? pace->wave : 1 + (int64_t)size;
}

quern_status q_pace_begin(q_pace *pace, q_launcher *l, const q_plan *plan, int64_t total, int64_t groups, double guess)
{
    int64_t wave = plan->profile.waves > 1 ? q_plan_wave(plan) / groups : 1;
    *pace = (q_pace){.aim = plan->profile.launch_ms * 1e-3, .wave = wave > 1 ? wave : 1, .size = total};
    pace->sliced = guess > 2 * pace->aim || l->context->options.progress;
    if (!pace->sliced) return QUERN_OK;
    pace->size = whole_waves(pace, (double)total * pace->aim / (guess > pace->aim ? guess : pace->aim));
    return q_session_finish(l->session);
}

void q_pace_measured(q_pace *pace, int64_t count, double seconds)
{
    double factor = pace->aim / (seconds + 1e-6);
    pace->size = whole_waves(pace, (double)count * (factor > 4 ? 4 : factor < 0.25 ? 0.25 : factor));
}

quern_status q_launch_slices(q_launcher *l, q_program *program, const q_kernel *kernel, const q_values *values,
                             double pairs)
{
    const q_plan *plan = kernel->plan;
    int64_t total = slices_of(plan), groups = plan->rhs_groups * (plan->split ? plan->groups : 1);
    q_pace pace;
    Q_TRY(q_pace_begin(&pace, l, plan, total, groups, q_plan_seconds(plan, kernel->program, pairs)));
    for (int64_t at = 0, count; at < total; at += count) {
        count = pace.size < total - at ? pace.size : total - at;
        double start = q_seconds();
        Q_TRY(launch_slice(l, program, kernel, values, at, count));
        if (pace.sliced) {
            Q_TRY(q_session_finish(l->session));
            q_pace_measured(&pace, count, q_seconds() - start);
        }
        Q_TRY(report(l, pairs * (double)count / (double)total));
    }
    return QUERN_OK;
}

int64_t q_first_of(const q_plan *plan, int64_t group)
{
    return plan->listed ? group : group * q_plan_group_rows(plan);
}

q_values q_values_of(const q_launcher *l, const q_plan *plan)
{
    q_values values = {.buffer = {NULL}};
    for (int t = 0; t < 4 && plan->listed; t++) values.buffer[Q_PARAM_GROUPS + t] = &l->tables[t];
    values.buffer[Q_PARAM_PACKED] = &l->packed;
    values.number[Q_PARAM_M] = l->run->M;
    values.number[Q_PARAM_N] = l->run->N;
    values.number[Q_PARAM_SPLIT_EXTENT] = plan->split_extent;
    values.number[Q_PARAM_SPLIT_COUNT] = plan->split_count;
    values.number[Q_PARAM_PADDED] = plan->groups * q_plan_group_rows(plan);
    return values;
}

quern_status q_launch_rows(q_launcher *l, size_t stage, const q_plan *plan, q_program *program)
{
    q_kernel kernel = {l->run->build->programs[stage], plan, Q_ROLE_MAIN};
    q_values values = q_values_of(l, plan);
    return q_launch_slices(l, program, &kernel, &values, q_pairs_of(l, stage));
}

/* Rows and columns as the stage's kernel takes them. */
static quern_status pack(q_launcher *l, size_t stage, const q_stage_plan *planned)
{
    const q_plan *plan = &planned->plan;
    const q_ir *p = l->run->build->programs[stage];
    int64_t rows = q_axis_size(p->rows, l->run->M, l->run->N), columns = q_axis_size(p->reduced, l->run->M, l->run->N);
    Q_TRY(q_buffer_create(&l->packed, l->session, plan->scheme->packed_bytes(plan, p, rows, columns)));
    q_values values = q_values_of(l, plan);
    size_t items = (size_t)(plan->scheme->pack_groups(plan, p, rows, columns) * plan->local);
    return q_launch_kernel(l, planned->pack, &(q_kernel){p, plan, Q_ROLE_PACK}, &values, (size_t[]){items, 1, 1});
}

/* Packs, if the plan has it so; where memory does not suffice, the plan becomes one that does not. */
static quern_status prepare_pack(q_launcher *l, size_t stage, q_stage_plan *planned)
{
    quern_status status = planned->pack ? pack(l, stage, planned) : QUERN_OK;
    if (status != QUERN_MEMORY) return status;
    q_context_log(l->context, "stage %zu goes on without matrix units: %s", stage, quern_last_error()->message);
    return q_plan_unpacked(planned, l->run, stage);
}

/* The lists of a stage's space on the device. */
static quern_status make_tables(q_launcher *l, size_t stage)
{
    q_space_table table;
    const q_space *space = q_run_space(l->run, stage);
    const q_ir *p = l->run->build->programs[stage];
    Q_TRY(q_space_tabulate(&table, space, p, q_plan_group_rows(&l->plans[stage].plan)));
    size_t names = space->names ? (size_t)q_axis_size(p->reduced, l->run->M, l->run->N) : 0;
    const void *data[] = {table.groups, table.segments, table.entries, space->names};
    size_t bytes[] = {table.group_bytes, table.segment_bytes, table.entry_bytes, names * sizeof(int32_t)};
    quern_status status = QUERN_OK;
    for (int t = 0; t < 4 && !status; t++) status = q_buffer_create_from(&l->tables[t], l->session, data[t], bytes[t]);
    if (!status) status = q_session_finish(l->session); /* they are being read */
    q_space_table_free(&table);
    return status;
}

static quern_status launch_stage(q_launcher *l, size_t stage)
{
    q_stage_plan planned = l->plans[stage];
    if (!planned.plan.groups) return QUERN_OK;
    quern_status status = q_run_space(l->run, stage) ? make_tables(l, stage) : QUERN_OK;
    if (!status) status = prepare_pack(l, stage, &planned);
    if (!status)
        status = planned.plan.carried ? q_launch_carried(l, stage, &planned)
                 : planned.plan.split ? q_launch_split(l, stage, &planned)
                                      : q_launch_rows(l, stage, &planned.plan, planned.program);
    if (status && planned.pack) (void)q_session_settle(l->session); /* nothing may still read what is packed */
    q_buffer_destroy(&l->packed, l->session);
    for (int t = 0; t < 4; t++) q_buffer_destroy(&l->tables[t], l->session);
    return status;
}

static quern_status run_stages(q_launcher *l)
{
    const quern_operator *op = l->run->op;
    Q_TRY(q_slots_make(l));
    for (size_t s = 0; s < op->stages.count; s++) l->total += q_pairs_of(l, s);
    for (size_t s = 0; s < op->stages.count; s++) Q_TRY(launch_stage(l, s));
    return q_slots_read_results(l);
}

quern_status q_launch_check(const quern_context *context, quern_dtype dtype)
{
    if (dtype != QUERN_F64 || quern_context_device(context)->f64) return QUERN_OK;
    q_fail(QUERN_UNSUPPORTED, "device %s has no float64", quern_context_device(context)->name);
    q_fail_next_step("give float32 arrays, or choose another device");
    return QUERN_UNSUPPORTED;
}

quern_status q_launch(const q_run *run)
{
    quern_context *context = run->build->context;
    q_stage_plan plans[Q_MAX_STAGES];
    q_launcher l = {.run = run, .context = context, .session = run->build->session, .plans = plans};
    Q_TRY(q_launch_check(context, run->dtype));
    Q_TRY(q_plan_run(plans, run));
    quern_status status = run_stages(&l);
    if (status) (void)q_session_settle(l.session); /* nothing may still use the arrays; the first failure is told */
    q_slots_free(&l);
    return status;
}
