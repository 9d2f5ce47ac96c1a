typedef int clock_is_empty;
