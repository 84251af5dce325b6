/*
 * rigid.c: see rigid.h. The rotation of a fit is the quaternion that is the leading eigenvector of a matrix of 4 x 4 numbers
 * (Horn 1987).
 */
#include "rigid.h"

#include <math.h>

void rigid_move(float (*x)[3], int64_t count, const double q[4], const double from[3], const double to[3])
{
    const double w = q[0], a = q[1], b = q[2], c = q[3], n = w * w + a * a + b * b + c * c;
    const double r[3][3] = {{w * w + a * a - b * b - c * c, 2 * (a * b - w * c), 2 * (a * c + w * b)},
                            {2 * (a * b + w * c), w * w - a * a + b * b - c * c, 2 * (b * c - w * a)},
                            {2 * (a * c - w * b), 2 * (b * c + w * a), w * w - a * a - b * b + c * c}};
    for (int64_t k = 0; k < count; k++) {
        double v[3];
        for (int d = 0; d < 3; d++) v[d] = (double)x[k][d] - from[d];
        for (int d = 0; d < 3; d++) x[k][d] = (float)((r[d][0] * v[0] + r[d][1] * v[1] + r[d][2] * v[2]) / n + to[d]);
    }
}

void rigid_fit(float (*x)[3], float (*target)[3], const float *weight, int64_t count)
{
    double from[3] = {0}, to[3] = {0}, s[3][3] = {{0}}, sum = 0, size = 0, q[4] = {1, 0, 0, 0};
    for (int64_t k = 0; k < count; k++) {
        sum += (double)weight[k];
        for (int d = 0; d < 3; d++)
            from[d] += (double)(weight[k] * x[k][d]), to[d] += (double)(weight[k] * target[k][d]);
    }
    for (int d = 0; d < 3; d++) from[d] /= sum, to[d] /= sum;
    for (int64_t k = 0; k < count; k++)
        for (int d = 0; d < 3; d++)
            for (int e = 0; e < 3; e++)
                s[d][e] += (double)weight[k] * ((double)x[k][d] - from[d]) * ((double)target[k][e] - to[e]);
    for (int d = 0; d < 9; d++) size += fabs(s[d / 3][d % 3]);
    const double m[4][4] = {{s[0][0] + s[1][1] + s[2][2], s[1][2] - s[2][1], s[2][0] - s[0][2], s[0][1] - s[1][0]},
                            {s[1][2] - s[2][1], s[0][0] - s[1][1] - s[2][2], s[0][1] + s[1][0], s[2][0] + s[0][2]},
                            {s[2][0] - s[0][2], s[0][1] + s[1][0], s[1][1] - s[0][0] - s[2][2], s[1][2] + s[2][1]},
                            {s[0][1] - s[1][0], s[2][0] + s[0][2], s[1][2] + s[2][1], s[2][2] - s[0][0] - s[1][1]}};
    for (int step = 0; step < 200; step++) { /* power iteration; all eigenvalues are above -size */
        double p[4], length = 0;
        for (int d = 0; d < 4; d++) {
            p[d] = size * q[d];
            for (int e = 0; e < 4; e++) p[d] += m[d][e] * q[e];
            length += p[d] * p[d];
        }
        for (int d = 0; d < 4; d++) q[d] = p[d] / sqrt(length);
    }
    rigid_move(x, count, q, from, to);
}
