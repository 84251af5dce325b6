/*
 * parameters.c: the parameters of a kernel in their order, with what each is for. Both the declarations in its source and
 * the list by which a launch binds its arguments are made here, from one table.
 */
#include "plan/plan.h"

/* Kernels: of a plan that is not split, of one that is, the one that merges, the one that packs, the last one of carried states; and
   only if its space is dense, or listed, or has names, or its scheme packs. */
enum {
    WHOLE = 1,
    PART = 2,
    MERGE = 4,
    PACK = 8,
    LAST = 16,
    DENSE = 32,
    LISTED = 64,
    NAMED = 128,
    PACKED = 256,
    ALL = WHOLE | PART | MERGE | PACK | LAST
};

static const struct {
    const char *declaration;
    int kernels;
} kinds[] = {
    [Q_PARAM_INPUT] = {"__global const %s *Q_RESTRICT a%zu", ALL},
    [Q_PARAM_M] = {"const long M", ALL | DENSE},
    [Q_PARAM_N] = {"const long N", ALL | DENSE},
    [Q_PARAM_OUTPUT] = {"__global %s *Q_RESTRICT o%zu", WHOLE | MERGE | LAST},
    [Q_PARAM_PACKED] = {"__global uint4 *Q_RESTRICT packed", WHOLE | PART | PACK | LAST | PACKED},
    [Q_PARAM_STATES] = {"__global sreal *Q_RESTRICT states", PART | MERGE | LAST},
    [Q_PARAM_GROUPS] = {"__global const long *Q_RESTRICT groups", WHOLE | PART | MERGE | LAST | LISTED},
    [Q_PARAM_SEGMENTS] = {"__global const long *Q_RESTRICT segments", WHOLE | PART | LAST | LISTED},
    [Q_PARAM_ENTRIES] = {"__global const long *Q_RESTRICT entries", WHOLE | PART | MERGE | LAST | LISTED},
    [Q_PARAM_NAMES] = {"__global const int *Q_RESTRICT names", WHOLE | PART | MERGE | LAST | NAMED},
    [Q_PARAM_FIRST] = {"const long first", WHOLE | PART | MERGE | LAST},
    [Q_PARAM_SPLIT_EXTENT] = {"const long split_extent", WHOLE | PART | LAST},
    [Q_PARAM_FIRST_SPLIT] = {"const long first_split", PART | LAST},
    [Q_PARAM_SPLIT_COUNT] = {"const long split_count", PART | MERGE | LAST},
    [Q_PARAM_PADDED] = {"const long padded", MERGE},
};

size_t q_parameters(q_parameter out[Q_MAX_PARAMETERS], const q_ir *program, const q_plan *plan, q_role role)
{
    int main_kernel = plan->split ? PART : WHOLE;
    int kernel = role == Q_ROLE_MERGE ? MERGE : role == Q_ROLE_PACK ? PACK : role == Q_ROLE_LAST ? LAST : main_kernel;
    int not_for = (plan->listed ? DENSE : LISTED) | (plan->named ? 0 : NAMED) | (plan->scheme->pack ? 0 : PACKED);
    size_t count = 0;
    for (int kind = 0; kind < Q_PARAM_KINDS; kind++) {
        size_t times = kind == Q_PARAM_INPUT    ? program->input_count
                       : kind == Q_PARAM_OUTPUT ? program->output_count
                                                : 1;
        bool has = kinds[kind].kernels & kernel && !(kinds[kind].kernels & not_for);
        for (size_t k = 0; k < times && has; k++) out[count++] = (q_parameter){(uint8_t)kind, (uint8_t)k};
    }
    return count;
}

