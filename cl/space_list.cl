/*
 * space_list.cl: the rows and columns of a space (src/plan/plan.h, q_space), which are in lists:
 *
 *   groups    for each work-group its first row, the end of its block's rows, its segments from..to - 1, its entry, and how
 *             many columns its rows meet in all
 *   segments  columns from..to - 1
 *   entries   M, N, what row 0 and column 0 are called, how many columns are held, and the first element of each array
 *
 * The columns of a group, one segment after the other, are split as those of a rectangle are. With Q_NAMED the columns have
 * names in a list of their own, in no order.
 */
typedef struct {
    long row_end, held, terms, row_number, column_number;
#if Q_NAMED
    __global const int *names;
#endif
} q_at;
#if Q_NAMED
#define Q_NAMES , names
#define Q_COLUMN_NUMBER(j) ((sint)at.names[j])
#else
#define Q_NAMES
#define Q_COLUMN_NUMBER(j) ((sint)((j) + at.column_number))
#endif

#define Q_BEGIN_GROUP(group)                                                       \
    __global const long *const own = groups + (first + (group)) * 6;               \
    __global const long *const entry = entries + own[4] * (5 + Q_ENTRY_ARRAYS);    \
    const long M = entry[0], N = entry[1];                                         \
    const q_at at = {own[1], entry[4], own[5], entry[2], entry[3] Q_NAMES};        \
    Q_SHIFT(entry + 5)
#define Q_FIRST_ROW(group) (own[0])
#define Q_ROW_NUMBER(i) ((i) + at.row_number)
#define Q_FOR_SEGMENTS(from, to, begin, end)                                                                    \
    for (long q_s = own[2], q_before = 0; q_s < own[3];                                                          \
         q_before += segments[2 * q_s + 1] - segments[2 * q_s], q_s++)                                           \
        for (long from = segments[2 * q_s] + max((begin) - q_before, 0L),                                        \
                  to = min(segments[2 * q_s] + ((end) - q_before), segments[2 * q_s + 1]), q_once = from < to;   \
             q_once; q_once = 0)
