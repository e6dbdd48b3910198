// Pictures of tables, printed cell by cell: where everything stands is computed once, and is the
// same for all panels of a table, as is what a block means.
#include "picture.h"

#include <math.h>
#include <string.h>

#include "../../autograd/base/err.h"

enum {
    LEVELS = 8,      // heights of a block
    GAP = 2,         // columns between panels
    MIN_WIDTH = 24,  // columns that a picture takes, however narrow the terminal
    MIN_CELLS = 8,   // of them for cells
    SMALL_ROWS = 16, // lines of a panel: of a small picture, and of a whole one
    WHOLE_ROWS = 64,
    SMALL_LINES = 24, // of all panels of a small picture
    NAME = 48,        // bytes of a name, its NUL included
    TEXT = 2 * NAME * EXPORT_MAX_DIMS
};

// Blocks are between two magnitudes. With `low` 0 nothing is shown for what is near 0. It is more
// where all numbers have one sign and are near each other: a factor near 1 is not all the same.
struct scale {
    double low, high;
    bool below, above; // whether a number is below 0, and above
    bool strange;      // whether one is not finite
};

struct layout {
    const struct export_array *table;
    const struct plot_style *style;
    struct scale scale;
    bool turned;                   // the last axis runs down, the one before it to the right
    int64_t panels, rows, columns; // of the table as it is shown
    int64_t down, across;          // values in a cell
    int lines, cells;              // of a panel
    int label;                     // columns at the left of a line
    int width;                     // columns of a panel
    int beside;                    // panels that stand side by side
};

// --- a line, without blanks at its end, and with as few escapes as it takes

struct pen {
    FILE *file;
    int blanks;        // not yet printed
    const char *color; // that is on; NULL: none
};

static void pen_text(struct pen *pen, const char *color, const char *text)
{
    if (color != pen->color) {
        if (pen->color)
            fputs("\033[0m", pen->file);
        if (color)
            fprintf(pen->file, "\033[%sm", color);
        pen->color = color;
    }
    fprintf(pen->file, "%*s%s", pen->blanks, "", text);
    pen->blanks = 0;
}

static void pen_end(struct pen *pen)
{
    pen->blanks = 0;
    pen_text(pen, NULL, "\n");
}

// `text`, and blanks up to `width` columns.
static void pen_padded(struct pen *pen, const char *text, int width)
{
    int size = (int)strlen(text);
    if (size)
        pen_text(pen, NULL, text);
    pen->blanks += width > size ? width - size : 0;
}

// --- names and numbers

// A name of a file, which is not the terminal's to obey.
static const char *plain(const char *name, char text[NAME])
{
    snprintf(text, NAME, "%s", name);
    err_plain(text);
    return text;
}

static const char *axis_name(const struct layout *layout, int dim, char text[NAME])
{
    char name[32];
    return plain(export_axis_name(layout->table, dim, name), text);
}

static int row_axis(const struct layout *layout)
{
    return layout->table->dims - (layout->turned ? 1 : 2);
}

static int column_axis(const struct layout *layout)
{
    return layout->table->dims - (layout->turned ? 2 : 1);
}

// The coordinate of an entry; "" where there is no such axis.
static const char *coordinate(const struct layout *layout, int dim, int64_t index, char text[NAME])
{
    *text = '\0';
    if (dim >= 0)
        snprintf(text, NAME, "%lld", (long long)export_coordinate(layout->table, dim, index));
    return text;
}

// "layer 0, head 1"; "" where there is one panel for all.
static void panel_title(const struct layout *layout, int64_t panel, char text[TEXT])
{
    int64_t index[EXPORT_MAX_DIMS];
    size_t used = 0;
    *text = '\0';
    for (int d = layout->table->dims - 3; d >= 0; d--) {
        index[d] = panel % layout->table->size[d];
        panel /= layout->table->size[d];
    }
    for (int d = 0; d < layout->table->dims - 2; d++) {
        char name[NAME], at[NAME];
        used += (size_t)snprintf(text + used, TEXT - used, "%s%s %s", d ? ", " : "",
                                 axis_name(layout, d, name), coordinate(layout, d, index[d], at));
    }
}

// --- the scale

