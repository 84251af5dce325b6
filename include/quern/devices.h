/*
 * devices.h: one run on several devices.
 *
 *     quern_context *both[2];                                           // a context for each device
 *     ...
 *     quern_run_on(op, both, 2, QUERN_ARGS({"x", ...}, {"y", ...}), QUERN_OUTS(quern_f32(a, M, 1)));
 *
 * Each pass of the formula is shared by its rows: a thread for each device takes some, computes them with all columns, and
 * takes more, as many as its speed so far allows, until there are none. So each device has all columns and some rows.
 *
 * Devices with one profile (quern_context_profile) and compiler give the bits that the first one gives alone, whichever takes
 * which rows, however many there are (but for long vectors on GPUs, where one device may use schemes that need all rows). Where
 * they differ, the last bits of a row are those of the device that took it, and which one that was may differ from run to run.
 * The log of each context tells which rows its device took.
 */
#ifndef QUERN_DEVICES_H
#define QUERN_DEVICES_H

#include "quern.h"

#ifdef __cplusplus
extern "C" {
#endif

/* quern_run_all on the devices of `count` contexts, all of them different; quern_run_with has it with ranges
   (quern_run_options.contexts). Arrays are on the host; batches, pruned runs, and formulas that pick rows of a table
   (Gather_i, Gather_j), have one device (UNSUPPORTED). Of
   progress callbacks that of the first context is asked, on the calling thread; it can stop all. A failure on one device
   ends the run: the error names the device, and nothing uses the arrays afterwards. Thread-safe.
   Statuses: those of quern_run_all; USAGE for no context or the same one twice. */
QUERN_API quern_status quern_run_on(quern_operator *op, quern_context *const *contexts, size_t count, quern_args args,
                                    quern_outs results);

#ifdef __cplusplus
}
#endif

#endif
