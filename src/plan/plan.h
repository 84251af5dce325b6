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

/* One map (walk == Q_P) or map-reduce over an axis: for every row of axis `rows` (Q_P: one row), the reductions run
   over axis `walk` together, then the outputs are computed from their results. */
typedef struct q_stage {
    uint8_t rows, walk;
    q_id reductions[Q_MAX_STAGE_OUTPUTS];
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

// schedule.c: a stage as scalar values, each with the loop it lives in

/* Where a value lives: bits. No bit: the same for the whole launch. */
enum { Q_ROW = 1, Q_COLUMN = 2, Q_LATE = 4 }; /* late: after the reductions of the stage are finished */

typedef enum q_value_kind {
    Q_V_CONSTANT,
    Q_V_LOAD,   /* component k of array a */
    Q_V_INDEX,  /* number of the row (where Q_ROW) or column (Q_COLUMN) */
    Q_V_COUNT,  /* number of rows of axis k */
    Q_V_OP,     /* elementwise operation `op` */
    Q_V_FMA,    /* arg0 * arg1 + arg2 */
    Q_V_FINISH, /* component k of reduction a of the stage */
} q_value_kind;

typedef uint32_t q_ref; /* a value of a program; 0 is none */

typedef struct q_scalar {
    uint8_t kind; /* q_value_kind */
    uint8_t where;
    uint8_t integer;
    uint8_t negate;       /* Q_V_FMA: bit 0: minus the product, bit 1: minus arg2 */
    uint16_t op;          /* q_op */
    uint8_t not_positive; /* Exp: its argument is never above 0 */
    uint8_t minus;        /* Exp: its argument is minus arg[0] */
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
} q_array;

enum { Q_MAX_ARRAYS = 128, Q_MAX_STATEMENTS = 65536 };

typedef struct q_program_ir {
    uint8_t rows, walk; /* axes */
    q_scalar *values;   /* values[0] is unused; operands before users */
    size_t count, capacity;
    q_ref *table;
    size_t table_size;
    q_array inputs[Q_MAX_ARRAYS], outputs[Q_MAX_STAGE_OUTPUTS];
    size_t input_count, output_count;
    struct {
        q_op op;
        int32_t K;
        uint32_t dim; /* of the term */
        q_ref *terms; /* what each component reduces */
        size_t state; /* the reduction that keeps the state: its own number, or that of one that has it already */
    } reductions[Q_MAX_STAGE_OUTPUTS];
    size_t reduction_count;
    q_ref *results[Q_MAX_STAGE_OUTPUTS]; /* by output: one value per component */
    uint32_t *uses;                      /* by value, from live values and roots */
    size_t statements[8];                /* live operations by where */
    q_arena arena;
    quern_status status; /* sticky: of making it */
} q_program_ir;

// values.c: constructors of values

/* Finds or adds the value as it stands; 0 on failure, as all of these. */
q_ref q_value_intern(q_program_ir *program, const q_scalar *value);
q_ref q_value_number(q_program_ir *program, double value);
bool q_value_is(const q_program_ir *program, q_ref v, double number);
q_ref q_value_op(q_program_ir *program, q_op op, const q_ref *args, const int32_t *k);
q_ref q_value_plus(q_program_ir *program, q_ref a, q_ref b);
q_ref q_value_times(q_program_ir *program, q_ref a, q_ref b);
q_ref q_value_divide(q_program_ir *program, q_ref a, q_ref b);
q_ref q_value_minus(q_program_ir *program, q_ref a);
q_ref q_value_square(q_program_ir *program, q_ref a);
q_ref q_value_opposite(q_program_ir *program, q_ref a);
bool q_numbers_may_meet(double a, double b);

// schedule.c, continued

quern_status q_schedule(q_program_ir **out, const q_graph *graph, const q_stages *stages, size_t stage);
void q_program_ir_destroy(q_program_ir **program);

// dump.c

/* With flops and bytes of arrays of this type, for a pair, a column and a row. */
void q_program_ir_dump(const q_program_ir *program, quern_dtype dtype, q_text *out);

// scheme.c: how a stage runs on a device, from the device's profile and the sizes

/* How to generate for a kind of device: a row of cl/profiles.txt. */
typedef struct q_profile {
    char name[32];
    int lanes32, lanes64; /* rows in a vector, by element size */
    int rows;             /* most row vectors of a work-item */
    int local;            /* work-items in a group */
    int tile;             /* columns staged in local memory, 0: read directly */
    int groups_per_unit;  /* groups that keep a compute unit busy: fewer are split along the walk */
    int launch_ms;        /* aim for the time of one launch */
    int vector_math;      /* 1: quern's own exp for vectors; 0: the built-in one */
    int walk;             /* most columns that one work-item walks, 0: any number */
    double pairs_per_ns;  /* rough speed of the simplest formula, for slicing the first launch */
} q_profile;

/* The row of this name; false, with the row "default" in *out, if there is none. */
bool q_profile_find(q_profile *out, const char *name);

/* What was decided for one stage. The part before `split` shapes the source; the rest are launch arguments. */
typedef struct q_plan {
    q_profile profile;
    quern_dtype dtype;
    int lanes, rows, local, tile;
    int64_t block;  /* terms that are added without compensation */
    bool kahan;     /* compensate each */
    bool split;     /* parts of the walk are merged by a second kernel */
    int parts;      /* in how many */
    int64_t part;   /* columns of one part, a multiple of block unless there is one part */
    int64_t groups; /* work-groups along the rows */
} q_plan;

/* USAGE for plan parameters that no plan can have. */
quern_status q_plan_check(const quern_compile_options *options);
/* M and N: sizes of axes i and j; units: the device's compute units. Overrides in `options` may be 0 or null. */
quern_status q_plan_make(q_plan *out, const q_program_ir *program, const q_profile *profile, quern_dtype dtype,
                         int64_t M, int64_t N, int units, const quern_compile_options *options);
/* Gives a plan other sizes and leaves its source as it is; a walk that is split has one part then. */
void q_plan_resize(q_plan *plan, const q_program_ir *program, int64_t M, int64_t N);
void q_plan_dump(const q_plan *plan, const q_program_ir *program, q_text *out);
int64_t q_axis_size(uint8_t axis, int64_t M, int64_t N); /* 1 for Q_P */
/* A guess of the time that so many pairs take: a Gaussian in 3-D has about 10 operations per pair. */
double q_plan_seconds(const q_profile *profile, const q_program_ir *program, double pairs);
/* Rows that one group covers. */
int64_t q_plan_group_rows(const q_plan *plan);
/* Numbers that the states of all reductions of one row hold, shared ones counted once. */
int q_plan_words(const q_program_ir *program);
/* Bytes of the partial results of a split plan. */
uint64_t q_plan_partial_bytes(const q_plan *plan, const q_program_ir *program);

// emit.c: the functions of a program as OpenCL C

/* Appends types and functions that fill the holes of the scheme files. LIMIT when there are too many statements. */
quern_status q_emit(q_text *out, const q_program_ir *program, const q_plan *plan);

// source.c: the whole text of a kernel

/* The embedded .cl file of this name ("prelude"), or null. */
const char *q_cl_file(const char *name);
/* Kernel "quern" of the stage; with merge, the second kernel of a split plan. */
quern_status q_source(q_text *out, const q_program_ir *program, const q_plan *plan, bool merge);

#endif
