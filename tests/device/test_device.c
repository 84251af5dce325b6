/*
 * test_device.c: devices, choice, buffers, programs, launches. Choosing is tested on an invented list; the rest needs
 * an OpenCL device (QUERN_DEVICE chooses it) and is skipped without one.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "device/device.h"

static q_device *devices;
static size_t device_count, chosen;
static q_session *session;

static int open_queue(void **state)
{
    (void)state;
    q_text why = {0};
    if (q_discover(&devices, &device_count)) return -1;
    if (!device_count) return 0;
    quern_status status = q_choose(devices, device_count, NULL, &chosen, &why);
    if (!status) status = q_session_create(&session, &devices[chosen], 1 << 20, NULL);
    q_text_free(&why);
    return (int)status;
}

static int close_queue(void **state)
{
    (void)state;
    q_session_destroy(&session);
    free(devices);
    return session ? -1 : 0;
}

static void need_device(void)
{
    if (!device_count) skip();
}

/* ---- choosing --------------------------------------------------------------------------------------------------- */

static q_device invent(const char *selector, const char *kind, const char *name, const char *vendor, double score)
{
    return (q_device){.info = {.selector = selector,
                               .kind = kind,
                               .name = name,
                               .vendor = vendor,
                               .score = score,
                               .platform = "CPU+GPU",
                               .platform_vendor = "The Example Project",
                               .version = "",
                               .driver = "",
                               .profile = "",
                               .reason = "why"}};
}

static void choices(void **state)
{
    (void)state;
    const q_device list[] = {invent("0:0", "cpu", "pthread-EPYC", "AuthenticAMD", 2008),
                             invent("1:0", "gpu", "Arc A770", "Intel", 4032),
                             invent("1:2", "gpu", "H200", "NVIDIA Corporation", 5132)};
    static const struct {
        const char *wanted;
        size_t index;
    } cases[] = {
        {NULL, 2},     {"", 2},    {"gpu", 2},  {"GPU", 2},   {"cpu", 0},       {"1:0", 1},
        {"nvidia", 2}, {"amd", 0}, {"a770", 1}, {"cpu+g", 2}, {"example p", 2},
    };
    unsetenv("QUERN_DEVICE");
    for (size_t i = 0; i < Q_COUNT(cases); i++) {
        q_text why = {0};
        size_t index = 99;
        assert_int_equal(q_choose(list, 3, cases[i].wanted, &index, &why), QUERN_OK);
        assert_int_equal(index, cases[i].index);
        assert_non_null(strstr(why.data, list[index].info.selector));
        assert_null(strchr(why.data, '\n'));
        q_text_free(&why);
    }
}

static void the_environment_chooses_unless_told(void **state)
{
    (void)state;
    const q_device list[] = {invent("0:0", "cpu", "slow", "A", 1), invent("0:1", "gpu", "fast", "B", 2)};
    q_text why = {0};
    size_t index = 99;
    setenv("QUERN_DEVICE", "slow", 1);
    assert_int_equal(q_choose(list, 2, NULL, &index, &why), QUERN_OK);
    assert_int_equal(index, 0);
    assert_string_equal(why.data, "device 0:0 'slow': why; the only one that fits 'slow' (from QUERN_DEVICE)");
    assert_int_equal(q_choose(list, 2, "0:1", &index, &why), QUERN_OK);
    assert_int_equal(index, 1);
    setenv("QUERN_DEVICE", "none", 1);
    assert_int_equal(q_choose(list, 2, NULL, &index, &why), QUERN_NO_DEVICE);
    assert_string_equal(quern_last_error()->message, "no OpenCL device fits 'none' (from QUERN_DEVICE); there are 0:0 "
                                                     "'slow' (cpu), 0:1 'fast' (gpu)");
    unsetenv("QUERN_DEVICE");
    assert_int_equal(q_choose(list, 2, "0:7", &index, &why), QUERN_NO_DEVICE);
    assert_int_equal(q_choose(list, 0, NULL, &index, &why), QUERN_NO_DEVICE);
    assert_true(*quern_last_error()->next_step); /* which: test_platforms.c */
    q_text_free(&why);
}

