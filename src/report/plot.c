// Pictures: a canvas of cells, each of which holds one kind of mark, printed row by row.
#include "plot.h"

#include <langinfo.h>
#include <locale.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

// Rows from 1.0 down to 0.0, and columns between which a picture keeps.
enum { ROWS = 11, MIN_WIDTH = 24, MAX_WIDTH = 100, LEFT = 5, MARGIN = 2 };

// What a cell holds: nothing, chance, the way between two points, or the point of series 0, 1, ...
enum { EMPTY, CHANCE, WAY, POINT = WAY + PLOT_MAX_SERIES };

struct canvas {
    const struct plot *plot;
    int width; // of the inside
    unsigned char cell[ROWS][MAX_WIDTH];
};

bool plot_terminal(FILE *file)
{
    const char *term = getenv("TERM");
    return isatty(fileno(file)) && term && strcmp(term, "dumb") != 0;
}

// COLUMNS, which wins over the terminal's own width; 0 where it is not set, or no number.
static int columns_wished(void)
{
    const char *text = getenv("COLUMNS");
    size_t digits = text ? strspn(text, "0123456789") : 0;
    return digits > 0 && digits < 5 && !text[digits] ? (int)strtol(text, NULL, 10) : 0;
}

struct plot_style plot_style_of(FILE *file)
{
    const char *no_color = getenv("NO_COLOR");
    struct winsize size = {0};
    struct plot_style style = {.width = 80};
    style.color = plot_terminal(file) && !(no_color && *no_color);
    if (isatty(fileno(file)) && ioctl(fileno(file), TIOCGWINSZ, &size) == 0 && size.ws_col > 1)
        style.width = size.ws_col - 1; // a full line may wrap
    if (columns_wished() > 1)
        style.width = columns_wished() - 1;
    locale_t locale = newlocale(LC_CTYPE_MASK, "", (locale_t)0);
    if (locale) {
        style.utf8 = strcmp(nl_langinfo_l(CODESET, locale), "UTF-8") == 0;
        freelocale(locale);
    }
    return style;
}

// --- where things are

static int column_of(const struct canvas *canvas, int64_t x)
{
    const struct plot *plot = canvas->plot;
    double first = (double)plot->x[0], last = (double)plot->x[plot->points - 1], at = (double)x;
    if (!(last > first))
        return canvas->width / 2;
    double share = last >= 4 * first ? log(at / first) / log(last / first)
                                     : (at - first) / (last - first);
    return MARGIN + (int)lround(share * (canvas->width - 1 - 2 * MARGIN));
}

static int row_of(double y)
{
    double share = y < 0 ? 0 : y > 1 ? 1 : y;
    return ROWS - 1 - (int)lround(share * (ROWS - 1));
}

static void put(struct canvas *canvas, int row, int column, int what)
{
    canvas->cell[row][column] = (unsigned char)what;
}

// From point i to the next one, a column at a time; where it is steep, all rows between.
static void connect(struct canvas *canvas, const double *y, int i, int what)
{
    int from = column_of(canvas, canvas->plot->x[i]),
        to = column_of(canvas, canvas->plot->x[i + 1]);
    int before = row_of(y[i]);
    for (int column = from; column <= to; column++) {
        double share = to > from ? (double)(column - from) / (to - from) : 1;
        int row = row_of(y[i] + share * (y[i + 1] - y[i]));
        int step = row < before ? 1 : -1;
        for (int r = row; r != before; r += step)
            put(canvas, r, column, what);
        put(canvas, row, column, what);
        before = row;
    }
}

static void connect_all(struct canvas *canvas, const double *y, int what)
{
    for (int i = 0; i + 1 < canvas->plot->points; i++)
        if (!isnan(y[i]) && !isnan(y[i + 1]))
            connect(canvas, y, i, what);
}

// Points that fall on one another stand side by side, as far as there is room.
static void put_point(struct canvas *canvas, int row, int column, int what)
{
    static const int aside[] = {0, 1, -1, 2, -2};
    for (size_t i = 0; i < sizeof aside / sizeof aside[0]; i++) {
        int at = column + aside[i];
        if (at < 0 || at >= canvas->width || canvas->cell[row][at] >= POINT)
            continue;
        put(canvas, row, at, what);
        return;
    }
}

// Chance lies below all lines, and points above them.
static void draw(struct canvas *canvas)
{
    const struct plot *plot = canvas->plot;
    connect_all(canvas, plot->chance, CHANCE);
    if (plot->points == 1 && !isnan(plot->chance[0]))
        memset(canvas->cell[row_of(plot->chance[0])], CHANCE, (size_t)canvas->width);
    for (int s = plot->series - 1; s >= 0; s--)
        connect_all(canvas, plot->line[s].y, WAY + s % PLOT_MAX_SERIES);
    for (int s = 0; s < plot->series; s++)
        for (int i = 0; i < plot->points; i++)
            if (!isnan(plot->line[s].y[i]))
                put_point(canvas, row_of(plot->line[s].y[i]), column_of(canvas, plot->x[i]),
                          POINT + s % PLOT_MAX_SERIES);
}

