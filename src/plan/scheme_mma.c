/*
 * scheme_mma.c: the scheme `mma` (cl/mma.cl) for stages with one contraction of products, or of squares of differences, or with
 * right-hand sides, or both, on devices with matrix units: a kernel (cl/mma_pack.cl) splits numbers into parts of 16 bits, of whose
 * products sums are made as in `gemm_tile`, with the rest of the formula on them; right-hand sides are a second such product.
 *
 * How many parts follows from the precision that is asked for: two of float16 have the 22 bits that a sum of float32 products
 * keeps; one has 11, as TF32; bfloat16 has 8.
 */
#include "plan/plan.h"

enum {
    EXPANSION, /* q_expansion */
    TILE_N,    /* columns of a group's tile */
    KEEP,      /* whether rows stay in registers */
    PARTS,     /* of a number */
    BFLOAT16,  /* numbers are bfloat16, else float16 */
    MATRIX,    /* q_matrix */
    RHS_HELD,  /* right-hand sides that a work-group keeps, of which a work-item has a quarter for each of its rows */
    FOLDED,    /* whether one product gives a squared distance of few components: cl/matrix.cl */
};

enum {
    STEP = 16,        /* components of an instruction */
    MOST_FOLDED = 4,  /* components whose products of parts, three each, fit it beside four numbers of squares */
    MOST_STATES = 32, /* words of the states of a work-item's rows */
    MOST_TEXT = 2048, /* statements of the epilogue, unrolled for a work-item's pairs: as many as a tile has columns */
    MOST_BYTES = 49152, /* of local memory: what NVIDIA's devices give any kernel */
    SCRATCH = 1024,     /* bytes of a warp in the emulation */
};

/* What fits the registers, by makes of matrix units as in cl/matrix.cl; tests/plan/gpu_compile_test.py sees that nothing spills. */
static const struct make {
    int rows;              /* of a work-item, where rows stay in registers; else twice as many */
    int copies;            /* work-items that have the same of a fragment of rows */
    int most_kept, tile_n; /* fragments of 16 rows, times copies, that may stay; columns of a tile where they do not */
    int most_kept_rhs;     /* fragments that may stay beside right-hand sides, which take rows that do */
    int rhs_each;          /* right-hand sides next to each other in a fragment: those of one state */
    int rhs_held, rhs_tile_n; /* right-hand sides of a group, 0: a warp never has whole tiles; columns of its tile */
    int scaled_held, scaled_tile_n; /* the same for softmax sums */
} makes[] = {
    {4, 1, 16, 128, 8, 2, 64, 32, 64, 32}, /* mma.sync */
    {4, 1, 16, 64, 8, 2, 32, 32, 32, 16},  /* mfma */
    {2, 2, 8, 64, 8, 1, 32, 32, 16, 16},   /* wmma */
    {1, 1, 2, 64, 4, 2, 32, 32, 32, 16},   /* dpas, warps of 16: Intel's compiler does not unroll loops over more */
    {2, 1, 2, 64, 0, 2, 0, 0, 0, 0},       /* dpas, warps of 8 */
};

static int64_t ceil_div(int64_t a, int64_t b)
{
    return a / b + (a % b != 0);
}

static int64_t steps(const q_ir *program)
{
    return ceil_div(program->k_dim, STEP);
}

/* Parts of a number that are in fragments of their own. */
static int first_parts(const q_plan *plan)
{
    return plan->shape[FOLDED] ? 1 : plan->shape[PARTS];
}

/* Numbers of the states that a work-item keeps of a row: those of all but right-hand sides. */
static int own_words(const q_ir *program)
{
    int words = 0;
    for (size_t r = 0; r < program->reduction_count; r++)
        words += q_ops[program->reductions[r].op].words(program->reductions[r].K) * (int)q_own_dim(program, r);
    return words;
}

static const struct make *make_of(const q_plan *plan)
{
    return &makes[q_matrix_make((q_matrix)plan->profile.matrix)];
}

/* Rows of a work-item. */
static int own_rows(const q_plan *plan)
{
    return make_of(plan)->rows * (plan->shape[KEEP] ? 1 : 2);
}

