typedef int inbox_is_empty;
