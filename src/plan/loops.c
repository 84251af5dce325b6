/*
 * loops.c: steps and loops of a function (reroll.c) as text. Outside of loops a value is the variable v<number>; in a
 * loop it is w<number>, written for the loop's first trip, whose operands are found in other trips by arithmetic with the
 * loops' counters n0, n1, n2, outermost first.
 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plan/emitter.h"

enum { NAME_BYTES = 96 };

/* A value that has a variable in the loops around. */
typedef struct named {
    q_varying x;
    uint32_t number;
} named;

typedef struct writer {
    q_emitter *e;
    q_section *s;
    int depth;
    const q_item *loop[Q_NEST];
    named *names;
    size_t name_count, name_capacity;
    uint32_t last_name;
    bool failed;
} writer;

/* What the step computes, or with o >= 0 its operand, from trip to trip. */
static q_varying varying(const writer *w, uint32_t k, int o)
{
    q_varying x = {0};
    for (int l = -1; l < Q_NEST; l++) {
        const q_step *step = &w->s->steps[k + (l >= 0 && l < w->depth ? w->loop[l]->length : 0)];
        q_ref v = o < 0 ? step->v : q_step_operand(w->e, step, o);
        if (l < 0) x.v = v;
        else x.next[l] = v;
    }
    return x;
}

static q_varying varying_operand(const writer *w, const q_varying *of, int o)
{
    q_varying x = {.v = q_value_operand(w->e, of->v, o)};
    for (int l = 0; l < Q_NEST; l++) x.next[l] = of->next[l] == of->v ? x.v : q_value_operand(w->e, of->next[l], o);
    return x;
}

/* Whether it is the same in all trips of the loops from this level on. */
static bool is_fixed(const q_varying *x, int level)
{
    bool fixed = true;
    for (int l = level; l < Q_NEST; l++) fixed = fixed && x->next[l] == x->v;
    return fixed;
}

static bool is_computed_here(const writer *w, q_ref v)
{
    return w->s->at[v] && w->s->steps[w->s->at[v] - 1].place == Q_PLACE_USER;
}

static uint32_t find_name(const writer *w, const q_varying *x)
{
    for (size_t n = w->name_count; n-- > 0;)
        if (memcmp(&w->names[n].x, x, sizeof *x) == 0) return w->names[n].number;
    return 0;
}

static void add_name(writer *w, const q_varying *x, uint32_t number)
{
    w->failed = w->failed || !q_grow(&w->names, &w->name_capacity, w->name_count + 1, sizeof *w->names);
    if (!w->failed) w->names[w->name_count++] = (named){*x, number};
}

/* A sum of a number and multiples of the counters. */
static void affine(const writer *w, char out[NAME_BYTES], int64_t base, const int64_t move[Q_NEST])
{
    int size = 0;
    for (int l = 0; l < w->depth; l++) {
        if (!move[l]) continue;
        size += snprintf(out + size, (size_t)(NAME_BYTES - size), "%s", move[l] < 0 ? "-" : size ? " + " : "");
        if (move[l] != 1 && move[l] != -1)
            size +=
                snprintf(out + size, (size_t)(NAME_BYTES - size), "%" PRId64 " * ", move[l] < 0 ? -move[l] : move[l]);
        size += snprintf(out + size, (size_t)(NAME_BYTES - size), "n%d", l);
    }
    if (!size || base)
        snprintf(out + size, (size_t)(NAME_BYTES - size),
                 size && base > 0 ? " + %" PRId64
                 : size           ? " - %" PRId64
                                  : "%" PRId64,
                 size && base < 0 ? -base : base);
}

static void indent(const writer *w)
{
    q_text_add(w->e->out, "%*s", 4 * w->depth, "");
}

// ---- outside of loops ----

static void write_step(writer *w, uint32_t k);

static void write_operands_first(writer *w, uint32_t k)
{
    for (int o = 0; o < 3; o++) {
        q_ref v = q_step_operand(w->e, &w->s->steps[k], o);
        if (v && is_computed_here(w, v)) write_step(w, w->s->at[v] - 1);
    }
}

static void write_slot(writer *w, q_ref v, const char *index, const char *name, uint32_t number)
{
    char array[16];
    q_emit_slot_array(w->e, v, array);
    indent(w);
    q_text_add(w->e->out, "    %s[%s] = %s%u;\n", array, index, name, number);
}

