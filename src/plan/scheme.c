/*
 * scheme.c: how a stage runs on a device: from the device's profile row it decides vector width and local size, takes the
 * first scheme that can run the stage, which chooses the rest of its shape, and splits the columns where rows are few.
 *
 * What shapes the source (lanes, rows, local, the scheme's shape, block, split) depends on sizes only through two
 * questions, few rows or many? and split?, so a new M or N does not mean a new program.
 */
#include <math.h>
#include <string.h>

#include "plan/plan.h"

enum {
    LEAST_EXTENT = 8192, /* columns of a part for each number of its state, where it is not needed to fill the device */
    TURNS = 8,           /* of loops that the profile's most columns of a work-item have each */
    BLOCK = 256,         /* terms added before the sum is compensated: see docs/numbers.md */
    MOST_ROWS = 64       /* of a work-item: each is unrolled text and has its state on the stack */
};

int64_t q_axis_size(uint8_t axis, int64_t M, int64_t N)
{
    return axis == Q_I ? M : axis == Q_J ? N : 1;
}

int64_t q_plan_group_rows(const q_plan *plan)
{
    return (int64_t)plan->rows * plan->local * plan->lanes;
}

int q_plan_words(const q_ir *program)
{
    int words = 0;
    for (size_t r = 0; r < program->reduction_count; r++)
        if (program->reductions[r].state == r)
            words += q_ops[program->reductions[r].op].words(program->reductions[r].K) * (int)program->reductions[r].dim;
    return words;
}

uint64_t q_plan_split_bytes(const q_plan *plan, const q_ir *program)
{
    uint64_t padded = (uint64_t)(plan->groups * q_plan_group_rows(plan));
    return padded * (uint64_t)plan->split_count * (uint64_t)q_plan_words(program) * q_element_size(plan->dtype);
}

size_t q_plan_column_align(size_t numbers, quern_dtype dtype)
{
    size_t bytes = numbers * q_element_size(dtype);
    return bytes <= 4 ? 4 : bytes <= 8 ? 8 : 16;
}

static int choose(int wanted, int usual)
{
    return wanted > 0 ? wanted : usual;
}

q_tiling q_tiling_of(const q_profile *profile, const quern_compile_options *options)
{
    bool kahan = options && options->sum == QUERN_SUM_KAHAN;
    bool unrolled = !q_shares_local(profile) && profile->local > 1; /* gemm.cl would keep them in slow private memory */
    q_tiling least = {.min_k = (uint32_t)profile->min_k,
                      .min_rhs = kahan || unrolled ? 0 : (uint32_t)profile->min_rhs,
                      .expand = !kahan && (!options || options->precision != QUERN_PRECISION_EXACT),
                      .apart = q_shares_local(profile)};
    return least;
}

static int64_t ceil_div(int64_t a, int64_t b)
{
    return a / b + (a % b != 0);
}

double q_stage_pairs(const q_ir *program, int64_t M, int64_t N)
{
    int64_t columns = program->reduced ? q_axis_size(program->reduced, M, N) : 1;
    return (double)q_axis_size(program->rows, M, N) * (double)(columns ? columns : 1);
}

int q_largest_factor(int most, int of)
{
    int factor = 1;
    while (2 * factor <= most && of % (2 * factor) == 0) factor *= 2;
    return factor;
}

size_t q_member_count(const q_ir *program, uint8_t scope)
{
    size_t count = q_live_values(program, scope);
    return count ? count : 1;
}

q_expansion q_tile_expansion(const q_ir *program)
{
    enum { MOST_CENTRE = 1024 }; /* components of a centre that is kept in local memory */
    return program->expansion == Q_GUARDED && program->k_dim <= MOST_CENTRE ? Q_GUARDED : Q_DIRECT;
}

double q_plan_seconds(const q_plan *plan, const q_ir *program, double pairs)
{
    double operations = 1 + (double)program->statements[Q_PAIR] +
                        (double)program->k_dim * (double)program->statements[Q_PAIR | Q_K_LOOP];
    double rhs = (double)program->rhs_dim * (double)program->statements[Q_PAIR | Q_RHS_LOOP];
    return pairs * (operations * plan->rhs_groups + rhs) / 10 / plan->profile.speed / plan->units * 1e-6;
}

