typedef int supervisor_is_empty;