static struct scale scale_of(const struct export_array *table, int64_t count)
{
    struct scale scale = {.low = (double)INFINITY};
    for (int64_t i = 0; i < count; i++) {
        double value = export_value(table, i), magnitude = fabs(value);
        if (!isfinite(value)) {
            scale.strange = true;
            continue;
        }
        scale.below = scale.below || value < 0;
        scale.above = scale.above || value > 0;
        scale.low = fmin(scale.low, magnitude);
        scale.high = fmax(scale.high, magnitude);
    }
    if ((scale.below && scale.above) || scale.low < scale.high / 2)
        scale.low = 0;
    return scale;
}

// The height of a block, 1 to LEVELS; 0 for what is near 0.
static int level_of(const struct scale *scale, double value, int levels)
{
    double magnitude = fabs(value), range = scale->high - scale->low;
    if (scale->low == 0 && magnitude < scale->high / (2 * LEVELS))
        return 0;
    double share = range > 0 ? (magnitude - scale->low) / range : magnitude > 0;
    int level = (int)ceil(share * levels);
    return level < 1 ? magnitude > 0 : level > levels ? levels : level;
}

// The value of a cell: of those that it covers the one that differs most from the middle of the
// scale, as a mean would hide what goes up and down. NaN where one is not finite.
static double cell_value(const struct layout *layout, int64_t panel, int line, int cell)
{
    const struct scale *scale = &layout->scale;
    double middle = scale->low == 0 ? 0 : (scale->low + scale->high) / 2, found = 0, far = -1;
    middle = scale->below && !scale->above ? -middle : middle;
    int64_t first_row = line * layout->down, first_column = cell * layout->across;
    for (int64_t r = first_row; r < first_row + layout->down && r < layout->rows; r++)
        for (int64_t c = first_column; c < first_column + layout->across && c < layout->columns;
             c++) {
            int64_t in_panel = layout->turned ? c * layout->rows + r : r * layout->columns + c;
            double value =
                export_value(layout->table, panel * layout->rows * layout->columns + in_panel);
            if (!isfinite(value))
                return (double)NAN;
            if (fabs(value - middle) > far) {
                far = fabs(value - middle);
                found = value;
            }
        }
    return found;
}

// --- how blocks look

static const char *block(const struct plot_style *style, int level)
{
    static const char *const blocks[2][LEVELS] = {{".", ":", "-", "=", "+", "*", "#", "@"},
                                                  {"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"}};
    return blocks[style->utf8][level - 1];
}

static const char *color_of(const struct plot_style *style, double value)
{
    return !style->color ? NULL : value < 0 ? "36" : "31";
}

// Without colours the blocks of a table of both signs are a scale from the lowest to the highest.
static bool halved(const struct layout *layout)
{
    return !layout->style->color && layout->scale.below && layout->scale.above;
}

static void put_cell(struct pen *pen, const struct layout *layout, double value)
{
    if (isnan(value)) {
        pen_text(pen, NULL, "?");
        return;
    }
    bool half = halved(layout);
    int level = level_of(&layout->scale, value, half ? LEVELS / 2 : LEVELS);
    if (level == 0) {
        pen->blanks++;
        return;
    }
    if (half)
        level = value < 0 ? LEVELS / 2 + 1 - level : LEVELS / 2 + level;
    pen_text(pen, color_of(layout->style, value), block(layout->style, level));
}

static void put_blocks(struct pen *pen, const struct layout *layout, int from, int to, double sign)
{
    for (int level = from; level <= to; level++)
        pen_text(pen, color_of(layout->style, sign), block(layout->style, level));
}

// What blocks and colours mean.
static void put_legend(struct pen *pen, const struct layout *layout)
{
    const struct scale *scale = &layout->scale;
    char text[160];
    double sign = scale->below && !scale->above ? -1 : 1;
    if (!scale->below && !scale->above)
        return;
    if (halved(layout)) {
        put_blocks(pen, layout, 1, LEVELS / 2, -1);
        snprintf(text, sizeof text, " -%.3g to 0, ", scale->high);
        pen_text(pen, NULL, text);
        put_blocks(pen, layout, LEVELS / 2 + 1, LEVELS, 1);
        snprintf(text, sizeof text, " 0 to %.3g", scale->high);
    } else if (scale->below && scale->above) {
        put_blocks(pen, layout, 1, LEVELS, 1);
        pen_text(pen, NULL, " above 0, ");
        put_blocks(pen, layout, 1, LEVELS, -1);
        snprintf(text, sizeof text, " below, both up to %.3g", scale->high);
    } else {
        put_blocks(pen, layout, 1, LEVELS, sign);
        snprintf(text, sizeof text, " %.3g to %.3g", sign * scale->low + 0.0, sign * scale->high);
    }
    pen_text(pen, NULL, text);
    if (scale->low == 0)
        pen_text(pen, NULL, ", blank near 0");
    if (scale->strange)
        pen_text(pen, NULL, ", ? not finite");
}

