typedef int directory_is_empty;
