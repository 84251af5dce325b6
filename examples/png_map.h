/*
 * png_map.h: writes a field on the globe as a PNG picture: colours on a logarithmic scale with their bar, contours, cells by their
 * borders, a graticule, names.
 */
#ifndef PNG_MAP_H
#define PNG_MAP_H

#include <stdint.h>

typedef struct map_label {
    const char *text;
    double latitude, longitude; /* degrees */
} map_label;

/* An equirectangular map of `height` rows, north first, by `width` columns, from longitude -180 degrees. */
typedef struct map_field {
    int width, height;
    const float *value;
    const float *slope;  /* how fast the logarithm of the value changes, per pixel: contours are as wide everywhere */
    const int64_t *cell; /* borders are drawn where it changes */
    double low, high;    /* of the colours */
    const char *title, *unit, *source;
    const map_label *labels; /* the first are the most important: others that would lie on them are left out */
    int label_count;
} map_field;

/* The picture has twice as many pixels each way as the map. Writing is left out where it would not be read. Returns 0, or -1 after
   a message on stderr; then there is no file. */
int png_map_write(const char *path, const map_field *field);

#endif
