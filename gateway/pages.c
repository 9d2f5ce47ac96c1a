#include "pages.h"

#include "pages.inc.h"

const struct page *pages_find(const char *path)
{
    for (size_t i = 0; i < sizeof pages / sizeof pages[0]; i++)
        if (!strcmp(pages[i].path, path))
            return &pages[i];
    return NULL;
}
