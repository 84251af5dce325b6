/*
 * serial.cl: the scheme `serial` of test_scheme.c, as short as one can be: a work-item owns one vector of rows and takes
 * Q_STEP columns between two looks at its counter. The holes are those of row.cl.
 */
Q_KERNEL void Q_NAME(Q_PARAMETERS)
{
    Q_BEGIN_GROUP((long)get_group_id(0))
    const long row0 = Q_FIRST_ROW((long)get_group_id(0)) + (long)get_local_id(0) * Q_LANES;
    const q_launch u = q_load_launch(Q_ARGUMENTS);
    const q_row row = q_load_row(Q_ARGUMENTS, &u, row0);
    q_state t[1];
    Q_START_STATE(&t[0], row0);
    Q_FOR_COLUMNS(from, to)
    {
        for (long b0 = from; b0 < to; b0 += Q_BLOCK) {
            const long end = min(b0 + Q_BLOCK, to);
            for (long j = b0; j < end; j += Q_STEP)
                for (int n = 0; n < Q_STEP && j + n < end; n++) {
                    const q_column c = q_load_column(Q_ARGUMENTS, &u, j + n);
                    q_pair(&t[0], &u, &row, &c, Q_COLUMN_NUMBER(j + n));
#if Q_KAHAN
                    q_block(&t[0]);
#endif
                }
            q_block(&t[0]);
        }
    }
    Q_WRITE_OUT(row0);
}