int64_t q_plan_wave(const q_plan *plan)
{
    return (int64_t)plan->units * plan->profile.groups_per_unit;
}

/* Into how many parts the columns are split so that there are enough groups: a wave of them at least; and several, so that
   the last one, in which some compute units have nothing to do, does not matter, where parts stay so long that their
   states do not either. */
static int64_t parts_for_waves(const q_plan *plan, const q_ir *program, int64_t columns)
{
    int64_t groups = plan->groups * plan->rhs_groups, wave = q_plan_wave(plan), several = plan->profile.waves * wave;
    int64_t least = groups < wave ? ceil_div(wave, groups) : 1, wanted = ceil_div(several, groups);
    int64_t most = columns / ((int64_t)LEAST_EXTENT * q_plan_words(program));
    if (wanted > most) wanted = most;
    return wanted > least ? wanted : least;
}

/* ... so that the least that one launch does, a part of all rows, takes no longer than a launch should; where waves count, that
   is several of them. */
static double parts_for_time(const q_plan *plan, const q_ir *program, double pairs)
{
    double launches = q_plan_seconds(plan, program, pairs) * 1e3 / plan->profile.launch_ms;
    double groups = (double)plan->groups * plan->rhs_groups, wave = (double)q_plan_wave(plan);
    return plan->profile.waves > 1 ? ceil(launches * plan->profile.waves * wave / groups)
           : groups < wave         ? launches
                                   : 1;
}

/* Most columns of a part where loops end after so many turns of all together: what the profile says is for eight turns of
   them a column; those over components, of statements that repeat (reroll.c) and within functions of special.cl count,
   too. */
static int64_t most_columns(const q_plan *plan, const q_ir *program)
{
    enum { SPECIAL = 192, COMPONENTS = 4 /* of a turn */ };
    size_t text = program->statements[Q_PAIR] + program->statements[Q_COLUMN] + (size_t)q_plan_words(program);
    int64_t turns = TURNS + program->k_dim / COMPONENTS + (text >= Q_LONG ? (int64_t)text : 0);
    for (q_ref v = 1; v < program->count; v++) {
        const q_scalar *value = &program->values[v];
        bool special = program->uses[v] && value->kind == Q_V_OP && q_ops[value->op].special;
        if (special && (value->scope & Q_COLUMN)) turns += SPECIAL;
    }
    int64_t most = (int64_t)plan->profile.max_cols_per_item * TURNS / turns;
    return most < 1 ? 1 : most;
}

/* Columns of a part are a multiple of this: of a block, or of what goes into a part that may have fewer. */
static int64_t part_unit(const q_plan *plan, const q_ir *program)
{
    int64_t unit = BLOCK, most = plan->profile.max_cols_per_item ? most_columns(plan, program) : BLOCK;
    while (unit > most) unit /= 2;
    return unit;
}

static void split(q_plan *plan, const q_ir *program, double pairs, int64_t columns,
                  const quern_compile_options *options)
{
    int64_t most = ceil_div(columns, 4 * BLOCK); /* a part is worth its merge only if it has some length */
    int64_t count = parts_for_waves(plan, program, columns);
    double for_time = parts_for_time(plan, program, pairs);
    if ((double)count < for_time) count = for_time < (double)most ? (int64_t)for_time : most;
    if (count > most) count = most;
    if (options && options->split > 0)
        count = options->split < ceil_div(columns, BLOCK) ? options->split : ceil_div(columns, BLOCK);
    int64_t unit = part_unit(plan, program);
    if (plan->profile.max_cols_per_item) {
        int64_t extent = most_columns(plan, program) / unit * unit;
        if (count < ceil_div(columns, extent)) count = ceil_div(columns, extent);
    }
    if (count < 1 || plan->carried) count = 1;
    plan->split_extent = count == 1 ? columns : ceil_div(ceil_div(columns, count), unit) * unit;
    plan->split_count = count == 1 ? 1 : (int)ceil_div(columns, plan->split_extent);
    plan->split = plan->split_count > 1 || plan->pieces > 1 || plan->carried;
}

