/*
 * binary.c: compiled programs in quern's own cache, for drivers that keep none.
 *
 * The key of an entry is everything that decides what a driver makes of a program: who the driver and the device are,
 * in which versions, the options, and the source, which stands there as length and 128-bit digest. Sizes of memory and
 * lists of extensions are not in it: some drivers report others in each run.
 */
#include <stdlib.h>
#include <string.h>

#include "device/device.h"

static void add_platform_version(q_text *key, cl_platform_id platform)
{
    char version[256] = "";
    if (clGetPlatformInfo(platform, CL_PLATFORM_VERSION, sizeof version - 1, version, NULL)) version[0] = 0;
    q_text_add(key, "platform version: %s\n", version);
}

char *q_binary_key(const q_device *device, const char *source, const char *options)
{
    const quern_device *info = &device->info;
    q_text key = {0};
    char digest[33];
    q_digest_hex(source, strlen(source), digest);
    q_text_add(&key, "quern: %s\nplatform: %s\n", quern_version(), info->platform);
    add_platform_version(&key, device->platform);
    q_text_add(&key, "device: %s\nvendor: %s\nversion: %s\ndriver: %s\n", info->name, info->vendor, info->version,
               info->driver);
    q_text_add(&key, "options: %s\nsource: %zu %s\n", options, strlen(source), digest);
    char *text = q_text_take(&key);
    q_text_free(&key);
    return text;
}

static cl_program create(q_session *session, const char *options, const void *data, size_t size)
{
    cl_int code, binary_code = CL_SUCCESS;
    const unsigned char *bytes = data;
    cl_device_id id = session->device->id;
    cl_program program = clCreateProgramWithBinary(session->context, 1, &id, &size, &bytes, &binary_code, &code);
    if (!program) return NULL;
    if (!code && !binary_code && !clBuildProgram(program, 1, &id, options, NULL, NULL)) return program;
    clReleaseProgram(program);
    return NULL;
}

cl_program q_binary_load(q_session *session, const char *key, const char *options, q_text *note)
{
    void *data;
    size_t size;
    if (!q_store_read(key, &data, &size, note)) return NULL;
    cl_program program = size ? create(session, options, data, size) : NULL;
    free(data);
    if (program) return program;
    q_text_add(note, "the driver refused an entry of the cache");
    q_store_remove(key);
    return NULL;
}

void q_binary_save(cl_program program, const char *key, q_text *note)
{
    size_t size = 0;
    if (clGetProgramInfo(program, CL_PROGRAM_BINARY_SIZES, sizeof size, &size, NULL) || !size) {
        q_text_add(note, "the driver gives no compiled program away");
        return;
    }
    unsigned char *data = malloc(size);
    if (data && !clGetProgramInfo(program, CL_PROGRAM_BINARIES, sizeof data, &data, NULL))
        q_store_write(key, data, size, Q_STORE_BYTES, note);
    free(data);
}
