/*
 * scheme_row.c: the scheme `row` (cl/row.cl): a work-item owns vectors of rows and takes in one column after the other. On
 * devices whose groups share local memory, columns are staged there.
 */
#include "plan/plan.h"

enum {
    STAGED_COLS,
    UNROLL
}; /* columns staged in local memory, 0: read directly; taken between two looks at a counter */

enum {
    LEAST_STAGED = 16, /* columns below which staging costs more than it saves */
    MOST_COLUMNS = 8,  /* taken at once */
    SHORT_STATE =
        6, /* numbers: with longer ones registers leave fewer groups to a processor, which large ones fill badly */
    UNROLLED_TEXT = 384 /* statements of them for all rows of a work-item */
};

/* How many vectors of rows a work-item can own before its rows and states leave the registers. A vector is one
   register, a single number one per 4 bytes. */
static int rows_that_fit(const q_ir *program, const q_plan *plan)
{
    size_t registers = plan->lanes == 1 && plan->dtype == QUERN_F64 ? 2 : 1;
    size_t pair = program->statements[Q_ROW | Q_COLUMN];
    size_t live = (q_live_values(program, Q_ROW) + (size_t)q_plan_words(program)) * registers;
    int most = plan->profile.rows;
    int rows = live <= 8 ? 8 : live <= 16 ? 4 : live <= 32 ? 2 : 1;
    while (rows > 1 && pair * (size_t)rows > 1024) rows /= 2; /* unrolled text */
    return rows < most ? rows : most;
}

static size_t column_bytes(const q_ir *program, const q_plan *plan)
{
    size_t numbers = q_live_values(program, Q_COLUMN), align = q_plan_column_align(numbers, plan->dtype);
    return (numbers * q_element_size(plan->dtype) + align - 1) / align * align;
}

/* How many columns fit local memory, at most one for each work-item; 0: read them directly. */
static int staged_that_fit(const q_ir *program, const q_plan *plan)
{
    size_t bytes = column_bytes(program, plan);
    int columns = plan->profile.staged_cols < plan->local ? plan->profile.staged_cols : plan->local;
    while (columns > 0 && bytes * (size_t)columns > Q_LOCAL_BYTES) columns /= 2;
    return columns < LEAST_STAGED && columns < plan->local ? 0 : columns;
}

/* How many columns a work-item takes between two looks at its counter. With more than some text the looks cost nothing
   beside it, and the text would leave the caches of instructions; the rest is taken one by one, so it must be
   short. */
static int columns_at_once(const q_ir *program, const q_plan *plan)
{
    size_t text = (program->statements[Q_ROW | Q_COLUMN] + (size_t)q_plan_words(program)) * (size_t)plan->rows;
    int columns = plan->dtype == QUERN_F64 ? 1 : MOST_COLUMNS; /* float64: long functions, and twice the registers */
    while (columns > 1 && (columns * 16 > plan->shape[STAGED_COLS] || text * (size_t)columns > UNROLLED_TEXT))
        columns /= 2;
    return columns;
}

/* A larger group stages each column for more rows; `local` of the options stands. */
static bool takes_long_group(const q_plan *plan, const q_ir *program)
{
    const q_profile *profile = &plan->profile;
    bool free = plan->local == profile->local && profile->long_local > profile->local;
    return free && plan->many_rows && q_plan_words(program) <= SHORT_STATE;
}

/* Groups no larger than small blocks need: a block of a batch fills whole groups. */
static void fit_block(q_plan *plan, bool local_is_free, bool rows_are_free)
{
    enum { LEAST_LOCAL = 32 };
    int64_t rows = plan->block_rows, best = 0;
    if (!rows) return;
    while (local_is_free && plan->local > LEAST_LOCAL && (int64_t)plan->local / 2 * plan->lanes >= rows)
        plan->local /= 2;
    for (int r = plan->rows; rows_are_free && r >= 1; r /= 2) {
        int64_t group = (int64_t)r * plan->local * plan->lanes, groups = (rows + group - 1) / group;
        int64_t cost = groups * group * (2 * r + 1) / r; /* a vector alone takes half as long again */
        if (best && cost >= best) continue;
        best = cost;
        plan->rows = r;
    }
}

static const char *choose(q_plan *plan, const q_ir *program)
{
    bool rows_are_free = !plan->rows, local_is_free = plan->local == plan->profile.local;
    bool map = program->reduced == Q_P;
    if (program->k_dim || program->rhs_dim) return "the stage has loops over components";
    if (!map && takes_long_group(plan, program)) plan->local = plan->profile.long_local;
    if (!plan->rows) plan->rows = map || plan->few_rows ? 1 : rows_that_fit(program, plan);
    if (!map) fit_block(plan, local_is_free, rows_are_free);
    plan->shape[STAGED_COLS] = map || !q_shares_local(&plan->profile) ? 0 : staged_that_fit(program, plan);
    plan->shape[UNROLL] = columns_at_once(program, plan);
    return NULL;
}

static size_t local_bytes(const q_plan *plan, const q_ir *program)
{
    return (size_t)plan->shape[STAGED_COLS] * column_bytes(program, plan);
}

static void dump(const q_plan *plan, const q_ir *program, q_text *out)
{
    (void)program;
    if (!plan->shape[STAGED_COLS]) q_text_add(out, "  columns read directly\n");
    else
        q_text_add(out, "  %d columns staged in local memory, %d at once\n", plan->shape[STAGED_COLS],
                   plan->shape[UNROLL]);
}

const q_scheme q_scheme_row = {
    .name = "row", .shape = {"STAGED_COLS", "UNROLL"}, .choose = choose, .local_bytes = local_bytes, .dump = dump};
