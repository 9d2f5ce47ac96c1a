typedef int commands_pecks_is_empty;
