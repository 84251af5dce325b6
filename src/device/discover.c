/*
 * discover.c: which OpenCL devices there are, and which one to take.
 *
 * A driver that is installed but has nothing to offer is common (a vendor's library without its card), so platforms and
 * devices that do not answer are skipped in silence: the list holds what can compile and run. Numbers in selectors
 * count what was skipped, so they agree with other tools such as clinfo.
 *
 * Which row of cl/profiles.txt fits a device is for family.c to say, from what is asked here. Strings are collected in an arena and end in one block with the list, for one free().
 */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "device/device.h"

enum {
    NV_CAPABILITY_MAJOR = 0x4000, /* CL_DEVICE_COMPUTE_CAPABILITY_MAJOR_NV */
    NV_CAPABILITY_MINOR = 0x4001,
    AMD_BOARD_NAME = 0x4038,   /* CL_DEVICE_BOARD_NAME_AMD */
    INTEL_IP_VERSION = 0x4250, /* CL_DEVICE_IP_VERSION_INTEL */
};

/* ---- what a device is ------------------------------------------------------------------------------------------- */

/* What is known of drivers, by a part of the platform's name and the kind of device ("": any); the first match wins, and
   what matches none keeps nothing and builds well. Damage to PoCL's programs goes unnoticed until they crash: one copy is
   better than two. */
static const struct driver_habits {
    const char *platform, *kind;
    bool keeps_programs; /* compiled, on disk; or, as a simulator, gains nothing from it */
    bool builds_race;    /* builds of two processes at a time now and then fail (pocl#1480) */
} drivers[] = {
    {Q_POCL, "", true, true},
    {"nvidia", "", true, false},
    {"intel(r) opencl", "gpu", true, false}, /* its driver for CPUs, of this name too, keeps none */
    {"oclgrind", "", true, false},
};

/* Scores: one class is above another whatever its size; within a class compute units decide. */
typedef struct device_class {
    double score;
    const char *words;
} device_class;

static const device_class simulator = {0, "a simulator"}, software = {1000, "a software renderer"},
                          processor = {2000, "a CPU"}, accelerator = {3000, "an accelerator"},
                          sharing_gpu = {4000, "a GPU that shares the host's memory"},
                          gpu = {5000, "a GPU with memory of its own"};

static bool contains(const char *text, const char *part)
{
    return q_contains(text, strlen(text), part);
}

static bool is_named(const quern_device *info, const char *part)
{
    return contains(info->name, part) || contains(info->vendor, part) || contains(info->platform, part) ||
           contains(info->platform_vendor, part);
}

static const struct driver_habits *habits_of(const quern_device *info)
{
    for (size_t k = 0; k < Q_COUNT(drivers); k++)
        if (contains(info->platform, drivers[k].platform) &&
            (!*drivers[k].kind || !strcmp(info->kind, drivers[k].kind)))
            return &drivers[k];
    return NULL;
}

/* A simulator has several bits; being tried as a CPU is harmless, as a GPU it would be preferred. */
static const char *kind_of(cl_device_type type)
{
    if (type & CL_DEVICE_TYPE_CPU) return "cpu";
    return type & CL_DEVICE_TYPE_GPU ? "gpu" : "accelerator";
}

static const device_class *class_of(const quern_device *info, bool shares_memory)
{
    if (is_named(info, "oclgrind")) return &simulator;
    if (!strcmp(info->profile, "soft")) return &software;
    if (!strcmp(info->kind, "cpu")) return &processor;
    if (!strcmp(info->kind, "accelerator")) return &accelerator;
    return shares_memory ? &sharing_gpu : &gpu;
}

/* ---- asking OpenCL ---------------------------------------------------------------------------------------------- */

typedef struct survey {
    q_arena arena; /* strings of the devices */
    q_device *devices;
    size_t count, capacity;
    bool failed; /* memory ran out */
} survey;

typedef cl_int text_query(void *object, cl_uint what, size_t size, void *value, size_t *need);

static cl_int ask_platform(void *platform, cl_uint what, size_t size, void *value, size_t *need)
{
    return clGetPlatformInfo(platform, what, size, value, need);
}

static cl_int ask_device(void *device, cl_uint what, size_t size, void *value, size_t *need)
{
    return clGetDeviceInfo(device, what, size, value, need);
}

static const char *keep(survey *found, const char *text, size_t size)
{
    const char *copy = q_arena_strdup(&found->arena, text, size);
    if (copy) return copy;
    found->failed = true;
    return "";
}