static void write_step(writer *w, uint32_t k)
{
    q_step *step = &w->s->steps[k];
    if (w->s->written[k]) return;
    w->s->written[k] = true;
    write_operands_first(w, k);
    w->e->operand[0] = w->e->operand[1] = w->e->operand[2] = w->e->component = NULL;
    if (step->kind != Q_STEP_VALUE) {
        q_emit_end(w->e, step);
        return;
    }
    q_text_add(w->e->out, "    const %s v%u = ", q_emit_type(&w->e->p->values[step->v]), step->v);
    q_emit_expression(w->e, step->v);
    q_text_add(w->e->out, ";\n");
    char index[16];
    snprintf(index, sizeof index, "%u", w->s->slot[step->v] - 1);
    if (w->s->slot[step->v]) write_slot(w, step->v, index, "v", step->v);
}

// ---- in loops ----

static uint32_t write_value(writer *w, const q_varying *x);

/* A number that moves: whole, or counted in halves. */
static void find_number(const writer *w, const q_varying *x, char out[NAME_BYTES])
{
    const q_scalar *v = w->e->p->values;
    char text[NAME_BYTES];
    int64_t move[Q_NEST];
    bool halves = v[x->v].number != rint(v[x->v].number);
    for (int l = 0; l < Q_NEST; l++) halves = halves || v[x->next[l]].number != rint(v[x->next[l]].number);
    int unit = halves ? 2 : 1;
    for (int l = 0; l < Q_NEST; l++) move[l] = (int64_t)(unit * (v[x->next[l]].number - v[x->v].number));
    affine(w, text, (int64_t)(unit * v[x->v].number), move);
    snprintf(out, NAME_BYTES, halves ? "(%.80s) * 0.5f" : "(%.80s)", text);
}

/* The operand as it is called here; "" for its usual name. May write what it is computed by. */
static void find_operand(writer *w, const q_varying *x, char out[NAME_BYTES])
{
    const q_scalar *v = w->e->p->values;
    uint32_t name = find_name(w, x), slot = x->v ? q_slot_of(w->e, x->v) : 0;
    int64_t move[Q_NEST];
    out[0] = 0;
    if (!x->v) return;
    if (name) {
        snprintf(out, NAME_BYTES, "w%u", name);
        return;
    }
    if (is_fixed(x, 0) && !(w->depth == 0 && is_computed_here(w, x->v))) return;
    if (is_computed_here(w, x->v)) {
        if (w->depth == 0) write_step(w, w->s->at[x->v] - 1);
        else snprintf(out, NAME_BYTES, "w%u", write_value(w, x));
        return;
    }
    if (v[x->v].kind == Q_V_CONSTANT) {
        find_number(w, x, out);
        return;
    }
    char index[NAME_BYTES], array[16];
    for (int l = 0; l < Q_NEST; l++) move[l] = (int64_t)q_slot_of(w->e, x->next[l]) - (int64_t)slot;
    w->failed = w->failed || !slot;
    affine(w, index, (int64_t)slot - 1, move);
    q_emit_slot_array(w->e, x->v, array);
    snprintf(out, NAME_BYTES, "%s[%.70s]", array, index);
}

/* Names of all operands of a value, in its own order, and of its component. */
typedef struct operand_names {
    char operand[3][NAME_BYTES], component[NAME_BYTES];
} operand_names;

static void find_operands(writer *w, const q_varying *x, operand_names *out)
{
    const q_scalar *v = w->e->p->values;
    bool swapped = q_value_operand(w->e, x->v, 0) != v[x->v].arg[0];
    for (int a = 0; a < 3; a++) {
        q_varying operand = varying_operand(w, x, swapped && a < 2 ? 1 - a : a);
        find_operand(w, &operand, out->operand[a]);
    }
    int64_t move[Q_NEST];
    for (int l = 0; l < Q_NEST; l++) move[l] = (int64_t)v[x->next[l]].k[0] - (int64_t)v[x->v].k[0];
    affine(w, out->component, v[x->v].k[0], move);
}

static void use_names(writer *w, const operand_names *names)
{
    for (int a = 0; a < 3; a++) w->e->operand[a] = names->operand[a][0] ? names->operand[a] : NULL;
    w->e->component = names->component;
}

static uint32_t write_value(writer *w, const q_varying *x)
{
    operand_names names;
    find_operands(w, x, &names);
    use_names(w, &names);
    indent(w);
    q_text_add(w->e->out, "    const %s w%u = ", q_emit_type(&w->e->p->values[x->v]), ++w->last_name);
    q_emit_expression(w->e, x->v);
    q_text_add(w->e->out, ";\n");
    add_name(w, x, w->last_name);
    return w->last_name;
}