/* ---- devices ---------------------------------------------------------------------------------------------------- */

static void devices_are_described(void **state)
{
    (void)state;
    need_device();
    quern_device *list;
    size_t count;
    double best_cpu = 0;
    assert_int_equal(quern_devices(&list, &count), QUERN_OK);
    assert_int_equal(count, device_count);
    for (size_t i = 0; i < count; i++)
        if (!strncmp(list[i].profile, "cpu", 3) && list[i].score > best_cpu) best_cpu = list[i].score;
    for (size_t i = 0; i < count; i++) {
        assert_string_equal(list[i].selector, devices[i].info.selector);
        assert_true(list[i].selector != devices[i].info.selector);
        assert_true(*list[i].name && *list[i].platform && *list[i].version && *list[i].reason);
        assert_true(list[i].compute_units > 0 && list[i].memory > 0 && list[i].local_memory > 0);
        assert_true(devices[i].max_group > 0 && devices[i].max_allocation > 0);
        if (!q_contains(list[i].name, strlen(list[i].name), "llvmpipe")) continue;
        assert_string_equal(list[i].profile, "soft");
        assert_true(best_cpu == 0 || list[i].score < best_cpu);
    }
    quern_free(list);
    assert_int_equal(quern_devices(NULL, &count), QUERN_USAGE);
}

static void codes_have_words(void **state)
{
    (void)state;
    assert_string_equal(q_cl_name(-11), "CL_BUILD_PROGRAM_FAILURE");
    assert_string_equal(q_cl_name(-12345), "unknown OpenCL error");
    static const cl_int memory[] = {-4, -5, -6, -61};
    for (size_t i = 0; i < Q_COUNT(memory); i++) assert_int_equal(q_cl_fail(memory[i], "clX"), QUERN_MEMORY);
    assert_int_equal(q_cl_fail(-54, "clX(a, b)"), QUERN_DEVICE);
    assert_string_equal(quern_last_error()->message, "clX failed: CL_INVALID_WORK_GROUP_SIZE (-54)");
    assert_int_equal(quern_last_error()->cl_code, -54);
    assert_non_null(strstr(quern_last_error()->next_step, "a new context may go on"));
    static const cl_int lost[] = {-9999, -36, -34};
    for (size_t i = 0; i < Q_COUNT(lost); i++) {
        assert_int_equal(q_cl_fail(lost[i], "clBuildProgram"), QUERN_DEVICE);
        assert_non_null(strstr(quern_last_error()->next_step, "start the program anew"));
    }
}

/* ---- buffers ---------------------------------------------------------------------------------------------------- */

static void buffers_keep_their_bytes(void **state)
{
    (void)state;
    need_device();
    int in[1000], out[1000] = {0};
    for (int i = 0; i < 1000; i++) in[i] = i * i;
    q_buffer buffer, empty;
    assert_int_equal(q_buffer_create(&buffer, session, sizeof in), QUERN_OK);
    assert_int_equal(q_buffer_create(&empty, session, 0), QUERN_OK);
    assert_int_equal(session->memory_in_use, sizeof in + 1);
    assert_int_equal(q_buffer_write(&buffer, session, in, sizeof in), QUERN_OK);
    assert_int_equal(q_buffer_read(&buffer, session, out, sizeof out), QUERN_OK);
    assert_memory_equal(in, out, sizeof in);
    assert_int_equal(q_buffer_read(&empty, session, NULL, 0), QUERN_OK);
    assert_int_equal(q_buffer_write(&empty, session, in, 1), QUERN_INTERNAL);
    q_buffer_destroy(&buffer, session);
    q_buffer_destroy(&buffer, session);
    q_buffer_destroy(&empty, session);
    assert_int_equal(session->memory_in_use, 0);
}

