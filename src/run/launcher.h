/*
 * launcher.h: what the files of one run share: builds.c, slots.c, launch.c and split.c. The banners follow them.
 */
#ifndef QUERN_LAUNCHER_H
#define QUERN_LAUNCHER_H

#include "run/run.h"

// builds.c: plans and programs of an operator on a device, made on first use and kept

typedef struct q_stage_plan {
    q_plan plan;
    q_program *program, *merge, *pack; /* merge: of a split plan; pack: of a scheme that packs */
} q_stage_plan;

/* What a run of the operator does, by stage: from the runs of the same element type and sizes before it, or made and built
   now. Filled for op->stages.count stages. */
quern_status q_plan_run(q_stage_plan *out, const q_run *run);
/* The same for a stage, without what is packed before: for want of memory. */
quern_status q_plan_unpacked(q_stage_plan *out, const q_run *run, size_t stage);
/* The program of a stage for a plan that differs from the run's. Kept, as the others are, as
   long as the operator. */
quern_status q_stage_program(q_program **out, q_build *build, size_t stage, const q_plan *plan, q_role role);

// slots.c: the arrays of a run on the device

/* A buffer for each array that a run touches. */
typedef struct q_slot {
    q_array array;
    q_buffer buffer;
    bool in_place; /* the buffer is the result's own array */
    char value[8]; /* of a parameter that is given as a number, or is an argument by value */
} q_slot;

typedef struct q_launcher q_launcher;
struct q_launcher {
    const q_run *run;
    quern_context *context;
    q_session *session;
    const q_stage_plan *plans; /* by stage */
    q_slot *slots;
    size_t slot_count;
    q_buffer packed;    /* rows and columns of the present stage, where its scheme packs */
    q_buffer tables[4]; /* of the present stage's space: groups, segments, entries, names */
    bool reads_host;    /* uploads may be under way that read the program's memory */
    double done, total; /* pairs */
    double notified;    /* share of them that progress was told; what is done again is not told again */
    /* Null, or what is told of each slice in place of the context's progress callback; a failure ends the run. */
    quern_status (*report)(q_launcher *l, double pairs);
    void *report_user;
};

/* Makes and fills them; to be freed even if that fails. */
quern_status q_slots_make(q_launcher *l);
void q_slots_free(q_launcher *l);
q_slot *q_slot_find(q_launcher *l, const q_array *array);
/* The element type of an array on the device, in a run in this one. */
quern_dtype q_slot_dtype(quern_dtype dtype, const q_array *array);
/* Gives an empty slot the numbers of a view: in a buffer, or by value. Does not wait. */
quern_status q_slot_load(q_launcher *l, q_slot *slot, const quern_view *view);
/* Reads the results. Waits for all that was enqueued, unless all arrays are on the device. */
quern_status q_slots_read_results(q_launcher *l);

// launch.c: kernels over rows and columns, in slices

/* A kernel of a stage. */
typedef struct q_kernel {
    const q_ir *program;
    const q_plan *plan;
    q_role role;
} q_kernel;

/* What its parameters stand for beside the arrays. */
typedef struct q_values {
    cl_long number[Q_PARAM_KINDS];
    const q_buffer *buffer[Q_PARAM_KINDS]; /* states and tables */
} q_values;

/* UNSUPPORTED for float64 on a device without. */
quern_status q_launch_check(const quern_context *context, quern_dtype dtype);
/* What Q_PARAM_FIRST is for a group of the plan. */
int64_t q_first_of(const q_plan *plan, int64_t group);
/* Those of all launches of the plan; the first row is 0. */
q_values q_values_of(const q_launcher *l, const q_plan *plan);
/* One launch, with an argument for each parameter of the kernel. */
quern_status q_launch_kernel(q_launcher *l, q_program *program, const q_kernel *kernel, const q_values *values,
                             const size_t global[3]);
/* Pairs of a stage. */
double q_pairs_of(const q_launcher *l, size_t stage);
/* How a long run is cut into slices that take about as long as the profile asks for. */
typedef struct q_pace {
    double aim;         /* seconds */
    bool sliced;        /* else all is done at once */
    int64_t wave, size; /* of what is cut: what fills the device, and the next slice */
} q_pace;

/* For `total` of something of which each is done by `groups` groups, and which takes `guess` seconds. Waits for what was
   enqueued before if it is sliced, so that this is not measured with the first slice. */
quern_status q_pace_begin(q_pace *pace, q_launcher *l, const q_plan *plan, int64_t total, int64_t groups, double guess);
/* `count` of them, of a slice that has ended, took so long. */
void q_pace_measured(q_pace *pace, int64_t count, double seconds);
/* Slices of rows, or of the parts of split-K, each measured to size the next; one launch if it looks short. */
quern_status q_launch_slices(q_launcher *l, q_program *program, const q_kernel *kernel, const q_values *values,
                             double pairs);
/* A stage that is not split. */
quern_status q_launch_rows(q_launcher *l, size_t stage, const q_plan *plan, q_program *program);

// split.c: split-K

quern_status q_launch_split(q_launcher *l, size_t stage, const q_stage_plan *planned);
/* A stage whose states are carried (q_run.carried): goes on from them, or leaves them. */
quern_status q_launch_carried(q_launcher *l, size_t stage, const q_stage_plan *planned);

#endif