bool q_plan_by_value(const q_plan *plan, const q_array *array)
{
    return plan->by_value && array->variable >= 0 && array->axis == Q_P && array->dim == 1;
}

bool q_plan_uses_ptx(const q_plan *plan)
{
    return plan->profile.vector_math == Q_MATH_PTX && plan->dtype == QUERN_F32 && plan->lanes == 1;
}

int q_plan_sub_group(const q_plan *plan)
{
    q_matrix units = (q_matrix)q_plan_shape(plan, "MATRIX");
    return q_matrix_is_intels(units) ? q_matrix_warp(units) : plan->profile.sub_group;
}

int q_plan_max_registers(const q_plan *plan)
{
    return plan->scheme->bounded && plan->dtype == QUERN_F32 ? plan->profile.max_registers : 0;
}

bool q_plan_same_source(const q_plan *a, const q_plan *b)
{
    return a->scheme == b->scheme && a->dtype == b->dtype && a->lanes == b->lanes && a->rows == b->rows &&
           a->local == b->local && memcmp(a->shape, b->shape, sizeof a->shape) == 0 &&
           a->rhs_per_item == b->rhs_per_item && a->by_value == b->by_value && a->listed == b->listed &&
           a->named == b->named && a->accumulate == b->accumulate && a->block == b->block && a->kahan == b->kahan &&
           a->split == b->split && a->profile.vector_math == b->profile.vector_math &&
           q_plan_max_registers(a) == q_plan_max_registers(b);
}

int q_plan_shape(const q_plan *plan, const char *name)
{
    for (size_t k = 0; k < Q_MAX_SHAPE && plan->scheme->shape[k]; k++)
        if (strcmp(plan->scheme->shape[k], name) == 0) return plan->shape[k];
    return 0;
}

size_t q_plan_local_bytes(const q_plan *plan, const q_ir *program)
{
    return plan->scheme->local_bytes ? plan->scheme->local_bytes(plan, program) : 0;
}

quern_status q_plan_check(const quern_compile_options *options)
{
    int lanes = options->lanes;
    if (options->sum != QUERN_SUM_BLOCKED && options->sum != QUERN_SUM_KAHAN && options->sum != QUERN_SUM_PLAIN)
        return q_fail(QUERN_USAGE, "there is no method %d of summation", (int)options->sum);
    if (options->precision < QUERN_PRECISION_FLOAT32 || options->precision > QUERN_PRECISION_BF16)
        return q_fail(QUERN_USAGE, "there is no precision %d", (int)options->precision);
    if (lanes != 0 && lanes != 1 && lanes != 2 && lanes != 4 && lanes != 8 && lanes != 16)
        return q_fail(QUERN_USAGE, "lanes can be 1, 2, 4, 8 or 16, not %d", lanes);
    if (options->rows < 0 || options->rows > MOST_ROWS)
        return q_fail(QUERN_USAGE, "rows can be 1 to %d, not %d", MOST_ROWS, options->rows);
    if (options->local < 0 || options->split < 0)
        return q_fail(QUERN_USAGE, "%s cannot be negative, as %d is", options->local < 0 ? "local" : "split",
                      options->local < 0 ? options->local : options->split);
    return QUERN_OK;
}

static int64_t rows_of(const q_plan_request *request, const q_ir *program)
{
    return request->space ? q_space_rows(request->space) : q_axis_size(program->rows, request->M, request->N);
}

/* The most that a row meets; 0 for a map. */
static int64_t columns_of(const q_plan_request *request, const q_ir *program)
{
    if (!program->reduced) return 0;
    return request->space ? q_space_columns(request->space) : q_axis_size(program->reduced, request->M, request->N);
}

/* Rows of a block, on average. */
static int64_t block_rows(const q_space *space)
{
    size_t blocks = 0;
    for (size_t b = 0; b < space->block_count; b++) blocks += space->blocks[b].rows > 0;
    return blocks ? ceil_div(q_space_rows(space), (int64_t)blocks) : 0;
}

