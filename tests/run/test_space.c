/*
 * test_space.c: random spaces beside the reference: blocks of rows that each meet some segments of columns, in arrays of one
 * or two entries, in one piece or several that go on from stored states; in every scheme, split and not. The reference
 * evaluates each block by itself, on copies of its rows and columns.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ways.h"

enum {
    MOST_BLOCKS = 8,
    MOST_SEGMENTS = 64,
    MOST_MEMBERS = 2,
    MOST_PIECES = 3,
    MOST_ENTRIES = MOST_MEMBERS * MOST_PIECES
};

/* A space with all that it points to. */
typedef struct sample_space {
    q_space space;
    q_row_block blocks[MOST_BLOCKS];
    q_segment segments[MOST_SEGMENTS];
    q_space_entry entries[MOST_ENTRIES];
    int64_t bases[MOST_ENTRIES * (Q_MAX_ARRAYS + Q_MAX_STAGE_OUTPUTS)];
    int64_t rows, columns; /* of the arrays of an entry */
    int64_t members;
    bool shared; /* they have the same columns */
    size_t segment_count;
} sample_space;

static random_source random_numbers = {1};

static int64_t below(int64_t n)
{
    return n > 0 ? (int64_t)(random_below(&random_numbers, (size_t)n)) : 0;
}

// ---- drawing ----

/* Up to three segments in order, some of them empty, each in pieces in order. */
static void draw_segments(sample_space *s, q_row_block *block, size_t pieces)
{
    int64_t at = 0;
    size_t piece = 0;
    block->first_segment = s->segment_count;
    for (int64_t n = below(4); n > 0; n--) {
        int64_t from = at + below(s->columns - at + 1), to = from + below(s->columns - from + 1);
        while (piece + 1 < pieces && from < to && below(2)) {
            int64_t cut = from + below(to - from + 1);
            s->segments[s->segment_count++] = (q_segment){from, cut, piece++};
            from = cut;
        }
        s->segments[s->segment_count++] = (q_segment){from, to, piece};
        at = to;
    }
    block->segment_count = s->segment_count - block->first_segment;
}

static void draw_entry(sample_space *s, size_t entry, const q_ir *p, size_t pieces)
{
    bool by_i = p->rows == Q_I;
    s->entries[entry] =
        (q_space_entry){by_i ? s->rows : s->columns, by_i ? s->columns : s->rows, below(100), below(100)};
    int64_t *base = s->bases + entry * (p->input_count + p->output_count);
    for (size_t a = 0; a < p->input_count; a++, base++) {
        uint8_t axis = p->inputs[a].axis;
        *base = axis == p->rows ? (int64_t)entry * s->rows : axis && !s->shared ? (int64_t)entry * s->columns : 0;
    }
    for (size_t o = 0; o < p->output_count; o++) base[o] = (int64_t)entry * s->rows;
    for (int64_t row = 0; row < s->rows;) {
        q_row_block *block = &s->blocks[s->space.block_count++];
        bool last = s->space.block_count >= MOST_BLOCKS / MOST_MEMBERS * (entry + 1);
        *block = (q_row_block){.row = row, .rows = last ? s->rows - row : 1 + below(s->rows - row), .entry = entry};
        draw_segments(s, block, pieces);
        row += block->rows;
    }
}

static void draw_space(sample_space *s, const q_ir *p, int64_t rows, int64_t columns)
{
    size_t members = 1 + (size_t)below(MOST_MEMBERS), pieces = 1 + (size_t)below(MOST_PIECES), arrays;
    *s = (sample_space){.rows = rows, .columns = columns, .shared = below(2), .members = (int64_t)members};
    s->space = (q_space){s->blocks, s->segments, s->entries, s->bases, 0, members, pieces, 0, NULL, false};
    for (size_t e = 0; e < members; e++) draw_entry(s, e, p, pieces);
    if (pieces == 1 || below(2)) return;
    s->space.piece_entries = members; /* pieces call their columns otherwise */
    s->space.entry_count = members * pieces;
    arrays = p->input_count + p->output_count;
    for (size_t e = members; e < members * pieces; e++) {
        s->entries[e] = s->entries[e - members];
        s->entries[e].column_number = below(1000);
        memcpy(s->bases + e * arrays, s->bases + (e - members) * arrays, arrays * sizeof *s->bases);
    }
}

