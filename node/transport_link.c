typedef int transport_link_is_empty;