// --- where things stand

static int larger(int a, int b)
{
    return a > b ? a : b;
}

static int text_size(const char *text)
{
    return (int)strlen(text);
}

// Columns of the labels at the left: names of the two axes, coordinates of the rows.
static int label_width(const struct layout *layout)
{
    char text[NAME];
    int width = column_axis(layout) >= 0 ? text_size(axis_name(layout, column_axis(layout), text))
                                         : 0;
    if (row_axis(layout) < 0)
        return width + 1;
    width = larger(width, text_size(axis_name(layout, row_axis(layout), text)));
    width = larger(width, text_size(coordinate(layout, row_axis(layout), 0, text)));
    return 1 +
           larger(width, text_size(coordinate(layout, row_axis(layout), layout->rows - 1, text)));
}

// As wide as its cells, its title, and the numbers below.
static int panel_width(const struct layout *layout)
{
    char first[NAME], last[NAME], title[TEXT];
    coordinate(layout, column_axis(layout), 0, first);
    coordinate(layout, column_axis(layout), layout->columns - 1, last);
    int width = larger(layout->cells, text_size(first) + 1 + text_size(last));
    panel_title(layout, 0, title);
    width = larger(width, text_size(title));
    panel_title(layout, layout->panels - 1, title);
    return larger(width, text_size(title));
}

static int64_t parts(int64_t count, int64_t most)
{
    return (count + most - 1) / most;
}

static void lay_out(struct layout *layout, bool whole)
{
    const struct export_array *table = layout->table;
    int64_t last = table->dims >= 1 ? table->size[table->dims - 1] : 1,
            before = table->dims >= 2 ? table->size[table->dims - 2] : 1;
    layout->turned = last <= SMALL_ROWS && before > 2 * last;
    layout->rows = layout->turned ? last : before;
    layout->columns = layout->turned ? before : last;
    layout->panels = 1;
    for (int d = 0; d < table->dims - 2; d++)
        layout->panels *= table->size[d];
    int width = larger(layout->style->width, MIN_WIDTH);
    layout->label = label_width(layout);
    layout->across = parts(layout->columns, larger(width - layout->label, MIN_CELLS));
    layout->down = parts(layout->rows, whole ? WHOLE_ROWS : SMALL_ROWS);
    layout->cells = (int)parts(layout->columns, layout->across);
    layout->lines = (int)parts(layout->rows, layout->down);
    layout->width = panel_width(layout);
    layout->beside = larger((width - layout->label + GAP) / (layout->width + GAP), 1);
}

// --- printing

// "relative_bias: layer 2, head 4, offset 63; -0.312 to 0.207".
static void print_head(const struct layout *layout, int64_t count, FILE *file)
{
    char name[NAME];
    double least = (double)INFINITY, most = -least;
    for (int64_t i = 0; i < count; i++) {
        double value = export_value(layout->table, i) + 0.0; // -0 is 0
        least = fmin(least, value);                          // NaN is left out
        most = fmax(most, value);
    }
    fputs(plain(layout->table->name, name), file);
    for (int d = 0; d < layout->table->dims; d++)
        fprintf(file, "%s %s %lld", d ? "," : ":", axis_name(layout, d, name),
                (long long)layout->table->size[d]);
    if (count == 0)
        fputs("; empty\n", file);
    else if (least > most)
        fputs("; nothing in it is a number\n", file);
    else
        fprintf(file, "; %.4g to %.4g\n", least, most);
}

