typedef int commands_is_empty;
