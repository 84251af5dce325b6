/*
 * placing.c: where the values of loops (reroll.c) are kept: in a variable of a trip, carried to the next trip, in an
 * array, or nowhere, where all that reads them can compute them. Then each operand in a loop must be found by arithmetic
 * with the trips' numbers, in every trip; where it is not in the first trips, these are peeled, and where that does not
 * help the loop is dissolved. So whatever is a loop in the end reads just what its statements would.
 */
#include <stdlib.h>
#include <string.h>

#include "plan/emitter.h"

enum { MOST_PEELS = 6, MOST_SPLITS = 3, LEAST_SPLIT = 8 };

/* Who reads a value, relative to the innermost loop that computes it, bits. */
enum { SAME_TRIP = 1, NEXT_TRIP = 2, OTHER_TRIP = 4, OUTSIDE = 8, OTHER_FUNCTION = 16 };

/* The innermost loop of a step. */
typedef struct spot {
    uint32_t leaf;         /* the step of the first trips that it repeats */
    uint32_t trip, length; /* first step of its trip, steps of a trip: 0 outside of loops */
    uint32_t loop_end;     /* first step after the loop */
    uint32_t room;         /* 1 + the trip or 0 for the function in which all its readers are; ... */
    bool rooms;            /* ... whether they are not in one */
    bool nested;           /* in another loop */
    uint8_t readers;       /* bits */
} spot;

/* What all steps of a leaf have in common. */
typedef struct leaf {
    uint8_t readers, last; /* but what only the last trip's value has */
    bool rooms, forced;    /* readers of one are in several trips; it must be in an array */
} leaf;

typedef struct placer {
    q_emitter *e;
    q_section *s;
    int section;
    spot *spots;  /* by step */
    leaf *leaves; /* by step that is one */
    bool *forced; /* by step: must be in an array */
    /* loops around */
    int depth;
    q_item *loop[Q_NEST];
    uint32_t start[Q_NEST], now[Q_NEST]; /* first step of the first trip that is in the loop; number of the trip */
    bool hopeless, failed, wished; /* wished: a first trip of the present operand failed, so later ones tell nothing */
    uint32_t broken;               /* the trip that is like none before, in a loop that is in no other */
    bool force;                    /* whether to have the step `culprit` in an array may help */
    uint32_t culprit;
} placer;

// ---- who reads what ----

static void find_spots(placer *p, const q_item *item, uint32_t offset, uint32_t first, spot around)
{
    around.leaf = first + item->start;
    if (!item->trips) p->spots[offset + item->start] = around;
    for (uint32_t t = 0; t < item->trips; t++)
        for (uint32_t c = 0; c < item->count; c++) {
            uint32_t trip = offset + item->start + t * item->length;
            spot inside = {.trip = trip, .length = item->length, .nested = around.length > 0};
            inside.loop_end = offset + item->start + item->trips * item->length;
            find_spots(p, &p->s->items[item->first + c], trip, first + item->start, inside);
        }
}

static uint8_t relation(const spot *of, uint32_t reader)
{
    if (!of->length || reader >= of->loop_end) return OUTSIDE;
    if (reader < of->trip + of->length) return SAME_TRIP;
    return reader < of->trip + 2 * of->length ? NEXT_TRIP : OTHER_TRIP;
}

static void read_operand(placer *p, q_ref v, uint32_t reader, uint8_t relation_of_root)
{
    if (!v || !p->s->at[v]) return;
    spot *of = &p->spots[p->s->at[v] - 1];
    uint32_t room = p->spots[reader].length ? p->spots[reader].trip + 1 : 0;
    of->rooms = of->rooms || (of->readers && of->room != room);
    of->readers |= relation_of_root ? relation_of_root : relation(of, reader);
    of->room = room;
}

/* What is read in other functions, or in this one's loop over right-hand sides. */
static void find_other_readers(placer *p)
{
    const q_ir *ir = p->e->p;
    for (q_ref v = 1; v < ir->count; v++) {
        if (!(p->section & Q_LATE) && q_is_member(p->e, v, (uint8_t)p->section)) read_operand(p, v, 0, OTHER_FUNCTION);
        bool rhs = p->section == Q_LATE && (p->e->need[v] & 2) && (ir->values[v].scope & Q_RHS_LOOP);
        for (int a = 0; a < 3 && rhs; a++) read_operand(p, ir->values[v].arg[a], 0, OTHER_FUNCTION);
    }
    for (size_t o = 0; o < ir->output_count && p->section == Q_LATE; o++)
        if (ir->outputs[o].looped) read_operand(p, ir->results[o][0], 0, OTHER_FUNCTION);
}

