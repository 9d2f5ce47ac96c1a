typedef int agent_pecks_is_empty;
