/*
 * 19_digits: 1797 hand-written digits of 8 x 8 pixels become points of a plane, like beside like.
 *
 *     19_digits [digits.png]
 *
 * t-SNE (quern/tsne.h) is told 64 numbers a digit, not which digit it is. Every step is one reduction over all pairs. How good
 * the picture is: the trustworthiness says how far its neighbours are neighbours among the 64 numbers, and a vote of the five
 * nearest points of the plane says which digit each is.
 */
#include <math.h>
#include <quern/npy.h>
#include <quern/tsne.h>
#include <stdio.h>

#include "canvas.h"
#include "data_file.h"

enum { COUNT = 1797, PIXELS = 64, VOTES = 5, SIDE = 800 };

static float digits[COUNT][PIXELS], places[COUNT][2];
static int64_t nearest[COUNT][VOTES + 1];
static int label[COUNT];

static quern_status read_digits(void)
{
    char path[PATH_MAX];
    quern_view file;
    quern_status bad = data_file(path, "digits.npy") ? quern_npy_read(&file, path) : QUERN_IO;

    if (bad) return bad;
    for (int i = 0; i < COUNT; i++) { /* float32, of bytes: pixels of 0 to 16, then the digit */
        const float *row = (const float *)file.data + i * (PIXELS + 1);
        for (int d = 0; d < PIXELS; d++) digits[i][d] = row[d];
        label[i] = (int)row[PIXELS];
    }
    quern_free(file.data);
    return QUERN_OK;
}

/* How many digits the nearest of the plane, but for themselves, would have told. */
static quern_status count_right(quern_context *ctx, int *right)
{
    quern_operator *op = NULL;
    quern_view y = quern_f32(places[0], COUNT, 2);
    quern_status bad = quern_compile(&op, ctx, "x=Vi(2); y=Vj(2); ArgKMin_j(SqDist(x,y),6)", NULL);

    if (!bad) bad = quern_run(op, QUERN_ARGS({"x", y}, {"y", y}), quern_i64(nearest[0], COUNT, VOTES + 1));
    quern_operator_destroy(&op);
    for (int i = 0; i < COUNT && !bad; i++) {
        int votes[10] = {0}, best = 0;
        for (int k = 0; k <= VOTES; k++)
            if (nearest[i][k] != i) votes[label[nearest[i][k]]]++;
        for (int digit = 1; digit < 10; digit++)
            if (votes[digit] > votes[best]) best = digit;
        *right += best == label[i];
    }
    return bad;
}

/* Segments of a clock's digits: top, upper left and right, middle, lower left and right, bottom. */
static void write_digit(canvas *c, double x, double y, int digit)
{
    static const char *const lit[10] = {"0-1-2-4-5-6", "2-5",         "0-2-3-4-6", "0-2-3-5-6",     "1-2-3-5",
                                        "0-1-3-5-6",   "0-1-3-4-5-6", "0-2-5",     "0-1-2-3-4-5-6", "0-1-2-3-5-6"};
    static const double ends[7][4] = {{-1, -2, 1, -2}, {-1, -2, -1, 0}, {1, -2, 1, 0}, {-1, 0, 1, 0},
                                      {-1, 0, -1, 2},  {1, 0, 1, 2},    {-1, 2, 1, 2}};

    for (int halo = 1; halo >= 0; halo--)
        for (const char *s = lit[digit]; *s; s += s[1] ? 2 : 1) {
            const double *e = ends[*s - '0'];
            canvas_line(c, x + 9 * e[0], y + 9 * e[1], x + 9 * e[2], y + 9 * e[3], halo ? 9 : 4,
                        halo ? (canvas_colour){255, 255, 255} : (canvas_colour){0, 0, 0});
        }
}

static int draw(const char *path)
{
    canvas c;
    float largest = 0;
    double middle[10][3] = {{0}};
    int failed = canvas_create(&c, SIDE, SIDE);

    for (int i = 0; i < COUNT; i++) largest = fmaxf(largest, fmaxf(fabsf(places[i][0]), fabsf(places[i][1])));
    for (int i = 0; i < COUNT && !failed; i++) {
        double x = SIDE / 2.0 + 0.47 * SIDE * places[i][0] / largest;
        double y = SIDE / 2.0 - 0.47 * SIDE * places[i][1] / largest;
        canvas_disc(&c, x, y, 3, canvas_category(label[i]));
        middle[label[i]][0] += x, middle[label[i]][1] += y, middle[label[i]][2]++;
    }
    for (int digit = 0; digit < 10 && !failed; digit++)
        write_digit(&c, middle[digit][0] / middle[digit][2], middle[digit][1] / middle[digit][2], digit);
    if (!failed) failed = canvas_write(&c, path);
    canvas_free(&c);
    return failed;
}

int main(int argc, char **argv)
{
    quern_context *ctx = NULL;
    quern_view x = quern_f32(digits[0], COUNT, PIXELS), y = quern_f32(places[0], COUNT, 2);
    double worth;
    int right = 0;
    quern_status bad = read_digits();

    if (!bad) bad = quern_context_create(&ctx, NULL);
    if (!bad) bad = quern_tsne(ctx, x, y, NULL, NULL);
    if (!bad) bad = quern_trustworthiness(&worth, ctx, x, y, 12);
    if (!bad) bad = count_right(ctx, &right);
    if (bad) fprintf(stderr, "%s\n", quern_last_error_text());
    quern_context_destroy(&ctx);
    if (bad) return 1;
    printf("trustworthiness %.2f\n", worth);                             // prints: trustworthiness 0.99
    printf("%.0f %% told by their neighbours\n", 100.0 * right / COUNT); // prints: 99 % told by their neighbours
    return argc > 1 && draw(argv[1]) ? 1 : 0;
}
