typedef int loop_is_empty;
