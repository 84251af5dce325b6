/*
 * plan.h: from a graph to OpenCL C text. Pure: no device is touched, so all of it can be tested with golden files.
 * The banners follow the files of src/plan, in pipeline order.
 */
#ifndef QUERN_PLAN_H
#define QUERN_PLAN_H

#include "formula/formula.h"

// stages.c: the graph cut at its reductions

enum { Q_MAX_STAGES = 64, Q_MAX_STAGE_OUTPUTS = 64 };

/* What a stage stores: a value that depends on the stage's row axis alone. */
typedef struct q_output {
    q_id id;
    int result; /* number of the operator's result, or -1: a temporary that later stages read */
} q_output;

/* One map (reduced == Q_P) or map-reduce over an axis: for every row of axis `rows` (Q_P: one row), the reductions run
   over axis `reduced` together, then the outputs are computed from their results. */
typedef struct q_stage {
    uint8_t rows, reduced;
    q_id reductions[Q_MAX_STAGE_OUTPUTS];
    q_id weights
        [Q_MAX_STAGE_OUTPUTS]; /* by reduction: the weight of which its term is a multiple, or 0: see weights.c */
    size_t reduction_count;
    q_output outputs[Q_MAX_STAGE_OUTPUTS];
    size_t output_count;
} q_stage;

typedef struct q_stages {
    q_stage stage[Q_MAX_STAGES];
    size_t count;
} q_stages;

/* Stages in an order in which each needs only earlier ones; stages over the same axes that do not need each other are
   one. UNSUPPORTED for a result that depends on i and j, LIMIT for too many stages. */
quern_status q_stages_make(q_stages *out, const q_graph *graph, const q_id *results, size_t count);
void q_stages_dump(const q_graph *graph, const q_stages *stages, q_text *out);

// weights.c: sums that can be taken in the pass that finds the scale of their weights

/* Reads an exponential as a weight; false if it is not one. */
bool q_weight_of_exp(q_weight *out, const q_graph *graph, q_id id);
/* level: by node, up to the sum's term; reached and form: room for as many bytes as there are nodes. */
q_id q_weight_of(const q_graph *graph, q_id sum, const uint32_t *level, uint8_t *reached, uint8_t *form);

// profile.c: rows of text that say how to generate for a kind of device

/* Whose functions of float: the column vector_math. */
typedef enum q_math { Q_MATH_BUILT_IN, Q_MATH_VECTORS, Q_MATH_EXP2, Q_MATH_PTX } q_math;

/* Which matrix units: the column matrix. Before each make is its emulation; what they are: cl/matrix.cl. */
typedef enum q_matrix {
    Q_MATRIX_NONE,
    Q_MATRIX_EMULATED,
    Q_MATRIX_MMA,
    Q_MATRIX_EMULATED_MFMA,
    Q_MATRIX_MFMA,
    Q_MATRIX_EMULATED_WMMA,
    Q_MATRIX_WMMA,
    Q_MATRIX_EMULATED_DPAS,
    Q_MATRIX_DPAS,
    Q_MATRIX_EMULATED_DPAS8,
    Q_MATRIX_DPAS8,
    Q_MATRIX_COUNT
} q_matrix;

/* Which of the five makes they are or emulate, from 0 on; not for Q_MATRIX_NONE. */
static inline int q_matrix_make(q_matrix units)
{
    return ((int)units - 1) / 2;
}

static inline bool q_matrix_is_intels(q_matrix units)
{
    return units == Q_MATRIX_DPAS || units == Q_MATRIX_DPAS8;
}

/* Work-items that ask matrix units together. */
static inline int q_matrix_warp(q_matrix units)
{
    static const int warps[] = {32, 64, 32, 16, 8};
    return warps[units ? q_matrix_make(units) : 0];
}

