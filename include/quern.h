/*
 * quern.h: symbolic matrices in linear memory, on any OpenCL device.
 *
 * A symbolic matrix has the entry F(p, x_i, y_j) in row i and column j, for M rows and N columns. quern compiles a
 * formula that reduces it over i or j, and any derivative of it, to one or a few device kernels; nothing of size M x N
 * is ever stored. docs/formulas.md describes the language, docs/ops.md lists its functions; examples/ shows it at work.
 * Programs that make formulas can do so by calls instead of text: quern/build.h.
 *
 * The common case is four calls:
 *
 *     quern_context_create(&ctx, NULL);
 *     quern_compile(&op, ctx, "x=Vi(3); y=Vj(3); b=Vj(1); Sum_j(Exp(-SqDist(x,y))*b)", NULL);
 *     quern_run(op, QUERN_ARGS({"x", quern_f32(x, M, 3)}, {"y", quern_f32(y, N, 3)}, {"b", quern_f32(b, N, 1)}),
 *               quern_f32(a, M, 1));
 *     quern_operator_destroy(&op), quern_context_destroy(&ctx);
 *
 * Conventions
 *   Errors     Every fallible function returns a status; quern_last_error() then tells what happened, where, and what
 *              to do next. The library never prints, exits or aborts.
 *   Ownership  create(&out, ...) gives a handle that its destroy(&handle) releases; destroy accepts null and nulls the
 *              handle. Operators keep their context alive. Returned `const char *` are borrowed from the handle.
 *   Threads    Contexts, operators and arrays may be used from several threads at once. Runs may read one array at the same
 *              time; one that is written must not be used by another call meanwhile. Creating and destroying one handle
 *              must not overlap its use. After fork() the child must not use handles of the parent: it gets an error.
 *   Null       A handle, place or text that must be there and is null gives USAGE; functions that return no status give
 *              0, null or "" for a null handle. No null pointer crashes.
 *   Arrays     Row-major, rows x columns elements, at any alignment, rows side by side or `stride` elements apart. Host
 *              memory is borrowed for the duration of the call; arrays that stay on the device are in quern/array.h. A result
 *              may overlap arguments or be one of them: all are read before the first result is written. Results of one run
 *              that overlap each other are refused (USAGE).
 *   Options    Structs whose first member is `size`; zero in any member means the default:
 *              &(quern_context_options){.size = sizeof(quern_context_options), .device = "gpu"}, or, in C++ too,
 *              quern_context_options options = QUERN_DEFAULTS(quern_context_options); options.device = "gpu";
 *              Structs of older and newer headers are both taken, as long as members that the library does not know are 0.
 *   C++        C++11 and later, without exceptions, run-time types or a C++ library to link. QUERN_ARGS and its kin are
 *              for the call that they stand in: what they list lives until the end of the full expression (in C: of the
 *              block).
 */
#ifndef QUERN_H
#define QUERN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(_WIN32)
#define QUERN_API
#else
#define QUERN_API __attribute__((visibility("default")))
#endif

#define QUERN_VERSION "0.1.0"

/* Options of this type with all members at their defaults. */
#ifdef __cplusplus
#define QUERN_DEFAULTS(type) (quern_defaults_of<type>())
#else
#define QUERN_DEFAULTS(type) ((type){.size = sizeof(type)})
#endif

/* ---- status and errors ------------------------------------------------------------------------------------------ */

typedef enum quern_status {
#define QUERN_STATUS(name, value, text) QUERN_##name = value,
#include "quern/status.def"
#undef QUERN_STATUS
} quern_status;

/* What went wrong last on this thread. Pointers are valid until the next failing quern call on the same thread; members
   that do not apply are empty strings (never null). */
typedef struct quern_error {
    quern_status status;
    const char *message;   /* one sentence: what is wrong, with names and numbers */
    const char *formula;   /* the formula text concerned, or "" */
    int64_t at;            /* byte position in the formula, -1 if it has none */
    const char *caret;     /* two lines, the formula's line and a caret under the byte; "" if at is -1 */
    int cl_code;           /* the OpenCL error code behind it, or 0 */
    const char *build;     /* first error line of the device compiler's log */
    const char *next_step; /* what to do about it */
} quern_error;

/* The record of the last failure on this thread. Never null. */
QUERN_API const quern_error *quern_last_error(void);

