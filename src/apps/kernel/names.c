/*
 * names.c: kernels by name become formulas, one row of a table each: `rbf + matern32*periodic` has a variance for each term and
 * the parameters of each name, numbered where there are several names. The kernels are those of Rasmussen and Williams,
 * "Gaussian Processes for Machine Learning" (2006), chapter 4; `periodic` is a product over the dimensions.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "apps/kernel/kernel.h"

/* In a formula: @ is the number of the name, or nothing; $ the squared distance divided by the squared length. */
typedef struct kernel_name {
    const char *name, *formula;
    const char *numbers; /* parameters beside length, of one number */
} kernel_name;

static const kernel_name names[] = {
    {"rbf", "Exp(-0.5*$)", NULL},
    {"matern12", "Matern12($,1)", NULL},
    {"matern32", "Matern32($,1)", NULL},
    {"matern52", "Matern52($,1)", NULL},
    {"rational_quadratic", "Powf(1+0.5*$/alpha@,-alpha@)", "alpha"},
    {"periodic", "Exp(-2*Sum(Square(Sin(3.14159265358979323846*(x-y)/period@)/length@)))", "period"},
};

// ---- text ----

/* A formula has statements or calls; names have neither. */
static bool is_names(const char *kernel)
{
    return !strpbrk(kernel, ";=(");
}

static const char *skip_blanks(const char *at)
{
    return at + strspn(at, " \t\r\n");
}

static size_t word_length(const char *at)
{
    return strspn(at, "abcdefghijklmnopqrstuvwxyz_0123456789");
}

static int count_names(const char *kernel)
{
    int count = 1;
    for (; *kernel; kernel++) count += *kernel == '+' || *kernel == '*';
    return count;
}

static quern_status find_name(const kernel_name **out, const char *kernel, const char *at)
{
    size_t size = word_length(at);
    for (size_t k = 0; k < Q_COUNT(names); k++)
        if (strlen(names[k].name) == size && !strncmp(at, names[k].name, size)) {
            *out = &names[k];
            return QUERN_OK;
        }
    if (size) q_fail(QUERN_NAME, "there is no kernel '%.*s'", (int)size, at);
    else q_fail(QUERN_SYNTAX, "a kernel's name is missing at byte %zu of '%s'", (size_t)(at - kernel), kernel);
    q_fail_next_step(
        "kernels are rbf, matern12, matern32, matern52, rational_quadratic and periodic, with + and * between "
        "them; or give a formula with x=Vi(D) and y=Vj(D)");
    return size ? QUERN_NAME : QUERN_SYNTAX;
}

/* The numbers that an argument has; 1 if it is not given. */
static int64_t argument_length(const quern_args *args, const char *name)
{
    for (size_t k = 0; k < args->count; k++)
        if (args->data[k].name && !strcmp(args->data[k].name, name))
            return args->data[k].view.dtype == QUERN_NUMBER ? 1 : args->data[k].view.rows * args->data[k].view.columns;
    return 1;
}

// ---- formulas ----

static void add_formula(q_text *entry, const char *formula, const char *number, bool each)
{
    for (; *formula; formula++)
        if (*formula == '@') q_text_add(entry, "%s", number);
        else if (*formula != '$') q_text_append(entry, formula, 1);
        else if (each) q_text_add(entry, "Sum(Square((x-y)/length%s))", number);
        else q_text_add(entry, "SqDist(x,y)/Square(length%s)", number);
}

/* One name, with its declarations. */
static quern_status add_name(q_text *head, q_text *entry, const kernel_name *name, const char *number, int64_t D,
                             const quern_args *args)
{
    char length_name[32];
    snprintf(length_name, sizeof length_name, "length%s", number);
    int64_t length = argument_length(args, length_name);
    if (length != 1 && length != D)
        return q_fail(QUERN_SHAPE, "%s has %lld numbers; 1 or %lld are taken, as many as points have", length_name,
                      (long long)length, (long long)D);
    q_text_add(head, " length%s=Pm(%lld);", number, (long long)length);
    if (name->numbers) q_text_add(head, " %s%s=Pm(1);", name->numbers, number);
    add_formula(entry, name->formula, number, length > 1);
    return QUERN_OK;
}

static quern_status add_names(q_text *head, q_text *entry, const char *kernel, int64_t D, const quern_args *args)
{
    const char *at = skip_blanks(kernel);
    bool several = count_names(kernel) > 1;
    char joint = '+';
    for (int k = 1;; k++) {
        const kernel_name *name;
        char number[16] = "";
        Q_TRY(find_name(&name, kernel, at));
        if (several) snprintf(number, sizeof number, "_%d", k);
        if (k > 1) q_text_add(entry, "%c", joint);
        if (joint == '+') {
            q_text_add(head, " variance%s=Pm(1);", number);
            q_text_add(entry, "variance%s*", number);
        }
        Q_TRY(add_name(head, entry, name, number, D, args));
        at = skip_blanks(at + word_length(at));
        if (!*at) return QUERN_OK;
        if (*at != '+' && *at != '*')
            return q_fail(QUERN_SYNTAX, "'%c' at byte %zu of the kernel '%s': names are joined by + and *", *at,
                          (size_t)(at - kernel), kernel);
        joint = *at;
        at = skip_blanks(at + 1);
    }
}

quern_status q_kernel_formula(char **formula, const char *kernel, int64_t D, const quern_args *args)
{
    q_text head = {0}, entry = {0};
    quern_status status = QUERN_OK;
    if (is_names(kernel)) {
        q_text_add(&head, "x=Vi(%lld); y=Vj(%lld);", (long long)D, (long long)D);
        status = add_names(&head, &entry, kernel, D, args);
        if (!status) q_text_add(&head, " %s", entry.data);
    } else q_text_add(&head, "%s", kernel);
    if (!status && (head.failed || entry.failed)) status = q_fail_memory(strlen(kernel));
    *formula = status ? NULL : q_text_take(&head);
    q_text_free(&head);
    q_text_free(&entry);
    return status;
}

bool q_kernel_start_of(const char *kernel, const char *name, q_kernel_start *start)
{
    *start = strncmp(name, "length", 6) == 0 ? Q_KERNEL_FROM_SPREAD : Q_KERNEL_FROM_ONE;
    return is_names(kernel);
}

quern_status q_kernel_split(const char *formula, char **declarations, char **entry)
{
    size_t size = strlen(formula);
    char *text = *declarations = malloc(size + 1);
    *entry = NULL;
    if (!text) return q_fail_memory(size);
    size_t used = 0;
    for (const char *at = formula; *at; at++) { /* comments may have semicolons */
        if (*at == '#') at += strcspn(at, "\n");
        if (!*at) break;
        text[used++] = *at;
    }
    while (used && strchr(" \t\r\n;", text[used - 1])) used--;
    text[used] = 0;
    char *last = strrchr(text, ';');
    *entry = strdup(last ? last + 1 : text);
    if (!*entry) return q_fail_memory(size);
    if (last) last[1] = 0;
    else *text = 0;
    return QUERN_OK;
}
