/*
 * notation.c: how axes and infix operators are written. Parser, printer, pictures and messages all look here; by
 * test_print.c what is printed is read as the same nodes again.
 */
#include "formula/formula.h"

const q_axis_row q_axes[] = {
    [Q_P] = {.letter = 'p', .leaf = "Pm", .index = "", .rows = "1"},
    [Q_I] = {.letter = 'i', .leaf = "Vi", .index = "I", .rows = "M"},
    [Q_J] = {.letter = 'j', .leaf = "Vj", .index = "J", .rows = "N"},
};

const char *const q_axes_text[] = {[Q_P] = "-", [Q_I] = "i", [Q_J] = "j", [Q_I | Q_J] = "ij"};

uint8_t q_axis_of(char letter)
{
    return letter == q_axes[Q_I].letter ? Q_I : letter == q_axes[Q_J].letter ? Q_J : Q_P;
}

const q_infix_row q_infixes[] = {
    {"==", 1, Q_OP_Equal, false, false},   {"!=", 1, Q_OP_NotEqual, false, false},
    {"<", 2, Q_OP_LessThan, false, false}, {"<=", 2, Q_OP_LessOrEqual, false, false},
    {">", 2, Q_OP_LessThan, true, false},  {">=", 2, Q_OP_LessOrEqual, true, false},
    {"|", 3, Q_OP_NONE, false, false},     {"+", 4, Q_OP_Add, false, false},
    {"-", 4, Q_OP_Subtract, false, false}, {"*", 5, Q_OP_Mult, false, false},
    {"/", 5, Q_OP_Divide, false, false},   {"**", 7, Q_OP_Powf, false, true},
};
const size_t q_infix_count = Q_COUNT(q_infixes);