/* Stores variable w<number> in the array of the value. */
static void write_varying_slot(writer *w, const q_varying *x, uint32_t number)
{
    int64_t move[Q_NEST], slot = w->s->slot[x->v];
    char index[NAME_BYTES];
    if (!slot) return;
    for (int l = 0; l < Q_NEST; l++) move[l] = (int64_t)w->s->slot[x->next[l]] - slot;
    affine(w, index, slot - 1, move);
    write_slot(w, x->v, index, "w", number);
}

static void write_end(writer *w, uint32_t k)
{
    q_step *step = &w->s->steps[k];
    operand_names names;
    q_varying x = varying(w, k, -1);
    bool product = step->kind == Q_STEP_FOLD && w->e->folded[step->v];
    memset(&names, 0, sizeof names);
    if (product) find_operands(w, &x, &names);
    else find_operand(w, &x, names.operand[0]);
    int64_t move[Q_NEST];
    for (int l = 0; l < Q_NEST; l++)
        move[l] = l < w->depth ? (int64_t)w->s->steps[k + w->loop[l]->length].d - (int64_t)step->d : 0;
    affine(w, names.component, step->d, move);
    use_names(w, &names);
    indent(w);
    q_emit_end(w->e, step);
}

static void write_in_loop(writer *w, uint32_t k)
{
    const q_step *step = &w->s->steps[k];
    if (step->kind != Q_STEP_VALUE) write_end(w, k);
    if (step->kind != Q_STEP_VALUE || step->place == Q_PLACE_USER) return;
    q_varying x = varying(w, k, -1);
    uint32_t name = write_value(w, &x);
    if (step->place == Q_PLACE_SLOT) write_varying_slot(w, &x, name);
}

// ---- loops ----

/* Writes what an operand in a loop is made of and is the same in all its trips. */
static void hoist_operand(writer *w, const q_varying *x, int level)
{
    char name[NAME_BYTES];
    int depth = w->depth;
    if (!x->v || !is_computed_here(w, x->v) || find_name(w, x)) return;
    w->depth = level;
    if (is_fixed(x, level)) find_operand(w, x, name);
    w->depth = depth;
    for (int o = 0; o < 3 && !is_fixed(x, level); o++) {
        q_varying operand = varying_operand(w, x, o);
        hoist_operand(w, &operand, level);
    }
}

static void hoist(writer *w, const q_item *item, uint32_t offset, int level)
{
    uint32_t start = offset + item->start;
    bool read = !item->trips && w->s->steps[start].place != Q_PLACE_USER;
    for (int o = 0; o < 3 && read; o++) {
        q_varying x = varying(w, start, o);
        hoist_operand(w, &x, level);
    }
    for (uint32_t t = 0; t <= item->peel && item->trips; t++) {
        if (t == item->peel) w->loop[w->depth++] = item;
        for (uint32_t c = 0; c < item->count; c++)
            hoist(w, &w->s->items[item->first + c], start + t * item->length, level);
        if (t == item->peel) w->depth--;
    }
}

static bool is_carried(const writer *w, const q_item *item, uint32_t trip)
{
    return !item->trips && w->s->steps[trip + item->start].place == Q_PLACE_CARRY;
}

/* The variables that go from trip to trip, with what they are before the first. */
static void begin_carried(writer *w, const q_item *loop, uint32_t trip, uint32_t *names)
{
    for (uint32_t c = 0; c < loop->count; c++) {
        const q_item *item = &w->s->items[loop->first + c];
        uint32_t k = trip + item->start;
        if (!is_carried(w, item, trip)) continue;
        const q_scalar *value = &w->e->p->values[w->s->steps[k].v];
        q_varying before = varying(w, k - loop->length, -1);
        char name[NAME_BYTES];
        find_operand(w, &before, name);
        names[c] = ++w->last_name;
        indent(w);
        q_text_add(w->e->out, "    %s w%u = ", q_emit_type(value), names[c]);
        q_emit_operand(w->e, before.v, name[0] ? name : NULL, q_emit_type(value)[0] != 's', value->integer);
        q_text_add(w->e->out, ";\n");
    }
}

static void name_carried(writer *w, const q_item *loop, uint32_t trip, const uint32_t *names)
{
    for (uint32_t c = 0; c < loop->count; c++)
        if (names[c]) {
            q_varying before = varying(w, trip + w->s->items[loop->first + c].start - loop->length, -1);
            add_name(w, &before, names[c]);
        }
}