/* A text that OpenCL tells, less the blanks that some drivers put around it; "" when there is none. */
static const char *ask_text(survey *found, text_query *ask, void *object, cl_uint what)
{
    size_t size = 0;
    if (ask(object, what, 0, NULL, &size) || !size) return "";
    char *text = q_arena_alloc(&found->arena, size + 1);
    if (!text) found->failed = true;
    if (!text || ask(object, what, size, text, NULL)) return "";
    while (*text == ' ') text++;
    for (size_t end = strlen(text); end > 0 && text[end - 1] == ' ';) text[--end] = 0;
    return text;
}

/* Asks for a number into *value, which stays as it is when the device does not know it. */
#define ASK(id, what, value) clGetDeviceInfo(id, what, sizeof *(value), value, NULL)

bool q_device_is_usable(cl_device_id id)
{
    cl_bool available = CL_FALSE, compiler = CL_FALSE;
    ASK(id, CL_DEVICE_AVAILABLE, &available);
    ASK(id, CL_DEVICE_COMPILER_AVAILABLE, &compiler);
    return available && compiler;
}

static void ask_texts(survey *found, q_device *device, unsigned platform_number, unsigned number)
{
    quern_device *info = &device->info;
    char selector[32];
    int length = snprintf(selector, sizeof selector, "%u:%u", platform_number, number);
    info->selector = keep(found, selector, (size_t)length);
    info->name = ask_text(found, ask_device, device->id, CL_DEVICE_NAME);
    info->vendor = ask_text(found, ask_device, device->id, CL_DEVICE_VENDOR);
    info->platform = ask_text(found, ask_platform, device->platform, CL_PLATFORM_NAME);
    info->platform_vendor = ask_text(found, ask_platform, device->platform, CL_PLATFORM_VENDOR);
    info->version = ask_text(found, ask_device, device->id, CL_DEVICE_VERSION);
    info->driver = ask_text(found, ask_device, device->id, CL_DRIVER_VERSION);
}

static void ask_numbers(q_device *device)
{
    cl_uint units = 1;
    cl_ulong memory = 0, local = 0, allocation = 0;
    cl_device_fp_config singles = 0, doubles = 0;
    device->max_group = 1;
    ASK(device->id, CL_DEVICE_MAX_COMPUTE_UNITS, &units);
    ASK(device->id, CL_DEVICE_MAX_WORK_GROUP_SIZE, &device->max_group);
    ASK(device->id, CL_DEVICE_GLOBAL_MEM_SIZE, &memory);
    ASK(device->id, CL_DEVICE_LOCAL_MEM_SIZE, &local);
    ASK(device->id, CL_DEVICE_MAX_MEM_ALLOC_SIZE, &allocation);
    ASK(device->id, CL_DEVICE_SINGLE_FP_CONFIG, &singles);
    ASK(device->id, CL_DEVICE_DOUBLE_FP_CONFIG, &doubles);
    device->info.compute_units = (int)units;
    device->info.memory = memory;
    device->info.local_memory = local;
    device->info.f64 = doubles != 0;
    device->rounds_quotients = singles & CL_FP_CORRECTLY_ROUNDED_DIVIDE_SQRT;
    device->max_allocation = allocation;
}

/* Drivers refuse the questions of other vendors, which leaves the numbers 0 and the text empty. */
static const char *ask_family(survey *found, q_device *device)
{
    const quern_device *info = &device->info;
    cl_uint preferred = 0, native = 0, major = 0, minor = 0, ip_version = 0;
    ASK(device->id, CL_DEVICE_PREFERRED_VECTOR_WIDTH_FLOAT, &preferred);
    ASK(device->id, CL_DEVICE_NATIVE_VECTOR_WIDTH_FLOAT, &native);
    ASK(device->id, NV_CAPABILITY_MAJOR, &major);
    ASK(device->id, NV_CAPABILITY_MINOR, &minor);
    ASK(device->id, INTEL_IP_VERSION, &ip_version);
    device->takes_ptx = major > 0;
    return q_device_family(&(q_device_facts){.kind = info->kind,
                                             .name = info->name,
                                             .vendor = info->vendor,
                                             .platform = info->platform,
                                             .version = info->version,
                                             .board = ask_text(found, ask_device, device->id, AMD_BOARD_NAME),
                                             .lanes = preferred > native ? preferred : native,
                                             .capability = 10 * major + minor,
                                             .ip_version = ip_version});
}

