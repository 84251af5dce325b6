/*
 * cols_dense.cl: which columns a work-group visits: all of its part of the columns, in one segment.
 */
#define Q_FOR_SEGMENTS(from, to, begin, end) \
    for (long from = (begin), to = (end), q_once = 1; q_once; q_once = 0)
