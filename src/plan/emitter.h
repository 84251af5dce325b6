/*
 * emitter.h: what the files share that make OpenCL C of one program: the functions of its loops as sections of steps, and
 * what is known of each value. The banners follow them; none needs a later one but by the steps of its section.
 */
#ifndef QUERN_EMITTER_H
#define QUERN_EMITTER_H

#include "plan/plan.h"

// reroll.c: the statements of a function as steps, with what repeats as loops

enum { Q_NEST = 3 /* loops of loops of loops */ };

typedef enum q_step_kind {
    Q_STEP_VALUE,
    Q_STEP_FOLD,  /* adds term d to reduction a */
    Q_STEP_STORE, /* stores component d of output a */
    Q_STEP_SELECT /* stores output a, a whole selection */
} q_step_kind;

/* Where a step's value is. */
typedef enum q_place {
    Q_PLACE_NAME,  /* a variable of the function */
    Q_PLACE_TRIP,  /* ... of a trip of its loop, which alone reads it */
    Q_PLACE_CARRY, /* ... of the loop, for the next trip; after the last it is as Q_PLACE_NAME */
    Q_PLACE_USER,  /* nowhere: it is computed where it is read */
    Q_PLACE_SLOT   /* in an array, of the struct of its loop or of the function */
} q_place;

typedef struct q_step {
    uint8_t kind, place;
    q_ref v; /* the value, or what is added or stored */
    uint32_t a, d;
} q_step;

/* A step (no trips) or a loop over items, whose `start` counts from that of the trip. */
typedef struct q_item {
    uint32_t start, length; /* first step; steps of one trip */
    uint32_t trips, peel;   /* the first `peel` trips are not in the loop */
    uint32_t first, count;  /* items of a trip */
    bool wish;              /* to peel one more */
    uint32_t split;         /* trips of the loops into which it is to be split, 0: as it is */
} q_item;

enum { Q_SLOT_ARRAYS = 8 }; /* by type, and whether other loops read them: see q_slot_array */

typedef struct q_section {
    q_step *steps;
    size_t count, values; /* steps; those of values, which come first */
    q_item *items;
    size_t item_count, item_capacity;
    uint32_t top, top_count;       /* items of the function */
    uint32_t *at, *slot;           /* by value: 1 + its step; 1 + its place in an array */
    uint32_t slots[Q_SLOT_ARRAYS]; /* lengths of arrays */
    bool *written;                 /* by step: whether it has been, outside of loops */
    uint32_t last_name;            /* number of the last variable of a loop */
} q_section;

// statements.c: values as statements of OpenCL C

/* What an operand is in a loop: the value in its first trip, and in the next trip of each loop around, outermost first. */
typedef struct q_varying {
    q_ref v, next[Q_NEST];
} q_varying;

typedef struct q_emitter {
    q_text *out;
    q_arena *arena;
    const q_ir *p;
    const q_plan *plan;
    uint8_t *need; /* by value: 1 where the pairs need it, 2 where the outputs do */
    bool *kept;    /* by value: member of the struct of its loop, because another loop reads it */
    bool *folded;  /* by value: a product that has no statement of its own, because what sums it takes both factors */
    uint8_t *scaled_by; /* by value: 1 + the number of the LogSumExp whose weight it is a multiple of, or 0 */
    int section;        /* loop of the function being written; Q_LATE: q_store, in which everything is local */
    q_section *sections[Q_LOOPS];
    /* of a statement in a loop: its operands in its own order, and the numbers of components; null outside of loops */
    const char *operand[3], *component;
    bool failed; /* memory ran out */
} q_emitter;

/* Whether a value is in the struct of its loop. */
bool q_is_member(const q_emitter *e, q_ref v, uint8_t scope);
const char *q_emit_type(const q_scalar *value);
void q_emit_number(q_emitter *e, double value);
/* A value as an operand on lanes or not, as a real or as it is; name: in a loop, what it is called there. */
void q_emit_operand(q_emitter *e, q_ref v, const char *name, bool lanes, bool integer);
/* The section of reductions.cl that reduction r uses: "q_Sum", or "q_KMin10". */
void q_emit_state_name(q_emitter *e, size_t r);
void q_emit_state_member(q_emitter *e, size_t r, uint32_t d);
/* What the value is computed by. */
void q_emit_expression(q_emitter *e, q_ref v);
/* The array in which a value has a slot, with what holds it, as in "r->m". */
void q_emit_slot_array(q_emitter *e, q_ref v, char out[16]);
/* 1 + the place in that array, or 0. */
uint32_t q_slot_of(const q_emitter *e, q_ref v);

// reroll.c, continued

/* Finds the steps and loops of a function; those of outer loops first. */
quern_status q_section_make(q_emitter *e, int section);
/* Makes loops of what repeats in the items of the function, which may be loops; false without memory. */
bool q_section_roll(q_emitter *e, q_section *s, bool nested);
/* Operands in the order in which they are compared; 0: there is none. */
q_ref q_value_operand(const q_emitter *e, q_ref v, int a);
q_ref q_step_operand(const q_emitter *e, const q_step *step, int a);
/* Whether two values differ in nothing but their operands and the number of a component. */
bool q_same_form(const q_emitter *e, q_ref v, q_ref w);

// placing.c: where the values of loops are kept

/* The array of slots for the value: by type, and whether it is in the struct of its loop. */
int q_slot_array(const q_scalar *value, bool kept);
quern_status q_section_place(q_emitter *e, q_section *s, int section);

// ends.c: what is done with values

/* One step that is no value, with its operands as they are called in a loop, if it is in one. */
void q_emit_end(q_emitter *e, const q_step *step);

// loops.c: steps and loops as text

/* The function's statements, those of values first, then the others. */
void q_emit_values(q_emitter *e);
void q_emit_ends(q_emitter *e);
/* Arrays of slots of the struct of this loop, or of the function. */
void q_emit_slots(q_emitter *e, int section, bool kept);

// states.c: states of reductions as OpenCL C

/* Values that are multiples of a weight, and so are scaled with it. */
void q_mark_scaled(q_emitter *e);
/* Types and functions of states. */
void q_emit_state(q_emitter *e);
/* Functions of softmax weights, and what rescales all that is scaled by them. */
void q_emit_weights(q_emitter *e);

#endif
