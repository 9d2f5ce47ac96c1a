typedef int moment_is_empty;