/* What is the same for all schemes. */
static q_plan begin(const q_plan_request *request, const q_ir *program)
{
    const q_profile *profile = request->profile;
    const quern_compile_options *options = request->options;
    bool one_row = program->rows == Q_P;
    int lanes = request->dtype == QUERN_F64 ? profile->lanes64 : profile->lanes32;
    q_plan plan = {.profile = *profile, .dtype = request->dtype, .rhs_groups = 1, .by_value = true};
    plan.units = request->units < 1 ? 1 : request->units;
    plan.lanes = choose(options ? options->lanes : 0, one_row ? 1 : lanes);
    plan.local = choose(options ? options->local : 0, one_row && q_shares_local(profile) ? 1 : profile->local);
    plan.block = options && options->sum == QUERN_SUM_PLAIN ? 1 << 30 : BLOCK;
    plan.kahan = options && options->sum == QUERN_SUM_KAHAN;
    plan.precision = options ? options->precision : QUERN_PRECISION_FLOAT32;
    plan.rows = options ? options->rows : 0;
    /* rows for two groups or less: small groups spread better, and build in a third of the time */
    int64_t rows = rows_of(request, program), of_group = (int64_t)plan.lanes * plan.local * profile->rows;
    plan.few_rows = rows <= 2 * of_group;
    plan.many_rows = rows >= plan.units * of_group;
    plan.few_columns = program->reduced && columns_of(request, program) < BLOCK;
    plan.block_rows = request->space ? block_rows(request->space) : 0;
    plan.listed = request->space;
    plan.named = request->space && request->space->names;
    plan.carried = request->space && request->space->carried;
    plan.pieces = request->space ? request->space->piece_count : 1;
    return plan;
}

/* The plan with this scheme; null, or why there is none. */
static const char *try_scheme(q_plan *out, const q_scheme *scheme, const q_ir *program, const q_plan_request *request)
{
    *out = begin(request, program);
    out->scheme = scheme;
    return scheme->choose(out, program);
}

/* The first that can run the stage. */
static quern_status take_scheme(q_plan *out, const q_ir *program, const q_plan_request *request)
{
    q_text refusals = {0};
    for (size_t s = 0; q_schemes[s]; s++) {
        const char *refusal = try_scheme(out, q_schemes[s], program, request);
        if (!refusal) {
            q_text_free(&refusals);
            return QUERN_OK;
        }
        q_text_add(&refusals, "; %s: %s", q_schemes[s]->name, refusal);
    }
    q_fail(QUERN_UNSUPPORTED, "no scheme can run this stage%s", refusals.data ? refusals.data : "");
    q_text_free(&refusals);
    return QUERN_UNSUPPORTED;
}

/* Turns of loops that merge one state with another: over its words, and for a selection of K each of the other's terms, which
   looks at all K places for its own. Loops of short states are unrolled. */
static int64_t merge_turns(const q_ir *program)
{
    int64_t words = q_plan_words(program), turns = words;
    if (words < Q_LONG) return 1;
    for (size_t r = 0; r < program->reduction_count; r++) {
        const int64_t K = program->reductions[r].K;
        if (program->reductions[r].state == r && K > 1) turns += K * K * program->reductions[r].dim;
    }
    return turns;
}

/* UNSUPPORTED where loops end after so many turns of all together, and the merge of states of this length would take more. */
static quern_status check_turns(const q_plan *plan, const q_ir *program, int64_t columns)
{
    int64_t words = q_plan_words(program), ends = words < Q_LONG ? 0 : 2 * words; /* its start and its results */
    int64_t turns = plan->split_count * merge_turns(program) + ends;
    if (!plan->profile.max_cols_per_item || !plan->split || turns <= (int64_t)plan->profile.max_cols_per_item * TURNS)
        return QUERN_OK;
    q_fail(QUERN_UNSUPPORTED,
           "results of %lld numbers over %lld columns take more turns of loops than this device does", (long long)words,
           (long long)columns);
    q_fail_next_step("take another device, such as PoCL's, or fewer components or columns at a time");
    return QUERN_UNSUPPORTED;
}

