/*
 * language.c: what the language has, for documentation and tools: the rows of forms.def, ops.def and reductions.def as
 * one list, each with the family that it is listed under.
 */
#include <string.h>

#include "formula/formula.h"
#include "quern/build.h"

/* A row has a name, or, to open a family, a title alone. */
typedef struct entry {
    const char *title;
    quern_function_info info;
    int operands, integers; /* where arguments is null */
} entry;

// clang-format off
#define FAMILY(title_) {.title = title_},
#define NAMED(name_, kind_, axis_, arguments_, length_, sentence_, derivative_, definition_) \
    .info = {.name = #name_, .kind = kind_, .over_axis = axis_, .arguments = arguments_, .length = length_, \
             .meaning = sentence_, .derivative = derivative_, .definition = definition_}

static const entry entries[] = {
#define LEAF(name, arguments, length, sentence) {NAMED(name, "leaf", false, arguments, length, sentence, "", "")},
#include "formula/forms.def"
#define FAMILY(title_) {.title = title_},
#define ELEMENTWISE(name, operands_, integers_, expression, derivative, interval, sentence) \
    {NAMED(name, "elementwise", false, NULL, "n", sentence, derivative, ""),                \
     .operands = operands_, .integers = integers_},
#define GATHER(name, operands_, integers_, length, pick, derivative, sentence) \
    {NAMED(name, "vector", false, NULL, #length, sentence, derivative, ""),    \
     .operands = operands_, .integers = integers_},
#define EXPAND(name, integers_, length, expand, derivative, sentence)       \
    {NAMED(name, "vector", false, NULL, #length, sentence, derivative, ""), \
     .operands = 1, .integers = integers_},
#define SUGAR(name, parameters, body, sentence) {NAMED(name, "sugar", false, parameters, "", sentence, "", body)},
#include "formula/ops.def"
#define FAMILY(title_) {.title = title_},
#define FORM(name, pattern, arguments, length, build, sentence) \
    {NAMED(name, "form", false, arguments, length, sentence, "", "")},
#define DERIVATIVE(name, pattern, arguments, length, build, sentence) \
    {NAMED(name, "derivative", false, arguments, length, sentence, "", "")},
#define AXIS(name, arguments, length, derivative, sentence) \
    {NAMED(name, "form", true, arguments, length, sentence, derivative, "")},
#include "formula/forms.def"
#define FAMILY(title_) {.title = title_},
#define REDUCTION(name, kind, integers_, length, state, words, within, smallest, idle, derivative, sentence) \
    {NAMED(name, "reduction", true, NULL, #length, sentence, derivative, ""),                          \
     .operands = 1, .integers = integers_},
#define SUGAR(name, parameters, body, sentence) {NAMED(name, "reduction", true, parameters, "", sentence, "", body)},
#include "formula/reductions.def"
};
// clang-format on

static const char *arguments_of(const entry *e)
{
    static const char *const texts[4][3] = {
        {"", "k", "k,l"}, {"a", "a,k", "a,k,l"}, {"a,b", "a,b,k", "a,b,k,l"}, {"a,b,c", "a,b,c,k", "a,b,c,k,l"}};
    return e->info.arguments ? e->info.arguments : texts[e->operands][e->integers];
}

bool quern_language(size_t index, quern_function_info *out)
{
    const char *family = "";
    if (!out) return false;
    for (size_t n = 0; n < Q_COUNT(entries); n++) {
        const entry *e = &entries[n];
        if (e->title) family = e->title;
        if (e->title || index--) continue;
        *out = e->info;
        out->family = family;
        out->arguments = arguments_of(e);
        return true;
    }
    memset(out, 0, sizeof *out);
    return false;
}
