typedef int connection_is_empty;
