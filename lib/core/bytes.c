typedef int bytes_is_empty;
