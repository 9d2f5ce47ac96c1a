typedef int intake_is_empty;
