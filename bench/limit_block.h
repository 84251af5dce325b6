/*
 * limit_block.h: the kernel of limit.c in the compiler's vector extensions, for any instruction set. Included once per
 * set with these macros, which it undefines:
 *   BLOCK    name of the function
 *   WIDTH    floats per vector: what fits one register, as compilers split longer vectors badly
 *   TARGET   attribute that names the instruction set, may be empty
 * One function on purpose: vectors passed by value would depend on the instruction set. Contraction of a * b + c into
 * one operation is left to the compiler (-ffp-contract=fast).
 */
TARGET static void BLOCK(block *rows, const job *work)
{
    enum { VECTORS = 2 };
    typedef float real __attribute__((vector_size(4 * WIDTH)));
    typedef uint32_t word __attribute__((vector_size(4 * WIDTH)));
    const real least = (real){0} - 126.0f; /* 2^-126 vanishes beside any term that float32 can show */
    for (int first = 0; first < ROWS; first += WIDTH * VECTORS) {
        real x[3][VECTORS], total[VECTORS];
        memset(total, 0, sizeof total);
        for (int d = 0; d < 3; d++) memcpy(x[d], rows->x[d] + first, sizeof x[d]);
        for (int64_t start = 0, end; start < work->column_count; start = end) {
            end = start + TERMS < work->column_count ? start + TERMS : work->column_count;
            real sum[VECTORS];
            memset(sum, 0, sizeof sum);
            for (int64_t j = start; j < end; j++) {
                const column *c = &work->columns[j];
                UNROLL for (int v = 0; v < VECTORS; v++)
                {
                    const real d0 = x[0][v] - c->y[0], d1 = x[1][v] - c->y[1], d2 = x[2][v] - c->y[2];
                    const real exact = -(d0 * d0 + d1 * d1 + d2 * d2);
                    const word small = (word)(exact < least);
                    const real t = (real)(((word)least & small) | ((word)exact & ~small));
                    const real z = t + 0x1.8p23f, f = t - (z - 0x1.8p23f);
                    real p = f * 1.3390863e-3f + 9.6760319e-3f;
                    p = p * f + 5.5503571e-2f;
                    p = p * f + 2.4022107e-1f;
                    p = p * f + 6.9314719e-1f;
                    p = p * f + 1.0f;
                    sum[v] = (real)((word)p + ((word)z << 23)) * c->b + sum[v];
                }
            }
            UNROLL for (int v = 0; v < VECTORS; v++) total[v] += sum[v];
        }
        memcpy(rows->a + first, total, sizeof total);
    }
}
#undef BLOCK
#undef WIDTH
#undef TARGET