static size_t local_bytes(const q_plan *plan, const q_ir *program)
{
    size_t columns = (size_t)plan->shape[TILE_N], rows = (size_t)plan->local, number = q_element_size(plan->dtype);
    size_t chunk = plan->shape[KEEP] ? (size_t)steps(program) * columns : columns + rows;
    chunk *= (size_t)first_parts(plan);
    chunk += columns / STEP * (size_t)(plan->shape[RHS_HELD] * plan->shape[PARTS]);
    size_t bytes = 2 * chunk * STEP * 2 + 64; /* numbers of 2 bytes */
    bytes += 2 * (size_t)plan->shape[RHS_HELD] * number;
    bytes += 2 * columns * (q_member_count(program, Q_COLUMN) * number + 16 + number);
    if (plan->shape[MATRIX] % 2) bytes += rows / (size_t)q_matrix_warp((q_matrix)plan->profile.matrix) * SCRATCH;
    size_t states = (2 * (size_t)own_words(program) + 1) * number * rows; /* one has more words than it leaves */
    if (q_rhs_is_scaled(program)) states += (program->reduction_count + 3) * number * rows;
    return bytes > states ? bytes : states;
}

static const char *refuse(const q_plan *plan, const q_ir *program)
{
    q_ref factors[2];
    if (!program->k_dim && !program->rhs_dim) return Q_NO_LOOPS;
    if (!plan->profile.matrix) return "the profile has no matrix units";
    if (plan->dtype != QUERN_F32) return "matrix units are used for float32";
    if (plan->kahan || plan->precision == QUERN_PRECISION_EXACT) return "each term is to be exact";
    const char *refusal = q_tiles_refuse(plan, program);
    if (refusal) return refusal;
    if (program->sum_count > 1) return "there are several contractions";
    if (program->rhs_dim && !q_rhs_product_find(factors, program))
        return "right-hand sides are not products of one weight";
    if (program->k_dim && !(program->expansion ? q_tile_expansion(program) : q_product_find(factors, program)))
        return "the contraction is not of products";
    if (plan->rows > 1) return "a group has a row for each work-item";
    int pair = 2 * q_matrix_warp((q_matrix)plan->profile.matrix); /* of warps, with 16 columns each of a tile */
    return plan->local % (pair > 32 ? pair : 32) ? "groups are not of pairs of warps" : NULL;
}

/* Groups have all right-hand sides, or as many as the registers take. */
static void share_rhs(q_plan *plan, const q_ir *program)
{
    const struct make *make = make_of(plan);
    int64_t padded = ceil_div(program->rhs_dim, STEP) * STEP;
    int most = q_rhs_is_scaled(program) ? make->scaled_held : make->rhs_held;
    plan->shape[RHS_HELD] = padded < most ? (int)padded : most;
    plan->rhs_per_item = make->rhs_each;
    plan->rhs_groups = (int)ceil_div(program->rhs_dim, plan->shape[RHS_HELD]);
}

/* Exponentials alone can do with what is left of a distance after cancellation, as long as exponents are small. */
static bool can_fold(const q_plan *plan, const q_ir *program)
{
    q_ref factor;
    return program->expansion && program->k_dim <= MOST_FOLDED && plan->shape[PARTS] == 2 &&
           q_exponent_find(&factor, program);
}

/* Columns of a group's tile; kept: fragments of rows. */
static int tile_columns(const struct make *make, const q_ir *program, int64_t kept)
{
    if (program->rhs_dim) return q_rhs_is_scaled(program) ? make->scaled_tile_n : make->rhs_tile_n;
    if (kept > make->most_kept) return make->tile_n;
    return kept <= make->most_kept / 2 ? 64 : 32;
}

