typedef int commands_node_is_empty;
