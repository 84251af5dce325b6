/*
 * 13_gaussian_process.c: how sure is an estimate? Heights of cities, as in 10_kriging.c, but how far heights are alike, and how rough
 * they are within a place, is learnt from those that are known: the parameters of the largest likelihood. Each estimate comes with
 * a standard deviation, and about as many heights are within two of them as should be. The same without storing the matrix gives
 * the likelihood with an error bar.
 */
#include <math.h>
#include <quern/gp.h>
#include <stdio.h>
#include <stdlib.h>

#include "globe.h"

enum { KNOWN = 700, ASKED = 700 };

typedef struct heights {
    double place[3 * ASKED], height[ASKED];
    int count;
} heights;

/* Every eighth of the cities whose height is known, from one on. */
static void choose(heights *out, const cities *all, size_t from, int most)
{
    size_t seen = 0;
    for (size_t k = 0; k < all->count && out->count < most; k++) {
        if (isnan(all->elevation[k]) || seen++ % 8 != from) continue;
        for (int d = 0; d < 3; d++) out->place[3 * out->count + d] = (double)all->place[3 * k + (size_t)d];
        out->height[out->count++] = (double)all->elevation[k];
    }
}

static quern_status learn(quern_gp *gp)
{
    quern_gp_report before = QUERN_DEFAULTS(quern_gp_report), after = QUERN_DEFAULTS(quern_gp_report);
    quern_gp_fit_options how = QUERN_DEFAULTS(quern_gp_fit_options);
    how.tolerance = 1e-4;
    quern_status bad = quern_gp_likelihood(gp, &before, (quern_view){0});
    if (!bad) bad = quern_gp_fit(gp, &how, &after);
    if (bad) return bad;
    printf("log likelihood %.0f, then %.0f\n", before.log_likelihood,
           after.log_likelihood); // prints: log likelihood -2112, then -584
    for (size_t k = 0; k < quern_gp_parameter_count(gp); k++) {
        quern_gp_parameter p = quern_gp_parameter_at(gp, k);
        printf("%s %.2g\n", p.name, *p.values); // prints: length 0.022
    }
    return QUERN_OK;
}

static quern_status ask(quern_gp *gp, const heights *asked)
{
    static double mean[ASKED], variance[ASKED];
    quern_gp_report report = QUERN_DEFAULTS(quern_gp_report);
    double error = 0;
    int within = 0;
    quern_status bad = quern_gp_predict(gp, quern_f64(asked->place, ASKED, 3), quern_f64(mean, ASKED, 1),
                                        quern_f64(variance, ASKED, 1));
    if (!bad) bad = quern_gp_likelihood(gp, &report, (quern_view){0});
    if (bad) return bad;
    /* a height that is measured varies by the noise more, which is a part of the heights' variance */
    double noise = *quern_gp_parameter_at(gp, quern_gp_parameter_count(gp) - 1).values * pow(report.deviation, 2);
    for (int n = 0; n < ASKED; n++) {
        double off = mean[n] - asked->height[n];
        error += off * off / ASKED;
        within += fabs(off) < 2 * sqrt(variance[n] + noise);
    }
    printf("off by %.0f m, %d of %d within two standard deviations\n", sqrt(error), within,
           ASKED); // prints: off by 299 m, 656 of 700 within two standard deviations
    return QUERN_OK;
}

/* The same process, of which nothing is stored. */
static quern_status estimate(quern_context *ctx, quern_gp *exact, const heights *known)
{
    quern_gp *gp = NULL;
    quern_gp_options options = QUERN_DEFAULTS(quern_gp_options);
    quern_gp_report report = QUERN_DEFAULTS(quern_gp_report), right = QUERN_DEFAULTS(quern_gp_report);
    quern_arg parameters[3];
    for (size_t k = 0; k < 3; k++) {
        quern_gp_parameter p = quern_gp_parameter_at(exact, k);
        parameters[k] = (quern_arg){p.name, quern_number(*p.values)};
    }
    options.standardise = true;
    options.mean = QUERN_GP_CONSTANT;
    options.method = QUERN_GP_ITERATIVE;
    quern_args learnt = {parameters, 3, 0, 0};
    quern_status bad = quern_gp_create(&gp, ctx, "matern52", quern_f64(known->place, KNOWN, 3),
                                       quern_f64(known->height, KNOWN, 1), learnt, &options);
    if (!bad) bad = quern_gp_likelihood(gp, &report, (quern_view){0});
    if (!bad) bad = quern_gp_likelihood(exact, &right, (quern_view){0});
    double off = fabs(report.log_likelihood - right.log_likelihood);
    if (!bad)
        printf("without a matrix: within three error bars %d, which are below 1 %d\n",
               off < 3 * report.log_likelihood_error,
               report.log_likelihood_error <
                   1); // prints: without a matrix: within three error bars 1, which are below 1 1
    quern_gp_destroy(&gp);
    return bad;
}

int main(void)
{
    static heights known, asked;
    cities all;
    quern_context *ctx = NULL;
    quern_gp *gp = NULL;
    quern_gp_options options = QUERN_DEFAULTS(quern_gp_options);

    if (cities_read(&all, NULL)) return 1;
    choose(&known, &all, 0, KNOWN);
    choose(&asked, &all, 4, ASKED);
    cities_free(&all);
    options.standardise = true;
    options.mean = QUERN_GP_CONSTANT;
    quern_status bad = quern_context_create(&ctx, NULL);
    if (!bad)
        bad = quern_gp_create(&gp, ctx, "matern52", quern_f64(known.place, KNOWN, 3), quern_f64(known.height, KNOWN, 1),
                              QUERN_ARGS(), &options);
    if (!bad) bad = learn(gp);
    if (!bad) bad = ask(gp, &asked);
    if (!bad) bad = estimate(ctx, gp, &known);
    if (bad) fprintf(stderr, "%s\n", quern_last_error_text());
    quern_gp_destroy(&gp);
    quern_context_destroy(&ctx);
    return (int)bad;
}
