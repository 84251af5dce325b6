/*
 * reroll.c: the statements of a generated function as steps in order, in which what repeats is a loop: loop rerolling.
 * Vectors were taken apart into scalar values (lower.c), so that a sum over 768 components is 768 statements of one
 * form, whose operands move by the same step from each to the next. Here they become one statement in a loop; loops that
 * repeat become loops of loops. What is computed, and in which order, stays the same to the last bit. Short functions stay as
 * they are.
 *
 * Steps match if they are of one form and each operand has moved by as many steps of its section as before; whether
 * operands can be addressed so is checked by placing.c, which dissolves loops where not.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "plan/emitter.h"

enum {
    LARGE = 1024, /* steps of a function in which loops ... */
    SHORT = 16,   /* ... save so many at least, in place of Q_LONG */
    LEAST_TRIPS = 8,
    LEAST_OUTER = 4,
    MOST_PERIOD = 96,
    MOST_OUTER_PERIOD = 32
};

// ---- steps ----

static bool in_section(const q_emitter *e, q_ref v, int section)
{
    const q_scalar *value = &e->p->values[v];
    if (value->kind == Q_V_CONSTANT) return false;
    if (section & Q_LATE) return (e->need[v] & 2) && (value->scope & Q_RHS_LOOP) == (section & Q_RHS_LOOP);
    return (e->need[v] & 1) && value->scope == section && !e->folded[v];
}

static void add_step(q_section *s, q_step step)
{
    if (s->steps) s->steps[s->count] = step;
    s->count++;
}

static void add_folds(const q_emitter *e, q_section *s)
{
    for (size_t r = 0; r < e->p->reduction_count; r++)
        for (uint32_t d = 0; d < q_own_dim(e->p, r) && !e->p->reductions[r].weight; d++)
            add_step(s, (q_step){Q_STEP_FOLD, 0, e->p->reductions[r].terms[d], (uint32_t)r, d});
}

static void add_stores(const q_emitter *e, q_section *s, bool looped)
{
    for (size_t o = 0; o < e->p->output_count; o++)
        if (!looped && q_is_selection(e->p, o)) add_step(s, (q_step){Q_STEP_SELECT, 0, 0, (uint32_t)o, 0});
        else
            for (uint32_t d = 0; d < q_value_count(e->p, o) && e->p->outputs[o].looped == looped; d++)
                add_step(s, (q_step){Q_STEP_STORE, 0, e->p->results[o][d], (uint32_t)o, d});
}

static void add_steps(const q_emitter *e, q_section *s, int section)
{
    s->count = 0;
    for (q_ref v = 1; v < e->p->count; v++)
        if (in_section(e, v, section)) add_step(s, (q_step){Q_STEP_VALUE, 0, v, 0, 0});
    s->values = s->count;
    if (section == Q_PAIR) add_folds(e, s);
    if (section & Q_LATE) add_stores(e, s, section & Q_RHS_LOOP);
}

q_ref q_step_operand(const q_emitter *e, const q_step *step, int a)
{
    bool whole = step->kind == Q_STEP_STORE || (step->kind == Q_STEP_FOLD && !e->folded[step->v]);
    if (step->kind == Q_STEP_SELECT) return 0;
    if (whole) return a ? 0 : step->v;
    return q_value_operand(e, step->v, a);
}

/* Operands of sums and products, which commute, in the order of their steps: simplification had another. */
q_ref q_value_operand(const q_emitter *e, q_ref v, int a)
{
    const q_scalar *value = &e->p->values[v];
    bool product = value->kind == Q_V_FMA || (value->kind == Q_V_OP && value->op == Q_OP_Mult),
         sum = value->kind == Q_V_OP && value->op == Q_OP_Add;
    bool swap = a < 2 && (product || sum) && value->arg[0] > value->arg[1];
    return value->arg[swap ? 1 - a : a];
}

// ---- what repeats ----

static bool is_finished_in_loop(const q_ir *p, size_t r)
{
    return !p->reductions[r].K && (p->reductions[r].rhs || q_is_state_array(p, r));
}