static void move_carried(writer *w, const q_item *loop, uint32_t trip, const uint32_t *names)
{
    for (uint32_t c = 0; c < loop->count; c++)
        if (names[c]) {
            q_varying x = varying(w, trip + w->s->items[loop->first + c].start, -1);
            indent(w);
            q_text_add(w->e->out, "    w%u = w%u;\n", names[c], find_name(w, &x));
        }
}

/* After the last trip. */
static void end_carried(writer *w, const q_item *loop, uint32_t trip, const uint32_t *names)
{
    for (uint32_t c = 0; c < loop->count; c++) {
        if (!names[c]) continue;
        uint32_t last = trip + w->s->items[loop->first + c].start + (loop->trips - loop->peel - 1) * loop->length;
        q_varying x = varying(w, last, -1);
        if (w->depth) add_name(w, &x, names[c]);
        else q_text_add(w->e->out, "    const %s v%u = w%u;\n", q_emit_type(&w->e->p->values[x.v]), x.v, names[c]);
        write_varying_slot(w, &x, names[c]);
    }
}

static void write_item(writer *w, const q_item *item, uint32_t offset);

static void write_trip(writer *w, const q_item *loop, uint32_t start)
{
    for (uint32_t c = 0; c < loop->count; c++) write_item(w, &w->s->items[loop->first + c], start);
}

static void write_loop(writer *w, const q_item *item, uint32_t start)
{
    uint32_t trip = start + item->peel * item->length,
             *carried = q_arena_alloc(w->e->arena, item->count * sizeof *carried);
    for (uint32_t t = 0; t < item->peel; t++) write_trip(w, item, start + t * item->length);
    w->failed = w->failed || !carried;
    if (w->failed) return;
    hoist(w,
          &(q_item){.start = trip,
                    .length = item->length,
                    .trips = item->trips - item->peel,
                    .first = item->first,
                    .count = item->count},
          0, w->depth);
    begin_carried(w, item, trip, carried);
    indent(w);
    q_text_add(w->e->out, "    for (int n%d = 0; n%d < %u; n%d++) {\n", w->depth, w->depth, item->trips - item->peel,
               w->depth);
    size_t names = w->name_count;
    w->loop[w->depth++] = item;
    name_carried(w, item, trip, carried);
    write_trip(w, item, trip);
    move_carried(w, item, trip, carried);
    w->depth--;
    w->name_count = names;
    indent(w);
    q_text_add(w->e->out, "    }\n");
    end_carried(w, item, trip, carried);
}

/* Whether something is written where it stands. */
static bool is_written(const writer *w, const q_item *item, uint32_t offset)
{
    bool any = !item->trips && w->s->steps[offset + item->start].place != Q_PLACE_USER;
    for (uint32_t c = 0; c < item->count && !any; c++)
        any = is_written(w, &w->s->items[item->first + c], offset + item->start);
    return any;
}

static void write_item(writer *w, const q_item *item, uint32_t offset)
{
    uint32_t k = offset + item->start;
    if (!is_written(w, item, offset)) return;
    if (item->trips) write_loop(w, item, k);
    else if (w->depth) write_in_loop(w, k);
    else write_step(w, k);
}

static quern_status emit_steps(q_emitter *e, bool ends)
{
    writer w = {.e = e, .s = e->sections[e->section]};
    w.last_name = w.s->last_name;
    for (uint32_t k = 0; k < w.s->top_count; k++) {
        const q_item *item = &w.s->items[w.s->top + k];
        if ((item->start >= w.s->values) == ends) write_item(&w, item, 0);
    }
    w.s->last_name = w.last_name;
    w.e->operand[0] = w.e->operand[1] = w.e->operand[2] = w.e->component = NULL;
    free(w.names);
    return w.failed ? q_fail_memory(w.name_capacity) : QUERN_OK;
}

void q_emit_values(q_emitter *e)
{
    if (emit_steps(e, false)) e->failed = true;
}

void q_emit_ends(q_emitter *e)
{
    if (emit_steps(e, true)) e->failed = true;
}

void q_emit_slots(q_emitter *e, int section, bool kept)
{
    static const char *const types[] = {"sreal", "sint", "real", "qint"}, *const names[] = {"ms", "ns", "m", "n"};
    for (int a = 0; a < 4; a++) {
        uint32_t length = e->sections[section]->slots[4 * kept + a];
        if (length) q_text_add(e->out, "    %s %s[%u];\n", types[a], names[a], length);
    }
}