static void buffers_obey_the_budget(void **state)
{
    (void)state;
    need_device();
    q_buffer first, second;
    assert_int_equal(q_buffer_create(&first, session, 1000000), QUERN_OK);
    assert_int_equal(q_buffer_create(&second, session, 100000), QUERN_MEMORY);
    assert_null(second.mem);
    assert_non_null(
        strstr(quern_last_error()->message, "100000 bytes of device memory are needed; 1000000 of 1048576 are in use"));
    q_buffer_destroy(&first, session);
    assert_int_equal(q_buffer_create(&second, session, 100000), QUERN_OK);
    q_buffer_destroy(&second, session);
    assert_int_equal(q_buffer_create(&second, session, devices[chosen].max_allocation + 1), QUERN_MEMORY);
    assert_non_null(strstr(quern_last_error()->message, "the longest that"));
    assert_int_equal(session->memory_in_use, 0);
}

static uint64_t spare_bytes(size_t *count)
{
    uint64_t bytes = 0;
    for (*count = 0; *count < Q_MAX_SPARE && session->spare[*count].mem; ++*count)
        bytes += session->spare[*count].bytes;
    assert_int_equal(bytes, session->memory_spare);
    return bytes;
}

static void destroyed_buffers_are_used_again(void **state)
{
    (void)state;
    need_device();
    q_buffer buffer;
    size_t count;
    q_buffers_trim(session);
    assert_false(q_buffers_trim(session));
    assert_int_equal(q_buffer_create(&buffer, session, 4000), QUERN_OK);
    cl_mem mem = buffer.mem;
    q_buffer_destroy(&buffer, session);
    assert_int_equal(spare_bytes(&count), 4000);
    assert_int_equal(q_buffer_create(&buffer, session, 4004), QUERN_OK);
    assert_ptr_not_equal(buffer.mem, mem);
    q_buffer_destroy(&buffer, session);
    assert_int_equal(q_buffer_create(&buffer, session, 4000), QUERN_OK);
    assert_ptr_equal(buffer.mem, mem);
    assert_int_equal(spare_bytes(&count), 4004);
    q_buffer_destroy(&buffer, session);
    for (uint64_t size = 5000; size < 5040; size++) { /* more sizes than are kept, and than their share of 1 MiB has */
        assert_int_equal(q_buffer_create(&buffer, session, size), QUERN_OK);
        q_buffer_destroy(&buffer, session);
        assert_true(spare_bytes(&count) <= 65536);
    }
    assert_in_range(count, 2, 13);
    assert_int_equal(q_buffer_create(&buffer, session, 100000), QUERN_OK); /* over the share: not kept */
    q_buffer_destroy(&buffer, session);
    assert_true(spare_bytes(&count) <= 65536);
    assert_int_equal(q_buffer_create(&buffer, session, 1048576), QUERN_OK); /* all of the budget */
    assert_int_equal(spare_bytes(&count), 0);
    assert_int_equal(count, 0);
    q_buffer_destroy(&buffer, session);
    assert_int_equal(session->memory_in_use, 0);
}

/* What is released counts until its commands are done. */
static void released_memory_counts_until_it_is_free(void **state)
{
    (void)state;
    need_device();
    q_buffer buffer;
    char data[1000] = {0};
    q_buffers_trim(session);
    uint64_t limit = session->memory_limit, number = 8;
    session->memory_limit = 1500;
    for (int round = 0; round < 2; round++) {
        assert_int_equal(q_buffer_create(&buffer, session, 1000), QUERN_OK); /* in the second round after a wait */
        buffer.single_use = true;
        assert_int_equal(q_buffer_write(&buffer, session, data, sizeof data), QUERN_OK);
        q_buffer_destroy(&buffer, session);
        assert_int_equal(session->memory_in_use, 0);
        assert_int_equal(session->memory_released - session->memory_freed, 1000);
    }
    assert_int_equal(q_buffer_create_from(&buffer, session, &number, sizeof number), QUERN_OK); /* there is room */
    assert_int_equal(session->memory_released - session->memory_freed, 1000);
    q_buffer_destroy(&buffer, session);
    assert_int_equal(q_session_finish(session), QUERN_OK);
    assert_int_equal(session->memory_released, session->memory_freed);
    session->memory_limit = limit;
}

