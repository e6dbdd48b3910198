// The folder that TensorBoard's embedding projector reads: the rows of a table as points, each with
// the names of its row, and a file that says so.
//
// The rows of a table of several axes are those of all but the last. Labels in one column have no
// heading; where a row is named by several axes, all together come first, for the label that is
// shown, and then each alone, to colour or search by. Source: the documentation of the plugin
// (tensorboard/plugins/projector) and its projector_config.proto.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../autograd/base/err.h"
#include "bytes.h"
#include "export.h"
#include "publish_folder.h"

enum { CONFIG, TENSORS, METADATA, FILES };

static int64_t rows_of(const struct export_array *array)
{
    int64_t rows = 1;
    for (int d = 0; d < array->dims - 1; d++)
        rows *= array->size[d];
    return rows;
}

// A text in quotes, as text format has them.
static void put_quoted(FILE *file, const char *text)
{
    putc('"', file);
    for (const unsigned char *p = (const unsigned char *)text; *p; p++)
        if (*p == '"' || *p == '\\')
            fprintf(file, "\\%c", *p);
        else if (*p < ' ' || *p == 0x7f)
            fprintf(file, "\\%03o", *p);
        else
            putc(*p, file);
    putc('"', file);
}

static void put_config(FILE *file, const struct export_array *array)
{
    fputs("embeddings {\n  tensor_name: ", file);
    put_quoted(file, array->name);
    fprintf(file, "\n  tensor_shape: %lld\n  tensor_shape: %lld\n", (long long)rows_of(array),
            (long long)array->size[array->dims - 1]);
    fputs("  tensor_path: \"tensors.tsv\"\n  metadata_path: \"metadata.tsv\"\n}\n", file);
}

static void put_tensors(FILE *file, const struct export_array *array)
{
    char text[32];
    int64_t rows = rows_of(array), columns = array->size[array->dims - 1];
    for (int64_t i = 0; i < rows * columns; i++)
        fprintf(file, "%s%c", export_number(array, i, text), (i + 1) % columns ? '\t' : '\n');
}

// A name of an axis within a line of fields.
static void put_name(FILE *file, const struct export_array *array, int dim)
{
    char text[32];
    export_axis_name(array, dim, text);
    for (char *p = text; *p; p++)
        putc((unsigned char)*p < ' ' ? ' ' : *p, file);
}

static void put_label(FILE *file, const struct export_array *array, const int64_t *index)
{
    int axes = array->dims - 1;
    for (int d = 0; d < axes && axes > 1; d++) {
        fputs(d ? ", " : "", file);
        put_name(file, array, d);
        fprintf(file, " %lld", (long long)export_coordinate(array, d, index[d]));
    }
    for (int d = 0; d < axes; d++)
        fprintf(file, "%s%lld", axes > 1 ? "\t" : "",
                (long long)export_coordinate(array, d, index[d]));
    putc('\n', file);
}

static void put_metadata(FILE *file, const struct export_array *array)
{
    int64_t index[EXPORT_MAX_DIMS] = {0}, rows = rows_of(array);
    int axes = array->dims - 1;
    if (axes > 1) {
        fputs("label", file);
        for (int d = 0; d < axes; d++) {
            putc('\t', file);
            put_name(file, array, d);
        }
        putc('\n', file);
    }
    for (int64_t row = 0; row < rows; row++) {
        put_label(file, array, index);
        for (int d = axes - 1; d >= 0 && ++index[d] == array->size[d]; d--)
            index[d] = 0;
    }
}

static int make(struct folder_file *file, const char *name,
                void (*put)(FILE *file, const struct export_array *array),
                const struct export_array *array)
{
    struct bytes bytes = {0};
    FILE *stream = bytes_stream(&bytes);
    if (!stream)
        return err_set(ERR_MEMORY, "out of memory for %s", array->name);
    put(stream, array);
    fclose(stream);
    if (bytes.failed) {
        free(bytes.at);
        return err_set(ERR_MEMORY, "out of memory for %s", array->name);
    }
    *file = (struct folder_file){name, (char *)bytes.at, bytes.size};
    return 0;
}

static int encode_folder(const struct export_set *set, struct folder_file *file)
{
    const struct export_array *array = &set->array[0];
    if (array->dims < 2 || export_count(array) == 0)
        return err_set(ERR_ARGUMENT,
                       "%s has no rows of numbers, which are the points of the projector",
                       array->name);
    int code = make(&file[CONFIG], "projector_config.pbtxt", put_config, array);
    if (code == 0)
        code = make(&file[TENSORS], "tensors.tsv", put_tensors, array);
    if (code == 0)
        code = make(&file[METADATA], "metadata.tsv", put_metadata, array);
    return code < 0 ? code : FILES;
}

const struct export_format export_projector = {
    .name = "projector",
    .title = "a folder for the embedding projector of TensorBoard; one table",
    .one_array = true,
    .encode_folder = encode_folder,
};
