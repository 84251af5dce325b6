/*
 * builds.c: what a device makes of an operator: a program for each stage, lowered for the device's row, and for its runs
 * plans and kernels. These are made on first use and kept, plans for the sizes of the last few runs, so that a run like
 * one before it plans nothing. Kernels are the device's (device/program.c): equal formulas of two operators have one.
 *
 * Invariant: the list of an operator's builds only grows, and its first member is there from the start.
 */
#include <stdlib.h>
#include <string.h>

#include "run/launcher.h"

/* A program and what it was made for; plan: what shapes its source counts. */
typedef struct kernel {
    struct kernel *next;
    size_t stage;
    q_role role;
    q_plan plan;
    q_program *program;
} kernel;

/* The plans of a run by stage. */
typedef struct planned {
    quern_dtype dtype;
    int64_t M, N, plan_M, plan_N;
    bool by_value;
    q_stage_plan *stages; /* null: none */
} planned;

enum { KEPT_PLANS = 8 };

struct q_kernels {
    kernel *list; /* entries are never removed before the build */
    planned plans[KEPT_PLANS];
    size_t next_plan;
};

// ---- builds ----

static void destroy_kernels(q_kernels *k, q_session *session)
{
    while (k && k->list) {
        kernel *next = k->list->next;
        q_program_release(&k->list->program, session);
        free(k->list);
        k->list = next;
    }
    for (size_t p = 0; k && p < KEPT_PLANS; p++) free(k->plans[p].stages);
    free(k);
}

static void destroy(q_build *build)
{
    if (!build) return;
    destroy_kernels(build->kernels, build->session);
    for (size_t s = 0; s < build->op->stages.count && build->programs; s++) q_ir_destroy(&build->programs[s]);
    free(build->programs);
    pthread_mutex_destroy(&build->lock);
    if (build->context) q_context_release(build->context);
    free(build);
}

void q_builds_destroy(quern_operator *op)
{
    while (op->build) {
        q_build *next = op->build->next;
        destroy(op->build);
        op->build = next;
    }
}

q_profile q_operator_profile(const quern_operator *op, const q_profile *base)
{
    q_profile profile = *base;
    if (op->options.profile) q_profile_set(&profile, op->options.profile, "");
    return profile;
}

static quern_status lower_stages(q_build *build)
{
    const quern_operator *op = build->op;
    build->programs = calloc(op->stages.count + 1, sizeof(q_ir *));
    if (!build->programs) return q_fail_memory(op->stages.count * sizeof(q_ir *));
    q_profile base;
    if (build->context) base = build->context->profile;
    else q_profile_find(&base, "cpu");
    build->profile = q_operator_profile(op, &base);
    if (build->context) q_context_limit(build->context, &build->profile);
    q_tiling tiling = q_tiling_of(&build->profile, &op->options);
    for (size_t s = 0; s < op->stages.count; s++)
        Q_TRY(q_lower(&build->programs[s], op->graph, &op->stages, s, &tiling));
    return QUERN_OK;
}

static quern_status create(q_build **out, const quern_operator *op, quern_context *context)
{
    q_build *build = calloc(1, sizeof *build);
    if (!build) return q_fail_memory(sizeof *build);
    pthread_mutex_init(&build->lock, NULL);
    build->op = op;
    if (context) {
        q_context_retain(build->context = context);
        build->session = context->session;
    }
    quern_status status = lower_stages(build);
    if (status) destroy(build), build = NULL;
    *out = build;
    return status;
}

quern_status q_build_own(quern_operator *op)
{
    return create(&op->build, op, op->context);
}

/* With the operator locked. */
static quern_status find_other(q_build **out, quern_operator *op, quern_context *context)
{
    q_build *build = op->build->next;
    while (build && build->context != context) build = build->next;
    if (!build) {
        q_locale locale = q_locale_enter();
        quern_status status = create(&build, op, context);
        q_locale_leave(locale);
        if (status) return status;
        build->next = op->build->next;
        op->build->next = build;
    }
    *out = build;
    return QUERN_OK;
}

quern_status q_build_find(q_build **out, quern_operator *op, quern_context *context)
{
    *out = op->build;
    if (op->build->context == context) return QUERN_OK;
    pthread_mutex_lock(&op->lock);
    quern_status status = find_other(out, op, context);
    pthread_mutex_unlock(&op->lock);
    return status;
}

// ---- programs ----

/* Bytes of source from which on a compiler takes seconds: some 4000 statements, and what all programs have. */
enum { LARGE_SOURCE = 200000 };

