/*
 * first_call.c: what a first call costs without quern: a bare OpenCL program with the Gaussian sum of 100 x 100 points,
 * its kernel written by hand in the manner that suits a CPU device (16 rows per vector, polynomial exp2, blocks of 256
 * terms compensated across blocks, local size 1). It does nothing that is not needed: one platform, one context, one
 * build, one launch. first-call.sh compares its wall time with that of `quern eval`.
 *
 *   first-call                 runs the kernel, checks it against float64, prints the relative error
 *   first-call --inputs DIR    writes the same points as DIR/x.npy, y.npy, b.npy
 *   first-call --time WORD...  runs a command with its stdout closed off, prints its wall time in seconds
 *   first-call DIR launches    serves quern-bench (peers.h) as the peer `opencl`: later calls of the same program
 *
 * The platform is the first whose name contains FIRST_CALL_PLATFORM (default "Portable", PoCL). Exit status 1: failed.
 */
#define _POSIX_C_SOURCE 200809L
#define CL_TARGET_OPENCL_VERSION 120
#include <CL/cl.h>
#include <fcntl.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { POINTS = 100, LANES = 16, PLATFORMS = 16, TEXT = 4096 };

static const char *const kernel_text =
    "float16 power(float16 t)\n"
    "{\n"
    "    t = fmax(t, (float16)-126.0f);\n"
    "    const float16 z = t + 0x1.8p23f;\n"
    "    const float16 f = t - (z - 0x1.8p23f);\n"
    "    float16 p = fma(f, (float16)1.3390863e-3f, (float16)9.6760319e-3f);\n"
    "    p = fma(p, f, (float16)5.5503571e-2f);\n"
    "    p = fma(p, f, (float16)2.4022107e-1f);\n"
    "    p = fma(p, f, (float16)6.9314719e-1f);\n"
    "    p = fma(p, f, (float16)1.0f);\n"
    "    return as_float16(as_int16(p) + (as_int16(z) << 23));\n"
    "}\n"
    "float16 column(__global const float *x, long i, int d, long m)\n"
    "{\n"
    "    float lane[16];\n"
    "    for (int l = 0; l < 16; l++) lane[l] = x[min(i + l, m - 1) * 3 + d] * 1.2011224f;\n"
    "    return vload16(0, lane);\n"
    "}\n"
    "__kernel __attribute__((reqd_work_group_size(1, 1, 1)))\n"
    "void gaussian(__global float *restrict a, __global const float *restrict x, __global const float *restrict y,\n"
    "              __global const float *restrict b, long m, long n)\n"
    "{\n"
    "    const long i = (long)get_global_id(0) * 16;\n"
    "    if (i >= m) return;\n"
    "    const float16 x0 = column(x, i, 0, m), x1 = column(x, i, 1, m), x2 = column(x, i, 2, m);\n"
    "    float16 total = 0.0f, carry = 0.0f;\n"
    "    for (long start = 0; start < n; start += 256) {\n"
    "        float16 sum = 0.0f;\n"
    "        for (long j = start; j < min(start + 256, n); j++) {\n"
    "            const float16 d0 = x0 - y[j * 3] * 1.2011224f;\n"
    "            const float16 d1 = x1 - y[j * 3 + 1] * 1.2011224f;\n"
    "            const float16 d2 = x2 - y[j * 3 + 2] * 1.2011224f;\n"
    "            sum = fma(power(-fma(d0, d0, fma(d1, d1, d2 * d2))), (float16)b[j], sum);\n"
    "        }\n"
    "        const float16 next = sum - carry;\n"
    "        const float16 grown = total + next;\n"
    "        carry = (grown - total) - next;\n"
    "        total = grown;\n"
    "    }\n"
    "    float lane[16];\n"
    "    vstore16(total, 0, lane);\n"
    "    for (int l = 0; l < 16 && i + l < m; l++) a[i + l] = lane[l];\n"
    "}\n";

static float points_x[POINTS * 3], points_y[POINTS * 3], weights[POINTS], sums[POINTS];

static bool fail(const char *what, long code)
{
    fprintf(stderr, "first-call: %s (%ld)\n", what, code);
    return false;
}

/* Uniform in [0, 1) by a linear congruential generator (Numerical Recipes' constants). */
static void points_fill(float *values, int count, uint32_t seed)
{
    for (int k = 0; k < count; k++) {
        seed = seed * 1664525u + 1013904223u;
        values[k] = (float)(seed >> 8) * 0x1p-24f;
    }
}

