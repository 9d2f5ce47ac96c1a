typedef int framing_is_empty;