/* A row of cl/profiles.txt, which says what the columns mean, or one that was learned. */
typedef struct q_profile {
    char name[32];
    int lanes32, lanes64;  /* rows in a vector, by element size */
    int rows;              /* most row vectors of a work-item */
    int local;             /* work-items in a group */
    int long_local;        /* the same in scheme `row`, where rows are many and states short; 0: local */
    int staged_cols;       /* most columns staged in local memory, 0: read directly */
    int groups_per_unit;   /* groups that keep a compute unit busy: fewer are split along the reduced axis */
    int waves;             /* as many times these groups a long run should have; it is cut into whole ones */
    int launch_ms;         /* aim for the time of one launch */
    int vector_math;       /* q_math: whose functions of float */
    int min_k, min_rhs;    /* least lengths of contractions and of right-hand sides for the scheme `gemm`, 0: never */
    int rhs_registers;     /* block accumulators that a work-item keeps in registers: gemm_local.cl */
    int reg_m;             /* register tile of the scheme `gemm`: vectors of rows and ... */
    int reg_n;             /* ... columns */
    int reg_tiles;         /* such tiles of rows that a work-item owns on CPUs */
    int tile_k;            /* components of a chunk in the scheme `gemm_tile`, 0: never */
    int max_registers;     /* of a work-item in the scheme `gemm_tile`, 0: any number */
    int matrix;            /* q_matrix: units for products of matrices, which the scheme `mma` uses */
    int sub_group;         /* work-items that share an instruction, where compilers can be told; 0: as they like */
    int max_cols_per_item; /* most columns of one work-item, 0: any number */
    int speed;             /* rough pairs per microsecond and compute unit of the simplest formula: the first slice */
} q_profile;

/* The shipped row of this name; false, with the row "default" in *out, if there is none. */
bool q_profile_find(q_profile *out, const char *name);
/* The names of all shipped rows, with commas. */
void q_profile_names(q_text *out);
/* Whether every row of the text can be read; USAGE with `where`, the text's name, and the line. */
quern_status q_profiles_check(const char *text, const char *where);
/* Changes columns: "rows=4 staged_cols=0". USAGE, and nothing is changed, if the settings cannot be read. */
quern_status q_profile_set(q_profile *profile, const char *settings, const char *where);
/* All columns as settings; the number in one, -1 if there is no such column. */
void q_profile_settings(q_text *out, const q_profile *profile);
int q_profile_get(const q_profile *profile, const char *column);

/* The key of a tuned row, which is of use only where all of it agrees; and the format, which is raised when a column
   changes its meaning. */
enum { Q_KEY_TEXT = 128, Q_PROFILE_FORMAT = 2 };
typedef struct q_profile_key {
    char device[Q_KEY_TEXT], vendor[Q_KEY_TEXT], driver[Q_KEY_TEXT];
} q_profile_key;

q_profile_key q_profile_key_of(const quern_device *device);
/* The row that was learned for this key; else *refusal says why none can be used, and *out stays. USAGE for a damaged
   text. */
quern_status q_profile_tuned(q_profile *out, const char *text, const char *where, const q_profile_key *key,
                             const char **refusal);
/* Appends a tuned row: what differs from `parent`, a shipped row, and the key. */
void q_profile_write(q_text *out, const q_profile *profile, const q_profile *parent, const q_profile_key *key);
/* Appends the rows of a text of tuned rows that are for other devices. */
quern_status q_profiles_without(q_text *out, const char *text, const char *where, const q_profile_key *key);

// tiling.c: what is done in loops over components

/* The least lengths from which on components are done in loops; 0: never. */
typedef struct q_tiling {
    uint32_t min_k, min_rhs; /* of contractions, of right-hand sides: see tiling.c */
    bool expand;             /* squared distances as |x|^2 + |y|^2 - 2 xy where that is accurate */
    bool apart;              /* right-hand sides are kept in different work-items */
} q_tiling;

q_tiling q_tiling_of(const q_profile *profile, const quern_compile_options *options);