/* The same as one printable text of a few lines: message, formula with caret, build line, next step. Borrowed, valid as
   long as the record. */
QUERN_API const char *quern_last_error_text(void);

/* For libraries on top of quern: makes this the last failure of this thread, and returns its status. Of the error, status, message,
   cl_code, build and next_step count; texts are copied, and null stands for "". USAGE for null and QUERN_OK. */
QUERN_API quern_status quern_error_set(const quern_error *error);

/* "SYNTAX" for QUERN_SYNTAX; and the sentence that explains it. Static strings. */
QUERN_API const char *quern_status_name(quern_status status);
QUERN_API const char *quern_status_text(quern_status status);

/* The version of the library that is linked, "0.1.0". */
QUERN_API const char *quern_version(void);

/* Releases a text or list that quern allocated. Accepts null. */
QUERN_API void quern_free(void *memory);

/* ---- arrays ----------------------------------------------------------------------------------------------------- */

/* Element types. Runs compute in float32 or float64; the others are for storage. float16 (IEEE 754 binary16) and bfloat16
   arrays are read and written as float32 numbers, rounded to nearest; int32 and int64 arrays are exact up to 2^24 in runs
   in float32, 2^53 in float64. */
typedef enum quern_dtype {
    QUERN_NUMBER = 0,
    QUERN_F32 = 1,
    QUERN_F64 = 2,
    QUERN_I64 = 3,
    QUERN_I32 = 4,
    QUERN_F16 = 5,
    QUERN_BF16 = 6
} quern_dtype;

/* An array in device memory: quern/array.h. */
typedef struct quern_array quern_array;

/* A borrowed array in host memory or, with `array`, in device memory; or (QUERN_NUMBER) one number that takes the element
   type of the other arrays. As an argument it is only read; as a result it is written. All members that are not set must be
   0: begin with quern_view_of, quern_array_view or {0}. */
typedef struct quern_view {
    void *data; /* host memory; null for device memory */
    int64_t rows, columns;
    quern_dtype dtype;
    double number;
    int64_t stride;     /* elements from the start of one row to that of the next; 0: columns */
    quern_array *array; /* device memory, else null */
    int64_t offset;     /* there: elements before the first row */
    int64_t batch[4];   /* sizes of leading dimensions, then 0: quern/space.h; rows are those of one member */
} quern_view;

static inline quern_view quern_f32(const float *data, int64_t rows, int64_t columns)
{
    quern_view view = {(void *)data, rows, columns, QUERN_F32, 0, 0, NULL, 0, {0}};
    return view;
}
static inline quern_view quern_f64(const double *data, int64_t rows, int64_t columns)
{
    quern_view view = {(void *)data, rows, columns, QUERN_F64, 0, 0, NULL, 0, {0}};
    return view;
}
/* A dense array on the host of any type. */
static inline quern_view quern_view_of(const void *data, quern_dtype dtype, int64_t rows, int64_t columns)
{
    quern_view view = {(void *)data, rows, columns, dtype, 0, 0, NULL, 0, {0}};
    return view;
}
/* For results that are indices (ArgMin, ArgMax). */
static inline quern_view quern_i64(const int64_t *data, int64_t rows, int64_t columns)
{
    quern_view view = {(void *)data, rows, columns, QUERN_I64, 0, 0, NULL, 0, {0}};
    return view;
}
/* For parameters of length 1: {"g", quern_number(0.5)}. */
static inline quern_view quern_number(double value)
{
    quern_view view = {NULL, 1, 1, QUERN_NUMBER, value, 0, NULL, 0, {0}};
    return view;
}

/* How many rows or columns there are, where no array tells: {"M", quern_size(1000)}, {"N", quern_size(0)}. */
static inline quern_view quern_size(int64_t count)
{
    quern_view view = {NULL, count, 0, QUERN_NUMBER, 0, 0, NULL, 0, {0}};
    return view;
}

/* An array and the variable it stands for. Variables without a name (KeOps's Vi(0,3)) are called by their number: "0".
   */
typedef struct quern_arg {
    const char *name;
    quern_view view;
} quern_arg;

typedef struct quern_args {
    const quern_arg *data;
    size_t count;
    int64_t M, N; /* 0: the arrays, or quern_size among them, tell */
} quern_args;

