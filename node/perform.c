typedef int perform_is_empty;
