typedef int introduction_is_empty;
