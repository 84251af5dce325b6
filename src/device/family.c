/*
 * family.c: which row of cl/profiles.txt fits a device: the architecture's, else the maker's, else `default`. Pure: from
 * texts and numbers that a driver tells to a name, by a table of which the first match wins.
 *
 * Neither OpenCL's vendor numbers nor a device's name can be relied on alone: PoCL and Mesa give the vendor of the
 * hardware below them, and names are the marketing's. So rules look at all texts, and at numbers where a vendor has
 * made one for the architecture: NVIDIA's compute capability and Intel's IP version.
 */
#include <string.h>

#include "device/device.h"

enum { ANY_NUMBER, LANES, CAPABILITY, IP_VERSION };

/* Intel's IP version: architecture, release and revision in bits 22, 14 and 0, as from drivers of 2023 on; older ones
   gave smaller numbers, and names decide. */
#define IP(architecture, release) ((architecture##u << 22) | (release##u << 14))

/* For devices of this kind ("": any) of which a text contains `part` and whose number is `least` or more. */
static const struct rule {
    const char *part, *kind;
    int number;
    unsigned least;
    const char *profile;
} rules[] = {
    {"llvmpipe", "", ANY_NUMBER, 0, "soft"}, /* Mesa's software renderers: a CPU, with the habits of a GPU */
    {"softpipe", "", ANY_NUMBER, 0, "soft"},
    {"oclgrind", "", ANY_NUMBER, 0, "default"}, /* a simulator that reports to be of all kinds */

    {"aarch64", "cpu", ANY_NUMBER, 0, "cpu-neon"}, /* in PoCL's version: pthread-aarch64-unknown-linux-gnu-cortex-a72 */
    {"arm64", "cpu", ANY_NUMBER, 0, "cpu-neon"},
    {"haswell", "cpu", ANY_NUMBER, 0, "cpu-avx2"}, /* PoCL compiles for it, whatever width it tells: bench/avx2.sh */
    {"", "cpu", LANES, 16, "cpu-avx512"},
    {"", "cpu", LANES, 8, "cpu-avx2"},
    {"", "cpu", LANES, 2, "cpu-generic"},
    {"avx512", "cpu", ANY_NUMBER, 0, "cpu-avx512"}, /* the name of PoCL's library where it tells no width */
    {"", "cpu", ANY_NUMBER, 0, "cpu-generic"},

    {"", "", CAPABILITY, 120, "nvidia-sm_120"},
    {"", "", CAPABILITY, 100, "nvidia-sm_100"},
    {"", "", CAPABILITY, 90, "nvidia-sm_90"},
    {"", "", CAPABILITY, 89, "nvidia-sm_89"},
    {"", "", CAPABILITY, 86, "nvidia-sm_86"},
    {"", "", CAPABILITY, 80, "nvidia-sm_80"},
    {"", "", CAPABILITY, 75, "nvidia-sm_75"},
    {"", "", CAPABILITY, 70, "nvidia-sm_70"},
    {"nvidia", "", ANY_NUMBER, 0, "nvidia"},

    {"gfx90a", "", ANY_NUMBER, 0, "amd-gfx90a"},
    {"gfx94", "", ANY_NUMBER, 0, "amd-gfx942"},
    {"gfx95", "", ANY_NUMBER, 0, "amd-gfx942"},
    {"gfx9", "", ANY_NUMBER, 0, "amd-gfx9"},
    {"gfx10", "", ANY_NUMBER, 0, "amd-gfx10"},
    {"gfx11", "", ANY_NUMBER, 0, "amd-gfx11"},
    {"gfx12", "", ANY_NUMBER, 0, "amd-gfx11"},
    {"gfx", "", ANY_NUMBER, 0, "amd"},
    {"instinct mi2", "", ANY_NUMBER, 0, "amd-gfx90a"}, /* Mesa and AMD's board names */
    {"instinct mi3", "", ANY_NUMBER, 0, "amd-gfx942"},
    {"radeon vii", "", ANY_NUMBER, 0, "amd-gfx9"},
    {"radeonsi, vega", "", ANY_NUMBER, 0, "amd-gfx9"},
    {"radeonsi, navi1", "", ANY_NUMBER, 0, "amd-gfx10"},
    {"radeonsi, navi2", "", ANY_NUMBER, 0, "amd-gfx10"},
    {"radeonsi, navi", "", ANY_NUMBER, 0, "amd-gfx11"},
    {"advanced micro devices", "", ANY_NUMBER, 0, "amd"},
    {"amd", "", ANY_NUMBER, 0, "amd"},

    {"", "", IP_VERSION, IP(12, 70), "intel-xe-hpg"}, /* Xe-LPG, Xe2 and later have the vector engine of Xe-HPG */
    {"", "", IP_VERSION, IP(12, 60), "intel-xe-hpc"},
    {"", "", IP_VERSION, IP(12, 55), "intel-xe-hpg"},
    {"", "", IP_VERSION, IP(9, 0), "intel-gen9"}, /* to Gen12LP: 7 threads per unit */
    {"data center gpu max", "", ANY_NUMBER, 0, "intel-xe-hpc"},
    {"data center gpu flex", "", ANY_NUMBER, 0, "intel-xe-hpg"},
    {"intel(r) arc(tm)", "", ANY_NUMBER, 0, "intel-xe-hpg"},
    {"graphics [0x0bd", "", ANY_NUMBER, 0, "intel-xe-hpc"}, /* names of drivers that are older than the device */
    {"graphics [0x56", "", ANY_NUMBER, 0, "intel-xe-hpg"},
    {"hd graphics", "", ANY_NUMBER, 0, "intel-gen9"},
    {"intel(r) iris(", "", ANY_NUMBER, 0, "intel-gen9"},
    {"intel", "", ANY_NUMBER, 0, "intel"},

    {"", "", ANY_NUMBER, 0, "default"},
};

static bool contains(const char *text, const char *part)
{
    return text && q_contains(text, strlen(text), part);
}

static bool fits(const struct rule *rule, const q_device_facts *facts)
{
    const char *const texts[] = {facts->name, facts->vendor, facts->platform, facts->version, facts->board};
    const unsigned numbers[] = {0, facts->lanes, facts->capability, facts->ip_version};
    if (numbers[rule->number] < rule->least || (*rule->kind && strcmp(rule->kind, facts->kind) != 0)) return false;
    for (size_t t = 0; t < Q_COUNT(texts); t++)
        if (contains(texts[t], rule->part)) return true;
    return false;
}

const char *q_device_family(const q_device_facts *facts)
{
    const struct rule *rule = rules;
    while (!fits(rule, facts)) rule++;
    return rule->profile; /* the last row fits everything */
}
