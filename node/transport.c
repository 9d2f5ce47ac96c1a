typedef int transport_is_empty;
