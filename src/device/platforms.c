/*
 * platforms.c: which OpenCL platforms there are, and what to do about those that give no device.
 *
 * A driver that is there but gives no device is not one that is missing: what helps is another thing. PoCL always has a
 * device, the processor, unless it cannot write its cache (POCL_CACHE_DIR, else pocl/kcache in XDG_CACHE_HOME or in
 * HOME/.cache, else /tmp/pocl/kcache, which belongs to whoever was first) or POCL_DEVICES asks for another.
 *
 * PoCL 3.1 ends the process when POCL_CACHE_DIR is empty and it is asked for devices, so that it is not asked then.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "device/device.h"

enum { NO_PLATFORM = -1001 }; /* CL_PLATFORM_NOT_FOUND_KHR */

static bool is_pocl(const char *platform)
{
    return q_contains(platform, strlen(platform), Q_POCL);
}

/* ---- what to do ------------------------------------------------------------------------------------------------- */

/* Adds the first of these variables that is set, or that none is. */
static void add_first_set(q_text *text, const char *const *names, size_t count)
{
    for (size_t k = 0; k < count; k++)
        if (getenv(names[k])) {
            q_text_add(text, "%s is '%s'", names[k], getenv(names[k]));
            return;
        }
    q_text_add(text, "none of them is set, which means /tmp/pocl");
}

static void add_pocl_cache(q_text *text)
{
    static const char *const names[] = {"POCL_CACHE_DIR", "XDG_CACHE_HOME", "HOME"};
    q_text_add(text, "let POCL_CACHE_DIR, or HOME, name a directory that this user can write to (now ");
    add_first_set(text, names, Q_COUNT(names));
    q_text_add(text, ")");
}

static void add_step(q_text *text, const char *platform)
{
    if (is_pocl(platform)) {
        q_text_add(text, "PoCL gives no device when it cannot write its cache: ");
        add_pocl_cache(text);
        if (getenv("POCL_DEVICES")) q_text_add(text, "; unset POCL_DEVICES (now '%s')", getenv("POCL_DEVICES"));
    } else if (q_contains(platform, strlen(platform), "rusticl")) {
        q_text_add(text,
                   "rusticl has the devices of the drivers that RUSTICL_ENABLE names, such as radeonsi or llvmpipe");
    } else {
        q_text_add(text,
                   "%s needs its hardware, and a user who may open the device files (/dev/dri/renderD*, /dev/kfd: "
                   "group render)",
                   platform);
    }
}

bool q_add_build_step(q_text *text, const char *platform)
{
    if (!is_pocl(platform)) return false;
    q_text_add(text,
               "PoCL builds in its cache, which was removed since this process began, cannot be written, or is on "
               "a full disk: start again, and ");
    add_pocl_cache(text);
    return true;
}

/* ---- the list --------------------------------------------------------------------------------------------------- */

static void ask_name(cl_platform_id id, char *name, size_t size)
{
    if (clGetPlatformInfo(id, CL_PLATFORM_NAME, size, name, NULL)) name[0] = 0;
    name[size - 1] = 0;
}

quern_status q_platform_ids(cl_platform_id **ids, cl_uint *count)
{
    *ids = NULL;
    *count = 0;
    cl_int code = clGetPlatformIDs(0, NULL, count);
    if (code == NO_PLATFORM) *count = 0;
    else if (code) return q_cl_fail(code, "clGetPlatformIDs");
    *ids = calloc(*count + 1, sizeof **ids);
    if (!*ids) return q_fail_memory((*count + 1) * sizeof **ids);
    code = *count ? clGetPlatformIDs(*count, *ids, NULL) : CL_SUCCESS;
    if (!code) return QUERN_OK;
    free(*ids);
    *ids = NULL;
    return q_cl_fail(code, "clGetPlatformIDs");
}

quern_status q_platform_devices(cl_platform_id platform, cl_device_id **ids, cl_uint *count)
{
    char name[128] = "";
    const char *directory = getenv("POCL_CACHE_DIR");
    *ids = NULL;
    *count = 0;
    ask_name(platform, name, sizeof name);
    if (is_pocl(name) && directory && !*directory) return QUERN_OK;
    if (clGetDeviceIDs(platform, CL_DEVICE_TYPE_ALL, 0, NULL, count)) *count = 0;
    if (!*count) return QUERN_OK;
    *ids = calloc(*count, sizeof **ids);
    if (!*ids) return q_fail_memory(*count * sizeof **ids);
    if (clGetDeviceIDs(platform, CL_DEVICE_TYPE_ALL, *count, *ids, NULL)) *count = 0;
    return QUERN_OK;
}