/* Where a quotient must be rounded correctly the device does so, if it can; else q_quotient of prelude.cl. */
static void add_options(q_text *out, const kernel *k, const q_build *build)
{
    const q_device *device = q_session_device(build->session);
    bool single = k->plan.dtype == QUERN_F32 && q_has_exact(build->programs[k->stage], true);
    int registers = k->role ? 0 : q_plan_max_registers(&k->plan),
        units = k->role == Q_ROLE_MERGE ? 0 : q_plan_shape(&k->plan, "MATRIX");
    q_text_add(out, "-cl-std=CL1.2");
    if (single && device->rounds_quotients)
        q_text_add(out, " -cl-fp32-correctly-rounded-divide-sqrt -DQ_ROUNDED_QUOTIENTS=1");
    if (registers && device->takes_ptx) q_text_add(out, " -cl-nv-maxrregcount=%d", registers);
    if (q_matrix_is_intels((q_matrix)units)) q_text_add(out, " -cl-intel-256-GRF-per-thread");
}

static quern_status compile(kernel *k, const q_build *build)
{
    static const char *const roles[] = {
        [Q_ROLE_MAIN] = "", [Q_ROLE_MERGE] = " (merge)", [Q_ROLE_PACK] = " (pack)", [Q_ROLE_LAST] = " (last)"};
    q_text source = {0}, options = {0};
    char name[Q_KERNEL_NAME];
    bool made = false;
    q_locale locale = q_locale_enter();
    quern_status status = q_source(&source, name, build->programs[k->stage], &k->plan, k->role);
    q_locale_leave(locale);
    if (!status && source.size > LARGE_SOURCE)
        q_context_log(build->context, "stage %zu has %zu KB of source: the device's compiler may take a while",
                      k->stage, source.size / 1000);
    add_options(&options, k, build);
    if (!status && options.failed) status = q_fail_memory(options.capacity);
    if (!status) status = q_program_get(&k->program, build->session, name, source.data, options.data, &made);
    q_text_free(&source);
    q_text_free(&options);
    if (status) return status;
    const q_program *program = k->program;
    if (made && *q_program_note(program)) q_context_log(build->context, "cache: %s", q_program_note(program));
    q_context_log(build->context, "%s stage %zu%s of %s in %.3f s: %s",
                  !made                          ? "shared"
                  : q_program_is_loaded(program) ? "loaded"
                                                 : "built",
                  k->stage, roles[k->role], build->op->text, made ? q_program_build_seconds(program) : 0, name);
    return QUERN_OK;
}

/* Adds a kernel to the list, which the caller has locked. */
static quern_status add_kernel(kernel **out, q_build *build, size_t stage, const q_plan *plan, q_role role)
{
    kernel *k = *out = calloc(1, sizeof *k);
    if (!k) return q_fail_memory(sizeof *k);
    *k = (kernel){.next = build->kernels->list, .stage = stage, .role = role, .plan = *plan};
    quern_status status = compile(k, build);
    if (!status) build->kernels->list = k;
    else free(k);
    return status;
}

/* With the build locked; threads that ask meanwhile wait. */
static quern_status find_program(q_program **out, q_build *build, size_t stage, const q_plan *plan, q_role role)
{
    kernel *k = build->kernels->list;
    while (k && !(k->stage == stage && k->role == role && q_plan_same_source(&k->plan, plan))) k = k->next;
    if (!k) Q_TRY(add_kernel(&k, build, stage, plan, role));
    *out = k->program;
    return QUERN_OK;
}

static quern_status lock(q_build *build)
{
    pthread_mutex_lock(&build->lock);
    if (!build->kernels) build->kernels = calloc(1, sizeof *build->kernels);
    if (build->kernels) return QUERN_OK;
    pthread_mutex_unlock(&build->lock);
    return q_fail_memory(sizeof *build->kernels);
}

quern_status q_stage_program(q_program **out, q_build *build, size_t stage, const q_plan *plan, q_role role)
{
    Q_TRY(lock(build));
    quern_status status = find_program(out, build, stage, plan, role);
    pthread_mutex_unlock(&build->lock);
    return status;
}

// ---- plans ----

