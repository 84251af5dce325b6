/*
 * scheme.c: how a stage runs on a device: from the device's profile row it decides vector width, rows per work-item,
 * staged columns, register tiles and split.
 *
 * What shapes the source (lanes, rows, local, tiles, block, split) depends on sizes only through two yes-or-no
 * questions, few rows? and split?, so a new M or N does not mean a new program.
 */
#include "plan/plan.h"

enum {
    BLOCK = 256,          /* terms added before the sum is compensated: see docs/numbers.md */
    LOCAL_BYTES = 32768,  /* the local memory that every full-profile device has */
    LEAST_STAGED = 16,    /* columns below which staging costs more than it saves */
    MOST_COLUMNS = 8,     /* taken at once */
    UNROLLED_TEXT = 384,  /* statements of them for all rows of a work-item */
    MOST_ROWS = 64,       /* of a work-item: each is unrolled text and has its state on the stack */
    TILE_BYTES = 1 << 20, /* of a work-item on its thread's stack */
    MOST_CENTRE = 1024,   /* components of a centre that is kept in local memory */
    MOST_TILE_K = 4,      /* components staged at once: more would take registers on their way */
    SUM_BYTES = 8192      /* of the sums that go through local memory at once, so that several groups fit a processor */
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

static size_t live_values(const q_ir *program, uint8_t scope)
{
    size_t count = 0;
    for (q_ref v = 1; v < program->count; v++)
        if (program->uses[v] && program->values[v].scope == scope) count++;
    return count;
}

/* How many vectors of rows a work-item can own before its rows and states leave the registers. A vector is one
   register, a single number one per 4 bytes. */
static int rows_that_fit(const q_ir *program, const q_plan *plan)
{
    size_t registers = plan->lanes == 1 && plan->dtype == QUERN_F64 ? 2 : 1;
    size_t pair = program->statements[Q_ROW | Q_COLUMN];
    size_t live = (live_values(program, Q_ROW) + (size_t)q_plan_words(program)) * registers;
    int most = plan->profile.rows;
    int rows = live <= 8 ? 8 : live <= 16 ? 4 : live <= 32 ? 2 : 1;
    while (rows > 1 && pair * (size_t)rows > 1024) rows /= 2; /* unrolled text */
    return rows < most ? rows : most;
}

size_t q_plan_column_align(size_t numbers, quern_dtype dtype)
{
    size_t bytes = numbers * q_element_size(dtype);
    return bytes <= 4 ? 4 : bytes <= 8 ? 8 : 16;
}

static size_t column_bytes(const q_ir *program, const q_plan *plan)
{
    size_t numbers = live_values(program, Q_COLUMN), align = q_plan_column_align(numbers, plan->dtype);
    return (numbers * q_element_size(plan->dtype) + align - 1) / align * align;
}

/* How many columns fit local memory, at most one for each work-item; 0: read them directly. */
static int staged_that_fit(const q_ir *program, const q_plan *plan)
{
    size_t bytes = column_bytes(program, plan);
    int columns = plan->profile.staged_cols < plan->local ? plan->profile.staged_cols : plan->local;
    while (columns > 0 && bytes * (size_t)columns > LOCAL_BYTES) columns /= 2;
    return columns < LEAST_STAGED && columns < plan->local ? 0 : columns;
}

/* How many columns a work-item takes between two looks at its counter. With more than some text the looks cost nothing
   beside it, and the text would leave the caches of instructions; the rest is taken one by one, so it must be
   short. */
static int columns_at_once(const q_ir *program, const q_plan *plan)
{
    size_t text = (program->statements[Q_ROW | Q_COLUMN] + (size_t)q_plan_words(program)) * (size_t)plan->rows;
    int columns = plan->dtype == QUERN_F64 ? 1 : MOST_COLUMNS; /* float64: long functions, and twice the registers */
    while (columns > 1 && (columns * 16 > plan->staged_cols || text * (size_t)columns > UNROLLED_TEXT)) columns /= 2;
    return columns;
}

// ---- tiles in local memory ----

static int largest_factor(int most, int of)
{
    int factor = 1;
    while (2 * factor <= most && of % (2 * factor) == 0) factor *= 2;
    return factor;
}

/* Members of a struct of local memory, which has one at least: live values of a loop, at most. */
static size_t members(const q_ir *program, uint8_t scope)
{
    size_t count = live_values(program, scope);
    return count ? count : 1;
}

/* Members of q_weights, which has one at least. */
static size_t weight_count(const q_ir *program)
{
    return program->weights ? program->weights : 1;
}

static size_t rhs_sum_count(const q_ir *program)
{
    size_t count = 0;
    for (size_t r = 0; r < program->reduction_count; r++) count += q_owns_rhs(program, r);
    return count;
}

static size_t scale_count(const q_ir *program)
{
    size_t count = 0;
    for (size_t r = 0; r < program->reduction_count; r++) count += program->reductions[r].weight != 0;
    return q_rhs_is_scaled(program) ? count : 0;
}

/* What a group shares in gemm_local.cl, in bytes, at most; each of its arrays may begin a little later for its alignment. */
static size_t shared_bytes(const q_ir *program, const q_plan *plan)
{
    size_t number = q_element_size(plan->dtype), vector = number * (size_t)plan->lanes, gaps = 12 * 16;
    size_t rows = (size_t)(plan->rows * plan->local + 4), columns = (size_t)plan->tile_n,
           epilogue = (size_t)plan->epilogue_n;
    size_t bytes = gaps + columns * (members(program, Q_COLUMN) * number + 16);
    if (program->k_dim) {
        size_t x = members(program, Q_ROW | Q_K_LOOP) * vector, y = members(program, Q_COLUMN | Q_K_LOOP) * number;
        bytes += (size_t)plan->tile_k * (x * rows + y * (columns + 4)) + epilogue * program->sum_count * vector * rows;
    }
    if (plan->expansion) bytes += number * (program->k_dim + columns) + vector * rows;
    if (!program->rhs_dim) return bytes;
    size_t rhs = (size_t)(plan->threads_n * plan->rhs_per_item + 4),
           words = 2 + scale_count(program); /* of a state: more than it leaves */
    for (size_t r = 0; r < program->reduction_count; r++)
        words += 2 * (size_t)q_ops[program->reductions[r].op].words(program->reductions[r].K) * q_own_dim(program, r);
    bytes +=
        epilogue * (weight_count(program) * vector * rows + members(program, Q_COLUMN | Q_RHS_LOOP) * number * rhs);
    bytes += scale_count(program) * vector * rows;
    return bytes > words * vector * rows ? bytes : words * vector * rows;
}

/* How many right-hand sides fit the registers of a work-item, for each row that it shares. */
static void keep_rhs(q_plan *plan, const q_ir *program)
{
    int of_component = (int)(rhs_sum_count(program) + live_values(program, Q_ROW | Q_RHS_LOOP));
    int most = plan->profile.rhs_registers / (plan->dtype == QUERN_F64 ? 2 : 1) /
               (plan->rows * plan->threads_n * of_component);
    plan->rhs_per_item = 1;
    while (2 * plan->rhs_per_item <= most && plan->rhs_per_item * plan->threads_n < (int)program->rhs_dim)
        plan->rhs_per_item *= 2;
    plan->rhs_groups =
        ((int)program->rhs_dim + plan->rhs_per_item * plan->threads_n - 1) / (plan->rhs_per_item * plan->threads_n);
}

/* How the work-items of a group share a tile of rows and columns; no tile_k if it does not fit local memory: then components
   are read where they are used. */
static void share_tile(q_plan *plan, const q_ir *program)
{
    int reg_m = plan->profile.reg_m / plan->rows / (plan->dtype == QUERN_F64 ? 2 : 1); /* in registers of 4 bytes */
    plan->threads_n = largest_factor(reg_m < 1 ? 1 : reg_m, plan->local);
    if (program->rhs_dim && program->k_dim) plan->reg_n = (plan->reg_n + 1) / 2; /* their sums share the registers */
    plan->tile_n = plan->threads_n * plan->reg_n;
    plan->epilogue_n = plan->tile_n;
    plan->expansion = program->expansion == Q_GUARDED && program->k_dim <= MOST_CENTRE ? Q_GUARDED : Q_DIRECT;
    plan->tile_k = program->k_dim ? largest_factor(MOST_TILE_K, plan->local) : 1;
    if (program->rhs_dim) keep_rhs(plan, program);
    size_t sums = (program->sum_count + (program->rhs_dim ? weight_count(program) : 0)) * q_element_size(plan->dtype) *
                  (size_t)(plan->lanes * plan->rows * plan->local);
    size_t most = program->rhs_dim ? SUM_BYTES / 2 : SUM_BYTES; /* by gpu.golden: more waves fit */
    while (plan->epilogue_n > plan->reg_n && sums * (size_t)plan->epilogue_n > most) plan->epilogue_n /= 2;
    while (plan->epilogue_n > plan->reg_n && shared_bytes(program, plan) > LOCAL_BYTES) plan->epilogue_n /= 2;
    while (plan->tile_k && shared_bytes(program, plan) > LOCAL_BYTES) plan->tile_k /= 2;
    if (!plan->tile_k)
        plan->tile_n = plan->rhs_per_item = 0, plan->rhs_groups = 1, plan->expansion = program->expansion;
}

size_t q_plan_local_bytes(const q_plan *plan, const q_ir *program)
{
    return plan->tile_k ? shared_bytes(program, plan) : (size_t)plan->staged_cols * column_bytes(program, plan);
}

static int choose(int wanted, int usual)
{
    return wanted > 0 ? wanted : usual;
}

q_tiling q_tiling_of(const q_profile *profile, const quern_compile_options *options)
{
    bool kahan = options && options->sum == QUERN_SUM_KAHAN;
    bool unrolled =
        !profile->staged_cols && profile->local > 1; /* where gemm.cl would keep them in slow private memory */
    q_tiling least = {.min_k = (uint32_t)profile->min_k,
                      .min_rhs = kahan || unrolled ? 0 : (uint32_t)profile->min_rhs,
                      .expand = !kahan,
                      .apart = profile->staged_cols};
    return least;
}

/* What a work-item keeps of its rows: contracted components, twice if they are expanded, and right-hand sides of
   four numbers. */
static int tile_rows(const q_ir *program, const q_plan *plan)
{
    size_t number = (size_t)plan->lanes * q_element_size(plan->dtype);
    size_t bytes = number * (program->k_dim * (program->expansion ? 2 : 1) + program->rhs_dim * 5);
    int rows = plan->profile.reg_m;
    while (rows > 1 && bytes * (size_t)rows > TILE_BYTES) rows /= 2;
    return rows;
}

static int64_t ceil_div(int64_t a, int64_t b)
{
    return a / b + (a % b != 0);
}

static void shape(q_plan *plan, const q_ir *program, int64_t rows, const quern_compile_options *options)
{
    const q_profile *profile = &plan->profile;
    int lanes = plan->dtype == QUERN_F64 ? profile->lanes64 : profile->lanes32;
    bool map = program->reduced == Q_P, one_row = program->rows == Q_P;
    plan->lanes = choose(options ? options->lanes : 0, one_row ? 1 : lanes);
    plan->local = choose(options ? options->local : 0, one_row && profile->staged_cols ? 1 : profile->local);
    /* rows for two groups or less: small groups spread better, and build in a third of the time */
    bool few = rows <= 2 * (int64_t)plan->lanes * plan->local * profile->rows;
    bool tiled = program->k_dim || program->rhs_dim;
    plan->reg_n = tiled ? profile->reg_n : 0;
    plan->expansion = program->expansion;
    bool shared = tiled && profile->staged_cols;
    plan->rhs_groups = 1;
    plan->rows = choose(options ? options->rows : 0, map || few || shared ? 1
                                                     : tiled              ? tile_rows(program, plan)
                                                                          : rows_that_fit(program, plan));
    plan->staged_cols = map || !profile->staged_cols ? 0 : staged_that_fit(program, plan);
    if (tiled) plan->staged_cols = 0;
    if (shared) share_tile(plan, program);
    plan->unroll = columns_at_once(program, plan);
    plan->block = options && options->sum == QUERN_SUM_PLAIN ? 1 << 30 : BLOCK;
    plan->kahan = options && options->sum == QUERN_SUM_KAHAN;
}

double q_plan_seconds(const q_plan *plan, const q_ir *program, double pairs)
{
    double operations = 1 + (double)program->statements[Q_PAIR] +
                        (double)program->k_dim * (double)program->statements[Q_PAIR | Q_K_LOOP];
    double rhs = (double)program->rhs_dim * (double)program->statements[Q_PAIR | Q_RHS_LOOP];
    return pairs * (operations * plan->rhs_groups + rhs) / 10 / plan->profile.speed * 1e-6;
}

static void split(q_plan *plan, const q_ir *program, int64_t rows, int64_t columns, int units,
                  const quern_compile_options *options)
{
    int64_t wanted = (int64_t)units * plan->profile.groups_per_unit;
    int64_t most = ceil_div(columns, 4 * BLOCK); /* a part is worth its merge only if it has some length */
    int64_t groups = plan->groups * plan->rhs_groups, count = groups < wanted ? ceil_div(wanted, groups) : 1;
    /* a part is the least that one launch can do */
    double launches = q_plan_seconds(plan, program, (double)rows * (double)columns) * 1e3 / plan->profile.launch_ms;
    if (count > 1 && (double)count < launches) count = launches < (double)most ? (int64_t)launches : most;
    if (count > most) count = most;
    if (options && options->split > 0)
        count = options->split < ceil_div(columns, BLOCK) ? options->split : ceil_div(columns, BLOCK);
    if (plan->profile.max_cols_per_item && count < ceil_div(columns, plan->profile.max_cols_per_item))
        count = ceil_div(columns, plan->profile.max_cols_per_item);
    if (count < 1) count = 1;
    plan->split_extent = count == 1 ? columns : ceil_div(ceil_div(columns, count), BLOCK) * BLOCK;
    plan->split_count = count == 1 ? 1 : (int)ceil_div(columns, plan->split_extent);
    plan->split = plan->split_count > 1;
}

bool q_plan_uses_ptx(const q_plan *plan)
{
    return plan->profile.vector_math == Q_MATH_PTX && plan->dtype == QUERN_F32 && plan->lanes == 1;
}

bool q_plan_same_source(const q_plan *a, const q_plan *b)
{
    return a->dtype == b->dtype && a->lanes == b->lanes && a->rows == b->rows && a->local == b->local &&
           a->staged_cols == b->staged_cols && a->tile_n == b->tile_n && a->reg_n == b->reg_n &&
           a->tile_k == b->tile_k && a->expansion == b->expansion && a->threads_n == b->threads_n &&
           a->epilogue_n == b->epilogue_n && a->rhs_per_item == b->rhs_per_item && a->unroll == b->unroll &&
           a->block == b->block && a->kahan == b->kahan && a->split == b->split &&
           a->profile.vector_math == b->profile.vector_math;
}

quern_status q_plan_check(const quern_compile_options *options)
{
    int lanes = options->lanes;
    if (options->sum != QUERN_SUM_BLOCKED && options->sum != QUERN_SUM_KAHAN && options->sum != QUERN_SUM_PLAIN)
        return q_fail(QUERN_USAGE, "there is no method %d of summation", (int)options->sum);
    if (lanes != 0 && lanes != 1 && lanes != 2 && lanes != 4 && lanes != 8 && lanes != 16)
        return q_fail(QUERN_USAGE, "lanes can be 1, 2, 4, 8 or 16, not %d", lanes);
    if (options->rows < 0 || options->rows > MOST_ROWS)
        return q_fail(QUERN_USAGE, "rows can be 1 to %d, not %d", MOST_ROWS, options->rows);
    if (options->local < 0 || options->split < 0)
        return q_fail(QUERN_USAGE, "%s cannot be negative, as %d is", options->local < 0 ? "local" : "split",
                      options->local < 0 ? options->local : options->split);
    return QUERN_OK;
}

quern_status q_plan_make(q_plan *out, const q_ir *program, const q_profile *profile, quern_dtype dtype, int64_t M,
                         int64_t N, int units, const quern_compile_options *options)
{
    int64_t rows = q_axis_size(program->rows, M, N),
            columns = program->reduced ? q_axis_size(program->reduced, M, N) : 0;
    *out = (q_plan){.profile = *profile, .dtype = dtype};
    if (options) Q_TRY(q_plan_check(options));
    if (M >= INT32_MAX || N >= INT32_MAX)
        return q_fail(QUERN_LIMIT, "M = %lld, N = %lld: at most %d rows and columns fit a device's indices",
                      (long long)M, (long long)N, INT32_MAX - 1);
    shape(out, program, rows, options);
    out->groups = ceil_div(rows, q_plan_group_rows(out));
    if (program->reduced && out->groups) split(out, program, rows, columns, units < 1 ? 1 : units, options);
    else out->split_count = 1, out->split_extent = columns;
    return QUERN_OK;
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

void q_plan_dump(const q_plan *plan, const q_ir *program, q_text *out)
{
    q_text_add(out, "plan: profile %s, %s, scheme %s, columns dense\n", plan->profile.name,
               plan->dtype == QUERN_F64 ? "float64" : "float32", plan->reg_n ? "gemm" : "row");
    q_text_add(out, "  %d lanes x %d vectors x %d work-items: %lld rows a group, %lld groups\n", plan->lanes,
               plan->rows, plan->local, (long long)q_plan_group_rows(plan), (long long)plan->groups);
    q_text_add(out, "  functions: %s\n", functions_of(plan));
    if (plan->reg_n)
        q_text_add(out, "  %d columns at once; loops over %u components of contractions%s, %u of right-hand sides\n",
                   plan->reg_n, program->k_dim,
                   plan->expansion == Q_GUARDED    ? " (expanded, guarded)"
                   : plan->expansion == Q_SCREENED ? " (expanded, screened)"
                                                   : "",
                   program->rhs_dim);
    if (plan->rhs_per_item)
        q_text_add(out, "  %d right-hand sides in each of %d work-items, %d groups for all\n", plan->rhs_per_item,
                   plan->threads_n, plan->rhs_groups);
    if (program->reduced)
        q_text_add(out, "  columns %s, in %d part%s of %lld; sums %s\n",
                   plan->staged_cols || plan->tile_n ? "staged in local memory" : "read directly", plan->split_count,
                   plan->split_count == 1 ? "" : "s", (long long)plan->split_extent,
                   plan->kahan           ? "compensated at each term"
                   : plan->block > BLOCK ? "plain"
                                         : "compensated every 256 terms");
}