// ---- the reference ----

/* The numbers of a variable that a block meets: its rows, or the columns of its segments; those of a parameter. */
static double *data_of_block(const trial *t, const sample_space *s, const q_row_block *block, int variable,
                             uint8_t rows_axis)
{
    const q_variable *v = &t->op->graph->variables[variable];
    size_t dim = v->dim, entry = block->entry, count = 0;
    double *out = malloc((size_t)(s->rows + 3 * s->columns + 1) * dim * sizeof *out);
    int64_t base = v->axis == rows_axis ? (int64_t)entry * s->rows : s->shared ? 0 : (int64_t)entry * s->columns;
    q_segment whole =
        v->axis == rows_axis ? (q_segment){block->row, block->row + block->rows, 0} : (q_segment){0, 1, 0};
    if (!v->axis) base = 0;
    bool columns = v->axis && v->axis != rows_axis;
    for (size_t k = 0; k < (columns ? block->segment_count : 1); k++) {
        q_segment segment = columns ? s->segments[block->first_segment + k] : whole;
        for (int64_t row = segment.from; row < segment.to; row++, count++)
            memcpy(out + count * dim, t->data[variable] + (size_t)(base + row) * dim, dim * sizeof *out);
    }
    return out;
}

/* What the n-th column of a block is called; -1 for -1. */
static double name_of_column(const sample_space *s, const q_row_block *block, double n)
{
    for (size_t k = 0; k < block->segment_count && n >= 0; k++) {
        q_segment segment = s->segments[block->first_segment + k];
        int64_t length = segment.to > segment.from ? segment.to - segment.from : 0;
        size_t entry = block->entry + segment.piece * s->space.piece_entries;
        if (n < (double)length) return (double)(segment.from + s->entries[entry].column_number) + n;
        n -= (double)length;
    }
    return -1;
}

static void compare_block(const trial *t, const sample_space *s, const q_row_block *block, double *const *expected,
                          const char *what)
{
    double allowed = t->dtype == QUERN_F64 ? 1e-12 : 2e-5;
    for (size_t r = 0; r < t->op->result_count; r++) {
        quern_value value = quern_result(t->op, r);
        const double *got = t->got[r] + (size_t)((int64_t)block->entry * s->rows + block->row) * (size_t)value.dim;
        for (size_t n = 0; n < (size_t)block->rows * (size_t)value.dim; n++) {
            double want = value.integer ? name_of_column(s, block, expected[r][n]) : expected[r][n];
            double off = fabs(got[n] - want), scale = value.integer ? 0 : allowed * fmax(1, fabs(want)) * 100;
            if (got[n] == want || (isnan(got[n]) && isnan(want)) || off <= scale) continue;
            fail_msg("%s, %s: result %zu number %zu of the block at row %lld (entry %zu, %zu segments, %zu pieces) is "
                     "%.9g, not %.9g",
                     quern_operator_text(t->op), what, r, n, (long long)block->row, block->entry, block->segment_count,
                     s->space.piece_count, got[n], want);
        }
    }
}

static void compare_with_reference(const trial *t, const sample_space *s, uint8_t rows_axis, const char *what)
{
    for (size_t b = 0; b < s->space.block_count; b++) {
        const q_row_block *block = &s->blocks[b];
        double *variables[Q_MAX_VARIABLES] = {0}, *expected[Q_MAX_RESULTS];
        int64_t columns = 0;
        for (size_t k = 0; k < block->segment_count; k++) {
            q_segment segment = s->segments[block->first_segment + k];
            columns += segment.to > segment.from ? segment.to - segment.from : 0;
        }
        for (size_t v = 0; v < t->op->variable_count; v++) {
            int variable = t->op->variables[v];
            variables[variable] = data_of_block(t, s, block, variable, rows_axis);
        }
        for (size_t r = 0; r < t->op->result_count; r++)
            expected[r] = malloc((size_t)(block->rows * quern_result(t->op, r).dim + 1) * sizeof(double));
        bool by_i = rows_axis == Q_I;
        succeed(q_reference(t->op->graph, t->op->results, t->op->result_count, by_i ? block->rows : columns,
                            by_i ? columns : block->rows, (const double *const *)variables, expected));
        compare_block(t, s, block, expected, what);
        for (size_t v = 0; v < Q_MAX_VARIABLES; v++) free(variables[v]);
        for (size_t r = 0; r < t->op->result_count; r++) free(expected[r]);
    }
}

