/*
 * test_family.c: which row of cl/profiles.txt is taken for devices that exist: names, vendors and versions as drivers
 * tell them. No device is needed.
 */
#include <string.h>

#include "device/device.h"
#include "helpers.h"
#include "plan/plan.h"

#define POCL .vendor = "GenuineIntel", .platform = "Portable Computing Language"
#define NVIDIA .kind = "gpu", .vendor = "NVIDIA Corporation", .platform = "NVIDIA CUDA"
#define AMD .kind = "gpu", .vendor = "Advanced Micro Devices, Inc.", .platform = "AMD Accelerated Parallel Processing"
#define INTEL .kind = "gpu", .vendor = "Intel(R) Corporation", .platform = "Intel(R) OpenCL Graphics"
#define MESA .kind = "gpu", .platform = "rusticl"

// clang-format off
static const struct { q_device_facts facts; const char *row; } devices[] = {
    /* CPUs */
    {{.kind = "cpu", POCL, .name = "pthread-skylake-avx512-AMD EPYC", .lanes = 16}, "cpu-avx512"},
    {{.kind = "cpu", POCL, .name = "cpu-skylake-avx512-Intel(R) Xeon(R) Platinum 8480+", .lanes = 16}, "cpu-avx512"},
    {{.kind = "cpu", POCL, .name = "pthread-skylake-avx512-Intel(R) Xeon(R) Gold 6148"}, "cpu-avx512"},
    {{.kind = "cpu", POCL, .name = "cpu-haswell-Intel(R) N150", .lanes = 8,
      .version = "OpenCL 3.0 PoCL HSTR: cpu-x86_64-pc-linux-gnu-haswell"}, "cpu-avx2"},
    {{.kind = "cpu", POCL, .name = "pthread-haswell-AMD Ryzen 7 5800X 8-Core Processor"}, "cpu-avx2"},
    {{.kind = "cpu", POCL, .name = "pthread-haswell-AMD EPYC", .lanes = 16}, "cpu-avx2"}, /* told what to compile for */
    {{.kind = "cpu", POCL, .name = "pthread-x86_64-Intel(R) Core(TM)2 Duo CPU", .lanes = 4}, "cpu-generic"},
    {{.kind = "cpu", POCL, .name = "pthread-0x004", .lanes = 8,
      .version = "OpenCL 1.2 pocl HSTR: pthread-aarch64-unknown-linux-gnu-generic"}, "cpu-neon"},
    {{.kind = "cpu", POCL, .name = "pthread", .lanes = 4,
      .version = "OpenCL 3.0 PoCL HSTR: pthread-arm64-apple-macosx13.0.0-apple-m1"}, "cpu-neon"},
    {{.kind = "cpu", .name = "Intel(R) Core(TM) i7-9750H CPU @ 2.60GHz", .vendor = "Intel(R) Corporation",
      .platform = "Intel(R) CPU Runtime for OpenCL(TM) Applications", .lanes = 8}, "cpu-avx2"},
    {{.kind = "cpu", .name = "Oclgrind Simulator", .vendor = "University of Bristol", .platform = "Oclgrind"}, "default"},
    {{.kind = "cpu", .name = "riscv64", .vendor = "", .platform = "Portable Computing Language"}, "cpu-generic"},
    {{MESA, .name = "llvmpipe (LLVM 15.0.6, 512 bits)", .vendor = "Mesa/X.org", .lanes = 1}, "soft"},
    {{.kind = "cpu", .platform = "rusticl", .name = "llvmpipe (LLVM 15.0.6, 256 bits)", .lanes = 4}, "soft"},
    /* NVIDIA */
    {{NVIDIA, .name = "NVIDIA H200", .capability = 90}, "nvidia-sm_90"},
    {{NVIDIA, .name = "NVIDIA A100-SXM4-80GB", .capability = 80}, "nvidia-sm_80"},
    {{NVIDIA, .name = "NVIDIA GeForce RTX 3090", .capability = 86}, "nvidia-sm_86"},
    {{NVIDIA, .name = "Orin", .capability = 87}, "nvidia-sm_86"},
    {{NVIDIA, .name = "NVIDIA GeForce RTX 4090", .capability = 89}, "nvidia-sm_89"},
    {{NVIDIA, .name = "NVIDIA L4", .capability = 89}, "nvidia-sm_89"},
    {{NVIDIA, .name = "Tesla V100-SXM2-16GB", .capability = 70}, "nvidia-sm_70"},
    {{NVIDIA, .name = "Tesla T4", .capability = 75}, "nvidia-sm_75"},
    {{NVIDIA, .name = "NVIDIA B200", .capability = 100}, "nvidia-sm_100"},
    {{NVIDIA, .name = "NVIDIA B300", .capability = 103}, "nvidia-sm_100"},
    {{NVIDIA, .name = "NVIDIA GeForce RTX 5090", .capability = 120}, "nvidia-sm_120"},
    {{NVIDIA, .name = "NVIDIA GB10", .capability = 121}, "nvidia-sm_120"},
    {{NVIDIA, .name = "NVIDIA GeForce GTX 1080", .capability = 61}, "nvidia"},
    {{.kind = "gpu", .vendor = "NVIDIA Corporation", .platform = "Portable Computing Language",
      .name = "NVIDIA GeForce RTX 3060"}, "nvidia"},
    {{MESA, .name = "NVIDIA GeForce GTX 1650 (NVK TU117)", .vendor = "NVIDIA"}, "nvidia"},
    /* AMD */
    {{AMD, .name = "gfx90a:sramecc+:xnack-", .board = "AMD Instinct MI250X"}, "amd-gfx90a"},
    {{AMD, .name = "gfx942:sramecc+:xnack-", .board = "AMD Instinct MI300X"}, "amd-gfx942"},
    {{AMD, .name = "gfx950:sramecc+:xnack-", .board = "AMD Instinct MI355X"}, "amd-gfx942"},
    {{AMD, .name = "gfx908:sramecc+:xnack-", .board = "AMD Instinct MI100"}, "amd-gfx9"},
    {{AMD, .name = "gfx906:sramecc+:xnack-", .board = "AMD Radeon VII"}, "amd-gfx9"},
    {{AMD, .name = "gfx1030", .board = "AMD Radeon RX 6900 XT"}, "amd-gfx10"},
    {{AMD, .name = "gfx1010:xnack-", .board = "AMD Radeon RX 5700 XT"}, "amd-gfx10"},
    {{AMD, .name = "gfx1100", .board = "AMD Radeon RX 7900 XTX"}, "amd-gfx11"},
    {{AMD, .name = "gfx1151", .board = "AMD Radeon Graphics"}, "amd-gfx11"},
    {{AMD, .name = "gfx1201", .board = "AMD Radeon RX 9070 XT"}, "amd-gfx11"},
    {{AMD, .name = "gfx803", .board = "AMD Radeon RX 580 Series"}, "amd"},
    {{AMD, .name = "Ellesmere", .board = "Radeon RX 580 Series"}, "amd"},
    {{AMD, .name = "unknown", .board = "AMD Instinct MI210"}, "amd-gfx90a"},
    {{MESA, .name = "AMD Radeon RX 6700 XT (radeonsi, navi22, LLVM 17.0.6, DRM 3.57)", .vendor = "AMD"}, "amd-gfx10"},
    {{MESA, .name = "AMD Radeon RX 7900 XT (radeonsi, navi31, LLVM 17.0.6, DRM 3.57)", .vendor = "AMD"}, "amd-gfx11"},
    {{MESA, .name = "AMD Radeon RX Vega (radeonsi, vega10, LLVM 17.0.6, DRM 3.57)", .vendor = "AMD"}, "amd-gfx9"},
    {{MESA, .name = "AMD Radeon 780M (radeonsi, gfx1103_r1, LLVM 17.0.6, DRM 3.57)", .vendor = "AMD"}, "amd-gfx11"},
    /* Intel */
    {{INTEL, .name = "Intel(R) Arc(TM) A770 Graphics", .ip_version = 0x030dc008}, "intel-xe-hpg"},
    {{INTEL, .name = "Intel(R) Arc(TM) A770 Graphics"}, "intel-xe-hpg"},
    {{INTEL, .name = "Intel(R) Arc(TM) B580 Graphics", .ip_version = 0x05004004}, "intel-xe-hpg"},
    {{INTEL, .name = "Intel(R) Graphics [0x56a0]"}, "intel-xe-hpg"},
    {{INTEL, .name = "Intel(R) Data Center GPU Flex 170"}, "intel-xe-hpg"},
    {{INTEL, .name = "Intel(R) Data Center GPU Max 1550", .ip_version = 0x030f0007}, "intel-xe-hpc"},
    {{INTEL, .name = "Intel(R) Data Center GPU Max 1100", .ip_version = 0x000c0800}, "intel-xe-hpc"},
    {{INTEL, .name = "Intel(R) Graphics [0x0bd5]"}, "intel-xe-hpc"},
    {{INTEL, .name = "Intel(R) UHD Graphics 630", .ip_version = 0x02404009}, "intel-gen9"},
    {{INTEL, .name = "Intel(R) HD Graphics 530"}, "intel-gen9"},
    {{INTEL, .name = "Intel(R) Iris(R) Xe Graphics", .ip_version = 0x03000000}, "intel-gen9"},
    {{INTEL, .name = "Intel(R) Graphics [0x1234]"}, "intel"},
    /* others */
    {{.kind = "gpu", .name = "Mali-G78", .vendor = "ARM", .platform = "ARM Platform"}, "default"},
    {{.kind = "gpu", .name = "QUALCOMM Adreno(TM) 740", .vendor = "QUALCOMM", .platform = "QUALCOMM Snapdragon(TM)"},
     "default"},
    {{.kind = "gpu", .name = "Apple M1", .vendor = "Apple", .platform = "Apple"}, "default"},
    {{.kind = "accelerator", .name = "", .vendor = "", .platform = ""}, "default"},
};
// clang-format on

static void every_device_has_its_row(void **state)
{
    (void)state;
    for (size_t d = 0; d < Q_COUNT(devices); d++) {
        const char *row = q_device_family(&devices[d].facts);
        if (strcmp(row, devices[d].row) != 0)
            fail_msg("'%s' has the row %s, not %s", devices[d].facts.name, row, devices[d].row);
    }
}

static void every_row_is_shipped(void **state)
{
    (void)state;
    q_profile profile;
    for (size_t d = 0; d < Q_COUNT(devices); d++)
        if (!q_profile_find(&profile, devices[d].row)) fail_msg("there is no row %s", devices[d].row);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_device_has_its_row),
        cmocka_unit_test(every_row_is_shipped),
    };
    return cmocka_run_group_tests_name("family", tests, NULL, NULL);
}