bool q_same_form(const q_emitter *e, q_ref v, q_ref w)
{
    const q_scalar *a = &e->p->values[v], *b = &e->p->values[w];
    bool numbered = a->kind == Q_V_LOAD || a->kind == Q_V_LOOKUP ||
                    (a->kind == Q_V_FINISH && is_finished_in_loop(e->p, (size_t)a->k[1]));
    return a->kind == b->kind && a->scope == b->scope && a->integer == b->integer && a->negate == b->negate &&
           a->op == b->op && a->not_positive == b->not_positive && a->minus == b->minus && a->exact == b->exact &&
           a->k[1] == b->k[1] && (a->kind != Q_V_LOOKUP || a->number == b->number) &&
           (numbered || a->k[0] == b->k[0]) && a->kind != Q_V_WEIGHT && a->kind != Q_V_NORMALISER;
}

static bool same_step(const q_emitter *e, const q_step *a, const q_step *b)
{
    if (a->kind != b->kind || a->a != b->a || a->kind == Q_STEP_SELECT) return false;
    if (a->kind == Q_STEP_FOLD && (e->folded[a->v] != e->folded[b->v] || !q_is_state_array(e->p, a->a))) return false;
    return a->kind != Q_STEP_VALUE || q_same_form(e, a->v, b->v);
}

/* Numbers that loops count: whole ones and halves, which both element types hold exactly. */
static bool is_counted(double number)
{
    return floor(2 * number) == 2 * number && fabs(number) <= 1 << 20;
}

/* How an operand moves from v to w: by steps of its section, or as a number. */
static bool find_move(const q_emitter *e, const q_section *s, q_ref v, q_ref w, double *out)
{
    const q_scalar *a = &e->p->values[v], *b = &e->p->values[w];
    *out = 0;
    if (v == w) return true;
    if (!v || !w || (a->kind == Q_V_CONSTANT) != (b->kind == Q_V_CONSTANT)) return false;
    if (a->kind == Q_V_CONSTANT) *out = b->number - a->number;
    if (a->kind == Q_V_CONSTANT) return is_counted(a->number) && is_counted(b->number);
    const q_section *owner = s->at[v] ? s : e->sections[a->scope];
    if (!owner || !owner->at[v] || !owner->at[w] || a->scope != b->scope || a->integer != b->integer) return false;
    *out = (double)owner->at[w] - (double)owner->at[v];
    return true;
}

/* Whether steps c and d are related as a and b are. */
static bool moves_alike(const q_emitter *e, const q_section *s, uint32_t a, uint32_t b, uint32_t c, uint32_t d)
{
    const q_step *of[] = {&s->steps[a], &s->steps[b], &s->steps[c], &s->steps[d]};
    if (!same_step(e, of[0], of[1]) || !same_step(e, of[0], of[2]) || !same_step(e, of[0], of[3])) return false;
    for (int o = 0; o < 3; o++) {
        double first, now;
        if (!find_move(e, s, q_step_operand(e, of[0], o), q_step_operand(e, of[1], o), &first)) return false;
        if (!find_move(e, s, q_step_operand(e, of[2], o), q_step_operand(e, of[3], o), &now) || now != first)
            return false;
    }
    if (of[0]->kind == Q_STEP_VALUE) {
        const q_scalar *v = e->p->values;
        return v[of[1]->v].k[0] - v[of[0]->v].k[0] == v[of[3]->v].k[0] - v[of[2]->v].k[0];
    }
    return of[1]->d - of[0]->d == of[3]->d - of[2]->d;
}

/* The same for items, of which a and c stand for all; loops by their first two trips. */
static bool items_alike(const q_emitter *e, const q_section *s, const q_item *of[4], const uint32_t from[4])
{
    if (!of[0]->trips)
        return !of[1]->trips && !of[2]->trips && !of[3]->trips &&
               moves_alike(e, s, from[0] + of[0]->start, from[1] + of[1]->start, from[2] + of[2]->start,
                           from[3] + of[3]->start);
    for (int k = 1; k < 4; k++)
        if (of[k]->trips != of[0]->trips || of[k]->count != of[0]->count || of[k]->length != of[0]->length)
            return false;
    for (uint32_t c = 0; c < 2 * of[0]->count; c++) {
        const q_item *children[4];
        uint32_t starts[4];
        for (int k = 0; k < 4; k++) {
            children[k] = &s->items[of[k]->first + c % of[0]->count];
            starts[k] = from[k] + of[k]->start + (c >= of[0]->count ? of[0]->length : 0);
        }
        if (!items_alike(e, s, children, starts)) return false;
    }
    return true;
}

