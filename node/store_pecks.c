typedef int store_pecks_is_empty;