typedef struct quern_outs {
    const quern_view *data;
    size_t count;
} quern_outs;

/* The arguments and the results of a run; either list may be empty:
       QUERN_ARGS({"x", quern_f32(x, 1000, 3)}, {"N", quern_size(500)})
       QUERN_OUTS(quern_f32(a, 1000, 1), quern_i64(k, 1000, 1)) */
#ifdef __cplusplus
#define QUERN_ARGS(...) (quern_args_of({__VA_ARGS__}))
#define QUERN_OUTS(...) (quern_outs_of({__VA_ARGS__}))
#else
#define QUERN_ARGS(...) ((quern_args){QUERN_LIST(quern_arg, {0}, __VA_ARGS__), 0, 0})
#define QUERN_OUTS(...) ((quern_outs){QUERN_LIST(quern_view, {0}, __VA_ARGS__)})
/* Start and length of a list. The element `before` its start is there because C has no empty arrays. */
#define QUERN_LIST(type, before, ...) \
    (const type[]){before, __VA_ARGS__} + 1, sizeof((const type[]){before, __VA_ARGS__}) / sizeof(type) - 1
#endif

/* ---- devices and context ---------------------------------------------------------------------------------------- */

typedef struct quern_device {
    const char *selector; /* "0:1": platform and device number, accepted wherever a device is named */
    const char *name, *vendor, *platform, *version, *driver;
    const char *kind;    /* "gpu", "cpu" or "accelerator" */
    const char *profile; /* the row of cl/profiles.txt that fits it */
    const char *reason;  /* why it has its score */
    int compute_units;
    uint64_t memory;             /* bytes of global memory */
    uint64_t local_memory;       /* bytes of local memory per work-group */
    bool f64;                    /* float64 arithmetic */
    double score;                /* the default device is the one with the highest */
    bool driver_caches;          /* the driver keeps compiled programs for later processes */
    const char *platform_vendor; /* who made the driver: "The pocl project" */
} quern_device;

/* All devices of all OpenCL platforms, in the order of their selectors; *out is one block for quern_free. *count may be
   0 with QUERN_OK. Thread-safe. */
QUERN_API quern_status quern_devices(quern_device **out, size_t *count);

/* An OpenCL platform: a driver that the loader has found and loaded. It may have no device. */
typedef struct quern_platform {
    char name[128];
    int devices;         /* that quern can use */
    bool serves_cpu;     /* its devices are processors: having none is a fault, and not a lack of hardware */
    char next_step[512]; /* without a device, what to do about it; else "" */
} quern_platform;

/* All OpenCL platforms, as selectors number them; *out is one block for quern_free. *count may be 0 with QUERN_OK.
   Thread-safe. */
QUERN_API quern_status quern_platforms(quern_platform **out, size_t *count);

/* Whether `wanted` names this device, as quern_context_options.device and QUERN_DEVICE do: "gpu", "cpu", "accelerator", a
   selector "0:1", or a part of the name or vendor of the device or of its platform; case does not matter. */
QUERN_API bool quern_device_fits(const quern_device *device, const char *wanted);

typedef struct quern_context quern_context;

/* A choice that is quern's unless the user makes it. */
typedef enum quern_switch { QUERN_AUTO = 0, QUERN_ON = 1, QUERN_OFF = 2 } quern_switch;

typedef struct quern_context_options {
    size_t size;
    /* As in quern_device_fits; of several devices that fit, the one with the highest score. Null: the environment variable
       QUERN_DEVICE, else the device with the highest score. */
    const char *device;
    /* Called with one line of text for each event worth knowing (device chosen, program built); any thread. */
    void (*log)(void *user, const char *line);
    void *log_user;
    /* Called between launches with the part of the work that is done, 0 to 1; returning true stops the run, which then
       fails with QUERN_CANCELLED. Called on the thread that runs. */
    bool (*progress)(void *user, double done);
    void *progress_user;
    uint64_t memory; /* bytes of device memory this context may use; 0: what the device reports */
    /* Whether compiled programs are kept in quern's own directory for later processes (quern/cache.h). QUERN_AUTO: what
       the environment variable QUERN_CACHE says, on, off or auto; else where the driver does not do so itself. */
    quern_switch cache;
    /* Whether runs are computed on the host, without the device. QUERN_AUTO: what the environment variable QUERN_HOST
       says, on, off or auto; else those that are so small that they are over before a launch would have begun: a few
       hundred entries of a simple formula. Which ones follows from the formula, the element type, M and N alone, so
       that equal runs give equal bits; quern_explain tells it, and the log. Values have the precision of the arrays'
       type, as on a device (docs/numbers.md). QUERN_ON: all, slowly, in memory that grows with M N: for comparisons. */
    quern_switch host;
    /* A cl_context and a cl_command_queue that the program has opened already; either may be null. They are kept alive, and
       `device` is ignored. Commands of the queue must run in order (not CL_QUEUE_OUT_OF_ORDER_EXEC_MODE_ENABLE); a context
       without a queue must be for one device. Work that the program enqueues there itself and runs of quern follow each
       other as they were enqueued; a context of quern must not be used while another thread changes the queue. */
    void *opencl_context, *opencl_queue;
} quern_context_options;

