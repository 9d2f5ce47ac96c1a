typedef int node_is_empty;
