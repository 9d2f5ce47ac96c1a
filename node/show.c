#include "show.h"

#define INDENT "            " /* deeper than any label */

static void show(FILE *file, struct bytes text, const char *line_end)
{
    while (text.size > 0) {
        size_t size, plain;
        uint32_t point;

        plain = bytes_plain(text, &size, &point);
        fwrite(text.data, 1, plain, file);
        if (size > 0 && (point == '\n' || point == '\t' || point == '\r'))
            fputs(point == '\n' ? line_end : " ", file);
        else if (size > 0)
            fprintf(file, "\\u%04x", (unsigned)point);
        text.data += plain + size;
        text.size -= plain + size;
    }
}

void show_line(FILE *file, struct bytes text)
{
    show(file, text, " ");
}

void show_lines(FILE *file, struct bytes text)
{
    show(file, text, "\n" INDENT);
}

void show_json(FILE *file, struct bytes text)
{
    show(file, text, "\n");
}