static void find_readers(placer *p)
{
    for (uint32_t k = 0; k < p->s->count; k++)
        for (int o = 0; o < 3; o++) read_operand(p, q_step_operand(p->e, &p->s->steps[k], o), k, 0);
    find_other_readers(p);
    for (uint32_t k = 0; k < p->s->count; k++) {
        const spot *of = &p->spots[k];
        leaf *all = &p->leaves[of->leaf];
        bool last = of->length && of->trip + of->length == of->loop_end;
        uint8_t beyond = last ? of->readers & (OUTSIDE | OTHER_FUNCTION) : 0;
        all->readers |= of->readers & (uint8_t)~beyond;
        all->last |= beyond;
        all->rooms = all->rooms || of->rooms;
        all->forced = all->forced || p->forced[k];
    }
}

static q_place place_of(const placer *p, uint32_t k)
{
    const leaf *all = &p->leaves[p->spots[k].leaf];
    uint8_t readers = all->readers | all->last;
    if (!p->spots[k].length) return Q_PLACE_NAME;
    if (p->s->steps[k].kind != Q_STEP_VALUE) return Q_PLACE_TRIP;
    bool load = p->e->p->values[p->s->steps[k].v].kind == Q_V_LOAD;
    if (load && !(readers & OTHER_FUNCTION) && !all->forced) return Q_PLACE_USER;
    if (readers == SAME_TRIP) return Q_PLACE_TRIP;
    if ((all->readers & NEXT_TRIP) && !(all->readers & ~(SAME_TRIP | NEXT_TRIP))) return Q_PLACE_CARRY;
    return readers == OUTSIDE && !all->rooms && !all->forced ? Q_PLACE_USER : Q_PLACE_SLOT;
}

int q_slot_array(const q_scalar *value, bool kept)
{
    bool lanes = value->scope & (Q_ROW | Q_LATE);
    return 4 * kept + 2 * lanes + value->integer;
}

static void place_all(placer *p)
{
    memset(p->s->slots, 0, sizeof p->s->slots);
    memset(p->s->slot, 0, p->e->p->count * sizeof *p->s->slot);
    for (uint32_t k = 0; k < p->s->count; k++) {
        q_step *step = &p->s->steps[k];
        const spot *of = &p->spots[k];
        const leaf *all = &p->leaves[of->leaf];
        step->place = (uint8_t)place_of(p, k);
        bool last = step->place == Q_PLACE_CARRY && of->nested && all->last && of->trip + of->length == of->loop_end;
        bool kept = (all->readers | all->last) & OTHER_FUNCTION && !(p->section & Q_LATE);
        if (step->place != Q_PLACE_SLOT && !last) continue;
        step->a = (uint32_t)q_slot_array(&p->e->p->values[step->v], kept);
        p->s->slot[step->v] = ++p->s->slots[step->a];
    }
}

/* Whether a value of a loop can be read after it, where what is computed by its reader is. */
static bool outlives_loop(const placer *p, q_ref v, uint32_t reader)
{
    uint32_t k = p->s->at[v] - 1;
    const spot *of = &p->spots[k];
    uint8_t place = p->s->steps[k].place;
    bool last = of->trip + of->length == of->loop_end && of->loop_end <= reader;
    if (place == Q_PLACE_CARRY) return p->s->slot[v] || (last && !of->nested);
    return place != Q_PLACE_TRIP;
}

/* Has in arrays what cannot be computed where it is read; whether there was any. */
static bool force_arrays(placer *p)
{
    bool any = false;
    for (uint32_t k = 0; k < p->s->count; k++)
        for (int o = 0; o < 3 && p->s->steps[k].place == Q_PLACE_USER && !p->forced[k]; o++) {
            q_ref v = q_step_operand(p->e, &p->s->steps[k], o);
            if (v && p->s->at[v] && !outlives_loop(p, v, k)) p->forced[k] = any = true;
        }
    for (uint32_t k = 0; k < p->s->count; k++)
        if (p->forced[k]) p->leaves[p->spots[k].leaf].forced = true;
    return any;
}

