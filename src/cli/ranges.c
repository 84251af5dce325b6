/*
 * ranges.c: which rows meet which columns, as `quern eval` is told: in words ("0:500=0:700; 500:900=0:100,650:900"), by KeOps's
 * arrays (ranges_i, slices_i, redranges_j), by a matrix of clusters (KeOps's from_matrix), or by labels of rows and columns that
 * are in their order.
 *
 * The library checks that blocks and spans are within the arrays, in order and without overlap; here it is seen to that there
 * are as many numbers as there must be.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "quern/cluster.h"

/* ---- lists that grow -------------------------------------------------------------------------------------------- */

typedef struct builder {
    quern_span *rows, *columns;
    int64_t *first;
    size_t blocks, spans;
    bool memory; /* there was enough */
} builder;

/* Whether there is room for one more where there are `count`, which doubles. */
static bool grow(void *list, size_t count, size_t size)
{
    void *grown, **at = list;

    if (count & (count - 1)) return true;
    grown = realloc(*at, (count ? 2 * count : 1) * size);
    if (grown) *at = grown;
    return grown != NULL;
}

static void add_block(builder *b, quern_span rows)
{
    b->memory =
        b->memory && grow(&b->rows, b->blocks, sizeof *b->rows) && grow(&b->first, b->blocks + 1, sizeof *b->first);
    if (!b->memory) return;
    b->rows[b->blocks++] = rows;
    b->first[b->blocks] = (int64_t)b->spans;
}

/* For the last block. */
static void add_span(builder *b, quern_span columns)
{
    b->memory = b->memory && grow(&b->columns, b->spans, sizeof *b->columns);
    if (!b->memory) return;
    b->columns[b->spans++] = columns;
    b->first[b->blocks] = (int64_t)b->spans;
}

static builder begin(void)
{
    builder b = {.first = calloc(1, sizeof *b.first)};
    b.memory = b.first != NULL;
    return b;
}

/* What was built belongs to *out from now on. */
static quern_status take(cli_ranges *out, const builder *b)
{
    out->all = calloc(1, sizeof *out->all);
    if (!out->all || !b->memory) {
        free(b->rows), free(b->columns), free(b->first);
        return cli_fail_memory();
    }
    out->ours = true;
    *out->all = (quern_ranges){b->blocks, b->rows, b->first, b->columns};
    return QUERN_OK;
}

/* ---- words ------------------------------------------------------------------------------------------------------ */

static const char *skip_blanks(const char *at)
{
    return at + strspn(at, " \t\r\n");
}

/* "0:500" */
static bool parse_span(const char **at, quern_span *out)
{
    char *end;

    errno = 0;
    out->from = strtoll(*at, &end, 10);
    if (end == *at || *end != ':') return false;
    *at = end + 1;
    out->to = strtoll(*at, &end, 10);
    if (end == *at || errno) return false;
    *at = skip_blanks(end);
    return true;
}

/* "0:500=0:700", or without columns "0:500=" */
static bool parse_block(const char **at, builder *b)
{
    quern_span span;

    if (!parse_span(at, &span) || **at != '=') return false;
    add_block(b, span);
    *at = skip_blanks(*at + 1);
    while (**at && **at != ';') {
        if (!parse_span(at, &span) || (**at && !strchr(",;", **at))) return false;
        add_span(b, span);
        if (**at == ',') *at = skip_blanks(*at + 1);
    }
    if (**at) *at = skip_blanks(*at + 1);
    return true;
}

static bool are_words(const char *text)
{
    return strchr(text, ':') && strchr(text, '=') && text[strspn(text, "0123456789:=,;- \t\r\n")] == '\0';
}

static quern_status read_words(cli_ranges *out, const char *text)
{
    builder b = begin();
    const char *at = skip_blanks(text);
    bool good = true;

    while (*at && good) good = parse_block(&at, &b);
    quern_status status = take(out, &b);
    if (status || good) return status;
    return cli_fail(QUERN_USAGE,
                    "--ranges: \"%.40s\" is not a block such as 0:500=0:100,650:900, rows and their columns", at);
}

/* ---- files ------------------------------------------------------------------------------------------------------ */

enum { MOST_FILES = 3 };

/* "a,b,c" in parts, which are in *copy, for free(); their number, or 0 for more than `most`, or one without a name. */
static size_t split(const char *text, size_t most, char **copy, char *parts[MOST_FILES])
{
    size_t count = 0;

    *copy = strdup(text);
    for (char *at = *copy; at; count++) {
        char *comma = strchr(at, ',');
        if (comma) *comma = '\0';
        if (count == most || !*at) return 0;
        parts[count] = at;
        at = comma ? comma + 1 : NULL;
    }
    return count;
}