/* How often the `period` items from `at` on repeat. */
static uint32_t count_trips(const q_emitter *e, const q_section *s, uint32_t at, uint32_t end, uint32_t period)
{
    static const uint32_t none[4] = {0};
    uint32_t k = at;
    for (; k + period < end; k++) {
        uint32_t base = at + (k - at) % period;
        const q_item *of[4] = {&s->items[base], &s->items[base + period], &s->items[k], &s->items[k + period]};
        if (!items_alike(e, s, of, none)) break;
    }
    return (k - at) / period + 1;
}

static uint32_t item_size(const q_item *item)
{
    return item->trips ? item->trips * item->length : 1;
}

static bool is_worth(const q_section *s, uint32_t at, uint32_t period, uint32_t trips)
{
    bool nested = false;
    for (uint32_t k = at; k < at + period; k++) nested = nested || s->items[k].trips;
    if (nested) return trips >= LEAST_OUTER;
    return trips >= LEAST_TRIPS && trips * period >= (s->count >= LARGE ? SHORT : Q_LONG);
}

static bool add_item(q_section *s, q_item item)
{
    if (!q_grow(&s->items, &s->item_capacity, s->item_count + 1, sizeof item)) return false;
    s->items[s->item_count++] = item;
    return true;
}

/* Copies the top level with what repeats as loops, whose bodies stay where they are; false without memory. */
static bool roll_once(const q_emitter *e, q_section *s, bool outer, bool *changed)
{
    uint32_t at = s->top, end = s->top + s->top_count, first = (uint32_t)s->item_count;
    bool memory = true;
    while (at < end && memory) {
        uint32_t period = 1, trips = 0, most = outer ? MOST_OUTER_PERIOD : MOST_PERIOD;
        for (; period <= most && at + period < end; period++) {
            trips = count_trips(e, s, at, end, period);
            if (is_worth(s, at, period, trips)) break;
        }
        q_item item = s->items[at];
        if (period > most || at + period >= end || !is_worth(s, at, period, trips)) {
            memory = add_item(s, item);
            at++;
            continue;
        }
        uint32_t start = item.start, length = 0;
        for (uint32_t k = at; k < at + period; k++) length += item_size(&s->items[k]);
        for (uint32_t k = at; k < at + period; k++) s->items[k].start -= start;
        memory = add_item(s, (q_item){.start = start, .length = length, .trips = trips, .first = at, .count = period});
        at += period * trips;
        *changed = true;
    }
    s->top = first, s->top_count = (uint32_t)s->item_count - first;
    return memory;
}

bool q_section_roll(q_emitter *e, q_section *s, bool nested)
{
    bool changed = s->count >= Q_LONG, memory = true;
    for (int nest = nested; nest < Q_NEST && changed && memory; nest++) {
        changed = false;
        memory = roll_once(e, s, nest > 0, &changed);
    }
    return memory;
}

quern_status q_section_make(q_emitter *e, int section)
{
    q_section *s = q_arena_alloc(e->arena, sizeof *s);
    if (!s) return q_fail_memory(sizeof *s);
    e->sections[section] = s;
    add_steps(e, s, section);
    s->steps = q_arena_alloc(e->arena, (s->count + 1) * sizeof *s->steps);
    s->at = q_arena_alloc(e->arena, e->p->count * sizeof *s->at);
    s->slot = q_arena_alloc(e->arena, e->p->count * sizeof *s->slot);
    s->written = q_arena_alloc(e->arena, s->count + 1);
    if (!s->steps || !s->at || !s->slot || !s->written) return q_fail_memory(s->count * sizeof *s->steps);
    add_steps(e, s, section);
    bool memory = true;
    for (uint32_t k = 0; k < s->count && memory; k++) {
        if (s->steps[k].kind == Q_STEP_VALUE) s->at[s->steps[k].v] = k + 1;
        memory = add_item(s, (q_item){.start = k});
    }
    s->top_count = (uint32_t)s->count;
    if (!memory || ((section & (Q_K_LOOP | Q_RHS_LOOP)) == 0 && !q_section_roll(e, s, false)))
        return q_fail_memory(s->count * sizeof(q_item));
    return q_section_place(e, s, section);
}