// ---- whether operands can be found in every trip ----

static uint32_t length_of(const placer *p, int level)
{
    return p->loop[level]->length;
}

/* What the step computes, or with o >= 0 its operand. */
static q_ref operand(const placer *p, uint32_t k, int o)
{
    return o < 0 ? p->s->steps[k].v : q_step_operand(p->e, &p->s->steps[k], o);
}

static q_varying varying(const placer *p, uint32_t k, int o)
{
    q_varying x = {.v = operand(p, k, o)};
    for (int l = 0; l < Q_NEST; l++) x.next[l] = l < p->depth ? operand(p, k + length_of(p, l), o) : x.v;
    return x;
}

static q_varying varying_operand(const q_emitter *e, const q_varying *of, int o)
{
    q_varying x = {.v = q_value_operand(e, of->v, o)};
    for (int l = 0; l < Q_NEST; l++) x.next[l] = of->next[l] == of->v ? x.v : q_value_operand(e, of->next[l], o);
    return x;
}

static bool is_fixed(const q_varying *x)
{
    bool fixed = true;
    for (int l = 0; l < Q_NEST; l++) fixed = fixed && x->next[l] == x->v;
    return fixed;
}

/* Whether x is a step of the trip of loop `level` that has this many steps of offset from it, and moves with it; then
   actual must be the same in the present trips. */
static bool moves_with(const placer *p, const q_varying *x, q_ref actual, int level)
{
    const uint32_t *at = p->s->at;
    uint32_t expected = at[x->v];
    for (int l = 0; l < p->depth; l++) {
        uint32_t move = l <= level ? length_of(p, l) : 0;
        if (!at[x->next[l]] || at[x->next[l]] != at[x->v] + move) return false;
        expected += p->now[l] * move;
    }
    return at[actual] == expected;
}

/* A variable of one of the trips around. */
static bool is_in_scope(const placer *p, const q_varying *x, q_ref actual)
{
    uint32_t k = p->s->at[x->v] - 1;
    for (int l = 0; l < p->depth; l++) {
        bool inside = k >= p->start[l] && k < p->start[l] + length_of(p, l);
        bool named = p->s->steps[k].place == Q_PLACE_TRIP || p->s->steps[k].place == Q_PLACE_CARRY;
        if (inside && named && moves_with(p, x, actual, l)) return true;
        /* of the trip before */
        uint32_t now = k + length_of(p, l);
        bool before = now >= p->start[l] && now < p->start[l] + length_of(p, l);
        if (before && p->s->steps[now].place == Q_PLACE_CARRY && p->spots[now].trip == p->start[l] &&
            moves_with(p, x, actual, l))
            return true;
    }
    return false;
}

static bool is_in_array(const placer *p, const q_varying *x, q_ref actual)
{
    const q_scalar *v = p->e->p->values;
    const q_section *owner = p->s->at[x->v] ? p->s : p->e->sections[v[x->v].scope];
    if (!owner || !owner->slot[x->v] || !owner->slot[actual]) return false;
    uint32_t array = owner->steps[owner->at[x->v] - 1].a;
    int64_t expected = owner->slot[x->v];
    for (int l = 0; l < p->depth; l++) {
        if (!owner->slot[x->next[l]]) return false;
        expected += (int64_t)p->now[l] * ((int64_t)owner->slot[x->next[l]] - (int64_t)owner->slot[x->v]);
    }
    return owner->steps[owner->at[actual] - 1].a == array && (int64_t)owner->slot[actual] == expected;
}

static bool is_number(const placer *p, const q_varying *x, q_ref actual)
{
    const q_scalar *v = p->e->p->values;
    double expected = v[x->v].number;
    for (int l = 0; l < p->depth; l++) {
        if (v[x->next[l]].kind != Q_V_CONSTANT) return false;
        expected += p->now[l] * (v[x->next[l]].number - v[x->v].number);
    }
    return v[actual].kind == Q_V_CONSTANT && v[actual].number == expected;
}

static bool is_component(const placer *p, const q_varying *x, q_ref actual)
{
    const q_scalar *v = p->e->p->values;
    int64_t expected = v[x->v].k[0];
    for (int l = 0; l < p->depth; l++)
        expected += (int64_t)p->now[l] * ((int64_t)v[x->next[l]].k[0] - (int64_t)v[x->v].k[0]);
    return expected == v[actual].k[0];
}