static void points_create(void)
{
    points_fill(points_x, POINTS * 3, 1);
    points_fill(points_y, POINTS * 3, 2);
    points_fill(weights, POINTS, 3);
}

/* ---- the bare program ------------------------------------------------------------------------------------------- */

static bool device_choose(cl_device_id *device)
{
    const char *wanted = getenv("FIRST_CALL_PLATFORM");
    cl_platform_id platforms[PLATFORMS];
    cl_uint count = 0;
    clGetPlatformIDs(PLATFORMS, platforms, &count);
    for (cl_uint k = 0; k < count && k < PLATFORMS; k++) {
        char name[TEXT] = "";
        clGetPlatformInfo(platforms[k], CL_PLATFORM_NAME, sizeof name - 1, name, NULL);
        if (strstr(name, wanted ? wanted : "Portable") &&
            clGetDeviceIDs(platforms[k], CL_DEVICE_TYPE_ALL, 1, device, NULL) == CL_SUCCESS)
            return true;
    }
    return fail("no such OpenCL platform; set FIRST_CALL_PLATFORM to a part of a platform's name", (long)count);
}

static bool kernel_build(cl_kernel *kernel, cl_context context, cl_device_id device)
{
    const char *text = kernel_text;
    cl_int code;
    cl_program program = clCreateProgramWithSource(context, 1, &text, NULL, &code);
    if (code) return fail("clCreateProgramWithSource", code);
    code = clBuildProgram(program, 1, &device, "", NULL, NULL);
    if (!code) *kernel = clCreateKernel(program, "gaussian", &code);
    clReleaseProgram(program);
    return !code || fail("the kernel does not build", code);
}

static cl_mem buffer_create(cl_context context, float *data, size_t bytes, cl_int *worst)
{
    cl_int code;
    cl_mem buffer = clCreateBuffer(context, CL_MEM_READ_WRITE | CL_MEM_COPY_HOST_PTR, bytes, data, &code);
    if (code) *worst = code;
    return buffer;
}

static bool kernel_launch(cl_context context, cl_command_queue queue, cl_kernel kernel)
{
    cl_int code = 0;
    const cl_mem buffers[4] = {buffer_create(context, sums, sizeof sums, &code),
                               buffer_create(context, points_x, sizeof points_x, &code),
                               buffer_create(context, points_y, sizeof points_y, &code),
                               buffer_create(context, weights, sizeof weights, &code)};
    const cl_long size = POINTS;
    const size_t items = (POINTS + LANES - 1) / LANES, local = 1;
    for (cl_uint k = 0; !code && k < 4; k++) code = clSetKernelArg(kernel, k, sizeof(cl_mem), &buffers[k]);
    for (cl_uint k = 4; !code && k < 6; k++) code = clSetKernelArg(kernel, k, sizeof size, &size);
    if (!code) code = clEnqueueNDRangeKernel(queue, kernel, 1, NULL, &items, &local, 0, NULL, NULL);
    if (!code) code = clEnqueueReadBuffer(queue, buffers[0], CL_TRUE, 0, sizeof sums, sums, 0, NULL, NULL);
    for (int k = 0; k < 4; k++)
        if (buffers[k]) clReleaseMemObject(buffers[k]);
    return !code || fail("the launch failed", code);
}

/* What a process needs to launch the kernel. */
typedef struct bare {
    cl_context context;
    cl_command_queue queue;
    cl_kernel kernel;
} bare;

static void bare_close(bare *out)
{
    if (out->kernel) clReleaseKernel(out->kernel);
    if (out->queue) clReleaseCommandQueue(out->queue);
    if (out->context) clReleaseContext(out->context);
}

static bool bare_open(bare *out)
{
    cl_device_id device;
    cl_int code;
    *out = (bare){0};
    if (!device_choose(&device)) return false;
    out->context = clCreateContext(NULL, 1, &device, NULL, NULL, &code);
    if (code) return fail("clCreateContext", code);
    out->queue = clCreateCommandQueue(out->context, device, 0, &code);
    bool ok = (!code || fail("clCreateCommandQueue", code)) && kernel_build(&out->kernel, out->context, device);
    if (!ok) bare_close(out);
    return ok;
}

static bool gaussian_run(void)
{
    bare program;
    if (!bare_open(&program)) return false;
    const bool ok = kernel_launch(program.context, program.queue, program.kernel);
    bare_close(&program);
    return ok;
}