// --- how they look

static const char *glyph(int what, bool utf8)
{
    static const char *const marks[2][PLOT_MAX_SERIES] = {{"o", "x", "+", "*", "#", "@", "%", "&"},
                                                          {"●", "▲", "■", "◆", "○", "△", "□", "◇"}};
    if (what == EMPTY)
        return " ";
    if (what == CHANCE)
        return utf8 ? "┄" : "-";
    return what < POINT ? utf8 ? "·" : "." : marks[utf8][what - POINT];
}

static void put_glyph(FILE *file, int what, const struct plot_style *style)
{
    static const char *const colors[] = {"36", "33", "35", "32", "34", "31", "96", "93"};
    const char *color = what < WAY ? "2" : colors[(what - WAY) % PLOT_MAX_SERIES];
    if (what == EMPTY || !style->color)
        fputs(glyph(what, style->utf8), file);
    else
        fprintf(file, "\033[%sm%s\033[0m", color, glyph(what, style->utf8));
}

static void print_rows(const struct canvas *canvas, const struct plot_style *style, FILE *file)
{
    for (int row = 0; row < ROWS; row++) {
        int end = canvas->width;
        while (end > 0 && canvas->cell[row][end - 1] == EMPTY)
            end--;
        if (row % 5 == 0)
            fprintf(file, "%3.1f ", (ROWS - 1 - row) / (double)(ROWS - 1));
        else
            fputs("    ", file);
        fputs(style->utf8 ? row % 5 ? "│" : "┤" : row % 5 ? "|" : "+", file);
        for (int column = 0; column < end; column++)
            put_glyph(file, canvas->cell[row][column], style);
        putc('\n', file);
    }
}

// Whether no series is defined at point i.
static bool undefined(const struct plot *plot, int i)
{
    bool any = false;
    for (int s = 0; s < plot->series; s++)
        any = any || !isnan(plot->line[s].y[i]);
    return !any;
}

// The axis: heavy as far as training went, crossed where nothing is defined.
static void print_axis(const struct canvas *canvas, const struct plot_style *style, FILE *file)
{
    const struct plot *plot = canvas->plot;
    const char *heavy = style->utf8 ? "━" : "=", *light = style->utf8 ? "─" : "-";
    bool inside = plot->trained >= plot->x[0];
    int end = inside ? column_of(canvas, plot->trained) : -1;
    fputs(style->utf8 ? "    └" : "    +", file);
    for (int column = 0; column < canvas->width; column++) {
        const char *what = column <= end ? heavy : light;
        for (int i = 0; i < plot->points; i++)
            if (column_of(canvas, plot->x[i]) == column && undefined(plot, i))
                what = style->utf8 ? "×" : "x";
        fputs(what, file);
    }
    putc('\n', file);
}

// The lengths below their columns, as many as have room.
static void print_labels(const struct canvas *canvas, FILE *file)
{
    const struct plot *plot = canvas->plot;
    int used = 0;
    fprintf(file, "%*s", LEFT, "");
    for (int i = 0; i < plot->points; i++) {
        char text[24];
        int size = snprintf(text, sizeof text, "%lld", (long long)plot->x[i]);
        int at = column_of(canvas, plot->x[i]) - size / 2;
        at = at < 0 ? 0 : at;
        if (used ? at <= used : at < used)
            continue;
        fprintf(file, "%*s%s", at - used, "", text);
        used = at + size;
    }
    putc('\n', file);
}

static void print_legend(const struct plot *plot, const struct plot_style *style, FILE *file)
{
    bool chance = false, gap = false;
    fprintf(file, "%*s", LEFT, "");
    for (int s = 0; s < plot->series; s++) {
        put_glyph(file, POINT + s % PLOT_MAX_SERIES, style);
        fprintf(file, " %s   ", plot->line[s].name);
    }
    for (int i = 0; i < plot->points; i++) {
        chance = chance || !isnan(plot->chance[i]);
        gap = gap || undefined(plot, i);
    }
    if (chance) {
        put_glyph(file, CHANCE, style);
        fputs(" chance   ", file);
    }
    fprintf(file, "%s trained, to length %lld", style->utf8 ? "━" : "=", (long long)plot->trained);
    if (gap)
        fprintf(file, "   %s undefined", style->utf8 ? "×" : "x");
    putc('\n', file);
}

void plot_print(const struct plot *plot, const struct plot_style *style, FILE *file)
{
    struct canvas canvas = {.plot = plot};
    int width = style->width < MIN_WIDTH ? MIN_WIDTH : style->width;
    canvas.width = (width < MAX_WIDTH ? width : MAX_WIDTH) - LEFT;
    if (plot->points < 1)
        return;
    draw(&canvas);
    fprintf(file, "%s\n", plot->title);
    print_rows(&canvas, style, file);
    print_axis(&canvas, style, file);
    print_labels(&canvas, file);
    print_legend(plot, style, file);
}
