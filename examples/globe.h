/*
 * globe.h: what the examples know of the globe: the cities of examples/data/cities.csv (GeoNames, CC-BY-4.0) and maps.
 *
 * Places are unit vectors: x towards latitude 0, longitude 0, y towards longitude 90 degrees east, z north. Maps are
 * equirectangular, row by row from the north-west.
 */
#ifndef GLOBE_H
#define GLOBE_H

#include <stddef.h>
#include <stdint.h>

#define CITY_NAME 64

typedef struct cities {
    size_t count;
    char (*name)[CITY_NAME]; /* UTF-8 */
    float *place;            /* count x 3, unit vectors */
    float *population;       /* count x 1, people */
    float *elevation;        /* count x 1, metres; NaN where it is not known */
} cities;

/* Reads name, latitude, longitude, population, elevation of every line after the first. `path` may be null: cities.csv beside the
   program, wherever that was moved, else examples/data/cities.csv. Returns 0, or -1 after a message on stderr. `out` is
   for cities_free in either case. */
int cities_read(cities *out, const char *path);
void cities_free(cities *all);

/* Writes the unit vector of a place given in degrees. */
void globe_point(float out[3], double latitude, double longitude);

/* Writes the centres of the pixels of a map: height * width x 3. */
void globe_pixels(float *out, int width, int height);

/* Writes how much the logarithm of a field changes from pixel to pixel where it changes most: height * width x 1, of the pixels
   `x`, the field's values there and its gradient, height * width x 3. */
void globe_slopes(float *out, const float *x, const float *value, const float *gradient, int width, int height);

#endif