/* The largest error of the sums, relative to each. */
static double sums_error(void)
{
    double error = 0;
    for (int i = 0; i < POINTS; i++) {
        double exact = 0;
        for (int j = 0; j < POINTS; j++) {
            double squared = 0;
            for (int d = 0; d < 3; d++) squared += pow((double)points_x[3 * i + d] - points_y[3 * j + d], 2);
            exact += exp(-squared) * weights[j];
        }
        error = fmax(error, fabs(sums[i] - exact) / exact);
    }
    return error;
}

static bool sums_check(void)
{
    const double error = sums_error();
    printf("relative error %.1e\n", error);
    return error < 1e-5 || fail("the sums are wrong", 0);
}

/* ---- inputs ----------------------------------------------------------------------------------------------------- */

/* Format version 1.0: magic, length of the header, header padded to 128 bytes in all, data. */
static bool npy_write(const char *directory, const char *name, const float *data, int rows, int columns)
{
    char path[TEXT], header[119];
    snprintf(path, sizeof path, "%s/%s.npy", directory, name);
    const int used =
        snprintf(header, sizeof header, "{'descr': '<f4', 'fortran_order': False, 'shape': (%d, %d), }", rows, columns);
    memset(header + used, ' ', sizeof header - (size_t)used);
    header[117] = '\n';
    FILE *file = fopen(path, "wb");
    if (!file) return fail("cannot write the inputs", 0);
    const size_t count = (size_t)rows * (size_t)columns;
    bool ok = fwrite("\x93NUMPY\x01\x00\x76\x00", 1, 10, file) == 10 && fwrite(header, 1, 118, file) == 118;
    ok = fwrite(data, sizeof *data, count, file) == count && ok;
    ok = !fclose(file) && ok;
    return ok || fail("cannot write the inputs", 0);
}

static bool inputs_write(const char *directory)
{
    return npy_write(directory, "x", points_x, POINTS, 3) && npy_write(directory, "y", points_y, POINTS, 3) &&
           npy_write(directory, "b", weights, POINTS, 1);
}

/* ---- the stopwatch ---------------------------------------------------------------------------------------------- */

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void command_exec(char **words)
{
    const int null = open("/dev/null", O_WRONLY);
    if (null >= 0) dup2(null, STDOUT_FILENO);
    execvp(words[0], words);
    fail("cannot run the command", 0);
    _exit(127);
}

static bool command_time(char **words)
{
    const double start = now();
    const pid_t child = fork();
    if (child < 0) return fail("cannot fork", 0);
    if (child == 0) command_exec(words);
    int status = 0;
    if (waitpid(child, &status, 0) != child || !WIFEXITED(status) || WEXITSTATUS(status))
        return fail("the timed command failed", status);
    printf("%.4f\n", now() - start);
    return true;
}

/* ---- the peer ---------------------------------------------------------------------------------------------------- */

static bool launches_time(const bare *program)
{
    enum { CALLS = 200 };
    const double start = now();
    bool ok = true;
    for (int k = 0; k < CALLS && ok; k++) ok = kernel_launch(program->context, program->queue, program->kernel);
    if (ok) printf("{\"seconds\": %.9g}\n", (now() - start) / CALLS);
    return ok;
}

/* Answers the lines of stdin until it ends, on this program's own points. */
static bool launches_serve(void)
{
    bare program;
    char line[TEXT];
    bool ok = bare_open(&program);
    if (!ok) return false;
    printf("{\"ready\": \"plain OpenCL, a kernel by hand\"}\n");
    while (ok && fflush(stdout) == 0 && fgets(line, sizeof line, stdin)) {
        if (!strcmp(line, "run\n")) ok = launches_time(&program);
        else printf("{\"error\": %.3g}\n", sums_error());
    }
    bare_close(&program);
    return ok;
}

int main(int count, char **words)
{
    points_create();
    bool ok;
    if (count == 1) ok = gaussian_run() && sums_check();
    else if (count == 3 && !strcmp(words[1], "--inputs")) ok = inputs_write(words[2]);
    else if (count > 2 && !strcmp(words[1], "--time")) ok = command_time(words + 2);
    else if (count == 3 && !strcmp(words[2], "launches")) ok = launches_serve();
    else
        ok = fail("usage: first-call | first-call --inputs DIR | first-call --time COMMAND WORD... | "
                  "first-call DIR launches",
                  0);
    return ok ? 0 : 1;
}