/* Spans, a row "from to" each; *out is for free() also after a failure. */
static quern_status read_spans(quern_span **out, size_t *count, const char *path)
{
    quern_view shape;
    int64_t *numbers;
    quern_status status = cli_integers_read(&numbers, &shape, path, "--ranges");

    *out = NULL, *count = 0;
    if (!status && shape.columns != 2 && shape.rows)
        status = cli_fail(QUERN_SHAPE, "--ranges: %s has %lld column%s; spans have two, from and to", path,
                          (long long)shape.columns, CLI_S(shape.columns));
    *out = status ? NULL : calloc((size_t)shape.rows + 1, sizeof **out);
    if (!status && !*out) status = cli_fail_memory();
    for (int64_t k = 0; k < shape.rows && !status; k++)
        (*out)[(*count)++] = (quern_span){numbers[2 * k], numbers[2 * k + 1]};
    free(numbers);
    return status;
}

/* Where the spans of each block end, KeOps's slices. */
static quern_status check_ends(const int64_t *ends, size_t count, size_t blocks, size_t spans, char *files[])
{
    if (count != blocks)
        return cli_fail(QUERN_SHAPE,
                        "--ranges: %s has %zu numbers for the %zu block%s of %s; one each says where its spans end",
                        files[1], count, blocks, CLI_S(blocks), files[0]);
    for (size_t k = 0; k < count; k++)
        if (ends[k] < (k ? ends[k - 1] : 0) || ends[k] > (int64_t)spans)
            return cli_fail(
                QUERN_SHAPE,
                "--ranges: %s says that the spans of block %zu end at %lld; those before end at %lld, and %s has %zu",
                files[1], k, (long long)ends[k], (long long)(k ? ends[k - 1] : 0), files[2], spans);
    if ((count ? ends[count - 1] : 0) != (int64_t)spans)
        return cli_fail(QUERN_SHAPE, "--ranges: %s has %zu spans, of which the blocks have the first %lld by %s",
                        files[2], spans, (long long)(count ? ends[count - 1] : 0), files[1]);
    return QUERN_OK;
}

static quern_status read_arrays(cli_ranges *out, char *files[])
{
    quern_span *rows = NULL, *columns = NULL;
    size_t blocks, spans = 0;
    int64_t *ends = NULL;
    quern_view shape = {0};
    builder b = begin();
    quern_status status = read_spans(&rows, &blocks, files[0]);

    if (!status) status = cli_integers_read(&ends, &shape, files[1], "--ranges");
    if (!status) status = read_spans(&columns, &spans, files[2]);
    if (!status) status = check_ends(ends, (size_t)(shape.rows * shape.columns), blocks, spans, files);
    for (size_t k = 0, s = 0; k < blocks && !status; k++) {
        add_block(&b, rows[k]);
        while (s < (size_t)ends[k]) add_span(&b, columns[s++]);
    }
    free(rows), free(columns), free(ends);
    if (!status) return take(out, &b);
    free(b.rows), free(b.columns), free(b.first);
    return status;
}

/* ---- clusters that meet ----------------------------------------------------------------------------------------- */

static quern_status read_mask(cli_array *mask, const char *keep, size_t rows, size_t columns)
{
    quern_status status = cli_array_read(mask, keep, "--keep");
    const quern_view *view = &mask->view;
    bool fits = mask->source.typed ? (size_t)view->columns == rows * columns
                                   : (size_t)view->rows == rows && (size_t)view->columns == columns && !view->batch[0];

    if (status || fits) return status;
    return cli_fail(QUERN_SHAPE, "--keep: %s has %lld x %lld numbers for %zu cluster%s of rows and %zu of columns",
                    keep, (long long)view->rows, (long long)view->columns, rows, CLI_S(rows), columns);
}

/* Each cluster of rows is a block, which meets the clusters of columns whose number in its row of the mask is not 0. */
static quern_status apply_mask(cli_ranges *out, const char *keep, const quern_span *rows, size_t row_count,
                               const quern_span *columns, size_t column_count)
{
    cli_array mask = {0};
    builder b = begin();
    quern_status status = read_mask(&mask, keep, row_count, column_count);

    for (size_t r = 0; r < row_count && !status; r++) {
        add_block(&b, rows[r]);
        for (size_t c = 0; c < column_count; c++)
            if (cli_element(&mask.view, (int64_t)(r * column_count + c)) != 0) add_span(&b, columns[c]);
    }
    cli_array_free(&mask);
    if (!status) return take(out, &b);
    free(b.rows), free(b.columns), free(b.first);
    return status;
}

static quern_status read_matrix(cli_ranges *out, char *files[], const char *keep)
{
    quern_span *rows = NULL, *columns = NULL;
    size_t row_count, column_count;
    quern_status status = read_spans(&rows, &row_count, files[0]);

    if (!status) status = read_spans(&columns, &column_count, files[1]);
    if (!status) status = apply_mask(out, keep, rows, row_count, columns, column_count);
    free(rows), free(columns);
    return status;
}

static quern_status read_ranges(cli_ranges *out, const char *text, const char *keep)
{
    char *copy, *files[MOST_FILES];
    size_t count = split(text, MOST_FILES, &copy, files);
    quern_status status;

    if (!copy) status = cli_fail_memory();
    else if (count == 3 && !keep) status = read_arrays(out, files);
    else if (count == 2 && keep) status = read_matrix(out, files, keep);
    else
        status = cli_fail(
            QUERN_USAGE,
            "--ranges: \"%s\" is neither blocks such as 0:500=0:100,650:900 nor the files ROWS,ENDS,COLUMNS, nor, "
            "with --keep, ROWS,COLUMNS",
            text);
    free(copy);
    return status;
}

