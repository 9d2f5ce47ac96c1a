typedef int transport_peers_is_empty;
