typedef int agent_directory_is_empty;