/* ---- labels ----------------------------------------------------------------------------------------------------- */

/* The clusters of sorted labels, as spans for free(). */
static quern_status find_clusters(quern_span **out, size_t *count, const cli_array *labels, const char *path)
{
    quern_clusters *clusters = NULL;
    quern_status status = quern_clusters_labels(&clusters, labels->view);

    *out = NULL, *count = 0;
    if (status) return cli_fail_quern(status, "--labels");
    for (int64_t p = 0; p < clusters->rows && !status; p++)
        if (clusters->order[p] != p)
            status = cli_fail(
                QUERN_USAGE,
                "--labels: %s is not in ascending order: row %lld comes before row %lld; sort all arrays by label "
                "first, as by numpy.argsort(labels, kind='stable')",
                path, (long long)clusters->order[p], (long long)p);
    *out = status ? NULL : calloc((size_t)clusters->count + 1, sizeof **out);
    if (!status && !*out) status = cli_fail_memory();
    for (int64_t c = 0; c < clusters->count && !status; c++)
        (*out)[(*count)++] = (quern_span){clusters->first[c], clusters->first[c + 1]};
    quern_clusters_destroy(&clusters);
    return status;
}

static quern_status read_label_file(cli_array *labels, const char *path)
{
    quern_status status = cli_array_read(labels, path, "--labels");

    if (!status && labels->source.typed) labels->view.rows = labels->view.columns, labels->view.columns = 1;
    if (status || (labels->view.columns == 1 && !labels->view.batch[0])) return status;
    return cli_fail(QUERN_SHAPE, "--labels: %s has %lld columns; labels are one for each row", path,
                    (long long)labels->view.columns);
}

static quern_status match_labels(cli_ranges *out, const cli_array labels[2], char *files[], const char *keep)
{
    quern_span *clusters[2] = {NULL, NULL};
    size_t counts[2];
    quern_status status = QUERN_OK;

    for (int k = 0; k < 2 && !status; k++) {
        out->labels[k] = labels[k].view.rows;
        status = find_clusters(&clusters[k], &counts[k], &labels[k], files[k]);
    }
    if (!status && keep) status = apply_mask(out, keep, clusters[0], counts[0], clusters[1], counts[1]);
    else if (!status && (status = quern_ranges_labels(&out->all, labels[0].view, labels[1].view)))
        cli_fail_quern(status, "--labels");
    free(clusters[0]), free(clusters[1]);
    return status;
}

static quern_status read_labels(cli_ranges *out, const char *text, const char *keep)
{
    char *copy, *files[MOST_FILES];
    cli_array labels[2] = {{.view.data = NULL}};
    size_t count = split(text, 2, &copy, files);
    quern_status status = QUERN_OK;

    if (!copy) status = cli_fail_memory();
    else if (count != 2)
        status =
            cli_fail(QUERN_USAGE, "--labels: \"%s\" is not two files, labels of the rows i and of the rows j", text);
    for (size_t k = 0; k < 2 && !status; k++) status = read_label_file(&labels[k], files[k]);
    if (!status) status = match_labels(out, labels, files, keep);
    cli_array_free(&labels[0]), cli_array_free(&labels[1]);
    free(copy);
    return status;
}

/* ---- all -------------------------------------------------------------------------------------------------------- */

quern_status cli_ranges_read(cli_ranges *out, const char *ranges, const char *labels, const char *keep)
{
    *out = (cli_ranges){.labels = {-1, -1}};
    if (ranges && labels) return cli_fail(QUERN_USAGE, "--ranges and --labels both say which rows meet; keep one");
    if (ranges && !keep && are_words(ranges)) return read_words(out, ranges);
    if (ranges) return read_ranges(out, ranges, keep);
    if (labels) return read_labels(out, labels, keep);
    return keep ? cli_fail(QUERN_USAGE, "--keep is for --labels I,J or --ranges ROWS,COLUMNS") : QUERN_OK;
}

quern_status cli_ranges_fit(const cli_ranges *ranges, const cli_inputs *inputs, const quern_operator *op)
{
    int64_t batch[4], members = 1;

    cli_inputs_batch(inputs, batch);
    for (int d = 0; d < 4 && batch[d]; d++) members *= batch[d];
    for (int k = 0; k < 2; k++) {
        int64_t rows = cli_inputs_rows(inputs, op, k ? 'j' : 'i');
        if (ranges->labels[k] < 0 || rows < 0 || ranges->labels[k] == rows * members) continue;
        return cli_fail(QUERN_SHAPE, "--labels: %lld rows %c have a label, of %lld", (long long)ranges->labels[k],
                        k ? 'j' : 'i', (long long)(rows * members));
    }
    return QUERN_OK;
}

void cli_ranges_free(cli_ranges *ranges)
{
    if (!ranges->ours) {
        quern_ranges_destroy(&ranges->all);
        return;
    }
    free((void *)ranges->all->rows), free((void *)ranges->all->first), free((void *)ranges->all->columns);
    free(ranges->all);
}