static bool can_find(placer *p, q_varying x, q_ref actual);

/* Whether what is computed where it is read is so in these trips as it is in the first. */
static bool can_compute(placer *p, const q_varying *x, q_ref actual)
{
    bool alike = p->s->at[actual] && p->s->steps[p->s->at[actual] - 1].place == Q_PLACE_USER &&
                 q_same_form(p->e, x->v, actual) && is_component(p, x, actual);
    for (int l = 0; l < p->depth; l++) alike = alike && q_same_form(p->e, x->v, x->next[l]);
    for (int o = 0; o < 3 && alike; o++)
        alike = can_find(p, varying_operand(p->e, x, o), q_value_operand(p->e, actual, o));
    return alike;
}

static bool can_find(placer *p, q_varying x, q_ref actual)
{
    if (is_fixed(&x)) return actual == x.v;
    if (!x.v || !actual) return false;
    if (p->e->p->values[x.v].kind == Q_V_CONSTANT) return is_number(p, &x, actual);
    if (!p->s->at[x.v]) return is_in_array(p, &x, actual);
    if (is_in_scope(p, &x, actual) || is_in_array(p, &x, actual)) return true;
    return p->s->steps[p->s->at[x.v] - 1].place == Q_PLACE_USER && can_compute(p, &x, actual);
}

/* What may help where nothing is like the first trip: to split the loop there, or to have the operand in an array. */
static void give_up(placer *p, const q_varying *x)
{
    uint32_t k = p->s->at[x->v];
    p->hopeless = true;
    p->broken = p->depth == 1 ? p->now[0] + p->loop[0]->peel : 0;
    p->force = k && p->s->steps[k - 1].place == Q_PLACE_USER;
    if (p->force) p->culprit = k - 1;
}

/* What may help where an operand is not found in these trips: to peel the loop of which this is the first one. */
static void wish(placer *p, const q_varying *x)
{
    int firsts = 0, innermost = -1;
    for (int l = 0; l < p->depth; l++)
        if (!p->now[l]) firsts++, innermost = l;
    p->failed = true;
    if (!firsts && !p->wished) give_up(p, x);
    p->wished = p->wished || firsts;
    if (firsts && (firsts == 1 || p->depth == firsts)) p->loop[innermost]->wish = true;
}

/* Operand o of step k of the first trips, in all trips. */
static void check_operand(placer *p, uint32_t k, int o, int level)
{
    if (!level) p->wished = false;
    if (level >= p->depth || level == Q_NEST) {
        uint32_t now = k;
        for (int l = 0; l < p->depth; l++) now += p->now[l] * length_of(p, l);
        q_varying x = varying(p, k, o);
        if (!can_find(p, x, operand(p, now, o))) wish(p, &x);
        return;
    }
    uint32_t trips = p->loop[level]->trips - p->loop[level]->peel;
    for (p->now[level] = 0; p->now[level] < trips && !p->hopeless; p->now[level]++) check_operand(p, k, o, level + 1);
}

static void check_item(placer *p, q_item *item, uint32_t offset);

static void check_trip(placer *p, const q_item *item, uint32_t start)
{
    for (uint32_t c = 0; c < item->count && !p->hopeless; c++) check_item(p, &p->s->items[item->first + c], start);
}

static void check_item(placer *p, q_item *item, uint32_t offset)
{
    uint32_t start = offset + item->start;
    bool read = p->depth && p->s->steps[start].place != Q_PLACE_USER;
    for (int o = 0; o < 3 && !item->trips && read; o++) check_operand(p, start, o, 0);
    if (!item->trips) return;
    for (uint32_t t = 0; t < item->peel; t++) check_trip(p, item, start + t * item->length);
    p->hopeless = p->hopeless || item->peel + 2 > item->trips;
    for (uint32_t c = 0; c < item->count && p->depth && !p->hopeless; c++) {
        uint32_t k = start + item->peel * item->length + p->s->items[item->first + c].start;
        if (!p->s->items[item->first + c].trips && p->s->steps[k].place == Q_PLACE_CARRY)
            check_operand(p, k - item->length, -1, 0);
    }
    p->loop[p->depth] = item;
    p->start[p->depth++] = start + item->peel * item->length;
    check_trip(p, item, start + item->peel * item->length);
    p->depth--;
}

