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

const char *show_word(struct bytes text, char word[SHOW_WORD_SIZE])
{
    FILE *file = fmemopen(word, SHOW_WORD_SIZE, "w");

    if (!file)
        memory_ran_out();
    word[0] = 0; /* of nothing nothing is written */
    show_line(file, bytes_cut(text, NAME_MAX_BYTES));
    fclose(file);
    return word;
}

void show_json(FILE *file, struct bytes text)
{
    show(file, text, "\n");
}
