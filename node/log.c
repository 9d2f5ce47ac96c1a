typedef int log_is_empty;
