typedef int fault_is_empty;
