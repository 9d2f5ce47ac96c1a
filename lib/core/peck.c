typedef int peck_is_empty;
