typedef int options_is_empty;
