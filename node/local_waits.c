typedef int local_waits_is_empty;
