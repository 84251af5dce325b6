/*
 * explain.c: what each pass makes of an operator, as text: its graph, its stages, and for each stage program, plan and
 * source.
 */
#include <stdlib.h>
#include <string.h>

#include "run/run.h"

typedef struct request {
    const quern_operator *op;
    const char *stage;
    quern_dtype dtype;
    int64_t M, N;
    q_profile profile;
    int units;
} request;

static bool wants(const request *r, const char *stage)
{
    return !r->stage || strcmp(r->stage, stage) == 0;
}

static quern_status check_stage(const char *stage)
{
    static const char *const known[] = {"graph", "stages", "program", "plan", "source", "dot"};
    for (size_t s = 0; s < Q_COUNT(known); s++)
        if (!stage || strcmp(stage, known[s]) == 0) return QUERN_OK;
    quern_status status = q_fail(QUERN_USAGE, "there is no stage '%s' to explain", stage);
    q_fail_next_step("the stages are graph, stages, program, plan and source; or dot");
    return status;
}

static quern_status explain_program(const request *r, const q_ir *program, size_t stage, q_text *out)
{
    q_plan plan;
    char name[Q_KERNEL_NAME];
    q_plan_request wanted = {&r->profile, r->dtype, r->M, r->N, r->units, &r->op->options};
    Q_TRY(q_plan_make(&plan, program, &wanted));
    if (wants(r, "program") || wants(r, "plan")) q_text_add(out, "---- stage %zu ----\n", stage);
    if (wants(r, "program")) q_ir_dump(program, r->dtype, out);
    if (wants(r, "plan")) q_plan_dump(&plan, program, &wanted, out);
    if (!wants(r, "source")) return QUERN_OK;
    q_text_add(out, "// ---- source of stage %zu ----\n", stage);
    Q_TRY(q_source(out, name, program, &plan, false));
    if (plan.split) {
        q_text_add(out, "// ---- source of the merge of stage %zu ----\n", stage);
        Q_TRY(q_source(out, name, program, &plan, true));
    }
    return QUERN_OK;
}

/* The profile may be another than the operator's, so the stage is lowered again. */
static quern_status explain_stage(const request *r, size_t stage, q_text *out)
{
    q_ir *program;
    q_tiling tiling = q_tiling_of(&r->profile, &r->op->options);
    Q_TRY(q_lower(&program, r->op->graph, &r->op->stages, stage, &tiling));
    quern_status status = explain_program(r, program, stage, out);
    q_ir_destroy(&program);
    return status;
}

static quern_status explain(const request *r, q_text *out)
{
    const quern_operator *op = r->op;
    if (r->stage && strcmp(r->stage, "dot") == 0) { /* never among all stages */
        q_graph_dot(op->graph, op->results, op->result_count, out);
        return QUERN_OK;
    }
    if (wants(r, "graph")) q_text_add(out, "formula: %s\n", op->text);
    if (wants(r, "graph")) q_graph_dump(op->graph, op->results, op->result_count, out);
    if (wants(r, "plan") && q_host_would_take(op, op->context, r->dtype, r->M, r->N))
        q_text_add(out, "computed on the host: M = %lld, N = %lld are too few for a launch; else:\n", (long long)r->M,
                   (long long)r->N);
    if (wants(r, "stages")) q_stages_dump(op->graph, &op->stages, out);
    for (size_t s = 0; s < op->stages.count; s++) Q_TRY(explain_stage(r, s, out));
    return QUERN_OK;
}

static quern_status fail_profile(const char *name)
{
    q_text names = {0};
    q_profile_names(&names);
    q_fail(QUERN_USAGE, "there is no profile '%s'", name);
    q_fail_next_step("the profiles are %s", names.data ? names.data : "");
    q_text_free(&names);
    return QUERN_USAGE;
}

quern_status quern_explain(const quern_operator *op, const quern_explain_options *given, char **text)
{
    quern_explain_options options = {0};
    if (!text) return q_fail_null("quern_explain", "text");
    *text = NULL;
    if (!op) return q_fail_null("quern_explain", "the operator");
    Q_TRY(q_options_copy(&options, sizeof options, given, "quern_explain_options"));
    Q_TRY(check_stage(options.stage));
    request r = {.op = op,
                 .stage = options.stage,
                 .dtype = options.dtype ? options.dtype : QUERN_F32,
                 .M = options.M ? options.M : 1000,
                 .N = options.N ? options.N : 1000,
                 .units = 2};
    if (op->context) r.profile = op->context->profile, r.units = quern_context_device(op->context)->compute_units;
    const char *profile = options.profile ? options.profile : "cpu";
    if ((options.profile || !op->context) && !q_profile_find(&r.profile, profile)) return fail_profile(profile);
    r.profile = q_operator_profile(op, &r.profile);
    if (!options.profile && op->context) q_context_limit(op->context, &r.profile);
    q_text out = {0};
    q_locale locale = q_locale_enter();
    quern_status status = explain(&r, &out);
    q_locale_leave(locale);
    if (!status && out.failed) status = q_fail_memory(out.capacity);
    if (!status) *text = q_text_take(&out);
    q_text_free(&out);
    return status;
}