static quern_status check_local(const q_device *device, const q_plan *plan, const q_ir *p)
{
    size_t bytes = q_plan_local_bytes(plan, p);
    if (bytes > device->info.local_memory) {
        quern_status status = q_fail(QUERN_UNSUPPORTED, "a group needs %zu bytes of local memory; %s has %zu", bytes,
                                     device->info.name, (size_t)device->info.local_memory);
        q_fail_next_step("set quern_compile_options.profile to \"staged_cols=0\", or .local to something smaller");
        return status;
    }
    if ((size_t)plan->local <= device->max_group) return QUERN_OK;
    quern_status status = q_fail(QUERN_USAGE, "a local size of %d is asked for; %s takes %zu at most", plan->local,
                                 device->info.name, device->max_group);
    q_fail_next_step("set quern_compile_options.local to 0 or to something smaller");
    return status;
}

/* Whether all parameters of one number are known on the host, so that kernels can have them by value. */
static bool takes_values(const q_run *run)
{
    bool all = true;
    for (size_t v = 0; v < run->op->variable_count; v++) {
        const q_variable *variable = &run->op->graph->variables[run->op->variables[v]];
        all = all && (variable->axis != Q_P || variable->dim != 1 ||
                      (!run->variables[v].array && run->variables[v].rows == 1));
    }
    return all;
}

/* As the profile has it. */
static quern_status plan_with(q_stage_plan *out, const q_run *run, size_t stage, const q_profile *profile)
{
    q_build *build = run->build;
    const q_ir *p = build->programs[stage];
    const q_device *device = q_session_device(build->session);
    *out = (q_stage_plan){0};
    Q_TRY(q_plan_make(&out->plan, p,
                      &(q_plan_request){profile, run->dtype, run->plan_M, run->plan_N, device->info.compute_units,
                                        &run->op->options, q_run_space(run, stage)}));
    out->plan.by_value = takes_values(run);
    if (!out->plan.groups) return QUERN_OK;
    if (run->plan_M != run->M || run->plan_N != run->N) q_plan_resize(&out->plan, p, run->M, run->N);
    Q_TRY(check_local(device, &out->plan, p));
    Q_TRY(find_program(&out->program, build, stage, &out->plan, Q_ROLE_MAIN));
    if (out->plan.scheme->pack) Q_TRY(find_program(&out->pack, build, stage, &out->plan, Q_ROLE_PACK));
    return out->plan.split ? find_program(&out->merge, build, stage, &out->plan, Q_ROLE_MERGE) : QUERN_OK;
}

static quern_status plan_stage(q_stage_plan *out, const q_run *run, size_t stage)
{
    return plan_with(out, run, stage, &run->build->profile);
}

quern_status q_plan_unpacked(q_stage_plan *out, const q_run *run, size_t stage)
{
    q_profile profile = run->build->profile;
    profile.matrix = Q_MATRIX_NONE;
    Q_TRY(lock(run->build));
    quern_status status = plan_with(out, run, stage, &profile);
    pthread_mutex_unlock(&run->build->lock);
    return status;
}

static planned *find_plans(q_kernels *kernels, const q_run *run)
{
    for (planned *p = kernels->plans; p < kernels->plans + KEPT_PLANS; p++)
        if (p->stages && p->dtype == run->dtype && p->M == run->M && p->N == run->N && p->plan_M == run->plan_M &&
            p->plan_N == run->plan_N && p->by_value == takes_values(run))
            return p;
    return NULL;
}

/* Keeps the plans in place of the oldest; without memory for them they are made again. */
static void keep_plans(q_kernels *kernels, const q_run *run, const q_stage_plan *stages)
{
    size_t bytes = run->op->stages.count * sizeof *stages;
    planned *p = &kernels->plans[kernels->next_plan++ % KEPT_PLANS];
    free(p->stages);
    *p = (planned){run->dtype, run->M, run->N, run->plan_M, run->plan_N, takes_values(run), malloc(bytes)};
    if (p->stages) memcpy(p->stages, stages, bytes);
}

static quern_status plan_run(q_stage_plan *out, const q_run *run)
{
    const quern_operator *op = run->op;
    const planned *known = run->spaces ? NULL : find_plans(run->build->kernels, run);
    if (known) {
        memcpy(out, known->stages, op->stages.count * sizeof *out);
        return QUERN_OK;
    }
    for (size_t s = 0; s < op->stages.count; s++) Q_TRY(plan_stage(&out[s], run, s));
    if (!run->spaces) keep_plans(run->build->kernels, run, out);
    return QUERN_OK;
}

quern_status q_plan_run(q_stage_plan *out, const q_run *run)
{
    Q_TRY(lock(run->build));
    quern_status status = plan_run(out, run);
    pthread_mutex_unlock(&run->build->lock);
    return status;
}
