typedef int gossip_is_empty;