static void grant_wishes(q_section *s, q_item *item)
{
    if (item->wish) item->peel++;
    item->wish = false;
    for (uint32_t c = 0; c < item->count; c++) grant_wishes(s, &s->items[item->first + c]);
}

static bool check_loop(placer *p, q_item *item)
{
    p->hopeless = p->force = false;
    p->broken = 0;
    for (int round = 0; round < MOST_PEELS && !p->hopeless; round++) {
        p->failed = false;
        check_item(p, item, 0);
        if (!p->failed && !p->hopeless) return true;
        grant_wishes(p->s, item);
    }
    p->depth = 0;
    return false;
}

static void add_pieces(q_section *s, const q_item *loop)
{
    if (loop->split > 1)
        for (uint32_t t = 0; t < loop->trips; t += loop->split) {
            q_item piece = *loop;
            piece.start += t * loop->length;
            piece.trips = t + loop->split < loop->trips ? loop->split : loop->trips - t;
            piece.peel = piece.split = 0;
            s->items[s->item_count++] = piece;
        }
    for (uint32_t m = 0; m < loop->trips * loop->count && loop->split == 1; m++) {
        q_item item = s->items[loop->first + m % loop->count];
        item.start += loop->start + m / loop->count * loop->length;
        s->items[s->item_count++] = item;
    }
}

/* Replaces loops of the top level by shorter ones, or by their trips one after the other. */
static bool split(q_section *s)
{
    size_t most = 0, first = s->item_count;
    for (uint32_t n = 0; n < s->top_count; n++) {
        const q_item *item = &s->items[s->top + n];
        most += item->split ? (size_t)item->trips * item->count : 1;
    }
    if (!q_grow(&s->items, &s->item_capacity, first + most, sizeof *s->items)) return false;
    for (uint32_t n = 0; n < s->top_count; n++) {
        q_item item = s->items[s->top + n];
        if (item.split) add_pieces(s, &item);
        else s->items[s->item_count++] = item;
    }
    s->top = (uint32_t)first, s->top_count = (uint32_t)(s->item_count - first);
    return true;
}

/* Decides what becomes of a loop in which an operand cannot be found: whether it is split. */
static void mend(placer *p, q_item *item, bool may_split)
{
    if (may_split && p->broken >= LEAST_SPLIT && 2 * p->broken <= item->trips) item->split = p->broken;
    else if (p->force && !p->forced[p->culprit]) p->forced[p->culprit] = true;
    else item->split = 1;
}

/* Places all values and checks all loops; what is left to do: */
typedef enum rest { DONE, AGAIN, SPLIT } rest;

static rest place(placer *p, bool may_split)
{
    rest todo = DONE;
    memset(p->spots, 0, (p->s->count + 1) * sizeof *p->spots);
    memset(p->leaves, 0, (p->s->count + 1) * sizeof *p->leaves);
    for (uint32_t k = 0; k < p->s->top_count; k++) find_spots(p, &p->s->items[p->s->top + k], 0, 0, (spot){0});
    find_readers(p);
    do place_all(p);
    while (force_arrays(p));
    for (uint32_t k = 0; k < p->s->top_count; k++) {
        q_item *item = &p->s->items[p->s->top + k];
        if (!item->trips || check_loop(p, item)) continue;
        mend(p, item, may_split);
        todo = item->split || todo == SPLIT ? SPLIT : AGAIN;
    }
    return todo;
}

static bool place_until_done(placer *p)
{
    int splits = 0;
    for (rest todo = AGAIN; todo != DONE;) {
        todo = place(p, splits < MOST_SPLITS);
        if (todo != SPLIT) continue;
        if (!split(p->s) || (splits++ < MOST_SPLITS && !q_section_roll(p->e, p->s, true))) return false;
    }
    return true;
}

quern_status q_section_place(q_emitter *e, q_section *s, int section)
{
    placer p = {.e = e, .s = s, .section = section};
    p.spots = malloc((s->count + 1) * sizeof *p.spots);
    p.leaves = malloc((s->count + 1) * sizeof *p.leaves);
    p.forced = calloc(s->count + 1, 1);
    bool memory = p.spots && p.leaves && p.forced && place_until_done(&p);
    free(p.spots);
    free(p.leaves);
    free(p.forced);
    return memory ? QUERN_OK : q_fail_memory(s->count * sizeof *p.spots);
}
