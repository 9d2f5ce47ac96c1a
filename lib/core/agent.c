typedef int agent_is_empty;
