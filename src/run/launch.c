/*
 * launch.c: one run of an operator: its stages in order, each a launch or several.
 *
 * Long launches are cut into slices of rows that aim for the time in the device's profile. That one mechanism keeps
 * watchdogs quiet, reports progress and lets a run be stopped. On GPUs slices are whole waves of groups. Each is timed by
 * the host's clock, from an empty queue to an empty queue: that is good to some 20 us of 100 ms, costs no more than that,
 * and unlike events' profiling works with any queue of the user's.
 */
#include "run/launcher.h"

void q_add_buffer(q_arguments *args, const q_buffer *buffer)
{
    args->arg[args->count++] = (q_kernel_arg){sizeof(cl_mem), &buffer->mem};
}

void q_add_number(q_arguments *args, int index, int64_t value)
{
    args->numbers[index] = value;
    args->arg[args->count++] = (q_kernel_arg){sizeof(cl_long), &args->numbers[index]};
}

void q_add_inputs(q_launcher *l, q_arguments *args, const q_ir *p)
{
    for (size_t a = 0; a < p->input_count; a++) q_add_buffer(args, &q_slot_find(l, &p->inputs[a])->buffer);
    args->sizes = args->count;
    q_add_number(args, 0, l->run->M);
    q_add_number(args, 1, l->run->N);
}

void q_add_outputs(q_launcher *l, q_arguments *args, const q_ir *p)
{
    for (size_t o = 0; o < p->output_count; o++) q_add_buffer(args, &q_slot_find(l, &p->outputs[o])->buffer);
}

static quern_status report(q_launcher *l, double pairs)
{
    l->done += pairs;
    const quern_context_options *options = &l->context->options;
    if (!options->progress) return QUERN_OK;
    Q_TRY(q_session_finish(l->session));
    double share = l->total > 0 ? l->done / l->total : 1;
    if (share > l->notified) l->notified = share;
    if (!options->progress(options->progress_user, l->notified)) return QUERN_OK;
    return q_fail(QUERN_CANCELLED, "the run was stopped by the progress callback after %.0f %%",
                  100 * l->done / (l->total > 0 ? l->total : 1));
}

double q_pairs_of(const q_launcher *l, const q_ir *p)
{
    int64_t columns = p->reduced ? q_axis_size(p->reduced, l->run->M, l->run->N) : 1;
    return (double)q_axis_size(p->rows, l->run->M, l->run->N) * (double)(columns ? columns : 1);
}

/* How a stage is cut: along its groups of rows, or, where the columns are split, along its parts. */
static int64_t slices_of(const q_plan *plan)
{
    return plan->split ? plan->split_count : plan->groups;
}

static quern_status launch_slice(q_launcher *l, q_program *program, const q_plan *plan, q_arguments args, int64_t at,
                                 int64_t count)
{
    size_t local[3] = {(size_t)plan->local, 1, 1}, rhs_groups = (size_t)plan->rhs_groups;
    size_t rows[3] = {(size_t)count * local[0], 1, rhs_groups},
           parts[3] = {(size_t)plan->groups * local[0], (size_t)count, rhs_groups};
    for (size_t n = 0; n < 2; n++) args.arg[args.sizes + n].value = &args.numbers[n]; /* the copy's own */
    q_add_number(&args, 2, args.first + (plan->split ? 0 : at * q_plan_group_rows(plan)));
    q_add_number(&args, 3, plan->split_extent);
    if (plan->split) q_add_number(&args, 4, at);
    if (plan->split) q_add_number(&args, 5, plan->split_count);
    return q_program_launch(program, l->session, args.arg, args.count, plan->split ? parts : rows, local);
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

quern_status q_launch_slices(q_launcher *l, q_program *program, const q_ir *p, const q_plan *plan,
                             const q_arguments *args, double pairs)
{
    int64_t total = slices_of(plan), groups = plan->rhs_groups * (plan->split ? plan->groups : 1);
    q_pace pace;
    Q_TRY(q_pace_begin(&pace, l, plan, total, groups, q_plan_seconds(plan, p, pairs)));
    for (int64_t at = 0, count; at < total; at += count) {
        count = pace.size < total - at ? pace.size : total - at;
        double start = q_seconds();
        Q_TRY(launch_slice(l, program, plan, *args, at, count));
        if (pace.sliced) {
            Q_TRY(q_session_finish(l->session));
            q_pace_measured(&pace, count, q_seconds() - start);
        }
        Q_TRY(report(l, pairs * (double)count / (double)total));
    }
    return QUERN_OK;
}

quern_status q_launch_rows(q_launcher *l, size_t stage, const q_plan *plan, q_program *program)
{
    const q_ir *p = l->run->build->programs[stage];
    q_arguments args = {.count = 0};
    q_add_inputs(l, &args, p);
    q_add_outputs(l, &args, p);
    return q_launch_slices(l, program, p, plan, &args, q_pairs_of(l, p));
}

static quern_status launch_stage(q_launcher *l, size_t stage)
{
    const q_stage_plan *planned = &l->plans[stage];
    if (!planned->plan.groups) return QUERN_OK;
    return planned->plan.split ? q_launch_split(l, stage, planned)
                               : q_launch_rows(l, stage, &planned->plan, planned->program);
}

static quern_status run_stages(q_launcher *l)
{
    const quern_operator *op = l->run->op;
    Q_TRY(q_slots_make(l));
    for (size_t s = 0; s < op->stages.count; s++) l->total += q_pairs_of(l, l->run->build->programs[s]);
    for (size_t s = 0; s < op->stages.count; s++) Q_TRY(launch_stage(l, s));
    return q_slots_read_results(l);
}

quern_status q_launch(const q_run *run)
{
    quern_context *context = run->build->context;
    q_stage_plan plans[Q_MAX_STAGES];
    q_launcher l = {.run = run, .context = context, .session = run->build->session, .plans = plans};
    if (run->dtype == QUERN_F64 && !quern_context_device(context)->f64) {
        quern_status status =
            q_fail(QUERN_UNSUPPORTED, "device %s has no float64", quern_context_device(context)->name);
        q_fail_next_step("give float32 arrays, or choose another device");
        return status;
    }
    Q_TRY(q_plan_run(plans, run));
    quern_status status = run_stages(&l);
    if (status) (void)q_session_settle(l.session); /* nothing may still use the arrays; the first failure is told */
    q_slots_free(&l);
    return status;
}
