/*
 * prune_device.c: which blocks of columns matter, found on the device, a work-item for some blocks of rows
 * (cl/boxes_walk.cl). It needs float64, and a formula whose rules plan/boxes.c can write; what it finds is what
 * prune_bounds.c would find on the host, but for roundings of intervals.
 */
#include <stdlib.h>
#include <string.h>

#include "run/prune.h"

enum { MOST_WORDS = 1 << 24 /* of bits at a time */ };

/* As cl/boxes_walk.cl has it: a node. */
typedef struct device_node {
    int32_t from, to, next, leaf;
} device_node;

enum { ROW_BOXES, COLUMN_BOXES, COLUMN_NODES, PARAMETERS, REACHED, KEPT, DROPPED, BUFFERS };

struct q_walker {
    q_session *session;
    const q_pruning_blocks *b;
    q_program *program;
    q_buffer buffers[BUFFERS];
    void *given[BUFFERS]; /* what the device may still read, until a walk has ended */
    bool walked;
    size_t *leaves; /* nodes of the tree of columns, by number of the leaf */
    int lanes;      /* blocks of a work-item */
    int32_t words;  /* of a block's bits */
    size_t at_once; /* blocks whose bits are found together */
    uint32_t *bits; /* of these */
    size_t leaf_count;
};

// ---- what the device needs ----

/* Takes possession of the data. */
static quern_status upload(q_walker *w, int buffer, void *data, size_t bytes)
{
    w->given[buffer] = data;
    return q_buffer_create_from(&w->buffers[buffer], w->session, data, bytes);
}

static quern_status upload_nodes(q_walker *w, int buffer, const q_tree *tree)
{
    device_node *nodes = malloc((tree->node_count + 1) * sizeof *nodes);
    int32_t leaf = 0;
    if (!nodes) return q_fail_memory(tree->node_count * sizeof *nodes);
    for (size_t n = 0; n < tree->node_count; n++) {
        const q_tree_node *node = &tree->nodes[n];
        bool last = q_tree_is_leaf(tree, n);
        nodes[n] = (device_node){(int32_t)node->from, (int32_t)node->to, (int32_t)node->next, last ? leaf++ : -1};
    }
    return upload(w, buffer, nodes, tree->node_count * sizeof *nodes);
}

/* The boxes of a pack of blocks, and their first and last places, number by number; the last block stands for those that are
   missing. */
static void fill_pack(const q_walker *w, size_t pack, double *out)
{
    const q_tree *rows = w->b->rows;
    size_t lanes = (size_t)w->lanes;
    for (size_t lane = 0; lane < lanes; lane++) {
        size_t block = pack * lanes + lane < w->b->block_count ? pack * lanes + lane : w->b->block_count - 1;
        size_t node = w->b->row_blocks[block];
        for (size_t d = 0; d <= rows->dim; d++) {
            const q_tree_node *places = &rows->nodes[node];
            const q_interval box = d < rows->dim ? q_range_read(rows->boxes[node * rows->dim + d], w->b->dtype)
                                                 : (q_interval){(double)places->from, (double)(places->to - 1)};
            out[2 * d * lanes + lane] = box.low;
            out[(2 * d + 1) * lanes + lane] = box.high;
        }
    }
}

static quern_status upload_rows(q_walker *w)
{
    size_t packs = (w->b->block_count + (size_t)w->lanes - 1) / (size_t)w->lanes;
    size_t numbers = (2 * w->b->rows->dim + 2) * (size_t)w->lanes;
    double *boxes = malloc((packs * numbers + 1) * sizeof *boxes);
    if (!boxes) return q_fail_memory(packs * numbers * sizeof *boxes);
    for (size_t pack = 0; pack < packs; pack++) fill_pack(w, pack, boxes + pack * numbers);
    return upload(w, ROW_BOXES, boxes, packs * numbers * sizeof *boxes);
}