static void the_driver_may_refuse_what_the_budget_grants(void **state)
{
    (void)state;
    need_device();
    q_buffer buffer;
    uint64_t limit = session->memory_limit, longest = session->device->max_allocation;
    session->memory_limit = session->device->max_allocation = UINT64_MAX;
    quern_status status = q_buffer_create(&buffer, session, (uint64_t)1 << 56);
    const char *told = status ? " refuses 72057594037927936 bytes of device memory: " : "need 72057594037927936 of ";
    int number = 1;
    if (!status) { /* NVIDIA's driver grants any buffer, and fails where it is used */
        status = q_buffer_write(&buffer, session, &number, sizeof number);
        if (!status) status = q_buffer_read(&buffer, session, &number, sizeof number);
    }
    assert_int_equal(status, QUERN_MEMORY);
    assert_non_null(strstr(quern_last_error()->message, told));
    assert_int_not_equal(quern_last_error()->cl_code, 0);
    q_buffer_destroy(&buffer, session);
    session->memory_limit = limit, session->device->max_allocation = longest;
    assert_int_equal(session->memory_in_use, 0);
}

/* What a driver that grants any buffer says when it is used; there need not be one here. */
static void memory_may_be_missed_late(void **state)
{
    (void)state;
    need_device();
    q_buffer buffer;
    assert_int_equal(q_buffer_create(&buffer, session, 1000), QUERN_OK);
    static const cl_int codes[] = {CL_MEM_OBJECT_ALLOCATION_FAILURE, CL_OUT_OF_RESOURCES, CL_OUT_OF_HOST_MEMORY};
    for (size_t k = 0; k < Q_COUNT(codes); k++) {
        assert_int_equal(q_session_fail(session, codes[k], "clFinish(session->commands)"), QUERN_MEMORY);
        assert_non_null(strstr(quern_last_error()->message, "clFinish failed: CL_"));
        assert_non_null(strstr(quern_last_error()->message, "need 1000 of 1048576 bytes of device memory on "));
        assert_int_equal(quern_last_error()->cl_code, codes[k]);
        assert_true(*quern_last_error()->next_step);
    }
    assert_int_equal(q_session_fail(session, CL_INVALID_VALUE, "clFinish(a)"), QUERN_DEVICE);
    assert_null(strstr(quern_last_error()->message, "memory"));
    q_buffer_destroy(&buffer, session);
}

/* ---- programs --------------------------------------------------------------------------------------------------- */

static const char *const source = "__kernel void quern(__global float *a, float factor, __local float *shared)\n"
                                  "{\n"
                                  "    size_t i = get_global_id(1) * get_global_size(0) + get_global_id(0);\n"
                                  "    shared[get_local_id(0)] = factor * (float)i + SHIFT;\n"
                                  "    barrier(CLK_LOCAL_MEM_FENCE);\n"
                                  "    a[i] = shared[get_local_id(0)];\n"
                                  "}\n";
static const size_t global[3] = {8, 4, 1}, local[3] = {4, 1, 1}, nothing[3] = {0, 4, 1};

static quern_status get(q_program **out, const char *text, const char *options, bool *made)
{
    return q_program_get(out, session, "quern", text, options, made);
}