static void judge(survey *found, q_device *device)
{
    quern_device *info = &device->info;
    cl_device_type type = 0;
    cl_bool shares_memory = CL_FALSE;
    ASK(device->id, CL_DEVICE_TYPE, &type);
    ASK(device->id, CL_DEVICE_HOST_UNIFIED_MEMORY, &shares_memory);
    info->kind = kind_of(type);
    info->profile = ask_family(found, device);
    const struct driver_habits *habits = habits_of(info);
    info->driver_caches = habits && habits->keeps_programs;
    device->builds_race = habits && habits->builds_race;
    device->shares_memory = shares_memory;
    const device_class *class = class_of(info, shares_memory);
    int units = info->compute_units;
    info->score = class->score + (units < 999 ? units : 999);
    char reason[96];
    int length = snprintf(reason, sizeof reason, "%s, %d compute unit%s", class->words, units, Q_S(units));
    info->reason = keep(found, reason, (size_t)length);
}

static void survey_device(survey *found, cl_platform_id platform, unsigned platform_number, cl_device_id id,
                          unsigned number)
{
    if (!q_device_is_usable(id)) return;
    if (!q_grow(&found->devices, &found->capacity, found->count + 1, sizeof *found->devices)) {
        found->failed = true;
        return;
    }
    q_device *device = &found->devices[found->count++];
    *device = (q_device){.platform = platform, .id = id};
    ask_texts(found, device, platform_number, number);
    ask_numbers(device);
    judge(found, device);
}

static quern_status survey_platform(survey *found, cl_platform_id platform, unsigned platform_number)
{
    cl_uint count;
    cl_device_id *ids;
    Q_TRY(q_platform_devices(platform, &ids, &count));
    for (unsigned i = 0; i < count; i++) survey_device(found, platform, platform_number, ids[i], i);
    free(ids);
    return QUERN_OK;
}

static quern_status survey_platforms(survey *found)
{
    cl_uint count;
    cl_platform_id *platforms;
    Q_TRY(q_platform_ids(&platforms, &count));
    quern_status status = QUERN_OK;
    for (unsigned i = 0; !status && i < count; i++) status = survey_platform(found, platforms[i], i);
    free(platforms);
    return status;
}

/* ---- lists ------------------------------------------------------------------------------------------------------ */

/* The strings of a description that its list owns; kind and profile are static. */
static const size_t owned_texts[] = {offsetof(quern_device, selector), offsetof(quern_device, name),
                                     offsetof(quern_device, vendor),   offsetof(quern_device, platform),
                                     offsetof(quern_device, version),  offsetof(quern_device, driver),
                                     offsetof(quern_device, reason),   offsetof(quern_device, platform_vendor)};

static const char **owned_text(quern_device *info, size_t index)
{
    return (const char **)((char *)info + owned_texts[index]);
}

static size_t text_bytes(quern_device info)
{
    size_t bytes = 0;
    for (size_t i = 0; i < Q_COUNT(owned_texts); i++) bytes += strlen(*owned_text(&info, i)) + 1;
    return bytes;
}

/* Copies the strings to `pool`, points `info` at the copies and returns the pool's rest. */
static char *move_texts(quern_device *info, char *pool)
{
    for (size_t i = 0; i < Q_COUNT(owned_texts); i++) {
        const char **text = owned_text(info, i);
        size_t size = strlen(*text) + 1;
        *text = memcpy(pool, *text, size);
        pool += size;
    }
    return pool;
}

/* Room for `count` elements of `size` bytes, followed by the strings of the list. */
static void *allocate_list(const q_device *list, size_t count, size_t size)
{
    size_t bytes = count * size;
    for (size_t i = 0; i < count; i++) bytes += text_bytes(list[i].info);
    return malloc(bytes ? bytes : 1);
}

q_device *q_device_copy(const q_device *list, size_t count)
{
    q_device *copy = allocate_list(list, count, sizeof *copy);
    if (!copy) return NULL;
    char *pool = (char *)(copy + count);
    for (size_t i = 0; i < count; i++) {
        copy[i] = list[i];
        pool = move_texts(&copy[i].info, pool);
    }
    return copy;
}

/* Drivers start threads that a forked child lacks: there the first call that waits for one would wait for ever. Handles
   remember their process; this remembers it for whoever has none yet. */
quern_status q_check_process(void)
{
    static _Atomic long first;
    long none = 0;
    if (atomic_compare_exchange_strong(&first, &none, q_process()) || none == q_process()) return QUERN_OK;
    q_fail(QUERN_DEVICE, "OpenCL was used before fork() in process %ld and does not work in its child %ld", none,
           q_process());
    q_fail_next_step("fork before the first use of quern, or start the child with exec()");
    return QUERN_DEVICE;
}