/* What becomes of a node, bits: */
enum {
    Q_FORM_COMPONENTS = 1,  /* a value for each component */
    Q_FORM_K = 2,           /* a component value in the K loop */
    Q_FORM_RHS = 4,         /* one in the loop over right-hand sides */
    Q_FORM_CONTRACTION = 8, /* it is one */
    Q_FORM_RHS_SUM = 16,    /* it is one */
    Q_FORM_OUTPUT = 32      /* what becomes of it as an output: one value in the loop over right-hand sides */
};

typedef struct q_loops {
    uint32_t k_dim, rhs_dim; /* lengths of the loops, 0: there is none */
    uint8_t *forms;          /* by node */
} q_loops;

/* To be freed even if it fails. */
quern_status q_loops_find(q_loops *out, const q_graph *graph, const q_stage *stage, const q_tiling *least);
/* Spreads the forms of marked nodes to what they are made of, up to reductions. */
void q_loops_mark(q_loops *loops, const q_graph *graph);
void q_loops_free(q_loops *loops);

// lower.c: a stage as scalar values, each with the loop it lives in

/* The scope of a value, the loop that it lives in: bits. No bit: the same for the whole launch. */
enum {
    Q_ROW = 1,
    Q_COLUMN = 2,
    Q_LATE = 4,     /* after the reductions of the stage are finished */
    Q_K_LOOP = 8,   /* in the loop over the components of contractions */
    Q_RHS_LOOP = 16 /* in the loop over right-hand sides */
};
enum { Q_PAIR = Q_ROW | Q_COLUMN, Q_LOOPS = 32 };

typedef enum q_value_kind {
    Q_V_CONSTANT,
    Q_V_LOAD, /* component k of array a; with Q_K_LOOP or Q_RHS_LOOP, that of the loop */
    Q_V_LOOKUP, /* component k of row arg0 of array a: of `number` components each, or, where that is 0, of its own rows */
    Q_V_INDEX,      /* number of the row (where Q_ROW) or column (Q_COLUMN) */
    Q_V_COUNT,      /* number of rows of axis k */
    Q_V_OP,         /* elementwise operation `op` */
    Q_V_FMA,        /* arg0 * arg1 + arg2 */
    Q_V_FINISH,     /* component k of reduction a of the stage; with Q_WIDE, that of the loop */
    Q_V_SUM,        /* contraction k: the sum of arg0 over the loop */
    Q_V_WEIGHT,     /* of the term arg0, relative to the largest so far, which reduction k keeps */
    Q_V_NORMALISER, /* what sums with weights of reduction a are multiplied with: q_LogSumExp_normaliser, with arg0 _to */
} q_value_kind;

typedef uint32_t q_ref; /* a value of a program; 0 is none */

typedef struct q_scalar {
    uint8_t kind; /* q_value_kind */
    uint8_t scope;
    uint8_t integer;
    uint8_t negate;       /* Q_V_FMA: bit 0: minus the product, bit 1: minus arg2 */
    uint16_t op;          /* q_op */
    uint8_t not_positive; /* Exp: its argument is never above 0 */
    uint8_t minus;        /* Exp: its argument is minus arg[0] */
    uint8_t exact;        /* Divide, Inv, Mult: rounded once, by itself */
    q_ref arg[3];
    int32_t k[2]; /* integers of op; or array/reduction/axis and component */
    double number;
} q_scalar;

/* An array that a stage reads or writes. */
typedef struct q_array {
    uint8_t axis; /* Q_P, Q_I, Q_J */
    uint8_t integer;
    uint32_t dim;
    int variable;   /* number in the graph, or -1 */
    q_id temporary; /* node whose value it holds, or 0 */
    int result;     /* outputs: number of the operator's result, or -1 */
    bool table;     /* inputs: rows of it are looked up, so that all of it must be there; an array of its own */
    bool looped;    /* outputs: one value, that of the loop, stands for all components */
} q_array;

enum { Q_MAX_ARRAYS = 128, Q_MAX_STATEMENTS = 65536, Q_MAX_CONTRACTIONS = 64 };