// What several values a cell are, where they are: so many rows by so many columns.
static void put_cell_note(struct pen *pen, const struct layout *layout)
{
    char text[160];
    if (layout->down == 1 && layout->across == 1)
        return;
    snprintf(text, sizeof text, "a cell is the farthest from %s of %lld x %lld values",
             layout->scale.low == 0 ? "0" : "the middle", (long long)layout->down,
             (long long)layout->across);
    pen_text(pen, NULL, text);
    pen_end(pen);
}

static void print_titles(struct pen *pen, const struct layout *layout, int64_t from, int64_t to)
{
    char name[NAME] = "", title[TEXT];
    if (row_axis(layout) < 0)
        return;
    pen_padded(pen, axis_name(layout, row_axis(layout), name), layout->label);
    for (int64_t panel = from; panel < to; panel++) {
        panel_title(layout, panel, title);
        pen_padded(pen, title, layout->width + GAP);
    }
    pen_end(pen);
}

static void print_line(struct pen *pen, const struct layout *layout, int64_t from, int64_t to,
                       int line)
{
    char text[NAME];
    pen_padded(pen, coordinate(layout, row_axis(layout), line * layout->down, text), layout->label);
    for (int64_t panel = from; panel < to; panel++) {
        for (int cell = 0; cell < layout->cells; cell++)
            put_cell(pen, layout, cell_value(layout, panel, line, cell));
        pen->blanks += layout->width - layout->cells + GAP;
    }
    pen_end(pen);
}

// The cell that has coordinate 0, where it is neither the first nor the last; else -1.
static int zero_cell(const struct layout *layout)
{
    for (int64_t c = layout->across; c < layout->columns - layout->across; c++)
        if (export_coordinate(layout->table, column_axis(layout), c) == 0)
            return (int)(c / layout->across);
    return -1;
}

// Below each panel the coordinates of its first and its last column, and of 0 where there is room.
static void print_foot(struct pen *pen, const struct layout *layout, int64_t panels)
{
    char name[NAME], first[NAME], last[NAME];
    if (column_axis(layout) < 0)
        return;
    coordinate(layout, column_axis(layout), 0, first);
    coordinate(layout, column_axis(layout), layout->columns - 1, last);
    int before = text_size(first), after = text_size(last), zero = zero_cell(layout);
    int end = larger(layout->cells, before + 1 + after);
    bool show_zero = zero > before && zero + 1 < end - after;
    pen_padded(pen, axis_name(layout, column_axis(layout), name), layout->label);
    for (int64_t panel = 0; panel < panels; panel++) {
        int used = before;
        pen_text(pen, NULL, first);
        if (show_zero) {
            pen->blanks = zero - used;
            pen_text(pen, NULL, "0");
            used = zero + 1;
        }
        if (layout->columns > 1) {
            pen->blanks = end - after - used;
            pen_text(pen, NULL, last);
            used = end;
        }
        pen->blanks = layout->width - used + GAP;
    }
    pen_end(pen);
}

static void print_panels(struct pen *pen, const struct layout *layout, bool whole)
{
    int height = layout->lines + (row_axis(layout) >= 0) + 1, used = 0;
    int64_t panel = 0;
    while (panel < layout->panels && (whole || panel == 0 || used + height <= SMALL_LINES)) {
        int64_t end = panel + layout->beside;
        end = end < layout->panels ? end : layout->panels;
        print_titles(pen, layout, panel, end);
        for (int line = 0; line < layout->lines; line++)
            print_line(pen, layout, panel, end, line);
        print_foot(pen, layout, end - panel);
        used += height;
        panel = end;
    }
    if (panel < layout->panels) {
        char name[NAME];
        fprintf(pen->file, "and %lld more, with --table %s\n", (long long)(layout->panels - panel),
                plain(layout->table->name, name));
    }
}

void picture_print(const struct export_array *table, bool whole, const struct plot_style *style,
                   FILE *file)
{
    struct layout layout = {.table = table, .style = style};
    struct pen pen = {.file = file};
    int64_t count = export_count(table);
    print_head(&layout, count, file);
    if (count <= 0)
        return;
    layout.scale = scale_of(table, count);
    lay_out(&layout, whole);
    print_panels(&pen, &layout, whole);
    put_legend(&pen, &layout);
    pen_end(&pen);
    put_cell_note(&pen, &layout);
}
