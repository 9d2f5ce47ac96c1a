typedef int envelope_is_empty;