quern_status q_plan_make(q_plan *out, const q_ir *program, const q_plan_request *request)
{
    int64_t M = request->M, N = request->N, rows = rows_of(request, program), columns = columns_of(request, program);
    double pairs = request->space ? q_space_pairs(request->space) : (double)rows * (double)columns;
    *out = (q_plan){0};
    if (request->options) Q_TRY(q_plan_check(request->options));
    if (M >= INT32_MAX || N >= INT32_MAX)
        return q_fail(QUERN_LIMIT, "M = %lld, N = %lld: at most %d rows and columns fit a device's indices",
                      (long long)M, (long long)N, INT32_MAX - 1);
    Q_TRY(take_scheme(out, program, request));
    out->groups = request->space ? q_space_groups(request->space, q_plan_group_rows(out))
                                 : ceil_div(rows, q_plan_group_rows(out));
    if (program->reduced && out->groups) split(out, program, pairs, columns, request->options);
    else out->split_count = 1, out->split_extent = columns;
    return check_turns(out, program, columns);
}

void q_plan_resize(q_plan *plan, const q_ir *program, int64_t M, int64_t N)
{
    plan->groups = ceil_div(q_axis_size(program->rows, M, N), q_plan_group_rows(plan));
    plan->split_extent = program->reduced ? q_axis_size(program->reduced, M, N) : 0;
    plan->split_count = 1;
}

/* What prelude.cl makes of the column vector_math. */
static const char *functions_of(const q_plan *plan)
{
    int math = plan->dtype == QUERN_F64 ? Q_MATH_BUILT_IN : plan->profile.vector_math;
    if (plan->lanes > 1 && math) math = Q_MATH_VECTORS;
    else if (plan->lanes == 1 && math == Q_MATH_VECTORS) math = Q_MATH_BUILT_IN;
    static const char *const words[] = {
        [Q_MATH_BUILT_IN] = "the device's",
        [Q_MATH_VECTORS] = "quern's own",
        [Q_MATH_EXP2] = "the device's, exp of what is never positive by its 2^x",
        [Q_MATH_PTX] = "the device's, 2^x, 1/x, a/b, sqrt and rsqrt by inline PTX",
    };
    return words[math];
}

/* Each scheme in the order in which they are asked: taken, refused, or not needed, and what it would take. */
static void dump_schemes(const q_ir *program, const q_plan_request *request, q_text *out)
{
    double pairs = q_stage_pairs(program, request->M, request->N);
    bool taken = false;
    for (size_t s = 0; q_schemes[s]; s++) {
        q_plan plan;
        const char *refusal = try_scheme(&plan, q_schemes[s], program, request);
        q_text_add(out, "  scheme %s: ", q_schemes[s]->name);
        if (refusal) q_text_add(out, "no: %s\n", refusal);
        else
            q_text_add(out, "%s, about %.2g ms\n", taken ? "would do too" : "taken",
                       1e3 * q_plan_seconds(&plan, program, pairs));
        taken = taken || !refusal;
    }
}

void q_plan_dump(const q_plan *plan, const q_ir *program, const q_plan_request *request, q_text *out)
{
    int64_t groups = plan->groups * plan->rhs_groups * plan->split_count;
    q_text_add(out, "plan: profile %s, %s, scheme %s, columns %s\n", plan->profile.name,
               plan->dtype == QUERN_F64 ? "float64" : "float32", plan->scheme->name, plan->listed ? "listed" : "dense");
    dump_schemes(program, request, out);
    q_text_add(out, "  %d lanes x %d vectors x %d work-items: %lld rows a group, %lld groups\n", plan->lanes,
               plan->rows, plan->local, (long long)q_plan_group_rows(plan), (long long)plan->groups);
    q_text_add(out, "  functions: %s\n", functions_of(plan));
    if (plan->scheme->dump) plan->scheme->dump(plan, program, out);
    if (program->reduced && plan->profile.waves > 1)
        q_text_add(out, "  %lld groups in all, %.1f waves of %lld on %d compute units\n", (long long)groups,
                   (double)groups / (double)q_plan_wave(plan), (long long)q_plan_wave(plan), plan->units);
    if (program->reduced)
        q_text_add(out, "  columns in %d part%s of %lld; sums %s\n", plan->split_count, Q_S(plan->split_count),
                   (long long)plan->split_extent,
                   plan->kahan           ? "compensated at each term"
                   : plan->block > BLOCK ? "plain"
                                         : "compensated every 256 terms");
}