/* Intervals as the device reads what is in them. */
static quern_status upload_boxes(q_walker *w, int buffer, const q_interval *boxes, size_t count)
{
    q_interval *read = malloc((count + 1) * sizeof *read);
    if (!read) return q_fail_memory(count * sizeof *read);
    for (size_t k = 0; k < count; k++) read[k] = q_range_read(boxes[k], w->b->dtype);
    return upload(w, buffer, read, count * sizeof *read);
}

static quern_status find_leaves(q_walker *w)
{
    const q_tree *columns = w->b->columns;
    w->leaves = malloc((columns->node_count + 1) * sizeof *w->leaves);
    if (!w->leaves) return q_fail_memory(columns->node_count * sizeof *w->leaves);
    for (size_t n = 0; n < columns->node_count; n++)
        if (q_tree_is_leaf(columns, n)) w->leaves[w->leaf_count++] = n;
    w->words = (int32_t)((w->leaf_count + 31) / 32);
    w->at_once = (MOST_WORDS / (size_t)w->words / (size_t)w->lanes + 1) * (size_t)w->lanes;
    if (w->at_once > w->b->block_count) w->at_once = w->b->block_count;
    w->bits = malloc((w->at_once * (size_t)w->words + 1) * sizeof *w->bits);
    return w->bits ? QUERN_OK : q_fail_memory(w->at_once * (size_t)w->words * sizeof *w->bits);
}

static quern_status upload_all(q_walker *w)
{
    const q_pruning_blocks *b = w->b;
    size_t numbers = b->block_count * q_blocks_stride(b->pruner) * sizeof(double);
    Q_TRY(find_leaves(w));
    Q_TRY(upload_nodes(w, COLUMN_NODES, b->columns));
    Q_TRY(upload_rows(w));
    Q_TRY(upload_boxes(w, COLUMN_BOXES, b->columns->boxes, b->columns->node_count * b->columns->dim));
    Q_TRY(upload_boxes(w, PARAMETERS, b->parameters, b->parameter_count));
    Q_TRY(q_buffer_create(&w->buffers[REACHED], w->session, numbers));
    Q_TRY(q_buffer_create(&w->buffers[DROPPED], w->session, numbers));
    return q_buffer_create(&w->buffers[KEPT], w->session, w->at_once * (size_t)w->words * sizeof *w->bits);
}

static q_boxes_request request_of(const q_pruning_blocks *b, size_t *offsets)
{
    const quern_operator *op = b->pruner->op;
    for (size_t v = 0; v < op->variable_count; v++) offsets[op->variables[v]] = b->offsets[v];
    return (q_boxes_request){.graph = op->graph,
                             .reductions = b->pruner->reductions,
                             .count = b->pruner->reduction_count,
                             .rows = b->pruner->rows,
                             .offsets = offsets,
                             .row_dim = b->rows->dim,
                             .column_dim = b->columns->dim,
                             .lanes = b->lanes,
                             .dtype = b->dtype};
}

static quern_status build(q_walker *w, const q_boxes_request *request)
{
    q_text source = {0};
    bool made;
    q_locale locale = q_locale_enter();
    quern_status status = q_boxes_source(&source, request);
    q_locale_leave(locale);
    if (!status) status = q_program_get(&w->program, w->session, "quern_boxes", source.data, "-cl-std=CL1.2", &made);
    q_text_free(&source);
    return status;
}

/* A kernel that the driver does not make is no reason to fail: the host knows how. */
static bool is_refused(const quern_context *context, quern_status status)
{
    if (status != QUERN_BUILD && status != QUERN_DEVICE) return false;
    q_context_log(context, "which blocks matter is found on the host: %s", quern_last_error_text());
    return true;
}

