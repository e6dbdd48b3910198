// The list of formats, the choice of one, and what formats share.
#include "export.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "../../autograd/base/err.h"
#include "../../autograd/base/options.h"
#include "h5file.h"

#define FORMAT(name) extern const struct export_format export_##name;
#include "export_list.h"
#undef FORMAT

#define FORMAT(name) &export_##name,
const struct export_format *const export_formats[] = {
#include "export_list.h"
};
#undef FORMAT
enum { FORMATS = sizeof export_formats / sizeof export_formats[0] };
const int export_format_count = FORMATS;

const struct export_format *export_format_find(const char *name)
{
    const char *names[FORMATS];
    for (int i = 0; i < FORMATS; i++)
        names[i] = export_formats[i]->name;
    int found = name_index(names, FORMATS, name);
    if (found >= 0)
        return export_formats[found];
    const char *near = name_nearest(names, FORMATS, name);
    if (near)
        err_set(ERR_ARGUMENT, "no format is called '%s'; did you mean '%s'?", name, near);
    else
        err_set(ERR_ARGUMENT, "no format is called '%s'; 'posgrad list formats' shows all", name);
    return NULL;
}

const struct export_format *export_format_of(const char *path)
{
    size_t length = strlen(path);
    for (int i = 0; i < FORMATS; i++) {
        size_t size = export_formats[i]->extension ? strlen(export_formats[i]->extension) : 0;
        if (size && length > size &&
            strcasecmp(path + length - size, export_formats[i]->extension) == 0)
            return export_formats[i];
    }
    char all[128] = "";
    for (int i = 0; i < FORMATS; i++) {
        if (!export_formats[i]->extension)
            continue;
        strncat(all, *all ? " " : "", sizeof all - strlen(all) - 1);
        strncat(all, export_formats[i]->extension, sizeof all - strlen(all) - 1);
    }
    err_set(ERR_ARGUMENT,
            "the name %s does not say its format; end it with one of %s, or give --format", path,
            all);
    return NULL;
}

static int write_stdout(const char *bytes, size_t size)
{
    if (fwrite(bytes, 1, size, stdout) != size || fflush(stdout) != 0)
        return err_set(ERR_FILE, "cannot write to stdout: %s", strerror(errno));
    return 0;
}

int export_publish(const char *path, const char *bytes, size_t size)
{
    return strcmp(path, "-") == 0 ? write_stdout(bytes, size) : file_publish(path, bytes, size);
}

int export_write(const struct export_set *set, const struct export_format *format, const char *path)
{
    char *bytes = NULL;
    size_t size = 0;
    if (format->one_array && set->arrays != 1)
        return err_set(ERR_ARGUMENT, "a file of format %s holds one array, not %d", format->name,
                       set->arrays);
    for (int i = 0; i < set->arrays; i++)
        if (export_count(&set->array[i]) < 0)
            return err_set(ERR_ARGUMENT, "%s has a size that does not fit", set->array[i].name);
    int code = format->encode(set, &bytes, &size);
    if (code < 0)
        return code;
    code = export_publish(path, bytes, size);
    free(bytes);
    return code;
}

int64_t export_count(const struct export_array *array)
{
    int64_t count = 1, bytes = 0;
    if (array->dims < 0 || array->dims > EXPORT_MAX_DIMS)
        return -1;
    for (int i = 0; i < array->dims; i++)
        if (array->size[i] < 0 || __builtin_mul_overflow(count, array->size[i], &count))
            return -1;
    return __builtin_mul_overflow(count, (int64_t)sizeof(double), &bytes) ? -1 : count;
}

double export_value(const struct export_array *array, int64_t index)
{
    if (array->is_double)
        return ((const double *)array->data)[index];
    return (double)((const float *)array->data)[index];
}

int64_t export_coordinate(const struct export_array *array, int dim, int64_t index)
{
    return array->coordinate[dim] ? array->coordinate[dim][index] : index;
}

const char *export_axis_name(const struct export_array *array, int dim, char text[32])
{
    if (array->axis[dim])
        snprintf(text, 32, "%s", array->axis[dim]);
    else
        snprintf(text, 32, "axis_%d", dim);
    return text;
}

const char *export_number(const struct export_array *array, int64_t index, char text[32])
{
    double value = export_value(array, index);
    if (isnan(value)) // printf gives some a sign
        snprintf(text, 32, "nan");
    else
        snprintf(text, 32, "%.*g", array->is_double ? 17 : 9, value);
    return text;
}