/* Runs the program above 20 times on a buffer of its own. */
static bool launch_and_compare(q_program *program, float factor)
{
    q_buffer buffer;
    float out[32];
    if (q_buffer_create(&buffer, session, sizeof out)) return false;
    const q_kernel_arg args[] = {{sizeof(cl_mem), &buffer.mem}, {sizeof factor, &factor}, {4 * sizeof(float), NULL}};
    bool right = true;
    for (int round = 0; right && round < 20; round++) {
        memset(out, 0, sizeof out);
        right = !q_program_launch(program, session, args, 3, global, local) &&
                !q_buffer_read(&buffer, session, out, sizeof out);
        for (int i = 0; right && i < 32; i++) right = out[i] == factor * (float)i + 0.5f;
    }
    q_buffer_destroy(&buffer, session);
    return right;
}

static void *launch_in_thread(void *program)
{
    static _Atomic int number;
    return launch_and_compare(program, (float)++number) ? NULL : program;
}

static void programs_run(void **state)
{
    (void)state;
    need_device();
    q_program *program;
    bool made;
    assert_int_equal(get(&program, source, "-DSHIFT=0.5f", &made), QUERN_OK);
    assert_true(q_program_build_seconds(program) > 0);
    assert_true(launch_and_compare(program, 2));
    pthread_t threads[4];
    void *failed;
    bool simulated = !strcmp(devices[chosen].info.platform, "Oclgrind"); /* asserts with several threads (21.10) */
    size_t count = simulated ? 1 : Q_COUNT(threads);
    for (size_t i = 0; i < count; i++) pthread_create(&threads[i], NULL, launch_in_thread, program);
    for (size_t i = 0; i < count; i++) {
        pthread_join(threads[i], &failed);
        assert_null(failed);
    }
    assert_int_equal(q_program_launch(program, session, NULL, 0, nothing, local), QUERN_OK);
    const q_kernel_arg wrong = {3, "abc"};
    assert_int_equal(q_program_launch(program, session, &wrong, 1, global, local), QUERN_DEVICE);
    assert_non_null(strstr(quern_last_error()->message, "clSetKernelArg failed: CL_INVALID_"));
    assert_int_equal(q_session_finish(session), QUERN_OK);
    q_program_release(&program, session);
    q_program_release(&program, session);
}

static void equal_programs_are_one(void **state)
{
    (void)state;
    need_device();
    q_program *first, *second, *other;
    bool made;
    assert_int_equal(get(&first, source, "-DSHIFT=0.25f", &made), QUERN_OK);
    assert_true(made);
    assert_int_equal(get(&second, source, "-DSHIFT=0.25f", &made), QUERN_OK);
    assert_false(made);
    assert_ptr_equal(first, second);
    assert_int_equal(get(&other, source, "-DSHIFT=0.75f", &made), QUERN_OK);
    assert_true(made);
    assert_ptr_not_equal(first, other);
    q_program_release(&first, session);
    q_program_release(&second, session);
    q_program_release(&other, session);
    /* it stays for a while when nobody uses it */
    assert_int_equal(get(&first, source, "-DSHIFT=0.25f", &made), QUERN_OK);
    assert_false(made);
    q_programs_destroy(session); /* of those that are in use, none */
    q_program_release(&first, session);
    q_programs_destroy(session);
    assert_int_equal(get(&first, source, "-DSHIFT=0.25f", &made), QUERN_OK);
    assert_true(made);
    q_program_release(&first, session);
}

/* Seconds that a build takes while another has the lock for building. */
static double build_without_the_lock(bool races, double limit)
{
    q_program *program;
    bool really = session->device->builds_race;
    int lock = q_lock("build", &(q_lock_timeout){0});
    if (lock < 0) skip(); /* no directory for it */
    session->device->builds_race = races;
    session->lock_timeout = (q_lock_timeout){.limit = limit};
    bool made;
    assert_int_equal(get(&program, "kernel void quern(global int *a) { a[0] = 5; }", "", &made), QUERN_OK);
    assert_true(made);
    double seconds = q_program_build_seconds(program);
    session->device->builds_race = really;
    session->lock_timeout = (q_lock_timeout){0};
    session->lock_timed_out = false;
    q_unlock(lock);
    q_program_release(&program, session);
    q_programs_destroy(session); /* so that the next call builds it again */
    return seconds;
}