/* Opens a device. `options` may be null. Statuses: NO_DEVICE, DEVICE, MEMORY. */
QUERN_API quern_status quern_context_create(quern_context **out, const quern_context_options *options);
QUERN_API void quern_context_destroy(quern_context **context);

/* The device that the context uses; borrowed from the context. Null for a null context. */
QUERN_API const quern_device *quern_context_device(const quern_context *context);

/* Waits until all that runs in this context, or was enqueued by copies of arrays, is done. Failures that the device told
   late are told here. Statuses: DEVICE, MEMORY. */
QUERN_API quern_status quern_wait(quern_context *context);

/* The name of the row that plans are made with: quern_device.profile, or, where `quern tune` has learned one for this
   device, the tuned row's. Borrowed from the context. */
QUERN_API const char *quern_context_profile(const quern_context *context);

/* ---- operators -------------------------------------------------------------------------------------------------- */

typedef struct quern_operator quern_operator;

/* How floating-point sums are accumulated. */
typedef enum quern_sum {
    QUERN_SUM_BLOCKED = 0, /* blocks of 256 terms, compensated across blocks */
    QUERN_SUM_KAHAN,       /* compensated at every term */
    QUERN_SUM_PLAIN        /* no compensation: for comparisons */
} quern_sum;

/* How exact contractions are, sums over the components of long vectors for each pair, such as squared distances: the least that
   is asked for, in float32. */
typedef enum quern_precision {
    QUERN_PRECISION_FLOAT32 = 0, /* errors as docs/numbers.md bounds them for float32 */
    QUERN_PRECISION_EXACT, /* term by term, as the formula says: no expansion of squared distances, no matrix units */
    QUERN_PRECISION_TF32,  /* numbers may have 11 bits */
    QUERN_PRECISION_BF16   /* numbers may have 8 bits */
} quern_precision;

typedef struct quern_compile_options {
    size_t size;
    quern_sum sum;
    /* Plan parameters; 0 lets the device's profile decide. Rows per work-item (in vectors of `lanes` rows), rows per
       vector (1, 2, 4, 8 or 16), local size, and parts into which the reduced index is split. For tests and tuning. */
    int rows, lanes, local, split;
    /* Columns of cl/profiles.txt that replace those of the device's row, such as "rows=4 staged_cols=0"; null: none. In
       contrast to the plan parameters above they say what is good for the device, not what to do for this formula. */
    const char *profile;
    quern_precision precision;
    /* QUERN_ON: nothing is simplified that is right only where all rows meet all columns, so that every formula can be run
       with ranges (quern/space.h), and most as fast. Without it most can, too: those that cannot say so. */
    quern_switch ranges;
} quern_compile_options;

/* Compiles formula text. `options` may be null. `context` may be null: such an operator can be explained and
   differentiated, but not run. The device program itself is built on the first run with a given element type.
   Statuses: USAGE, SYNTAX, NAME, DIMENSION, LIMIT, UNSUPPORTED, MEMORY. */
QUERN_API quern_status quern_compile(quern_operator **out, quern_context *context, const char *formula,
                                     const quern_compile_options *options);

/* The gradient of <op, e> with respect to variable `var`: a new operator whose result is indexed like `var`. `e` names
   the weights, with the shape of op's result; a variable of that name is added unless there is one. Null stands for all
   ones. `op` must have one result; it is not changed and may be destroyed before the gradient.
   Statuses: those of quern_compile. */