/* How the only contraction of a stage, a squared distance, is computed: term by term, or as |x|^2 + |y|^2 - 2 xy. */
typedef enum q_expansion {
    Q_DIRECT,
    Q_GUARDED,  /* expanded; again term by term where much would cancel */
    Q_SCREENED, /* expanded to find the terms that a selection may take, which are then computed term by term */
} q_expansion;

typedef struct q_ir {
    uint8_t rows, reduced; /* axes */
    q_scalar *values;      /* values[0] is unused; operands before users */
    size_t count, capacity;
    q_ref *table;
    size_t table_size;
    q_array inputs[Q_MAX_ARRAYS], outputs[Q_MAX_STAGE_OUTPUTS];
    size_t input_count, output_count;
    struct {
        q_op op;
        int32_t K;
        uint32_t dim;     /* of the term */
        q_ref *terms;     /* what each component reduces */
        size_t state;     /* the reduction that keeps the state: its own number, or that of one that has it already */
        bool rhs;         /* one term, that of the loop, stands for all right-hand sides */
        q_ref weight;     /* LogSumExp with weights by which sums are scaled: its term */
        size_t scaled_by; /* 1 + the number of the LogSumExp whose weights its terms are multiples of; 0: none */
    } reductions[2 * Q_MAX_STAGE_OUTPUTS];
    size_t reduction_count;
    uint32_t k_dim, rhs_dim;        /* lengths of the loops over components; 0: there is none */
    size_t weights;                 /* values of the pair that the loop over right-hand sides reads */
    q_ref sums[Q_MAX_CONTRACTIONS]; /* Q_V_SUM values */
    size_t sum_count;
    q_expansion expansion;
    q_ref expanded[2];                   /* component values x of the row and y of the column */
    q_ref *results[Q_MAX_STAGE_OUTPUTS]; /* by output: its values */
    uint32_t *uses;                      /* by value, from live values and roots */
    size_t statements[Q_LOOPS];          /* live operations by scope */
    q_arena arena;
    quern_status status; /* sticky: of making it */
} q_ir;

// values.c: constructors of values, and questions about them

enum { Q_LONG = 80 /* statements that a loop saves at least; components of a state from which on it is an array */ };

/* Finds or adds the value as it stands; 0 on failure, as all of these. */
q_ref q_value_intern(q_ir *program, const q_scalar *value);
q_ref q_value_number(q_ir *program, double value);
bool q_value_is(const q_ir *program, q_ref v, double number);
q_ref q_value_op(q_ir *program, q_op op, const q_ref *args, const int32_t *k);
q_ref q_value_plus(q_ir *program, q_ref a, q_ref b);
q_ref q_value_times(q_ir *program, q_ref a, q_ref b);
/* MultNoNan: 0 where one of them is. */
q_ref q_value_times_no_nan(q_ir *program, q_ref a, q_ref b);
/* A product that is rounded by itself. */
q_ref q_value_product(q_ir *program, q_ref a, q_ref b);
q_ref q_value_divide(q_ir *program, q_ref a, q_ref b);
q_ref q_value_minus(q_ir *program, q_ref a);
q_ref q_value_square(q_ir *program, q_ref a);
q_ref q_value_opposite(q_ir *program, q_ref a);
bool q_constants_may_fold(double a, double b);
/* Whether a value is a quotient that must be rounded correctly. */
bool q_is_exact_quotient(const q_scalar *value);
/* Whether values that are in use are quotients of that kind; or any that must be rounded by themselves. */
bool q_has_exact(const q_ir *program, bool quotients);
/* Terms that reduction r has, and values that output o has: one for each component, or that of the loop. */
uint32_t q_term_count(const q_ir *program, size_t r);
uint32_t q_value_count(const q_ir *program, size_t o);
/* Whether reduction r keeps a sum of right-hand sides by itself. */
bool q_owns_rhs(const q_ir *program, size_t r);
/* Components of the state that reduction r keeps by itself; none if it shares another's, or has right-hand sides. */
uint32_t q_own_dim(const q_ir *program, size_t r);
/* Whether the states of the components of reduction r are an array. */
bool q_is_state_array(const q_ir *program, size_t r);
/* Values of this scope that are in use. */
size_t q_live_values(const q_ir *program, uint8_t scope);
/* Whether output o is a selection as it stands, which is stored by a loop over its count. */
bool q_is_selection(const q_ir *program, size_t o);
/* Sets program->weights, from the uses of values. */
void q_count_weights(q_ir *program);

