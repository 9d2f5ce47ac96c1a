typedef int transport_dial_is_empty;