static const char *choose(q_plan *plan, const q_ir *program)
{
    const char *refusal = refuse(plan, program);
    if (refusal) return refusal;
    bool low = plan->precision == QUERN_PRECISION_TF32 || plan->precision == QUERN_PRECISION_BF16;
    plan->rows = 1;
    plan->shape[EXPANSION] = program->expansion ? Q_GUARDED : Q_DIRECT;
    plan->shape[PARTS] = low ? 1 : 2;
    plan->shape[BFLOAT16] = plan->precision == QUERN_PRECISION_BF16;
    plan->shape[MATRIX] = plan->profile.matrix;
    plan->shape[FOLDED] = can_fold(plan, program);
    const struct make *make = make_of(plan);
    int64_t kept = steps(program) * first_parts(plan) * make->copies;
    plan->shape[KEEP] = program->rhs_dim || kept <= make->most_kept;
    int wanted = tile_columns(make, program, kept);
    plan->shape[TILE_N] = wanted < plan->local ? wanted : plan->local;
    if (program->rhs_dim && !make->rhs_held) return "warps are too small for right-hand sides";
    if (program->rhs_dim && kept > make->most_kept_rhs) return "rows do not fit the registers beside right-hand sides";
    if (program->rhs_dim) share_rhs(plan, program);
    if (own_words(program) * own_rows(plan) > MOST_STATES) return "a work-item cannot keep the states of all its rows";
    if ((int)program->statements[Q_PAIR] * plan->shape[TILE_N] > MOST_TEXT) return "the epilogue is long";
    return local_bytes(plan, program) <= MOST_BYTES ? NULL : "a tile does not fit 48 KB of local memory";
}

static void dump(const q_plan *plan, const q_ir *program, q_text *out)
{
    q_dump_loops(1, (q_expansion)plan->shape[EXPANSION], program, out);
    q_text_add(out, "  matrix units%s, %d part%s of %s a number; tiles of %lld x %d, rows in %s\n",
               plan->shape[MATRIX] % 2 ? ", emulated" : "", plan->shape[PARTS], Q_S(plan->shape[PARTS]),
               plan->shape[BFLOAT16] ? "bfloat16" : "float16", (long long)q_plan_group_rows(plan), plan->shape[TILE_N],
               plan->shape[KEEP] ? "registers" : "local memory");
    if (plan->shape[FOLDED]) q_text_add(out, "  a squared distance is one product, its parts side by side\n");
    if (program->rhs_dim)
        q_text_add(out, "  right-hand sides by a second product, %d in each of %d groups\n", plan->shape[RHS_HELD],
                   plan->rhs_groups);
}

/* As laid out in cl/mma_layout.cl. */
static uint64_t packed_bytes(const q_plan *plan, const q_ir *program, int64_t rows, int64_t columns)
{
    uint64_t row_tiles = (uint64_t)ceil_div(rows, plan->local), tile_n = (uint64_t)plan->shape[TILE_N],
             column_tiles = (uint64_t)ceil_div(columns, plan->shape[TILE_N]);
    uint64_t all = row_tiles * (uint64_t)plan->local + column_tiles * tile_n, number = 2 * (uint64_t)plan->shape[PARTS];
    uint64_t of_one = (uint64_t)steps(program) * STEP * 2 * (uint64_t)first_parts(plan);
    uint64_t squares = plan->shape[EXPANSION] && !plan->shape[FOLDED] ? 4 * all : 0;
    uint64_t rhs = (uint64_t)(plan->rhs_groups * plan->shape[RHS_HELD]) * column_tiles * (tile_n * number + 4);
    return all * of_one + rhs + squares + 4 * (row_tiles + column_tiles);
}

static int64_t pack_groups(const q_plan *plan, const q_ir *program, int64_t rows, int64_t columns)
{
    int64_t points = program->k_dim ? ceil_div(rows, plan->local) + ceil_div(columns, plan->local) : 0;
    return points + (program->rhs_dim ? ceil_div(columns, plan->shape[TILE_N]) : 0);
}

const q_scheme q_scheme_mma = {
    .name = "mma",
    .shape = {"EXPANSION", "TILE_N", "KEEP", "PARTS", "BFLOAT16", "MATRIX", "RHS_HELD", "FOLDED"},
    .parts = {"matrix", "mma_layout", "mma_steps", "mma_rhs"},
    .pack = "mma_pack",
    .loops = true,
    .tiles = true,
    .choose = choose,
    .local_bytes = local_bytes,
    .dump = dump,
    .packed_bytes = packed_bytes,
    .pack_groups = pack_groups};
