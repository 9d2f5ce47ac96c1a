typedef int answers_is_empty;
