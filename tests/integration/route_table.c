/* The table of routes as JSON, for tests that hold it against the reference. */
#include "routes.h"

#include <jansson.h>
#include <stdio.h>

static const char *const who_names[] = {[ROUTE_ALL] = "all",
                                        [ROUTE_EITHER] = "either",
                                        [ROUTE_BEARER] = "bearer",
                                        [ROUTE_BEAK_KEY] = "beak_key"};
static const char *const class_names[] = {
    [ROUTE_UNCOUNTED] = "", [ROUTE_AUTH] = "auth",   [ROUTE_PECK] = "peck",
    [ROUTE_CERT] = "cert",  [ROUTE_AUDIT] = "audit", [ROUTE_DIRECTORY] = "directory"};

int main(void)
{
    size_t count;
    const struct route *routes = routes_all(&count);
    json_t *list = json_array();

    for (size_t i = 0; i < count; i++) {
        const struct route *route = &routes[i];
        bool creates = route->trait == ROUTE_CREATES || route->trait == ROUTE_NODE_CREATES;

        json_array_append_new(
            list,
            json_pack("{ss, ss, ss, ss, ss?, ss?, sb, sb}", "method", route->method, "path",
                      route->path, "who", who_names[route->who], "class", class_names[route->class],
                      "members", route->members, "query", route->query, "creates", creates,
                      "has_head", !strcmp(route->method, "GET") && route->trait != ROUTE_NO_HEAD));
    }
    json_dumpf(list, stdout, JSON_COMPACT);
    json_decref(list);
    return 0;
}
