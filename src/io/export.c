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
#include "publish_folder.h"

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

// Says which element it is: of an axis its coordinate.
static int not_finite(const struct export_array *array, int64_t index)
{
    char place[256] = "", axis[32];
    int64_t stride = export_count(array);
    for (int d = 0; d < array->dims; d++) {
        size_t used = strlen(place);
        stride /= array->size[d];
        snprintf(place + used, sizeof place - used, "%s%s %lld", d ? ", " : " at ",
                 export_axis_name(array, d, axis),
                 (long long)export_coordinate(array, d, index / stride % array->size[d]));
    }
    return err_set(ERR_NUMBER,
                   "%s holds %s%s, which is no finite number; the file is not of a run "
                   "that trained well",
                   array->name, isnan(export_value(array, index)) ? "NaN" : "infinity", place);
}

static int check_array(const struct export_array *array)
{
    int64_t count = export_count(array);
    if (count < 0)
        return err_set(ERR_ARGUMENT, "%s has a size that does not fit", array->name);
    for (int64_t i = 0; i < count; i++)
        if (!isfinite(export_value(array, i)))
            return not_finite(array, i);
    return 0;
}

int export_publish(const char *path, const char *bytes, size_t size)
{
    return strcmp(path, "-") == 0 ? write_stdout(bytes, size) : file_publish(path, bytes, size);
}

static int check_set(const struct export_set *set, const struct export_format *format)
{
    if (format->one_array && set->arrays != 1)
        return err_set(ERR_ARGUMENT, "a file of format %s holds one array, not %d", format->name,
                       set->arrays);
    int code = 0;
    for (int i = 0; i < set->arrays && code == 0; i++)
        code = check_array(&set->array[i]);
    return code;
}

int export_write_folder(const struct export_set *set, const struct export_format *format,
                        const char *path, bool overwrite)
{
    struct folder_file file[EXPORT_FOLDER_FILES] = {{0}};
    int count = check_set(set, format);
    if (count == 0)
        count = format->encode_folder(set, file);
    int code = count < 0 ? count : folder_publish(path, file, count, overwrite);
    for (int i = 0; i < EXPORT_FOLDER_FILES; i++)
        free((void *)file[i].bytes);
    return code;
}

int export_write(const struct export_set *set, const struct export_format *format, const char *path)
{
    char *bytes = NULL;
    size_t size = 0;
    int code = check_set(set, format);
    if (code == 0)
        code = format->encode(set, &bytes, &size);
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

bool export_counts_from_zero(const struct export_array *array, int dim)
{
    for (int64_t i = 0; array->coordinate[dim] && i < array->size[dim]; i++)
        if (array->coordinate[dim][i] != i)
            return false;
    return true;
}

const char *export_axis_name(const struct export_array *array, int dim, char text[32])
{
    if (array->axis[dim])
        snprintf(text, 32, "%s", array->axis[dim]);
    else
        snprintf(text, 32, "axis_%d", dim);
    return text;
}

const char *export_attribute_text(const struct export_attribute *attribute,
                                  char text[EXPORT_NUMBER])
{
    if (attribute->text)
        return attribute->text;
    if (attribute->is_real)
        snprintf(text, EXPORT_NUMBER, "%.17g", attribute->real);
    else
        snprintf(text, EXPORT_NUMBER, "%lld", (long long)attribute->number);
    return text;
}

bool export_is_format(const struct export_attribute *attribute)
{
    return strcmp(attribute->name, "format") == 0 || strcmp(attribute->name, "format_version") == 0;
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
