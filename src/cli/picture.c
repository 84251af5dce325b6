/*
 * picture.c: pictures as arrays of numbers, and back: PNG files by libpng, where the tool was built with it.
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"

bool cli_is_picture(const char *path)
{
    size_t size = strlen(path);

    return size > 4 && !strcmp(path + size - 4, ".png");
}

#ifdef CLI_PNG

#include <png.h>

enum { MOST_PIXELS = 1 << 28 };

static quern_status decode(quern_view *view, png_image *image)
{
    size_t count = (size_t)image->width * image->height;
    unsigned char *pixels;
    double *numbers;

    if (count > MOST_PIXELS)
        return cli_fail(QUERN_LIMIT, "the picture has %zu pixels, more than %d", count, MOST_PIXELS);
    image->format = PNG_FORMAT_GRAY;
    pixels = malloc(count), numbers = malloc(count * sizeof *numbers);
    *view = quern_f64(numbers, image->height, image->width);
    bool read = pixels && numbers && png_image_finish_read(image, NULL, pixels, 0, NULL);
    for (size_t k = 0; k < count && read; k++) numbers[k] = pixels[k] / 255.0;
    bool room = pixels && numbers;
    free(pixels);
    return read ? QUERN_OK : room ? QUERN_IO : cli_fail_memory();
}

quern_status cli_picture_read(quern_view *view, FILE *file, const char *name, const char *path)
{
    png_image image = {.version = PNG_IMAGE_VERSION};
    quern_status status = png_image_begin_read_from_stdio(&image, file) ? decode(view, &image) : QUERN_IO;

    if (status == QUERN_IO) cli_fail(QUERN_IO, "%s: %s: %s", name, path, image.message);
    png_image_free(&image);
    return status;
}

quern_status cli_picture_write(const char *given, const char *path, const quern_view *view)
{
    size_t count = (size_t)(view->rows * view->columns);
    double most = 0;

    if (view->batch[0] || !count || count > MOST_PIXELS)
        return cli_fail(QUERN_SHAPE, "-o %s: a picture is a matrix of pixels", given);
    unsigned char *pixels = malloc(count);
    if (!pixels) return cli_fail_memory();
    for (size_t k = 0; k < count; k++) most = fmax(most, cli_element(view, (int64_t)k));
    for (size_t k = 0; k < count; k++)
        pixels[k] = cli_element(view, (int64_t)k) > 0 && most > 0
                        ? (unsigned char)lround(255 * fmin(cli_element(view, (int64_t)k) / most, 1))
                        : 0;
    png_image image = {.version = PNG_IMAGE_VERSION, .format = PNG_FORMAT_GRAY};
    image.width = (png_uint_32)view->columns, image.height = (png_uint_32)view->rows;
    int written = png_image_write_to_file(&image, path, 0, pixels, 0, NULL);
    free(pixels);
    return written ? QUERN_OK : cli_fail(QUERN_IO, "-o %s cannot be written: %s", given, image.message);
}

#else

quern_status cli_picture_read(quern_view *view, FILE *file, const char *name, const char *path)
{
    (void)view, (void)file;
    return cli_fail(QUERN_UNSUPPORTED, "%s: %s is a picture; the tool was built without libpng", name, path);
}

quern_status cli_picture_write(const char *given, const char *path, const quern_view *view)
{
    (void)path, (void)view;
    return cli_fail(QUERN_UNSUPPORTED, "-o %s is a picture; the tool was built without libpng", given);
}

#endif
