/*
 * ptx.cl: functions of float as single instructions of NVIDIA's GPUs, by inline PTX, where the profile says vector_math=3
 * and the device has passed the trial below (run/probe.c). What the driver makes of the built-in functions keeps denormal
 * numbers, which takes three or four instructions more for each.
 *
 * PTX ISA 8.5: errors are at most 2^-22.5 (exp2), 2^-23 (inverse, sqrt), 2^-22.9 (rsqrt) of the result, and 2 ulp
 * (quotient), within what OpenCL allows. Denormal operands and results are 0; NaN, infinities and zeros are those of IEEE 754.
 */
#if Q_PTX

#define Q_PTX_FUNCTION(name, instruction)                             \
    static inline float q_ptx_##name(const float x)                   \
    {                                                                 \
        float result;                                                 \
        __asm__(instruction " %0, %1;" : "=f"(result) : "f"(x));      \
        return result;                                                \
    }
Q_PTX_FUNCTION(exp2, "ex2.approx.ftz.f32")
Q_PTX_FUNCTION(inverse, "rcp.approx.ftz.f32")
Q_PTX_FUNCTION(sqrt, "sqrt.approx.ftz.f32")
Q_PTX_FUNCTION(rsqrt, "rsqrt.approx.ftz.f32")

/* Not a product with the inverse, which is denormal for b beyond 2^126. */
static inline float q_ptx_quotient(const float a, const float b)
{
    float result;
    __asm__("div.full.ftz.f32 %0, %1, %2;" : "=f"(result) : "f"(a), "f"(b));
    return result;
}

#ifdef Q_PROBE
/* The functions of each operand, one after the other. */
__kernel void quern_probe_ptx(__global const float *operands, __global float *results)
{
    const size_t n = get_global_id(0);
    const float x = operands[n];
    results[5 * n] = q_ptx_exp2(x);
    results[5 * n + 1] = q_ptx_inverse(x);
    results[5 * n + 2] = q_ptx_sqrt(x);
    results[5 * n + 3] = q_ptx_rsqrt(x);
    results[5 * n + 4] = q_ptx_quotient(3.0f, x);
}
#endif

#endif