static void add_declaration(q_text *out, const q_ir *program, const q_plan *plan, q_parameter parameter)
{
    size_t k = parameter.index;
    bool input = parameter.kind == Q_PARAM_INPUT, output = parameter.kind == Q_PARAM_OUTPUT;
    const q_array *array = input ? &program->inputs[k] : &program->outputs[k];
    if (input && q_plan_by_value(plan, array)) q_text_add(out, "const sreal a%zu", k);
    else if (input || output) q_text_add(out, kinds[parameter.kind].declaration, array->integer ? "sint" : "sreal", k);
    else q_text_add(out, "%s", kinds[parameter.kind].declaration);
}

/* A macro that is the declarations of the parameters of these kinds, with commas. */
static void add_list(q_text *out, const char *macro, const q_ir *program, const q_plan *plan, const q_parameter *all,
                     size_t count, int first, int last)
{
    const char *comma = " ";
    q_text_add(out, "#define %s", macro);
    for (size_t k = 0; k < count; k++)
        if (all[k].kind >= first && all[k].kind <= last) {
            q_text_add(out, "%s", comma);
            add_declaration(out, program, plan, all[k]);
            comma = ", ";
        }
    q_text_add(out, "\n");
}

static const char *count_of(uint8_t axis)
{
    return axis == Q_I ? "M" : axis == Q_J ? "N" : "1L";
}

/* Moves arrays to the bases of an entry: those that the kernel has. */
static void add_shift(q_text *out, const q_ir *program, const q_plan *plan, bool inputs_only)
{
    q_text_add(out, "#define Q_ENTRY_ARRAYS %zu\n#define Q_SHIFT(bases)", program->input_count + program->output_count);
    for (size_t a = 0; a < program->input_count; a++)
        if (!q_plan_by_value(plan, &program->inputs[a])) q_text_add(out, " a%zu += (bases)[%zu];", a, a);
    for (size_t o = 0; o < program->output_count && !inputs_only; o++)
        q_text_add(out, " o%zu += (bases)[%zu];", o, program->input_count + o);
    q_text_add(out, "\n");
}

void q_add_parameters(q_text *out, const q_ir *program, const q_plan *plan, q_role role)
{
    q_parameter all[Q_MAX_PARAMETERS], outputs[Q_MAX_STAGE_OUTPUTS];
    size_t count = q_parameters(all, program, plan, role);
    for (size_t o = 0; o < program->output_count; o++) outputs[o] = (q_parameter){Q_PARAM_OUTPUT, (uint8_t)o};
    add_list(out, "Q_PARAMETERS", program, plan, all, count, 0, Q_PARAM_KINDS);
    add_list(out, "Q_INPUT_SIGNATURE", program, plan, all, count, Q_PARAM_INPUT, Q_PARAM_INPUT);
    add_list(out, "Q_OUTPUT_SIGNATURE", program, plan, outputs, program->output_count, Q_PARAM_OUTPUT, Q_PARAM_OUTPUT);
    const char *comma = program->input_count ? ", " : " ", *at = plan->listed ? ", const q_at at" : "";
    q_text_add(out, "#define Q_SIGNATURE Q_INPUT_SIGNATURE%sconst long M, const long N%s\n#define Q_ARGUMENTS ", comma,
               at);
    for (size_t a = 0; a < program->input_count; a++) q_text_add(out, "a%zu, ", a);
    q_text_add(out, "M, N%s\n#define Q_OUTPUTS", plan->listed ? ", at" : "");
    for (size_t o = 0; o < program->output_count; o++) q_text_add(out, "%so%zu", o ? ", " : " ", o);
    q_text_add(out, "\n");
    if (plan->listed) add_shift(out, program, plan, plan->split && role == Q_ROLE_MAIN);
    q_text_add(out, "#define Q_ROW_COUNT %s\n#define Q_COLUMN_COUNT %s\n#define Q_TERM_COUNT %s\n",
               plan->listed ? "at.row_end" : count_of(program->rows),
               plan->listed       ? "at.held"
               : program->reduced ? count_of(program->reduced)
                                  : "0L",
               plan->listed ? "at.terms" : "Q_COLUMN_COUNT");
}