// factor.c

/* What is left of a term of a linear reduction when the factor *hoisted, which is free of the reduced axis, has left it;
   the same of a term in the loop over right-hand sides. */
q_ref q_split_term(q_ir *program, q_ref term, q_ref *hoisted);
q_ref q_split_loop_value(q_ir *program, q_ref term, q_ref *hoisted);

// fuse.c

/* Chooses how the only contraction is computed, before multiply-adds are fused. */
void q_expansion_find(q_ir *program);
/* Whether the only contraction is of products of a component value of the row, factors[0], and one of the column. */
bool q_product_find(q_ref factors[2], const q_ir *program);
/* Whether pairs use the only contraction in nothing but exponentials of a multiple of it, *factor, the same for all; 0: of itself. */
bool q_exponent_find(q_ref *factor, const q_ir *program);
/* The only sum of right-hand sides, or reduction_count; whether its terms are products of a weight of the pair, factors[0], and a
   component value of the column. */
size_t q_rhs_sum(const q_ir *program);
bool q_rhs_product_find(q_ref factors[2], const q_ir *program);
/* Makes products that feed a sum multiply-adds. Both need the uses of values; afterwards they are out of date. */
void q_fuse(q_ir *program);

// lower.c, continued

quern_status q_lower(q_ir **out, const q_graph *graph, const q_stages *stages, size_t stage, const q_tiling *tiling);
/* Whether a sum of right-hand sides has softmax weights. */
bool q_rhs_is_scaled(const q_ir *program);
void q_ir_destroy(q_ir **program);

// dump.c

/* With flops and bytes of arrays of this type, for a pair, a column and a row. */
void q_ir_dump(const q_ir *program, quern_dtype dtype, q_text *out);

// space.c: which rows meet which columns, where that is not a rectangle

/* Columns from..to - 1 of the arrays of an entry. */
typedef struct q_segment {
    int64_t from, to;
    size_t piece; /* pieces are taken one after the other, each from the states that the one before has left */
} q_segment;

/* Rows row..row + rows - 1 of the arrays of an entry, and the columns that they meet: segments in the order of pieces. */
typedef struct q_row_block {
    int64_t row, rows;
    size_t first_segment, segment_count;
    size_t entry;  /* in the first piece */
    int64_t terms; /* columns that its rows meet in all, where its segments have only some; 0: those of its segments */
} q_row_block;

/* A member of a batch, or what a device has of the arrays. */
typedef struct q_space_entry {
    int64_t M, N; /* the sizes that the formula sees */
    int64_t row_number,
        column_number; /* what the rows and columns 0 of its arrays are called, where indices are meant */
} q_space_entry;

typedef struct q_space {
    const q_row_block *blocks;
    const q_segment *segments;
    const q_space_entry *entries;
    /* by entry, arrays of it that the stage reads, then those it writes: the row where they begin; null: 0 */
    const int64_t *bases;
    size_t block_count, entry_count, piece_count;
    size_t piece_entries; /* entries from one piece's to the next's; 0: pieces have the same */
    const int32_t *names; /* what each column is called, where indices are meant, in no order; null: by its number */
    bool carried;         /* states are kept for a launch over other columns, or are those that one has left */
} q_space;

/* The same for the work-groups of a plan, as its kernels read it: see space_list.cl. For free(). */
typedef struct q_space_table {
    int64_t *groups, *segments, *entries;
    size_t group_bytes, segment_bytes, entry_bytes;
} q_space_table;