static quern_status describe(quern_platform *out, cl_platform_id id)
{
    cl_device_id *ids;
    cl_uint count;
    q_text step = {0};
    *out = (quern_platform){.devices = 0};
    ask_name(id, out->name, sizeof out->name);
    out->serves_cpu = is_pocl(out->name);
    Q_TRY(q_platform_devices(id, &ids, &count));
    for (unsigned i = 0; i < count; i++) out->devices += q_device_is_usable(ids[i]);
    free(ids);
    if (!out->devices) add_step(&step, out->name);
    snprintf(out->next_step, sizeof out->next_step, "%s", step.data ? step.data : "");
    q_text_free(&step);
    return QUERN_OK;
}

quern_status quern_platforms(quern_platform **out, size_t *count)
{
    if (!out) return q_fail_null("quern_platforms", "out");
    if (!count) return q_fail_null("quern_platforms", "count");
    cl_platform_id *ids;
    cl_uint found;
    *out = NULL;
    *count = 0;
    Q_TRY(q_check_process());
    Q_TRY(q_platform_ids(&ids, &found));
    quern_status status = QUERN_OK;
    quern_platform *list = calloc(found + 1, sizeof *list);
    if (!list) status = q_fail_memory((found + 1) * sizeof *list);
    for (unsigned k = 0; !status && k < found; k++) status = describe(&list[k], ids[k]);
    free(ids);
    if (status) free(list);
    else *out = list, *count = found;
    return status;
}

/* ---- messages --------------------------------------------------------------------------------------------------- */

size_t q_add_empty_platforms(q_text *names, q_text *steps)
{
    quern_platform *list;
    size_t count, empty = 0;
    if (quern_platforms(&list, &count)) return 0;
    for (size_t k = 0; k < count; k++) {
        if (list[k].devices) continue;
        q_text_add(names, "%s%s", empty ? ", " : "", list[k].name);
        q_text_add(steps, "%s%s", empty ? ". " : "", list[k].next_step);
        empty++;
    }
    free(list);
    return empty;
}

static void fail_no_driver(void)
{
    const char *vendors = getenv("OCL_ICD_VENDORS");
    if (vendors) {
        q_fail(QUERN_NO_DEVICE, "no OpenCL driver can be loaded from where OCL_ICD_VENDORS says, '%s'", vendors);
        q_fail_next_step("unset OCL_ICD_VENDORS, or let it name a directory with .icd files whose libraries are there; "
                         "`quern doctor` looks at each");
        return;
    }
    q_fail(QUERN_NO_DEVICE, "no OpenCL device was found on this machine: it has no OpenCL driver that can be loaded");
    q_fail_next_step("install an OpenCL driver. Debian, Ubuntu: pocl-opencl-icd for any CPU; for GPUs the vendor's: "
                     "nvidia-opencl-icd, intel-opencl-icd, AMD's ROCm (rocm-opencl-runtime). Elsewhere: PoCL, or the "
                     "OpenCL part of the GPU's driver. `quern doctor` looks at those that are there");
}

quern_status q_fail_no_device(void)
{
    q_text names = {0}, steps = {0};
    size_t empty = q_add_empty_platforms(&names, &steps);
    if (empty) {
        q_fail(QUERN_NO_DEVICE, "no OpenCL device was found: %zu driver%s there, but give%s no device: %s", empty,
               empty == 1 ? " is" : "s are", empty == 1 ? "s" : "", names.data ? names.data : "");
        q_fail_next_step("%s%s", steps.data ? steps.data : "",
                         strstr(steps.data ? steps.data : "", "PoCL")
                             ? ""
                             : ". For any CPU: install PoCL (Debian, Ubuntu: pocl-opencl-icd)");
    } else {
        fail_no_driver();
    }
    q_text_free(&names);
    q_text_free(&steps);
    return QUERN_NO_DEVICE;
}