QUERN_API quern_status quern_gradient(quern_operator **out, const quern_operator *op, const char *var, const char *e);

QUERN_API void quern_operator_destroy(quern_operator **op);

/* The signature of a variable or result of an operator: no array, and nothing that is computed. `axis` is 'i' (M rows), 'j'
   (N rows) or 'p' (one row). */
typedef struct quern_value {
    const char *name; /* variables: name or number; results: "" */
    char axis;
    int64_t dim;  /* columns of its array */
    bool integer; /* results: indices, to be taken as QUERN_I64; -1 stands for none */
    bool unused;  /* variables: declared, but no result depends on it; its array may be left out, or tell M or N */
} quern_value;

QUERN_API size_t quern_variable_count(const quern_operator *op);
QUERN_API size_t quern_result_count(const quern_operator *op);
/* Borrowed name; index below the count, else all zero. */
QUERN_API quern_value quern_variable(const quern_operator *op, size_t index);
QUERN_API quern_value quern_result(const quern_operator *op, size_t index);
/* The canonical text of the operator's formula; compiling it gives the same operator. Borrowed. */
QUERN_API const char *quern_operator_text(const quern_operator *op);

/* Evaluates the operator. Every variable needs an argument; i-variables share their number of rows M, j-variables N;
   parameters have one row. All float arrays are of one type, QUERN_F32 or QUERN_F64, results that are indices QUERN_I64.
   M or N may be 0. quern_run is for operators with one result, quern_run_all for any number, in the formula's order.
   Arrays may be of storage types (quern_dtype); indices are written as int32 or int64. Each argument and result may be on
   the host or on the device (quern/array.h): a run whose arrays are all on the device does not wait for it.
   On failure the contents of the results are undefined.
   Statuses: MISSING, NAME, SHAPE, DTYPE, UNSUPPORTED (float64 on a device without), BUILD, DEVICE, MEMORY, CANCELLED. */
QUERN_API quern_status quern_run(quern_operator *op, quern_args args, quern_view result);
QUERN_API quern_status quern_run_all(quern_operator *op, quern_args args, quern_outs results);

/* The same in any context: one operator serves several devices and queues, also one that was compiled without a context. It
   is built for each context that it is run in, and keeps those contexts alive as it does its own. Thread-safe. */
QUERN_API quern_status quern_run_in(quern_operator *op, quern_context *context, quern_args args, quern_outs results);

/* Builds the programs that runs with this element type (QUERN_NUMBER: float32) and sizes like M and N need, without data,
   so that they start at once, and those of later processes from the cache (quern/cache.h). They are run once on arrays of
   one row. Programs depend on sizes only in steps: few rows or many, one part or several. Thread-safe.
   Statuses: SHAPE and USAGE for what no run can have, and those of quern_run that are not about arrays. */
QUERN_API quern_status quern_prepare(quern_operator *op, quern_dtype dtype, int64_t M, int64_t N);

typedef struct quern_explain_options {
    size_t size;
    const char *stage;   /* "graph", "stages", "plan", "program", "source", or "all" of these; "dot": for Graphviz;
                          null: one screen: arrays, stages, the time that a run is expected to take */
    quern_dtype dtype;   /* QUERN_NUMBER: float32 */
    int64_t M, N;        /* 0: 1000 */
    const char *profile; /* without a context: a row of cl/profiles.txt, also "nvidia min_k=64"; null: "cpu" */
} quern_explain_options;

/* Shows what quern makes of the operator. *text is for quern_free. `options` may be null. */
QUERN_API quern_status quern_explain(const quern_operator *op, const quern_explain_options *options, char **text);

#ifdef __cplusplus
}

/* What the macros are in C++. */
extern "C++" {
#include <initializer_list>

template <typename Options> static inline Options quern_defaults_of()
{
    Options options = Options();
    options.size = sizeof options;
    return options;
}
static inline quern_args quern_args_of(std::initializer_list<quern_arg> list)
{
    quern_args args = {list.begin(), list.size(), 0, 0};
    return args;
}
static inline quern_outs quern_outs_of(std::initializer_list<quern_view> list)
{
    quern_outs outs = {list.begin(), list.size()};
    return outs;
}
}
#endif
#endif
