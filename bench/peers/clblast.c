/*
 * clblast.c: the dense way to a Gaussian sum, the peers `clblast` and `clblast-product` (../peers.h has the protocol).
 * The matrix K is made on the device, panel of rows by panel of rows, and each panel multiplied with b: by Gemv for one
 * right-hand side, by Gemm for several.
 *
 *   build     each call uploads x, y, b, makes every panel in one buffer, multiplies it, downloads the result
 *   product   K is made before, in as many buffers as it has panels; a call uploads b, multiplies, downloads
 *
 * CLBlast runs with the parameters of its own database, which has rows for some devices only.
 */
#define CL_TARGET_OPENCL_VERSION 120
#include <CL/cl.h>
#include <clblast_c.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <quern.h>
#include <quern/npy.h>

enum { PANEL_ROWS = 2048, PATH = 4096, MAX_DEVICES = 16 };

static const char *const kernel_text =
    "__kernel void gaussian(__global float *restrict k, __global const float *restrict x,\n"
    "                       __global const float *restrict y, int row, int n)\n"
    "{\n"
    "    const int j = get_global_id(0), i = get_global_id(1);\n"
    "    const float d0 = x[(row + i) * 3] - y[j * 3], d1 = x[(row + i) * 3 + 1] - y[j * 3 + 1];\n"
    "    const float d2 = x[(row + i) * 3 + 2] - y[j * 3 + 2];\n"
    "    k[(size_t)i * n + j] = exp(-(d0 * d0 + d1 * d1 + d2 * d2));\n"
    "}\n";

typedef struct dense {
    cl_context context;
    cl_command_queue queue;
    cl_kernel kernel;
    size_t rows, columns, sides, panel, panels; /* of K; right-hand sides; rows of a panel; panels held */
    quern_view x, y, b, result;
    cl_mem device_x, device_y, device_b, device_result, *device_k;
} dense;

static bool cl_check(cl_int code, const char *what)
{
    if (code) fprintf(stderr, "peer-clblast: %s (%d)\n", what, (int)code);
    return !code;
}

/* ---- set-up ----------------------------------------------------------------------------------------------------- */

static bool device_open(dense *d, const char *selector)
{
    unsigned platform = 0, number = 0;
    cl_platform_id platforms[MAX_DEVICES];
    cl_device_id devices[MAX_DEVICES];
    cl_uint platform_count = 0, count = 0;
    cl_int code;
    if (sscanf(selector, "%u:%u", &platform, &number) != 2) return cl_check(-1, "no such device");
    clGetPlatformIDs(MAX_DEVICES, platforms, &platform_count);
    if (platform >= platform_count || platform >= MAX_DEVICES) return cl_check(-1, "no such platform");
    clGetDeviceIDs(platforms[platform], CL_DEVICE_TYPE_ALL, MAX_DEVICES, devices, &count);
    if (number >= count || number >= MAX_DEVICES) return cl_check(-1, "no such device");
    d->context = clCreateContext(NULL, 1, &devices[number], NULL, NULL, &code);
    if (code) return cl_check(code, "clCreateContext");
    d->queue = clCreateCommandQueue(d->context, devices[number], 0, &code);
    return cl_check(code, "clCreateCommandQueue");
}

static bool kernel_build(dense *d)
{
    const char *text = kernel_text;
    cl_int code;
    cl_program program = clCreateProgramWithSource(d->context, 1, &text, NULL, &code);
    if (!code) code = clBuildProgram(program, 0, NULL, "", NULL, NULL);
    if (!code) d->kernel = clCreateKernel(program, "gaussian", &code);
    return cl_check(code, "the kernel does not build");
}

static bool array_read(quern_view *view, const char *directory, const char *name)
{
    char path[PATH];
    snprintf(path, sizeof path, "%s/%s.npy", directory, name);
    return quern_npy_read(view, path) == QUERN_OK && view->dtype == QUERN_F32;
}

static size_t view_bytes(quern_view view)
{
    return (size_t)(view.rows * view.columns) * sizeof(float);
}

/* Zeros, as CLBlast's Gemv multiplies what is there by beta even if that is 0 (findings/clblast_beta_zero.sh). */
static bool buffer_create(cl_mem *buffer, dense *d, size_t bytes)
{
    const cl_float zero = 0;
    cl_int code;
    *buffer = clCreateBuffer(d->context, CL_MEM_READ_WRITE, bytes, NULL, &code);
    if (!code) code = clEnqueueFillBuffer(d->queue, *buffer, &zero, sizeof zero, 0, bytes, 0, NULL, NULL);
    return cl_check(code, "clCreateBuffer");
}

/* Buffers for all panels of K, or for one. */
static bool buffers_create(dense *d, bool keep)
{
    d->panel = d->rows < PANEL_ROWS ? d->rows : PANEL_ROWS;
    d->panels = keep ? (d->rows + d->panel - 1) / d->panel : 1;
    d->device_k = calloc(d->panels, sizeof *d->device_k);
    d->result = quern_f32(calloc(d->rows * d->sides, sizeof(float)), (int64_t)d->rows, (int64_t)d->sides);
    bool ok = d->device_k && d->result.data && buffer_create(&d->device_x, d, view_bytes(d->x)) &&
              buffer_create(&d->device_y, d, view_bytes(d->y)) && buffer_create(&d->device_b, d, view_bytes(d->b)) &&
              buffer_create(&d->device_result, d, view_bytes(d->result));
    for (size_t k = 0; ok && k < d->panels; k++)
        ok = buffer_create(&d->device_k[k], d, d->panel * d->columns * sizeof(float));
    return ok;
}

