typedef int store_records_is_empty;
