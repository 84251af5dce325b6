/*
 * agglomerations.h: where most people live within 100 km, for the map of the world.
 */
#ifndef AGGLOMERATIONS_H
#define AGGLOMERATIONS_H

#include <quern.h>

#include "globe.h"
#include "png_map.h"

/* The `most` largest: of all cities the one with most people within 100 km, then of those that are 300 km away from it, and so on. They
   are called as their largest cities; texts are the cities'. MEMORY, and those of quern_run. */
quern_status agglomerations_find(map_label *labels, double *people, int *count, int most, quern_context *ctx,
                                 const cities *y);

#endif
