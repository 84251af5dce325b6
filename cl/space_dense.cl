/*
 * space_dense.cl: which rows and columns the groups of a launch have: all of a rectangle, which takes no lists. Rows are
 * `first` and those after it, a group's after another's; columns are one segment.
 */
#define Q_BEGIN_GROUP(group)
#define Q_FIRST_ROW(group) (first + (group) * Q_GROUP_ROWS)
#define Q_ROW_NUMBER(i) (i)
#define Q_COLUMN_NUMBER(j) ((sint)(j))
#define Q_FOR_SEGMENTS(from, to, begin, end) \
    for (long from = (begin), to = min((end), (long)(Q_COLUMN_COUNT)), q_once = 1; q_once; q_once = 0)