quern_status q_walker_create(q_walker **out, quern_context *context, const q_pruning_blocks *b)
{
    q_session *session = context->session;
    size_t offsets[Q_MAX_VARIABLES];
    q_boxes_request request = request_of(b, offsets);
    *out = NULL;
    if (!q_session_device(session)->info.f64 || !q_boxes_can(&request)) return QUERN_OK;
    q_walker *w = calloc(1, sizeof *w);
    if (!w) return q_fail_memory(sizeof *w);
    w->session = session, w->b = b, w->lanes = b->lanes;
    quern_status status = build(w, &request);
    bool refused = is_refused(context, status);
    if (!status) status = upload_all(w);
    if (status) q_walker_destroy(&w);
    *out = w;
    return refused ? QUERN_OK : status;
}

void q_walker_destroy(q_walker **walker)
{
    q_walker *w = *walker;
    if (!w) return;
    if (!w->walked && w->buffers[COLUMN_NODES].mem) (void)q_session_settle(w->session); /* nothing may still be read */
    for (int k = 0; k < BUFFERS; k++) q_buffer_destroy(&w->buffers[k], w->session), free(w->given[k]);
    q_program_release(&w->program, w->session);
    free(w->leaves);
    free(w->bits);
    free(w);
    *walker = NULL;
}

// ---- walks ----

/* The walk of some blocks; near: 0, or the least columns that each is to meet first. Reads their bits. */
static quern_status walk(q_walker *w, size_t first, size_t count, int64_t near)
{
    const q_pruning_blocks *b = w->b;
    size_t local =
        q_session_device(w->session)->info.compute_units && !strcmp(q_session_device(w->session)->info.kind, "gpu") ? 64
                                                                                                                    : 1;
    cl_int numbers[] = {(cl_int)b->columns->node_count, (cl_int)first, (cl_int)count, (cl_int)near, w->words};
    q_kernel_arg args[] = {{sizeof(cl_mem), &w->buffers[ROW_BOXES].mem},
                           {sizeof(cl_mem), &w->buffers[COLUMN_BOXES].mem},
                           {sizeof(cl_mem), &w->buffers[COLUMN_NODES].mem},
                           {sizeof(cl_int), &numbers[0]},
                           {sizeof(cl_mem), &w->buffers[PARAMETERS].mem},
                           {sizeof(cl_int), &numbers[1]},
                           {sizeof(cl_int), &numbers[2]},
                           {sizeof(cl_int), &numbers[3]},
                           {sizeof(cl_mem), &w->buffers[REACHED].mem},
                           {sizeof(cl_double), &b->absolute},
                           {sizeof(cl_double), &b->relative},
                           {sizeof(cl_mem), &w->buffers[KEPT].mem},
                           {sizeof(cl_int), &numbers[4]},
                           {sizeof(cl_mem), &w->buffers[DROPPED].mem}};
    size_t packs = (count + (size_t)w->lanes - 1) / (size_t)w->lanes, items = (packs + local - 1) / local * local;
    Q_TRY(q_program_launch(w->program, w->session, args, Q_COUNT(args), (size_t[]){items, 1, 1},
                           (size_t[]){local, 1, 1}));
    Q_TRY(q_buffer_read(&w->buffers[KEPT], w->session, w->bits, count * (size_t)w->words * sizeof *w->bits));
    w->walked = true;
    return QUERN_OK;
}

quern_status q_walker_share(double *out, q_walker *w, const double *reached)
{
    enum { PLACES = 4, TOGETHER = 4 };
    size_t lanes = (size_t)w->lanes, together = (TOGETHER - 1) / lanes * lanes + lanes;
    size_t blocks = w->b->block_count, bits = 0, of = 0;
    Q_TRY(q_buffer_write(&w->buffers[REACHED], w->session, reached,
                         blocks * q_blocks_stride(w->b->pruner) * sizeof *reached));
    for (size_t place = 0; place < PLACES; place++) {
        size_t first = blocks * place / PLACES / lanes * lanes;
        size_t count = blocks - first < together ? blocks - first : together;
        if (count > w->at_once) count = w->at_once;
        Q_TRY(walk(w, first, count, 0));
        for (size_t word = 0; word < count * (size_t)w->words; word++)
            bits += (size_t)__builtin_popcount(w->bits[word]);
        of += count * w->leaf_count;
    }
    *out = of ? (double)bits / (double)of : 0;
    return QUERN_OK;
}