// ---- the trials ----

static const char *const formulas[] = {
    "x=Vi(3); y=Vj(3); b=Vj(2); p=Pm(1); Sum_j(p*Exp(-SqDist(x,y))*b), Min_j(SqDist(x,y))",
    "x=Vi(2); y=Vj(2); Sum_i(Norm2(x-y)), ArgMin_i(SqDist(x,y))",
    "x=Vi(2); y=Vj(2); KMin_j(SqDist(x,y),3), ArgKMin_j(SqDist(x,y),3), ArgMax_j(x|y)",
    "x=Vi(2); y=Vj(2); b=Vj(3); SumSoftMaxWeight_j(x|y,b), LogSumExp_j(x|y)",
    "x=Vi(5); y=Vj(5); Sum_j(Exp(-SqDist(x,y))), LogSumExp_j(x|y)",
};

static void try_formula(const char *formula, const quern_compile_options *options, quern_dtype dtype, const char *what)
{
    quern_operator *op = compile(formula, options);
    const q_ir *p = op->build->programs[0];
    assert_int_equal(op->stages.count, 1);
    static const int64_t sizes[][2] = {{37, 70}, {5, 9}, {1, 1}, {23, 600}, {70, 33}, {9, 0}, {40, 300}};
    for (size_t n = 0; n < Q_COUNT(sizes); n++) {
        sample_space s;
        draw_space(&s, p, sizes[n][0], sizes[n][1]);
        int64_t rows = s.rows * s.members, columns = s.columns * (s.shared ? 1 : s.members);
        bool by_i = p->rows == Q_I;
        trial t = trial_create(op, dtype, by_i ? rows : columns, by_i ? columns : rows, (uint64_t)n + 1);
        t.space = &s.space;
        trial_run(&t);
        compare_with_reference(&t, &s, p->rows, what);
        trial_destroy(&t);
    }
    quern_operator_destroy(&op);
}

/* Of each way. */
static const size_t of_way[WAYS][3] = {{0, 1, 2}, {1, 2, 3}, {2, 3, 4}, {0, 3, 4}};

static void generated(void **state)
{
    const generation_way *way = way_begin(state);
    for (size_t f = 0; f < Q_COUNT(of_way[0]); f++)
        try_formula(formulas[of_way[way - ways][f]], &way->options, way->dtype, way->what);
    way_end();
}

/* One block with one segment is the rectangle: the same bits. */
static void a_rectangle_gives_the_same_bits(void **state)
{
    (void)state;
    need_device();
    quern_operator *op = compile("x=Vi(3); y=Vj(3); Sum_j(Exp(-SqDist(x,y)))", NULL);
    trial t = trial_create(op, QUERN_F32, 50, 700, 1), listed = trial_create(op, QUERN_F32, 50, 700, 1);
    q_row_block block = {0, 50, 0, 1, 0, 0};
    q_segment segment = {0, 700, 0};
    q_space_entry entry = {50, 700, 0, 0};
    q_space space = {&block, &segment, &entry, NULL, 1, 1, 1, 0, NULL, false};
    listed.space = &space;
    trial_run(&t);
    trial_run(&listed);
    assert_memory_equal(t.got[0], listed.got[0], 50 * sizeof(double));
    trial_destroy(&t);
    trial_destroy(&listed);
    quern_operator_destroy(&op);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WAY_TESTS(generated),
        cmocka_unit_test(a_rectangle_gives_the_same_bits),
    };
    return cmocka_run_group_tests(tests, open_context, close_context);
}