/* Rows; the most columns of a block; pairs. */
int64_t q_space_rows(const q_space *space);
int64_t q_space_columns(const q_space *space);
double q_space_pairs(const q_space *space);
/* Work-groups of so many rows each, none of which has rows of two blocks. */
int64_t q_space_groups(const q_space *space, int64_t group_rows);
quern_status q_space_tabulate(q_space_table *out, const q_space *space, const q_ir *program, int64_t group_rows);
void q_space_table_free(q_space_table *table);

// schemes.c, scheme_*.c: how the rows and columns of a stage are shared among work-items

typedef struct q_plan q_plan;
enum { Q_MAX_SHAPE = 8, Q_LOCAL_BYTES = 32768 /* the local memory that every full-profile device has */ };

/* A scheme. Its kernel is cl/NAME.cl, which may use all of frame.cl; its part of a plan, the shape, is a few numbers. */
typedef struct q_scheme {
    const char *name;               /* also in the names of kernels */
    const char *shape[Q_MAX_SHAPE]; /* names of its numbers, which the kernel has as macros Q_NAME; null: no more */
    const char *parts[4];           /* embedded files that its kernel needs, the first two its packing; null: no more */
    const char *pack; /* that of a kernel that goes over rows and columns before, and needs the first; null: none */
    bool loops;       /* it runs stages with loops over components: q_pair has sums and weights */
    bool runs;        /* components are staged in runs of four, of rows that exist */
    bool bounded;     /* its work-items keep to max_registers of the profile */
    bool tiles;       /* its tiles are products of matrices: components are staged as numbers, of rows that
                                       exist, and work-items merge states */
    /* Chooses the shape and, unless it is given, plan->rows, of a plan that has the rest up to local. Null, or why this
       scheme cannot run the program: the end of a sentence. */
    const char *(*choose)(q_plan *plan, const q_ir *program);
    size_t (*local_bytes)(const q_plan *plan, const q_ir *program);     /* of a group, at most; null: none */
    void (*dump)(const q_plan *plan, const q_ir *program, q_text *out); /* lines for `explain`; null: none */
    /* With pack: bytes of what it leaves, and its work-groups, for M rows and N columns of the stage. */
    uint64_t (*packed_bytes)(const q_plan *plan, const q_ir *program, int64_t rows, int64_t columns);
    int64_t (*pack_groups)(const q_plan *plan, const q_ir *program, int64_t rows, int64_t columns);
    const char *(*text)(void); /* of its kernel; null: the embedded file of its name */
} q_scheme;

extern const q_scheme *const q_schemes[]; /* the first that can run a stage is taken; a null pointer at the end */
extern const q_scheme q_scheme_row, q_scheme_gemm, q_scheme_gemm_local, q_scheme_gemm_tile, q_scheme_gemm_select,
    q_scheme_mma;
#define Q_NO_LOOPS "no contraction is of min_k components, no sum of min_rhs right-hand sides"
void q_dump_loops(int reg_n, q_expansion expansion, const q_ir *program, q_text *out);

// of the schemes whose tiles are in local memory

/* The largest power of two that divides `of` and is `most` at most. */
int q_largest_factor(int most, int of);
/* Members of a struct of local memory, which has one at least: live values of a loop, at most. */
size_t q_member_count(const q_ir *program, uint8_t scope);
/* Why work-items of any columns cannot merge their states in tiles of rows that exist; null: they can. */
const char *q_tiles_refuse(const q_plan *plan, const q_ir *program);
/* Whether squared distances are expanded there: guarded, if their centre fits. */
q_expansion q_tile_expansion(const q_ir *program);

// scheme.c: how a stage runs on a device, from the device's profile and the sizes

/* Where a column of so many numbers must start in local memory, so that one load takes in all of it, or 16 bytes. */
size_t q_plan_column_align(size_t numbers, quern_dtype dtype);
/* Whether groups are to share local memory: GPUs. */
static inline bool q_shares_local(const q_profile *profile)
{
    return profile->staged_cols > 0;
}

