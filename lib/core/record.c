typedef int record_is_empty;
