/*
 * png_map.h: writes a field on the globe as a PNG picture, with cells drawn by their borders.
 */
#ifndef PNG_MAP_H
#define PNG_MAP_H

#include <stdint.h>

/* Writes an equirectangular map of `height` rows, north first, by `width` columns, from longitude -180 degrees: colours
   for `value` on a logarithmic scale from `low` (and below: darkest) to `high`, and borders between neighbouring pixels
   whose `cell` differs. The picture has twice as many pixels each way. Returns 0, or -1 after a message on stderr; then
   there is no file. */
int png_map_write(const char *path, const float *value, const int64_t *cell, int width, int height, double low,
                  double high);

#endif
