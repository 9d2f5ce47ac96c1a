typedef int agent_links_is_empty;