static bool job_read(dense *d, const char *directory, char selector[32])
{
    char path[PATH];
    snprintf(path, sizeof path, "%s/job.json", directory);
    json_t *job = json_load_file(path, 0, NULL);
    const char *device = json_string_value(json_object_get(job, "device"));
    snprintf(selector, 32, "%s", device ? device : "");
    json_decref(job);
    if (!array_read(&d->x, directory, "x") || !array_read(&d->y, directory, "y") || !array_read(&d->b, directory, "b"))
        return false;
    d->rows = (size_t)d->x.rows;
    d->columns = (size_t)d->y.rows;
    d->sides = (size_t)d->b.columns;
    return d->x.columns == 3;
}

/* ---- the call --------------------------------------------------------------------------------------------------- */

static bool view_upload(dense *d, cl_mem buffer, quern_view view)
{
    const size_t bytes = view_bytes(view);
    return cl_check(clEnqueueWriteBuffer(d->queue, buffer, CL_FALSE, 0, bytes, view.data, 0, NULL, NULL), "upload");
}

static size_t panel_height(const dense *d, size_t row)
{
    return d->rows - row < d->panel ? d->rows - row : d->panel;
}

static bool panel_build(dense *d, cl_mem k, size_t row)
{
    const size_t size[2] = {d->columns, panel_height(d, row)};
    const cl_int first = (cl_int)row, n = (cl_int)d->columns;
    clSetKernelArg(d->kernel, 0, sizeof k, &k);
    clSetKernelArg(d->kernel, 1, sizeof d->device_x, &d->device_x);
    clSetKernelArg(d->kernel, 2, sizeof d->device_y, &d->device_y);
    clSetKernelArg(d->kernel, 3, sizeof first, &first);
    clSetKernelArg(d->kernel, 4, sizeof n, &n);
    return cl_check(clEnqueueNDRangeKernel(d->queue, d->kernel, 2, NULL, size, NULL, 0, NULL, NULL), "panel");
}

static bool panel_multiply(dense *d, cl_mem k, size_t row)
{
    const size_t height = panel_height(d, row), n = d->columns, e = d->sides;
    const CLBlastStatusCode code =
        e == 1 ? CLBlastSgemv(CLBlastLayoutRowMajor, CLBlastTransposeNo, height, n, 1.0f, k, 0, n, d->device_b, 0, 1,
                              0.0f, d->device_result, row, 1, &d->queue, NULL)
               : CLBlastSgemm(CLBlastLayoutRowMajor, CLBlastTransposeNo, CLBlastTransposeNo, height, e, n, 1.0f, k, 0,
                              n, d->device_b, 0, e, 0.0f, d->device_result, row * e, e, &d->queue, NULL);
    return cl_check((cl_int)code, "CLBlast");
}

static bool points_upload(dense *d)
{
    return view_upload(d, d->device_x, d->x) && view_upload(d, d->device_y, d->y);
}

/* Makes all panels, each in a buffer of its own. */
static bool matrix_build(dense *d)
{
    bool ok = points_upload(d);
    for (size_t k = 0; ok && k < d->panels; k++) ok = panel_build(d, d->device_k[k], k * d->panel);
    return ok;
}

static bool call(dense *d, bool build)
{
    bool ok = (!build || points_upload(d)) && view_upload(d, d->device_b, d->b);
    for (size_t row = 0; ok && row < d->rows; row += d->panel) {
        cl_mem k = d->device_k[build ? 0 : row / d->panel];
        ok = (!build || panel_build(d, k, row)) && panel_multiply(d, k, row);
    }
    return ok && cl_check(clEnqueueReadBuffer(d->queue, d->device_result, CL_TRUE, 0, view_bytes(d->result),
                                              d->result.data, 0, NULL, NULL),
                          "download");
}

/* ---- the protocol ----------------------------------------------------------------------------------------------- */

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static bool request_answer(dense *d, const char *request, const char *directory, bool build)
{
    char path[PATH];
    if (!strncmp(request, "run", 3)) {
        const double start = now();
        if (!call(d, build)) return false;
        printf("{\"seconds\": %.9g}\n", now() - start);
    } else {
        snprintf(path, sizeof path, "%s/result.npy", directory);
        if (quern_npy_write(path, d->result)) return false;
        printf("{\"done\": true}\n");
    }
    return fflush(stdout) == 0;
}

static bool missing_print(const char *why)
{
    printf("{\"missing\": \"%s\"}\n", why);
    return fflush(stdout), false;
}

int main(int count, char **words)
{
    char line[64], selector[32];
    dense d = {0};
    if (count != 3) return fprintf(stderr, "usage: peer-clblast DIR build|product (quern-bench runs it)\n"), 2;
    const bool build = !strcmp(words[2], "build");
    bool ok = job_read(&d, words[1], selector) && device_open(&d, selector) && kernel_build(&d);
    if (!ok) return missing_print("its device or data cannot be opened"), 1;
    ok = buffers_create(&d, !build) && (build || matrix_build(&d)) && call(&d, build);
    if (!ok) return missing_print("K does not fit on the device, or CLBlast failed"), 1;
    printf("{\"ready\": \"CLBlast, panels of %zu rows, %s\"}\n", d.panel, build ? "built each time" : "kept");
    fflush(stdout);
    while (ok && fgets(line, sizeof line, stdin)) ok = request_answer(&d, line, words[1], build);
    return !ok;
}
