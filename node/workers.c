typedef int workers_is_empty;
