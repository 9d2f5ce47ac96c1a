/* Hands leave to peck on, narrower, on a host without a node.
 *
 *     example_grant KEY-FILE GRANT dkl_… SCOPE        // prints the narrower grant */
#include "duck_grant.h"

#include <stdio.h>

int main(int argc, char **argv)
{
    struct duck_grant_wish wish = {0};
    struct duck_grant *narrower;
    struct duck_holder *me;
    const char *problem = "";

    if (argc < 5)
        return fprintf(stderr, "usage: example_grant KEY-FILE GRANT dkl_… SCOPE\n"), 2;
    wish.holder = argv[3];
    wish.scopes = (const char *const *)&argv[4];
    wish.scope_count = 1;
    me = duck_holder_open(argv[1], &problem);
    narrower = me ? duck_grant_narrow(me, argv[2], &wish, &problem) : NULL;
    if (narrower)
        puts(duck_grant_text(narrower));
    else
        fprintf(stderr, "%s\n", problem);
    duck_grant_free(narrower);
    duck_holder_free(me);
    return narrower ? 0 : 1;
}