/* What was decided for one stage: a scheme and its shape, what else shapes the source, and launch arguments. */
struct q_plan {
    const q_scheme *scheme;
    q_profile profile;
    int units; /* compute units of the device */
    quern_dtype dtype;
    quern_precision precision;
    int lanes, local;       /* rows in a vector; work-items in a group */
    bool few_rows;          /* two groups of the profile's rows, or less */
    bool many_rows;         /* a group of them for each compute unit, or more */
    int64_t block_rows;     /* of a block of the space, on average; 0: all are one */
    bool few_columns;       /* fewer than a block: a tile may be more */
    int rows;               /* vectors of rows of a work-item */
    int shape[Q_MAX_SHAPE]; /* the scheme's numbers */
    int rhs_per_item;       /* right-hand sides that a work-item keeps; 0: all */
    int rhs_groups;         /* groups for the same rows, each with other right-hand sides: dimension 2 of a launch */
    int64_t block;          /* terms that are added without compensation */
    bool kahan;             /* compensate each */
    bool by_value;          /* parameters of one number are arguments by value, else arrays */
    bool listed;            /* rows and columns are those of a q_space, else a rectangle */
    bool named;             /* columns have names of their own, and come in no order of them */
    bool accumulate;        /* starts from stored states; split */
    bool carried;           /* columns are in one part, which leaves states */
    size_t pieces;          /* of the space */
    bool split;             /* parts of the columns, or pieces, leave states, which a second kernel merges */
    int split_count;        /* in how many: dimension 1 of a launch */
    int64_t split_extent;   /* columns of one part, a multiple of block unless there is one part */
    int64_t groups;         /* work-groups along the rows: dimension 0 */
};

/* What a plan is made for. */
typedef struct q_plan_request {
    const q_profile *profile;
    quern_dtype dtype;
    int64_t M, N;                         /* sizes of axes i and j */
    int units;                            /* the device's compute units */
    const quern_compile_options *options; /* overrides; may be null */
    const q_space *space;                 /* null: all M rows with all N columns */
} q_plan_request;

/* Whether an array is a plain number in the kernels of the plan. */
bool q_plan_by_value(const q_plan *plan, const q_array *array);
/* Whether functions are those of ptx.cl. */
bool q_plan_uses_ptx(const q_plan *plan);
/* Most registers of a work-item, of which the compiler is to be told if it can be; 0: any number. */
int q_plan_max_registers(const q_plan *plan);
/* Work-items that share an instruction, which the kernel tells the compiler; 0: as it likes. */
int q_plan_sub_group(const q_plan *plan);
/* Whether two plans of one program have the same source: all that source.c, emit.c and their like read of a plan. */
bool q_plan_same_source(const q_plan *a, const q_plan *b);

/* USAGE for plan parameters that no plan can have. */
quern_status q_plan_check(const quern_compile_options *options);
quern_status q_plan_make(q_plan *out, const q_ir *program, const q_plan_request *request);
/* The number of this name in the shape of the plan's scheme; 0 if it has none. */
int q_plan_shape(const q_plan *plan, const char *name);
/* Gives a plan other sizes and leaves its source as it is; one that is split has one part then. */
void q_plan_resize(q_plan *plan, const q_ir *program, int64_t M, int64_t N);
/* With all schemes: which one was taken, and why others were not. */
void q_plan_dump(const q_plan *plan, const q_ir *program, const q_plan_request *request, q_text *out);
int64_t q_axis_size(uint8_t axis, int64_t M, int64_t N); /* 1 for Q_P */
/* A guess of the time that so many pairs take: a Gaussian in 3-D has about 10 operations per pair. */
double q_plan_seconds(const q_plan *plan, const q_ir *program, double pairs);
/* Rows times columns of a stage over M x N; without reductions, or without columns, a row counts as a pair. */
double q_stage_pairs(const q_ir *program, int64_t M, int64_t N);
/* Groups that the device does at a time, roughly. */
int64_t q_plan_wave(const q_plan *plan);
/* Rows that one group covers. */
int64_t q_plan_group_rows(const q_plan *plan);
/* Bytes of local memory of one group, at most. */
size_t q_plan_local_bytes(const q_plan *plan, const q_ir *program);
/* Numbers that the states of all reductions of one row hold, shared ones counted once. */
int q_plan_words(const q_ir *program);
/* Bytes of the states of a split plan. */
uint64_t q_plan_split_bytes(const q_plan *plan, const q_ir *program);

