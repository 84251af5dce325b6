/*
 * explain.c: what each pass makes of an operator, as text: its graph, its stages, and for each stage program, plan and
 * source; and on one screen, what it is and what it will cost.
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
    return strcmp(r->stage, "all") == 0 || strcmp(r->stage, stage) == 0;
}

static quern_status check_stage(const char *stage)
{
    static const char *const known[] = {"graph", "stages", "program", "plan", "source", "all", "dot"};
    for (size_t s = 0; s < Q_COUNT(known); s++)
        if (!stage || strcmp(stage, known[s]) == 0) return QUERN_OK;
    quern_status status = q_fail(QUERN_USAGE, "there is no stage '%s' to explain", stage);
    q_fail_next_step("the stages are graph, stages, program, plan and source; or all, or dot");
    return status;
}

static quern_status explain_program(const request *r, const q_ir *program, size_t stage, q_text *out)
{
    q_plan plan;
    char name[Q_KERNEL_NAME];
    q_plan_request wanted = {&r->profile, r->dtype, r->M, r->N, r->units, &r->op->options, NULL};
    Q_TRY(q_plan_make(&plan, program, &wanted));
    if (wants(r, "program") || wants(r, "plan")) q_text_add(out, "---- stage %zu ----\n", stage);
    if (wants(r, "program")) q_ir_dump(program, r->dtype, out);
    if (wants(r, "plan")) q_plan_dump(&plan, program, &wanted, out);
    if (!wants(r, "source")) return QUERN_OK;
    q_text_add(out, "// ---- source of stage %zu ----\n", stage);
    Q_TRY(q_source(out, name, program, &plan, Q_ROLE_MAIN));
    if (plan.scheme->pack) {
        q_text_add(out, "// ---- source of the packing of stage %zu ----\n", stage);
        Q_TRY(q_source(out, name, program, &plan, Q_ROLE_PACK));
    }
    if (plan.split) {
        q_text_add(out, "// ---- source of the merge of stage %zu ----\n", stage);
        Q_TRY(q_source(out, name, program, &plan, Q_ROLE_MERGE));
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

// ---- one screen ----

static void add_shape(const request *r, uint8_t axes, int64_t dim, q_text *out)
{
    if (axes) q_text_add(out, "%lld x ", (long long)q_axis_size(axes, r->M, r->N));
    q_text_add(out, "%lld", (long long)dim);
}

static void add_arrays(const request *r, q_text *out)
{
    const quern_operator *op = r->op;
    for (size_t v = 0; v < quern_variable_count(op); v++) {
        quern_value value = quern_variable(op, v);
        q_text_add(out, "%s%s ", v ? ", " : "arguments: ", value.name);
        add_shape(r, q_axis_of(value.axis), value.dim, out);
    }
    for (size_t n = 0; n < op->result_count; n++) {
        const q_node *result = q_node_of(op->graph, op->results[n]);
        q_text_add(out, n ? ", " : "%sresults: ", quern_variable_count(op) ? "\n" : "");
        add_shape(r, result->axes, result->dim, out);
        if (quern_result(op, n).integer) q_text_add(out, " indices");
    }
    q_text_add(out, "\n");
}

static void add_time(double seconds, q_text *out)
{
    q_text_add(out,
               seconds < 1e-5 ? "less than %.2g ms"
               : seconds < 1  ? "about %.2g ms"
                              : "about %.3g s",
               seconds < 1e-5 ? 0.01
               : seconds < 1  ? 1e3 * seconds
                              : seconds);
}

/* The reductions, each once. */
static void add_reductions(const q_ir *p, q_text *out)
{
    for (size_t r = 0; r < p->reduction_count; r++) {
        size_t first = 0;
        while (p->reductions[first].op != p->reductions[r].op) first++;
        if (first == r) q_text_add(out, "%s%s_%c", r ? ", " : "", q_ops[p->reductions[r].op].name, "?ij"[p->reduced]);
    }
}

static double add_plan(const request *r, size_t stage, const q_ir *p, const q_plan *plan, q_text *out)
{
    double pairs = q_stage_pairs(p, r->M, r->N);
    double seconds = q_plan_seconds(plan, p, pairs);
    q_text_add(out, "stage %zu: ", stage);
    add_reductions(p, out);
    q_text_add(out, "%s%.3g %s; scheme %s, %lld group%s", p->reduction_count ? " of " : "", pairs,
               p->reduced && p->rows ? "pairs" : "rows", plan->scheme->name, (long long)plan->groups,
               Q_S(plan->groups));
    if (plan->split) q_text_add(out, " of rows, columns in %d parts", plan->split_count);
    q_text_add(out, "; ");
    add_time(seconds, out);
    q_text_add(out, "\n");
    return seconds;
}

/* As the profile at hand has it, which need not be that of the operator. */
static quern_status add_stage(const request *r, size_t stage, q_text *out, double *seconds)
{
    q_ir *p;
    q_plan plan;
    q_tiling tiling = q_tiling_of(&r->profile, &r->op->options);
    Q_TRY(q_lower(&p, r->op->graph, &r->op->stages, stage, &tiling));
    quern_status status =
        q_plan_make(&plan, p, &(q_plan_request){&r->profile, r->dtype, r->M, r->N, r->units, &r->op->options, NULL});
    if (!status) *seconds += add_plan(r, stage, p, &plan, out);
    q_ir_destroy(&p);
    return status;
}

static quern_status explain_summary(const request *r, q_text *out)
{
    const quern_operator *op = r->op;
    double seconds = 0;
    q_text_add(out, "formula: %s\n", op->text);
    add_arrays(r, out);
    for (size_t s = 0; s < op->stages.count; s++) Q_TRY(add_stage(r, s, out, &seconds));
    q_text_add(out, "a run: ");
    add_time(seconds, out);
    q_text_add(out, " on profile %s in %s, M = %lld, N = %lld; the first builds %zu program%s\n", r->profile.name,
               r->dtype == QUERN_F64 ? "float64" : "float32", (long long)r->M, (long long)r->N, op->stages.count,
               Q_S(op->stages.count));
    if (q_host_would_take(op, op->context, r->dtype, r->M, r->N))
        q_text_add(out, "so few entries are computed on the host, without the device\n");
    const char *refusal = q_pruner_refusal(op);
    q_text_add(out, "pruning: %s%s\n", refusal ? "none, for " : "",
               refusal ? refusal : "blocks of pairs that cannot matter can be left out (--prune)");
    q_text_add(out, "stages to ask for: graph, stages, program, plan, source; all; dot\n");
    return QUERN_OK;
}

static quern_status explain(const request *r, q_text *out)
{
    const quern_operator *op = r->op;
    if (!r->stage) return explain_summary(r, out);
    if (strcmp(r->stage, "dot") == 0) { /* never among all stages */
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

/* A row by its name, with columns of others behind it: "amd-gfx90a matrix=4". */
static quern_status find_profile(q_profile *out, const char *text)
{
    char name[sizeof out->name] = "";
    size_t length = strcspn(text, " ");
    if (length < sizeof name) memcpy(name, text, length);
    if (!q_profile_find(out, name)) return fail_profile(text);
    return q_profile_set(out, text + length, "quern_explain_options.profile");
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
    if (options.profile || !op->context) Q_TRY(find_profile(&r.profile, profile));
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
