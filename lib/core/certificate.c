typedef int certificate_is_empty;