static quern_status keep(q_kept *out, const q_walker *w, size_t k, const uint32_t *bits)
{
    q_row_block *block = q_kept_block(out, w->b, k);
    q_met met = q_kept_met(w->b, k);
    if (!q_kept_begin_met(out, block, w->b, k)) return q_fail_memory(out->capacity);
    for (int32_t word = 0; word < w->words; word++)
        for (uint32_t left = bits[word]; left; left &= left - 1) {
            size_t leaf = w->leaves[32 * (size_t)word + (size_t)__builtin_ctz(left)];
            const q_tree_node *columns = &w->b->columns->nodes[leaf];
            if (q_blocks_meet(w->b, k, columns) && !q_kept_has_met(&met, columns) && !q_kept_add(out, block, columns))
                return q_fail_memory(out->capacity);
        }
    return QUERN_OK;
}

/* The likeliest leaf first: the lists of the others' terms are short then. */
static quern_status keep_near(q_kept *out, const q_walker *w, size_t k, uint32_t *bits, double likeliest)
{
    q_row_block *block = q_kept_block(out, w->b, k);
    size_t first = (size_t)likeliest;
    if (!q_kept_add(out, block, &w->b->columns->nodes[w->leaves[first]])) return q_fail_memory(out->capacity);
    bits[first / 32] &= ~((uint32_t)1 << first % 32);
    for (int32_t word = 0; word < w->words; word++)
        for (uint32_t left = bits[word]; left; left &= left - 1) {
            size_t leaf = w->leaves[32 * (size_t)word + (size_t)__builtin_ctz(left)];
            if (!q_kept_add(out, block, &w->b->columns->nodes[leaf])) return q_fail_memory(out->capacity);
        }
    return QUERN_OK;
}

/* How many blocks from `first` on are walked together. */
static size_t blocks_at_once(const q_walker *w, size_t first)
{
    size_t left = w->b->block_count - first;
    return left < w->at_once ? left : w->at_once;
}

/* What the walk leaves for each block and component. */
static quern_status read_numbers(q_walker *w, double *out)
{
    return q_buffer_read(&w->buffers[DROPPED], w->session, out,
                         w->b->block_count * q_blocks_stride(w->b->pruner) * sizeof *out);
}

quern_status q_walker_near(q_kept *out, q_walker *w, int64_t columns)
{
    size_t stride = q_blocks_stride(w->b->pruner), count;
    Q_TRY(q_kept_begin(out, w->b));
    for (size_t first = 0; first < w->b->block_count; first += count) {
        count = blocks_at_once(w, first);
        Q_TRY(walk(w, first, count, columns));
        Q_TRY(read_numbers(w, out->dropped));
        for (size_t k = 0; k < count; k++)
            Q_TRY(keep_near(out, w, first + k, w->bits + k * (size_t)w->words, out->dropped[(first + k) * stride]));
    }
    return QUERN_OK;
}

quern_status q_walker_kept(q_kept *out, q_walker *w, const double *reached)
{
    size_t numbers = w->b->block_count * q_blocks_stride(w->b->pruner) * sizeof *reached, count;
    Q_TRY(q_kept_begin(out, w->b));
    Q_TRY(q_buffer_write(&w->buffers[REACHED], w->session, reached, numbers));
    for (size_t first = 0; first < w->b->block_count; first += count) {
        count = blocks_at_once(w, first);
        Q_TRY(walk(w, first, count, 0));
        for (size_t k = 0; k < count; k++) Q_TRY(keep(out, w, first + k, w->bits + k * (size_t)w->words));
    }
    return read_numbers(w, out->dropped);
}
