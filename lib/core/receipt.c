typedef int receipt_is_empty;