static void programs_are_built_while_the_lock_is_not_to_be_had(void **state)
{
    (void)state;
    need_device();
    assert_true(build_without_the_lock(true, 0.05) >= 0.05);
}

static void only_builds_that_race_wait_for_each_other(void **state)
{
    (void)state;
    need_device();
    assert_true(build_without_the_lock(false, 100) < 50);
    bool pocl = !strcmp(session->device->info.platform, "Portable Computing Language");
    assert_int_equal(session->device->builds_race, pocl);
    /* Intel's driver for CPUs keeps no programs, unlike its driver for GPUs, whose platform begins with the same words */
    bool cpu = !strcmp(session->device->info.kind, "cpu");
    if (q_contains(session->device->info.platform, strlen(session->device->info.platform), "intel(r) opencl"))
        assert_int_equal(session->device->info.driver_caches, !cpu);
}

static void programs_that_do_not_build(void **state)
{
    (void)state;
    need_device();
    q_program *program;
    bool made;
    assert_int_equal(get(&program, "__kernel void quern(void) { nonsense = 1; }", "", &made), QUERN_BUILD);
    assert_null(program);
    assert_int_equal(quern_last_error()->cl_code, CL_BUILD_PROGRAM_FAILURE);
    assert_non_null(strstr(quern_last_error()->build, "nonsense"));
    assert_null(strstr(quern_last_error()->build, "/"));
    assert_int_equal(get(&program, "__kernel void other(void) {}", "", &made), QUERN_DEVICE);
    assert_non_null(strstr(quern_last_error()->message, "CL_INVALID_KERNEL_NAME"));
    assert_null(program);
}

/* ---- fork ------------------------------------------------------------------------------------------------------- */

/* In the child everything fails at once; the alarm ends it should it hang. */
static int use_after_fork(void)
{
    alarm(600);
    q_buffer buffer;
    q_device *list;
    size_t count;
    if (q_session_finish(session) != QUERN_DEVICE) return 1;
    if (!strstr(quern_last_error()->message, "after fork()")) return 2;
    if (q_buffer_create(&buffer, session, 4) != QUERN_DEVICE) return 3;
    if (q_discover(&list, &count) != QUERN_DEVICE) return 4;
    q_session_destroy(&session);
    return session ? 5 : 0;
}

static void children_get_an_error(void **state)
{
    (void)state;
    need_device();
    pid_t child = fork();
    if (!child) _exit(use_after_fork());
    int result = -1;
    assert_int_equal(waitpid(child, &result, 0), child);
    assert_int_equal(result, 0);
    assert_int_equal(q_session_finish(session), QUERN_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(choices),
        cmocka_unit_test(the_environment_chooses_unless_told),
        cmocka_unit_test(devices_are_described),
        cmocka_unit_test(codes_have_words),
        cmocka_unit_test(buffers_keep_their_bytes),
        cmocka_unit_test(buffers_obey_the_budget),
        cmocka_unit_test(destroyed_buffers_are_used_again),
        cmocka_unit_test(released_memory_counts_until_it_is_free),
        cmocka_unit_test(the_driver_may_refuse_what_the_budget_grants),
        cmocka_unit_test(memory_may_be_missed_late),
        cmocka_unit_test(programs_run),
        cmocka_unit_test(equal_programs_are_one),
        cmocka_unit_test(programs_are_built_while_the_lock_is_not_to_be_had),
        cmocka_unit_test(only_builds_that_race_wait_for_each_other),
        cmocka_unit_test(programs_that_do_not_build),
        cmocka_unit_test(children_get_an_error),
    };
    return cmocka_run_group_tests(tests, open_queue, close_queue);
}
