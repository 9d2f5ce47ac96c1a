typedef int store_is_empty;