// parameters.c: the parameters of a kernel

/* What a parameter is for, in their order. */
typedef enum q_parameter_kind {
    Q_PARAM_INPUT, /* array `index` */
    Q_PARAM_M,
    Q_PARAM_N,
    Q_PARAM_OUTPUT, /* output `index` */
    Q_PARAM_PACKED, /* what the kernel that packs leaves */
    Q_PARAM_STATES, /* of a split plan: states[word][split][row], rows padded to whole groups */
    Q_PARAM_GROUPS, /* of a listed plan: the tables of its space */
    Q_PARAM_SEGMENTS,
    Q_PARAM_ENTRIES,
    Q_PARAM_NAMES,
    Q_PARAM_FIRST,        /* the first row of the launch; listed: the first group in the table */
    Q_PARAM_SPLIT_EXTENT, /* columns of one group along dimension 1 */
    Q_PARAM_FIRST_SPLIT,  /* the number of group 0 of the launch along dimension 1 */
    Q_PARAM_SPLIT_COUNT,  /* how many there are in all launches */
    Q_PARAM_PADDED,       /* rows in whole groups */
    Q_PARAM_KINDS
} q_parameter_kind;

typedef struct q_parameter {
    uint8_t kind, index;
} q_parameter;

enum { Q_MAX_PARAMETERS = Q_MAX_ARRAYS + Q_MAX_STAGE_OUTPUTS + Q_PARAM_KINDS };

/* The kernels of a plan. */
typedef enum q_role {
    Q_ROLE_MAIN,
    Q_ROLE_MERGE, /* of a split plan: the states of parts */
    Q_ROLE_PACK,  /* of a scheme that packs: before the main one */
    Q_ROLE_LAST   /* of carried states: the main one that goes on from them and stores results */
} q_role;

/* The parameters of a kernel; how many there are. */
size_t q_parameters(q_parameter out[Q_MAX_PARAMETERS], const q_ir *program, const q_plan *plan, q_role role);
/* Their declarations as macros: Q_PARAMETERS for the kernel; for its functions the inputs with M and N, and the outputs, as
   parameters (Q_SIGNATURE, Q_OUTPUT_SIGNATURE) and as arguments. */
void q_add_parameters(q_text *out, const q_ir *program, const q_plan *plan, q_role role);

// emit.c: the functions of a program as OpenCL C; what its files share is in emitter.h

/* Appends types and functions that fill the holes of the scheme files. LIMIT when there are too many statements. */
quern_status q_emit(q_text *out, const q_ir *program, const q_plan *plan);

// boxes.c: the terms of reductions over boxes

typedef struct q_boxes_request {
    const q_graph *graph;
    const q_id *reductions; /* of a stage */
    size_t count;
    uint8_t rows;          /* axis */
    const size_t *offsets; /* by number of a variable in the graph: of its first component among those of its axis */
    size_t row_dim, column_dim; /* components of all variables of these axes */
    int lanes;                  /* blocks of rows at a time */
    quern_dtype dtype;          /* of the run */
} q_boxes_request;

/* Whether they can be bounded on a device. */
bool q_boxes_can(const q_boxes_request *request);
/* The program of the kernel quern_boxes of cl/boxes_walk.cl. */
quern_status q_boxes_source(q_text *out, const q_boxes_request *request);

// source.c: the whole text of a kernel

/* The embedded .cl file of this name ("prelude"), or null. */
const char *q_cl_file(const char *name);
/* A kernel of the stage. Its name tells scheme, element type and the
   source's digest: quern_row_f32_ac1fbb20. */
quern_status q_source(q_text *out, char name[Q_KERNEL_NAME], const q_ir *program, const q_plan *plan, q_role role);

#endif