quern_status q_discover(q_device **list, size_t *count)
{
    *list = NULL;
    *count = 0;
    Q_TRY(q_check_process());
    survey found = {0};
    quern_status status = survey_platforms(&found);
    if (!status && !found.failed) {
        *list = q_device_copy(found.devices, found.count);
        *count = *list ? found.count : 0;
    }
    if (!status && !*list) status = q_fail_memory(found.count * sizeof **list);
    q_arena_free(&found.arena);
    free(found.devices);
    return status;
}

quern_status quern_devices(quern_device **out, size_t *count)
{
    if (!out || !count) return q_fail_null("quern_devices", out ? "count" : "out");
    *out = NULL;
    *count = 0;
    q_device *list;
    size_t found;
    Q_TRY(q_discover(&list, &found));
    quern_device *infos = allocate_list(list, found, sizeof *infos);
    if (infos) {
        char *pool = (char *)(infos + found);
        for (size_t i = 0; i < found; i++) {
            infos[i] = list[i].info;
            pool = move_texts(&infos[i], pool);
        }
        *out = infos;
        *count = found;
    }
    free(list);
    return infos ? QUERN_OK : q_fail_memory(found * sizeof *infos);
}

/* ---- choosing --------------------------------------------------------------------------------------------------- */

static bool is_kind(const char *word)
{
    return !strcasecmp(word, "gpu") || !strcasecmp(word, "cpu") || !strcasecmp(word, "accelerator");
}

static bool is_selector(const char *word)
{
    size_t digits = strspn(word, "0123456789");
    return digits && word[digits] == ':' && !word[digits + 1 + strspn(word + digits + 1, "0123456789")];
}

/* Kinds and selectors are themselves only: "cpu" must not find a GPU whose platform's name has "CPU" in it. */
bool quern_device_fits(const quern_device *info, const char *wanted)
{
    if (!info || !wanted || !*wanted) return false;
    if (is_kind(wanted)) return !strcasecmp(info->kind, wanted);
    if (is_selector(wanted)) return !strcmp(info->selector, wanted);
    return is_named(info, wanted);
}

static quern_status fail_no_match(const q_device *list, size_t count, const char *wanted, const char *origin)
{
    q_text names = {0};
    for (size_t i = 0; i < count; i++) {
        const quern_device *info = &list[i].info;
        q_text_add(&names, "%s%s '%s' (%s)", i ? ", " : "", info->selector, info->name, info->kind);
    }
    q_text empty = {0}, steps = {0};
    bool some = q_add_empty_platforms(&empty, &steps) > 0;
    q_fail(QUERN_NO_DEVICE, "no OpenCL device fits '%s'%s; there %s %s%s%s", wanted, origin, count == 1 ? "is" : "are",
           names.data ? names.data : "", some ? "; without a device: " : "", some && empty.data ? empty.data : "");
    q_fail_next_step(
        "name a device by its selector (%s), its kind, or a part of its name or its platform's, or leave the choice to quern%s%s",
        list[0].info.selector, some ? ". " : "", some && steps.data ? steps.data : "");
    q_text_free(&names);
    q_text_free(&empty);
    q_text_free(&steps);
    return QUERN_NO_DEVICE;
}

quern_status q_choose(const q_device *list, size_t count, const char *wanted, size_t *index, q_text *why)
{
    const char *origin = "";
    if (!count) return q_fail_no_device();
    if (!wanted || !*wanted) {
        wanted = getenv("QUERN_DEVICE");
        origin = " (from QUERN_DEVICE)";
    }
    if (wanted && !*wanted) wanted = NULL;
    size_t best = count, candidates = 0;
    for (size_t i = 0; i < count; i++) {
        if (wanted && !quern_device_fits(&list[i].info, wanted)) continue;
        candidates++;
        if (best == count || list[i].info.score > list[best].info.score) best = i;
    }
    if (!candidates) return fail_no_match(list, count, wanted, origin);
    const quern_device *info = &list[best].info;
    q_text_add(why, "device %s '%s': %s; ", info->selector, info->name, info->reason);
    if (candidates > 1) q_text_add(why, "the best of %zu", candidates);
    else q_text_add(why, "the only one");
    if (wanted) q_text_add(why, " that fit%s '%s'%s", candidates > 1 ? "" : "s", wanted, origin);
    *index = best;
    return QUERN_OK;
}
