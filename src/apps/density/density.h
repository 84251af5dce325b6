/*
 * density.h: what the files behind quern/density.h share. Points are kept centred and multiplied by the inverse of the bandwidth's
 * shape; g = 1/h^2 is a parameter of the formulas, so that a program serves every bandwidth.
 */
#ifndef QUERN_APPS_DENSITY_H
#define QUERN_APPS_DENSITY_H

#include "apps/views/views.h"
#include "quern/array.h"
#include "quern/density.h"

/* Bandwidths that share a pass of the search for the most likely one. */
enum { Q_BANDWIDTHS = 8 };

typedef struct q_kernel {
    const char *name, *text; /* null: none; a formula in s */
    const char *log;         /* its logarithm as a formula, if it is one without bounds; else null */
    double (*log_integral)(double dim);
} q_kernel;

struct quern_density {
    quern_context *context;
    quern_dtype dtype; /* of runs */
    q_kernel kernel;
    char *text;          /* the kernel's formula, where the user gave it */
    double log_integral; /* log Z */
    double tolerance;
    double *mean, *shape; /* dim; dim x dim, lower triangular */
    double *bandwidth;
    double log_det; /* of the shape */
    bool weighted;
    quern_array *points, *weights; /* in the order of a k-d tree; logarithms for kernels that have one */
    quern_operator *parts[2];      /* values, gradients */
    quern_density_report report;
};

/* Points on the host, while a density is made. */
typedef struct q_sample {
    int64_t rows, dim;
    double *points, *weights; /* weights add up to 1 */
} q_sample;

// density.c

/* Any view of numbers as doubles, row after row. `name` is for messages. */
quern_status q_density_read(quern_context *context, const char *name, const quern_view *view, double *out);
/* Replaces rows of coordinates by inverse(shape) (x - mean). */
void q_density_whiten(const quern_density *d, double *points, int64_t rows);
/* Compiles the formula of a part: 'v' the sum or its logarithm, 'g' the gradient of the logarithm, 'l' the sums without the point itself for
   Q_BANDWIDTHS bandwidths. */
quern_status q_density_compile(quern_operator **out, const quern_density *d, char part);
/* A run with the density's tolerance. */
quern_status q_density_run(const quern_density *d, quern_operator *op, quern_args args, quern_view result,
                           quern_pruning_report *report);
/* An array of the run's type on the device. */
quern_status q_density_array(quern_array **out, const quern_density *d, const double *numbers, int64_t rows,
                             int64_t columns);

// kernels.c

/* The kernel of this name, or of a formula, and the logarithm of its integral, `integral` if that is above 0. */
quern_status q_kernel_choose(quern_density *d, const char *kernel, double integral);

// bandwidth.c

/* Mean and shape of the sample. NUMERIC for a covariance without inverse. */
quern_status q_density_shape(quern_density *d, const q_sample *sample, quern_bandwidth_shape shape);
/* The factor by a rule; by likelihood, points and weights are on the device already. */
double q_density_factor(const quern_density_report *report, quern_bandwidth_rule rule);
quern_status q_density_most_likely(quern_density *d, const q_sample *sample);

#endif
