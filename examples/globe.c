/*
 * globe.c: cities and maps for the examples.
 *
 * cities.csv has a header, then lines `name,latitude,longitude,population,elevation`. Its names have no commas or
 * quotes, so that a line is cut at its commas. Arrays grow by doubling.
 */
#include "globe.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "data_file.h"

void globe_point(float out[3], double latitude, double longitude)
{
    const double degree = acos(-1.0) / 180;

    out[0] = (float)(cos(latitude * degree) * cos(longitude * degree));
    out[1] = (float)(cos(latitude * degree) * sin(longitude * degree));
    out[2] = (float)sin(latitude * degree);
}

void globe_pixels(float *out, int width, int height)
{
    for (int row = 0; row < height; row++)
        for (int column = 0; column < width; column++, out += 3)
            globe_point(out, 90 - (row + 0.5) * 180 / height, (column + 0.5) * 360 / width - 180);
}

void globe_slopes(float *out, const float *x, const float *value, const float *gradient, int width, int height)
{
    const double turn = 2 * acos(-1.0);

    for (int k = 0; k < width * height; k++, x += 3, gradient += 3) {
        const double flat = hypot((double)x[0], (double)x[1]); /* the cosine of the latitude */
        const double east = ((double)gradient[1] * (double)x[0] - (double)gradient[0] * (double)x[1]) / flat;
        const double away = ((double)gradient[0] * (double)x[0] + (double)gradient[1] * (double)x[1]) / flat;
        const double north = (double)gradient[2] * flat - (double)x[2] * away;
        const double change = hypot(east * turn / width * flat, north * turn / 2 / height);
        out[k] = (float)(change / fmax((double)value[k], 1e-30));
    }
}

/* Makes room for `capacity` cities; 0, or -1 if memory ran out. */
static int grow(cities *all, size_t capacity)
{
    void *name = realloc(all->name, capacity * sizeof *all->name), *place, *population, *elevation;

    if (name) all->name = name;
    place = realloc(all->place, capacity * 3 * sizeof *all->place);
    if (place) all->place = place;
    population = realloc(all->population, capacity * sizeof *all->population);
    if (population) all->population = population;
    elevation = realloc(all->elevation, capacity * sizeof *all->elevation);
    if (elevation) all->elevation = elevation;
    return name && place && population && elevation ? 0 : -1;
}

/* Adds the city of one line; 0, or -1 if the line is not one. */
static int add_city(cities *all, const char *line)
{
    const char *comma = strchr(line, ',');
    double latitude, longitude, population, elevation;
    size_t k = all->count;
    int read = comma ? sscanf(comma, ",%lf,%lf,%lf,%lf", &latitude, &longitude, &population, &elevation) : 0;

    if (read < 3) return -1;
    snprintf(all->name[k], CITY_NAME, "%.*s", (int)(comma - line), line);
    globe_point(all->place + 3 * k, latitude, longitude);
    all->population[k] = (float)population;
    all->elevation[k] = read == 4 ? (float)elevation : NAN;
    all->count++;
    return 0;
}

int cities_read(cities *out, const char *path)
{
    char line[512], found[PATH_MAX];
    FILE *file = NULL;
    size_t capacity = 0;
    int failed = 0;

    *out = (cities){0, NULL, NULL, NULL, NULL};
    if (!path && !(path = data_file(found, "cities.csv"))) return -1;
    if (!(file = fopen(path, "r"))) return fprintf(stderr, "%s: %s\n", path, strerror(errno)), -1;
    errno = 0;
    if (!fgets(line, sizeof line, file)) failed = 1;
    while (!failed && fgets(line, sizeof line, file)) {
        if (out->count == capacity) failed = grow(out, capacity = capacity ? 2 * capacity : 1024);
        if (!failed && add_city(out, line)) failed = 1;
    }
    if (failed)
        fprintf(stderr, "%s: no cities after %zu lines: %s\n", path, out->count, errno ? strerror(errno) : "bad line");
    fclose(file);
    return failed ? -1 : 0;
}

void cities_free(cities *all)
{
    free(all->name);
    free(all->place);
    free(all->population);
    free(all->elevation);
    *all = (cities){0, NULL, NULL, NULL, NULL};
}
